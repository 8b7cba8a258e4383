"""Many values as few weighted ones: a histogram on the bits of floats, which no outlier can stretch.

A bin holds the float32 numbers that agree in their highest bits, so it is as fine relative to its values everywhere;
inside a bin values differ by whole steps, so that counts and sums are whole numbers: exact, in any order.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .arrays import flat_input
from .threads import in_threads, pieces, shares

# Low bits of a float32 that a bin does not tell apart: its width is 2**-13 to 2**-12 of its values.
_STEP_BITS = 11


class Bins(NamedTuple):
    """The bins that hold values, ascending: means float32 (m,), counts int64 (m,), sums float64 (m,), widths float64
    (m,); `low` and `high` are the least and the largest value, float32."""

    means: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    widths: np.ndarray
    low: np.float32
    high: np.float32


def fill_bins(values, skip_zeros: bool) -> Bins:
    """Bins of finite values, taken as float32, any shape, without a copy or a sort of them.

    `skip_zeros` leaves those out that are 0; at least one other value is assumed. Takes 32 MB a thread at the most.
    """
    flat = flat_input(values, np.float32)
    found = in_threads(lambda share: _fill_share(flat, share, skip_zeros), shares(pieces(flat.size)))
    low, high = min(ends[0] for _, ends in found), max(ends[1] for _, ends in found)
    # Only what is used is looked at: most of a table has never been written and takes no memory.
    used = np.unique(np.concatenate([np.flatnonzero(table[:, 0]) for table, _ in found]))
    counts, steps = sum(table[used] for table, _ in found).T
    first_keys = used.astype(np.uint32) << _STEP_BITS
    first = _value_of(first_keys).astype(np.float64)
    step = _value_of(first_keys + np.uint32(1)).astype(np.float64) - first
    sums = counts * first + steps * step
    return Bins((sums / counts).astype(np.float32), counts, sums, step * 2**_STEP_BITS,
                *_value_of(np.array([low, high], np.uint32)))


def _fill_share(flat: np.ndarray, share, skip_zeros: bool):
    table = np.zeros((2**(32 - _STEP_BITS), 2), np.int64)
    ends = np.array([2**32 - 1, 0], np.int64)
    for piece in share:
        _fill(flat[piece].view(np.uint32), skip_zeros, table, ends)
    return table, ends


def _value_of(keys: np.ndarray) -> np.ndarray:
    # The float32 with these keys, whose order as whole numbers is that of the floats: see `_fill`.
    bits = np.where(keys >> np.uint32(31), keys ^ np.uint32(2**31), ~keys)
    return bits.astype(np.uint32).view(np.float32)


@njit(cache=True, nogil=True)
def _fill(bits, skip_zeros, table, ends):
    # Column 0 counts values, column 1 the steps that they lie above the first number of their bin.
    low, high = ends[0], ends[1]
    for i in range(bits.size):
        word = np.int64(bits[i])
        if word & 0x7FFFFFFF == 0:
            if skip_zeros:
                continue
            word = 0  # -0.0 is 0.0
        # Negative floats are ordered backwards: turn all of their bits round, and the sign alone of the others.
        key = word ^ 0xFFFFFFFF if word >> 31 else word | 0x80000000
        low, high = min(low, key), max(high, key)
        row = key >> _STEP_BITS
        table[row, 0] += 1
        table[row, 1] += key & (2**_STEP_BITS - 1)
    ends[0], ends[1] = low, high
