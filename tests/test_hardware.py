"""report/hardware.py: JSON of any of its kinds becomes tables, or a ValueError that names the file."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_inputs import conv_rows, energy, mobile, net_rows, speed_rows

from gluon_dc.report.hardware import CAPTIONS, FOLDED, KINDS, hardware_tables, read_hardware

RECORDS = (speed_rows(), conv_rows(), net_rows(), energy(), mobile())
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
                   st.lists(st.integers(), max_size=3), st.sampled_from([0, -1, 1e-300, 1e300, 2**70, "\x1b[2J$"]))


@pytest.mark.parametrize("record, kind", list(zip(RECORDS, KINDS)))
def test_every_kind_has_tables_and_a_caption(record, kind):
    item = read_hardware(record, "x.json")
    assert type(item) is kind and hardware_tables(item) and CAPTIONS[item.kind] and item.title
    json.dumps(item.to_dict())


def test_other_json_is_none_of_them():
    for record in ({"format": 1}, [], None, 3, {"nets": []}, {"rows": [{"coder": "x"}]}):
        assert read_hardware(record, "x.json") is None


def test_formulas_and_sources_can_be_folded():
    for record in RECORDS[3:]:
        notes = [line for table in hardware_tables(read_hardware(record, "x.json")) for line in table.notes]
        assert any(line.startswith(FOLDED[0]) for line in notes) and any(line.startswith(FOLDED[1]) for line in notes)


def places(record, path=()):
    """Paths of all values in a JSON object."""
    found = [path] if path else []
    items = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    return found + [place for key, value in items for place in places(value, (*path, key))]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_shown_or_refused(data):
    record = copy.deepcopy(data.draw(st.sampled_from(RECORDS)))
    *path, last = data.draw(st.sampled_from(places(record)))
    inner = record
    for key in path:
        inner = inner[key]
    inner[last] = data.draw(VALUES)
    try:
        item = read_hardware(record, "x.json")
    except ValueError as error:
        assert str(error).startswith("x.json: ")
        return
    if item is not None:
        assert all("\x1b" not in str(table) for table in hardware_tables(item))
        json.dumps(item.to_dict())
