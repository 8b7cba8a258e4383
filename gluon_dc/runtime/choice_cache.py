"""What was measured on this machine before: a small JSON file in the user's cache folder.

The folder is ``$GLUON_DC_CACHE``, else ``$XDG_CACHE_HOME/gluon_dc``, else ``~/.cache/gluon_dc``. A file for each
processor and version of the kernels, so that neither a shared home folder nor an update brings back a stale choice.
Whatever is wrong with the file, or with writing it, costs a measurement and nothing else.
"""

import hashlib
import json
import math
import os
import platform
import threading
from functools import lru_cache
from pathlib import Path

import numba
import numpy as np

from ..coding.files import write_atomically

FORMAT = 1
MAX_ENTRIES = 4096
_MAX_NBYTES = 2**22


class ChoiceCache:
    """Choices by key (a text that names the situation). Several threads, and processes, may use the file at once."""

    def __init__(self, folder=None):
        folder = cache_folder() if folder is None else Path(folder)
        self.path = None if folder is None else folder / f"forms-{_digest(machine())}.json"
        self._lock, self._entries, self._writes = threading.Lock(), None, self.path is not None

    def get(self, key: str) -> dict | None:
        """{"form": name, "microseconds": {name: number}}, or None where nothing is known (any more)."""
        with self._lock:
            if self._entries is None:
                self._entries = self._read()
            return self._entries.get(key)

    def put(self, key: str, form: str, microseconds: dict) -> None:
        """Remember a choice, in the file too where that can be written."""
        entry = {"form": form, "microseconds": {name: round(value, 3) for name, value in microseconds.items()}}
        with self._lock:
            # Another process may have added its own.
            self._entries = {**(self._entries or {}), **self._read()}
            self._entries.pop(key, None)
            self._entries[key] = entry
            for oldest in list(self._entries)[:-MAX_ENTRIES]:
                del self._entries[oldest]
            self._write()

    def _read(self):
        if self.path is None:
            return {}
        try:
            with open(self.path, "rb") as file:
                data = file.read(_MAX_NBYTES + 1)
            found = json.loads(data) if len(data) <= _MAX_NBYTES else {}
            entries = found["entries"] if found["format"] == FORMAT else {}
            return {key: entry for key, entry in entries.items() if _is_entry(entry)}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}

    def _write(self):
        if not self._writes:
            return
        text = json.dumps({"format": FORMAT, "machine": machine(), "entries": self._entries}, indent=1)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, lambda file: file.write(text.encode()))
        except OSError:
            self._writes = False  # a read-only home folder: it is measured again next time


def cache_folder() -> Path | None:
    """Where the file goes; None where the user has no home folder."""
    for name, below in (("GLUON_DC_CACHE", ""), ("XDG_CACHE_HOME", "gluon_dc")):
        if os.environ.get(name):
            return Path(os.environ[name]) / below
    try:
        return Path.home() / ".cache" / "gluon_dc"
    except RuntimeError:
        return None


@lru_cache(maxsize=1)
def machine() -> dict:
    """What a measurement holds for: processor, instruction path, what numba is told to compile for, and versions of all
    that computes."""
    from .. import __version__
    from .simd import HAS_AVX512
    return {"cpu": _cpu_model(), "cores": os.cpu_count(), "avx512": HAS_AVX512,
            "compiled_for": [numba.config.CPU_NAME or "host", numba.config.CPU_FEATURES or ""],
            "gluon_dc": __version__, "kernels": _kernels_digest(), "numba": numba.__version__,
            "numpy": np.__version__}


def _cpu_model():
    wanted = ("model name", "cpu family", "model", "stepping", "cache size", "CPU implementer", "CPU part")
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            pairs = [line.partition(":") for line in file.read(2**16).split("\n\n")[0].splitlines()]
    except OSError:
        pairs = []
    found = {name.strip(): value.strip() for name, _, value in pairs}
    text = ", ".join(f"{name} {found[name]}" for name in wanted if name in found)
    return text or platform.processor() or platform.machine()


def _kernels_digest():
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _digest(record):
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


def _is_entry(entry):
    if not isinstance(entry, dict) or not isinstance(entry.get("form"), str):
        return False
    times = entry.get("microseconds")
    return isinstance(times, dict) and all(
        type(value) in (int, float) and math.isfinite(value) and value >= 0 for value in times.values())
