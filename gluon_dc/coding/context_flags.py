"""Predictions of the zero flags of the best context coder.

Direct predictions are densities: that of the tensor times factors that say how much denser than expected the row, the
column (with its neighbours; with the unit before it), the input and the place in the kernel have been so far. Contexts
are these densities, coarse, with flags and levels of weights near by.
"""

import numpy as np
from numba import njit

from .context_grid import (COLUMN_INVERSE, IMAGES, IN_FACTOR, IN_KERNEL, N_LIVE, RATE, ROW, ROW_EXPECTED, ROW_FACTOR,
                           ROW_FACTOR_PRIOR, ROW_PRIOR, SEEN, TOTAL, UNIT_LIVE, UNIT_TOTAL)

N_DIRECT, N_SLOTS, N_CONTEXTS = 7, 8, 1024
# Densities are in 1/ONE, factors in 1/65536. A factor is (count + 2) / (expected + 2), at most MAX_FACTOR.
ONE = 1 << 20
MAX_FACTOR = 1 << 22

# Places in Grid.near: signed levels of weights near by.
W, WW, N, NN, NW, NE, CHANNEL, CHANNEL2, BEFORE, BEFORE2, BEFORE3, SPREAD, UNIT, PLACE = range(14)


@njit(cache=True, nogil=True, forceinline=True)
def log2_of(table, n):
    """256 * log2(n), n >= 0 (0 as 1), about."""
    shift = 0
    while n >= 4096:
        n >>= 4
        shift += 1024
    return table[n] + shift


@njit(cache=True, nogil=True, forceinline=True)
def factor(count, expected, prior):
    """(count + 2 * prior) / (expected + 2): expected in 1/ONE, prior and the result in 1/65536."""
    return min(((min(count, 1 << 26) << 36) + (prior << 21)) // (expected + 2 * ONE), MAX_FACTOR)


@njit(cache=True, nogil=True, forceinline=True)
def stretched(stretch, log2, rate):
    """stretch of a density in 1/ONE."""
    rate = min(max(rate, 16), ONE - ONE // 64)
    if rate < 4096:
        return ((log2_of(log2, rate) - 20 * 256) * 11357) >> 14
    return np.int64(stretch[rate >> 4])


@njit(cache=True, nogil=True, forceinline=True)
def coarse(x):
    """A stretched value as one of 32 classes."""
    return min(max((x + 1536) // 96, 0), 31)


@njit(cache=True, nogil=True, forceinline=True)
def look_around(grid, log2, row, i, y, x):
    """Fill grid.near for a weight."""
    near, ring = grid.near, grid.ring
    points = grid.pad == 0
    line = grid.width + 4 if not points else 1
    plane = (grid.height + 3) * line if not points else 1
    size = (grid.inputs + 4) * plane
    at = (i + 2) * plane
    if not points:
        at += (y + 2) * line + x + 2
    here = (row & 3) * size + at
    one, two, three = ((row + 3) & 3) * size + at, ((row + 2) & 3) * size + at, ((row + 1) & 3) * size + at
    near[BEFORE], near[BEFORE2], near[BEFORE3] = ring[one], ring[two], ring[three]
    if points:
        near[W], near[WW] = ring[here - 1], ring[here - 2]
        near[N], near[NN], near[NW], near[NE] = ring[one], ring[two], ring[one - 1], ring[one + 1]
        near[CHANNEL], near[CHANNEL2] = ring[three], 0
    else:
        near[W], near[WW] = ring[here - 1], ring[here - 2]
        near[N], near[NN] = ring[here - line], ring[here - 2 * line]
        near[NW], near[NE] = ring[here - line - 1], ring[here - line + 1]
        near[CHANNEL], near[CHANNEL2] = ring[here - plane], ring[here - 2 * plane]
    spread = (near[WW] != 0) + (near[NN] != 0)
    spread += 3 * ((near[W] != 0) + np.int64(near[N] != 0)) + 2 * ((near[NW] != 0) + np.int64(near[NE] != 0))
    if not points:
        spread += (ring[here - line - 2] != 0) + np.int64(ring[here - line + 2] != 0)
        spread += (ring[here - 2 * line - 1] != 0) + np.int64(ring[here - 2 * line + 1] != 0)
    near[SPREAD] = spread
    near[PLACE] = min(y * grid.width + x, 63) if grid.kind < IMAGES else min((y >> 2) * 8 + (x >> 2), 63)
    near[UNIT] = 0
    if grid.span:
        column = (i * grid.height + y) * grid.width + x
        near[UNIT] = 1 + min(log2_of(log2, grid.units[column // grid.span] + 1) >> 7, 14)


@njit(cache=True, nogil=True, forceinline=True)
def start_row(grid):
    """Factors that hold for a whole row."""
    now = grid.now
    mean = (now[TOTAL] * ONE) // max(now[N_LIVE], 1)
    now[COLUMN_INVERSE] = (1 << 44) // (mean + 2 * ONE)
    for place in range(grid.at_seen.size):
        rate = (now[TOTAL] * ONE + ONE // 8) // (now[SEEN] + 1)
        grid.at_factors[place] = factor(grid.at_kept[place], rate * grid.at_seen[place], 65536)


@njit(cache=True, nogil=True, forceinline=True)
def refresh(grid, i):
    """Density of the tensor and factors of the row and the input, from all counts so far."""
    now = grid.now
    now[RATE] = (now[TOTAL] * ONE + ONE // 8) // (now[SEEN] + 1)
    now[ROW_FACTOR] = factor(now[ROW], now[ROW_EXPECTED], 65536)
    now[ROW_FACTOR_PRIOR] = factor(now[ROW], now[ROW_EXPECTED], now[ROW_PRIOR])
    now[IN_FACTOR] = factor(grid.in_kept[i], now[RATE] * grid.in_seen[i], 65536)


@njit(cache=True, nogil=True, forceinline=True)
def _column_factor(now, count, prior):
    return min(((min(count, 1 << 22) << 16) + (prior << 1)) * now[COLUMN_INVERSE] >> 24, MAX_FACTOR)


@njit(cache=True, nogil=True, forceinline=True)
def predict_flag(m, log2, grid, i, y, x):
    """Fill the mixer's inputs, contexts and selections for a weight's flag; the column's density in 1/ONE."""
    now, kept = grid.now, grid.kept
    place = y * grid.width + x
    row_rate = (now[RATE] * now[ROW_FACTOR]) >> 16
    prior_rate = (now[RATE] * now[ROW_FACTOR_PRIOR]) >> 16
    prior = 65536
    if grid.span:
        unit = grid.units[(i * grid.height * grid.width + place) // grid.span]
        prior = min((2 * ((unit * now[UNIT_LIVE] << 16) // now[UNIT_TOTAL]) + 65536) // 3, MAX_FACTOR)
    column = _column_factor(now, kept[i, y + grid.pad, x + grid.pad], 65536)
    with_unit = _column_factor(now, kept[i, y + grid.pad, x + grid.pad], prior)
    smooth = with_unit
    if grid.pad:
        around = 4 * kept[i, y + 1, x + 1] + kept[i, y, x] + kept[i, y, x + 2]
        around += kept[i, y + 2, x] + kept[i, y + 2, x + 2]
        around += 2 * (kept[i, y + 1, x] + kept[i, y + 1, x + 2] + kept[i, y, x + 1] + kept[i, y + 2, x + 1])
        mean = (now[TOTAL] * ONE) // max(now[N_LIVE], 1)
        smooth = factor(around, 16 * mean, 65536)
    column_rate = (now[RATE] * column) >> 16
    m.inputs[0] = stretched(m.stretch, log2, (prior_rate * with_unit) >> 16)
    m.inputs[1] = stretched(m.stretch, log2, row_rate)
    m.inputs[2] = stretched(m.stretch, log2, column_rate)
    m.inputs[3] = stretched(m.stretch, log2, (row_rate * now[IN_FACTOR]) >> 16)
    m.inputs[4] = stretched(m.stretch, log2, (row_rate * grid.at_factors[place]) >> 16)
    m.inputs[5] = stretched(m.stretch, log2, (row_rate * smooth) >> 16)
    m.inputs[6] = stretched(m.stretch, log2, (prior_rate * column) >> 16)
    _flag_contexts(m, grid)
    return min(column_rate, ONE)


@njit(cache=True, nogil=True, forceinline=True)
def _flag_contexts(m, grid):
    near, kind, c, s = grid.near, grid.kind, m.contexts, m.selected
    smooth, both = coarse(m.inputs[5]), coarse(m.inputs[6])
    w, n = np.int64(near[W] != 0), np.int64(near[N] != 0)
    before, before2, before3 = np.int64(near[BEFORE] != 0), np.int64(near[BEFORE2] != 0), np.int64(near[BEFORE3] != 0)
    channel, place = np.int64(near[CHANNEL] != 0), near[PLACE]
    corner = w + 2 * n
    touching = corner + 4 * np.int64(near[NW] != 0) + 8 * np.int64(near[NE] != 0)
    c[0] = ((both * 4 + corner) * 2 + before) * 4 + kind
    c[1] = (touching * 64 + place) * 4 + kind
    c[2] = ((((before * 2 + before2) * 2 + before3) * 2 + channel) * 2 + (near[CHANNEL2] != 0)) * 16 + corner * 4 + kind
    c[3] = (min(grid.now[IN_KERNEL], 15) * 64 + place) * 4 + kind
    c[4] = (((near[W] + 4) * 9 + near[N] + 4) * 9 + near[CHANNEL] + 4) * 4 + kind
    c[5] = (((touching * 2 + (near[WW] != 0)) * 2 + (near[NN] != 0)) * 2 + channel) * 32 + both
    c[6] = (near[UNIT] * 32 + both) * 4 + kind
    c[7] = (near[SPREAD] * 32 + smooth) * 4 + kind
    s[0] = (kind * 4 + corner) * 4 + before * 2 + channel
    s[1] = both
    s[2] = place * 4 + kind
    s[3] = kind
    s[4] = touching * 4 + kind
    s[5] = coarse(m.inputs[1])
