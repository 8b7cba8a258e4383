"""Kept weights into the steps of the window form.

Greedy: a window begins at the first column that any of the 16 lanes still has to serve, and each lane takes as many of
its weights there as its slots reach, the first ones first. It may leave out a third weight of the middle and take one
of the last third: `taken` says which are done.
"""

import numpy as np
from numba import njit

from .simd import LANES
from .window_layout import SLOT_BITS, SLOTS, THIRD

_NONE = 2**31 - 1


@njit(cache=True, nogil=True)
def count_steps(columns, row_bounds, order, coarse, section, taken, counts, first, last):
    """counts[p * slices + s] += steps of section p, of `section` columns, of the slices first <= s < last.

    taken: bool (nnz,), False at first, True afterwards.
    """
    slices = -(-order.size // LANES)
    heads, ends = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    chosen = np.empty(SLOTS, np.int64)
    for s in range(first, last):
        lanes = open_slice(row_bounds, order, s, heads, ends)
        while True:
            start = next_start(columns, heads, ends, lanes, coarse)
            if start < 0:
                break
            counts[start // section * slices + s] += 1
            for lane in range(lanes):
                heads[lane] = _choose(columns, taken, heads[lane], ends[lane], start, chosen)


@njit(cache=True, nogil=True)
def fill_steps(columns, codes, row_bounds, order, coarse, section, taken, bounds, words, starts, first, last):
    """Write the steps of the slices first <= s < last: words (steps, 16) uint32, starts (steps,) uint16.

    bounds: int64 (sections * slices + 1,) of steps. taken: as in count_steps.
    """
    slices, step = -(-order.size // LANES), 0
    heads, ends = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    chosen = np.empty(SLOTS, np.int64)
    for s in range(first, last):
        lanes, current = open_slice(row_bounds, order, s, heads, ends), -1
        while True:
            start = next_start(columns, heads, ends, lanes, coarse)
            if start < 0:
                break
            step = step + 1 if start // section == current else bounds[start // section * slices + s]
            current = start // section
            words[step] = 0
            starts[step] = start >> coarse
            for lane in range(lanes):
                heads[lane] = _choose(columns, taken, heads[lane], ends[lane], start, chosen)
                for slot in range(SLOTS):
                    if chosen[slot] >= 0:
                        position = columns[chosen[slot]] - start
                        position -= THIRD * (position >= 2 * THIRD)
                        field = np.uint32(position | codes[chosen[slot]] << 5)
                        words[step, lane] |= field << np.uint32(SLOT_BITS * slot)


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
def _choose(columns, taken, head, end, start, chosen):
    # chosen[slot] = the entry that the slot of a lane serves, or -1; the lane's first entry that is not taken then.
    chosen[:] = -1
    number = middle = 0
    for entry in range(head, end):
        third = (columns[entry] - start) // THIRD
        if third > 2 or number == SLOTS:
            break
        if taken[entry] or third == 1 and middle == 2:
            continue
        taken[entry] = True
        if third == 2:
            chosen[2] = entry
            break
        if third == 1 and number == 2:
            chosen[2] = chosen[0]  # of the first third, as entries come in order of their columns and middle < 2
            chosen[0] = entry
        else:
            chosen[number] = entry
        middle += third
        number += 1
    while head < end and taken[head]:
        head += 1
    return head
