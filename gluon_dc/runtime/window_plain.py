"""The window form's loops without vector instructions: for other machines, and for inputs that are not finite."""

import numpy as np
from numba import njit

from .rows import finish_rows
from .simd import LANES
from .window_layout import SLOT_BITS, SLOTS, THIRD


@njit(cache=True, nogil=True)
def run_plain(words, starts, bounds, order, codebook, coarse, x, bias, relu, out, first, last):
    """As window_kernel.run_vectors."""
    slices = -(-order.size // LANES)
    for i in range(x.shape[0]):
        sums = np.zeros((last - first, LANES), np.float32)
        for section in range((bounds.size - 1) // slices):
            for s in range(first, last):
                part = section * slices + s
                add_part(words, starts, bounds[part], bounds[part + 1], codebook, coarse, x[i], sums[s - first])
        finish_rows(sums, order, first, bias, relu, out[i])


@njit(cache=True, nogil=True)
def add_part(words, starts, begin, end, codebook, coarse, x, sums):
    """sums[lane] += the kept weights of the steps begin <= step < end times their inputs; empty slots are left out."""
    for step in range(begin, end):
        start = np.int64(starts[step]) << coarse
        for lane in range(LANES):
            word = words[step, lane]
            for slot in range(SLOTS):
                field = np.int64(word >> np.uint32(SLOT_BITS * slot))
                code, position = (field >> 5) & 31, field & 31
                if code:
                    beyond = THIRD if slot == 2 and position >= THIRD else 0  # the last third, not the middle one
                    sums[lane] += codebook[code] * x[start + position + beyond]
