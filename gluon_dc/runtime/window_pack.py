"""Kept weights into the steps of the window form.

Greedy: a window begins at the first column that any of the 16 lanes still has to serve, and each lane takes up to three
of its next weights that lie in it. Lanes with more weights there than slots hold the window back, the others leave
slots empty: at a density of 9 % windows of 32, 64 and 128 columns are filled to 61, 77 and 87 %.
"""

import numpy as np
from numba import njit

from .simd import LANES
from .window_layout import SLOT_BITS, SLOTS, SPARE

_NONE = 2**31 - 1


@njit(cache=True, nogil=True)
def count_steps(columns, row_bounds, order, slots, high_bits, coarse, counts, first, last):
    """counts[s] = steps of the slices first <= s < last, of `slots` slots and windows of 32 << high_bits columns."""
    width = 32 << high_bits
    heads, ends = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    for s in range(first, last):
        lanes = open_slice(row_bounds, order, s, heads, ends)
        steps = 0
        while True:
            start = next_start(columns, heads, ends, lanes, coarse)
            if start < 0:
                break
            steps += 1
            for lane in range(lanes):
                for _ in range(slots):
                    if heads[lane] < ends[lane] and columns[heads[lane]] < start + width:
                        heads[lane] += 1
        counts[s] = steps


@njit(cache=True, nogil=True)
def fill_steps(columns, codes, row_bounds, order, high_bits, coarse, bounds, words, sides, first, last):
    """Write the steps of the slices first <= s < last: words (steps, 16) uint32, sides (steps, 1, 2 or 5) uint16."""
    width = 32 << high_bits
    heads, ends = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    for s in range(first, last):
        lanes = open_slice(row_bounds, order, s, heads, ends)
        for step in range(bounds[s], bounds[s + 1]):
            start = next_start(columns, heads, ends, lanes, coarse)
            words[step] = 0
            sides[step] = 0
            sides[step, 0] = start >> coarse
            for lane in range(lanes):
                for slot in range(SLOTS):
                    head = heads[lane]
                    if head < ends[lane] and columns[head] < start + width:
                        _put(words, sides, step, lane, slot, columns[head] - start, codes[head], high_bits)
                        heads[lane] = head + 1


@njit(cache=True, nogil=True)
def open_slice(row_bounds, order, s, heads, ends):
    """Set each lane's next entry and the end of its row; the number of lanes, at most 16."""
    lanes = min(LANES, order.size - LANES * s)
    for lane in range(lanes):
        row = order[LANES * s + lane]
        heads[lane], ends[lane] = row_bounds[row], row_bounds[row + 1]
    return lanes


@njit(cache=True, nogil=True)
def next_start(columns, heads, ends, lanes, coarse):
    """The first column that still has to be served, rounded down to a multiple of 2^coarse; -1 where none is left."""
    start = _NONE
    for lane in range(lanes):
        if heads[lane] < ends[lane]:
            start = min(start, columns[heads[lane]])
    return -1 if start == _NONE else (start >> coarse) << coarse


@njit(cache=True, nogil=True)
def _put(words, sides, step, lane, slot, position, code, high_bits):
    words[step, lane] |= np.uint32((position & 31) | code << 5) << np.uint32(SLOT_BITS * slot)
    for bit in range(high_bits):
        if (position >> (5 + bit)) & 1:
            place = high_bits * slot + bit
            if place < SPARE:
                words[step, lane] |= np.uint32(1) << np.uint32(SLOTS * SLOT_BITS + place)
            else:
                sides[step, 1 + place - SPARE] |= np.uint16(1 << lane)
