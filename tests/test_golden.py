"""The golden files of every format version: what they decode to never changes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from gluon_dc.coding import FormatError, load, loads, weights_digest

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden.json").read_text())


def test_every_version_has_golden_files():
    assert {entry["version"] for entry in GOLDEN.values()} == {1, 2}
    assert {f"{name}.gdc" for name in GOLDEN} == {path.name for path in FOLDER.glob("*.gdc")}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    entry, data = GOLDEN[name], (FOLDER / f"{name}.gdc").read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"] and len(data) == entry["nbytes"]
    model = loads(data)
    assert model.version == entry["version"] == data[4]
    assert weights_digest(model.decode()) == entry["weights"]
    # Our writer may make another file of the same model, with another zlib, but never other weights.
    again = loads(load(FOLDER / f"{name}.gdc").dumps())
    assert weights_digest(again.decode()) == entry["weights"] and again.metadata == model.metadata
    if entry["version"] == 1:
        assert model.dumps() == data


def tiny_files():
    return [name for name, entry in GOLDEN.items() if entry["nbytes"] < 4000]


@pytest.mark.parametrize("name", tiny_files())
def test_damage_is_noticed(name):
    """Three hundred flipped bits and a hundred truncations, spread over the file; -m slow tries them all."""
    data = (FOLDER / f"{name}.gdc").read_bytes()
    _flip(data, np.linspace(0, 8 * len(data) - 1, 300).astype(int))
    for size in np.linspace(0, len(data) - 1, 100).astype(int):
        with pytest.raises(FormatError):
            loads(data[:size])


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_every_flipped_bit_and_truncation_is_noticed(name):
    data = (FOLDER / f"{name}.gdc").read_bytes()
    _flip(data, range(8 * len(data)))
    for size in range(len(data)):
        with pytest.raises(FormatError):
            loads(data[:size])


def _flip(data, bits):
    damaged = bytearray(data)
    for bit in bits:
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            loads(damaged)
        damaged[bit // 8] ^= 1 << bit % 8
