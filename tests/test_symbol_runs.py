import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from gluon_dc.coding.symbol_runs import COUNT_ROWS, add_counts, lookup_table, pair_table
from gluon_dc.coding.unaligned import load_big_endian, store_big_endian, store_little_endian

BY_HAND = np.array([2, 1, 3, 3], np.uint8)  # 10, 0, 110, 111


@njit
def _load(array, index):
    return load_big_endian(array, index)


@njit
def _store(array, index, word, highest_first):
    if highest_first:
        store_big_endian(array, index, word)
    else:
        store_little_endian(array, index, word)


def test_eight_bytes_at_any_place():
    array = np.arange(1, 20, dtype=np.uint8)
    for index in range(12):
        assert _load(array, np.uint64(index)) == int.from_bytes(array[index:index + 8].tobytes(), "big")
    for highest_first, order in ((True, "big"), (False, "little")):
        for index in range(12):
            target = array.copy()
            _store(target, np.uint64(index), np.uint64(0xF1F2F3F4F5F6F7F8), highest_first)
            written = (0xF1F2F3F4F5F6F7F8).to_bytes(8, order)
            assert target.tobytes() == array[:index].tobytes() + written + array[index + 8:].tobytes()


def test_pairs_by_hand():
    table = pair_table(BY_HAND)
    assert table[0 + 256 * 2] == 5 << 24 | 0b10110
    assert table[2 + 256 * 0] == 5 << 24 | 0b11010
    assert table[65536 + 3] == 3 << 24 | 0b111
    longest = pair_table(np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12], np.uint8))
    assert longest[12 + 256 * 12] == 24 << 24 | 0xFFFFFF


def test_lookups_by_hand():
    table = lookup_table(BY_HAND).tolist()
    # 0 10 110 111 0 10 is six symbols, 12 bits; 110 four times is all that twelve bits hold of it.
    assert table[0b010110111010] == (6 << 56) + 12 + sum(s << 8 * i for i, s in enumerate([1, 0, 2, 3, 1, 0], 1))
    assert table[0b110110110110] == (4 << 56) + 12 + sum(2 << 8 * i for i in range(1, 5))
    # No more than six, although there are bits for more.
    assert table[0] == (6 << 56) + 6 + sum(1 << 8 * i for i in range(1, 7))
    # A codeword that is cut off, 11, is left for the next lookup.
    assert table[0b101010101011] == (5 << 56) + 10


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1000])
def test_counts(n):
    symbols = np.random.default_rng(n).integers(0, 256, n).astype(np.uint8)
    counts = np.ones((COUNT_ROWS, 256), np.int64)
    add_counts(symbols, counts)
    np.testing.assert_array_equal(counts.sum(axis=0), np.bincount(symbols, minlength=256) + COUNT_ROWS)


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is POSIX")
def test_nothing_outside_the_arrays_is_read_or_written():
    script = Path(__file__).parent / "guarded_runs.py"
    done = subprocess.run([sys.executable, str(script), "600"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or f"ended by signal {-done.returncode}"
