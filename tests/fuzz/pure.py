"""Python in place of what only exists compiled, for NUMBA_DISABLE_JIT=1: loads and stores that check their bounds."""

import sys
from functools import lru_cache

import numpy as np
from numba import config

from gluon_dc.coding import borrowed as borrowing
from gluon_dc.coding import lanes, symbol_runs, unaligned

from .faults import expect

WORD_NBYTES = 8


def load_big_endian(array, index):
    """The uint64 at a place; Fault where it is not within the array."""
    return np.uint64(int.from_bytes(_word(array, index), "big"))


def store_big_endian(array, index, word):
    """Write a uint64; Fault where it is not within the array."""
    _word(array, index)[:] = int(word).to_bytes(WORD_NBYTES, "big")


def store_little_endian(array, index, word):
    """Write a uint64; Fault where it is not within the array."""
    _word(array, index)[:] = int(word).to_bytes(WORD_NBYTES, "little")


def borrowed(value):
    """The value itself: Python counts references well enough."""
    return value


def weighted_sum(weights, row, places, inputs, chosen, at):
    """As in `lanes`; Fault for a place that is not within its array."""
    found = _lanes_of(weights, int(row) + places[:lanes.LANES])
    chosen.reshape(-1)[_places(chosen, int(at) + np.arange(lanes.LANES))] = found
    return int(found.astype(np.int64) @ inputs[:lanes.LANES].astype(np.int64))


def learn_lanes(weights, row, places, inputs, chosen, at, error, limit):
    """As in `lanes`; Fault for a place that is not within its array, or a step of more than 31 bits."""
    old = _lanes_of(chosen, int(at) + np.arange(lanes.LANES)).astype(np.int64)
    steps = (inputs[:lanes.LANES].astype(np.int64) * int(error) + (1 << 23)) >> 24
    expect(int(np.abs(steps).max()) < 2**31, f"steps of at most {np.abs(steps).max()}")
    places = _places(weights, int(row) + places[:lanes.LANES])
    expect(np.unique(places).size == lanes.LANES, f"places {places} that are not distinct")
    weights.reshape(-1)[places] = np.clip(old + steps, -limit, limit)


def install() -> None:
    """Put them into all modules of the library, if kernels are not compiled."""
    if not config.DISABLE_JIT:
        return
    for function in (load_big_endian, store_big_endian, store_little_endian):
        _replace(getattr(unaligned, function.__name__), function)
    _replace(borrowing.borrowed, borrowed)
    for function in (weighted_sum, learn_lanes):
        _replace(getattr(lanes, function.__name__), function)
    # Filling it takes 30 ms in Python, and most mutants have the table of their origin.
    slow = symbol_runs.lookup_table
    cached = lru_cache(256)(lambda lengths: slow(np.frombuffer(lengths, np.uint8)))
    _replace(slow, lambda lengths: cached(lengths.tobytes()))


def _replace(old, new) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("gluon_dc."):
            for attribute in [attribute for attribute, value in vars(module).items() if value is old]:
                setattr(module, attribute, new)


def _lanes_of(array, places):
    return array.reshape(-1)[_places(array, places)]


def _places(array, places):
    expect(bool((places >= 0).all() and (places < array.size).all()), f"places {places} of an array of {array.size}")
    expect(array.flags.c_contiguous, "an array that is not contiguous")
    return places


def _word(array, index) -> memoryview:
    index = int(index)
    expect(0 <= index <= array.size - WORD_NBYTES, f"8 bytes at {index} of an array of {array.size}")
    return memoryview(array)[index:index + WORD_NBYTES]
