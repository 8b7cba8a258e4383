"""The window form's loops without vector instructions: for other machines, and for inputs that are not finite."""

import numpy as np
from numba import njit

from .rows import finish_slice
from .simd import LANES
from .window_layout import SLOT_BITS, SLOTS, SPARE


@njit(cache=True, nogil=True)
def run_plain(words, sides, bounds, order, codebook, coarse, high_bits, x, bias, relu, out, first, last):
    """As window_kernel.run_vectors."""
    sums = np.empty(LANES, np.float32)
    for i in range(x.shape[0]):
        for s in range(first, last):
            add_slice(words, sides, bounds[s], bounds[s + 1], codebook, coarse, high_bits, x[i], sums)
            finish_slice(sums, order, s, bias, relu, out[i])


@njit(cache=True, nogil=True)
def add_slice(words, sides, begin, end, codebook, coarse, high_bits, x, sums):
    """sums[lane] = the kept weights of the steps begin <= step < end times their inputs; empty slots are left out."""
    sums[:] = 0
    for step in range(begin, end):
        start = np.int64(sides[step, 0]) << coarse
        for lane in range(LANES):
            word = words[step, lane]
            for slot in range(SLOTS):
                field = np.int64(word >> np.uint32(SLOT_BITS * slot))
                code = (field >> 5) & 31
                if code:
                    place = start + (field & 31) + _high(word, sides, step, lane, slot, high_bits)
                    sums[lane] += codebook[code] * x[place]


@njit(cache=True, nogil=True, inline="always")
def _high(word, sides, step, lane, slot, high_bits):
    # The position's bits 5 and up.
    high = 0
    for bit in range(high_bits):
        number = high_bits * slot + bit
        if number < SPARE:
            value = np.int64(word >> np.uint32(SLOTS * SLOT_BITS + number)) & 1
        else:
            value = (np.int64(sides[step, 1 + number - SPARE]) >> lane) & 1
        high |= value << (5 + bit)
    return high
