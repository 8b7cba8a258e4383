"""Reading JSON that other programs wrote, and checking its fields: what is read is not trusted."""

import json
import math
from pathlib import Path

NUMBER = (int, float)
MAX_JSON_NBYTES = 64 << 20
MAX_NUMBER = 2**63


def read_json(path):
    """Return the content of a JSON file of at most 64 MiB. Raises OSError, or ValueError for what is not JSON."""
    path = Path(path)
    nbytes = path.stat().st_size
    if nbytes > MAX_JSON_NBYTES:
        raise ValueError(f"{path}: {nbytes:,} bytes, expected at most {MAX_JSON_NBYTES:,} of JSON")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None


def check_fields(record, fields, where, required=()):
    """Check that a record is an object and its fields, those that are not null, have the types of {key: type}.

    Keys that end in "_percent" are 0..100 (a size_percent may be more), those that end in "nbytes" not negative.
    required: keys that must not be missing or null. Other keys pass. Raises ValueError that begins with where.
    """
    if not isinstance(record, dict):
        raise ValueError(f"{where} is {type(record).__name__}, expected an object")
    missing = [key for key in required if record.get(key) is None]
    if missing:
        raise ValueError(f'{where}: "{missing[0]}" is missing')
    for key, kind in fields.items():
        if record.get(key) is not None:
            _check_field(key, record[key], kind, where)


def checked_list(record, key, fields, where=None, required=()):
    """Return the list at a key of a record ([] where there is none), each of its objects checked by `check_fields`."""
    records = record.get(key) or []
    for number, item in enumerate(records):
        check_fields(item, fields, f"{where or key}[{number}]", required)
    return records


def _check_field(key, value, kind, where):
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = "a number" if int in kinds else " or ".join(one.__name__ for one in kinds)
        raise ValueError(f"{where}: {key} is {value!r:.60}, expected {expected}")
    if isinstance(value, (str, list, dict, bool)):
        return
    # A file of all float32 weights is larger than they are, by its header.
    if key.endswith("_percent") and not 0 <= value <= (math.inf if key == "size_percent" else 100):
        raise ValueError(f"{where}: {key} is {value}, expected 0..100")
    if isinstance(value, float) and math.isinf(value):
        raise ValueError(f"{where}: {key} is {value}, expected a finite number")
    if abs(value) >= MAX_NUMBER or key.endswith("nbytes") and not value >= 0:
        expected = "0 or more" if value < 0 else "less than 2**63"
        raise ValueError(f"{where}: {key} is {value!r:.60}, expected {expected}")
