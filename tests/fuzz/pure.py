"""Python in place of what only exists compiled, for NUMBA_DISABLE_JIT=1: loads and stores that check their bounds."""

import sys
from functools import lru_cache

import numpy as np
from numba import config

from gluon_dc.coding import symbol_runs, unaligned

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


def install() -> None:
    """Put them into all modules of the library, if kernels are not compiled."""
    if not config.DISABLE_JIT:
        return
    for function in (load_big_endian, store_big_endian, store_little_endian):
        _replace(getattr(unaligned, function.__name__), function)
    # Filling it takes 30 ms in Python, and most mutants have the table of their origin.
    slow = symbol_runs.lookup_table
    cached = lru_cache(256)(lambda lengths: slow(np.frombuffer(lengths, np.uint8)))
    _replace(slow, lambda lengths: cached(lengths.tobytes()))


def _replace(old, new) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("gluon_dc."):
            for attribute in [attribute for attribute, value in vars(module).items() if value is old]:
                setattr(module, attribute, new)


def _word(array, index) -> memoryview:
    index = int(index)
    expect(0 <= index <= array.size - WORD_NBYTES, f"8 bytes at {index} of an array of {array.size}")
    return memoryview(array)[index:index + WORD_NBYTES]
