"""Predictions of the signs and magnitudes of kept weights, for the best context coder.

Direct predictions: were the size of a weight exponentially distributed above the smallest of its sign, with the mean
size of the row, the column, the input so far, how likely is the upper half of a tree node? Contexts: the node with
these means, coarse, and with signed levels of weights near by.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .codebook_tree import CodebookTree
from .context_flags import BEFORE, BEFORE2, CHANNEL, CHANNEL2, N, PLACE, W, log2_of
from .context_grid import FIRST_MEAN, ROW, ROW_SIGN, ROW_SUM, SUM, TOTAL

N_DIRECT, N_SLOTS, N_CONTEXTS = 4, 9, 576
NODES = 272
BEYOND = 1 << 24


class Scale(NamedTuple):
    """What is known of the codes of a codebook. All int64 but for levels.

    sizes (256,): |value| of a code as an integer, the largest 2^15..2^16 - 1, rounded down. lows (2,): the smallest of
    a sign. edges (2, 257): where between two neighbours, above lows, magnitude m begins (0: 0; behind the last:
    BEYOND). levels int8 (256,): -4..-1 and 1..4, quarters of a sign's magnitudes by rank, 0 for code 0.
    tree_sizes, tree_depths, signs, magnitudes, codes: as in CodebookTree.
    """

    sizes: np.ndarray
    lows: np.ndarray
    edges: np.ndarray
    levels: np.ndarray
    tree_sizes: np.ndarray
    tree_depths: np.ndarray
    signs: np.ndarray
    magnitudes: np.ndarray
    codes: np.ndarray


def scale_of(codebook: np.ndarray, tree: CodebookTree) -> Scale:
    """Scale of a codebook float32 (k,). Scaling by a power of two, in float64, is exact, and so is rounding down."""
    values = np.abs(codebook.astype(np.float64))
    values[0] = 0
    exponent = int(np.frexp(values.max())[1])
    sizes = np.zeros(256, np.int64)
    sizes[:values.size] = np.floor(np.ldexp(values, 16 - exponent))
    lows, edges, levels = np.zeros(2, np.int64), np.full((2, 257), BEYOND, np.int64), np.zeros(256, np.int8)
    for sign in (0, 1):
        members = tree.codes[sign, :tree.sizes[sign]]
        if members.size:
            lows[sign] = sizes[members[0]]
            edges[sign, 0] = 0
            edges[sign, 1:members.size] = (sizes[members[1:]] + sizes[members[:-1]]) // 2 - lows[sign]
            levels[members] = (1 + np.arange(members.size) * 4 // members.size) * (2 * sign - 1)
    return Scale(sizes, lows, edges, levels, tree.sizes, tree.depths, tree.signs, tree.magnitudes, tree.codes)


@njit(cache=True, nogil=True, forceinline=True)
def _class(log2, a, b):
    # log2(a / b) in quarters of an octave, 0..15 around 8.
    return min(max(8 + ((log2_of(log2, a + 1) - log2_of(log2, b + 1)) >> 6), 0), 15)


@njit(cache=True, nogil=True, forceinline=True)
def start_value(grid, log2, i, column, means, classes):
    """Mean sizes (input, row, column, tensor: combined as the direct predictions want them) and their classes."""
    now = grid.now
    mean = max((now[SUM] + now[FIRST_MEAN]) // (now[TOTAL] + 1), 1)
    row = (now[ROW_SUM] + 2 * mean) // (now[ROW] + 2)
    count = grid.kept[i, column // grid.width % grid.height + grid.pad, column % grid.width + grid.pad]
    col = (grid.sums[column] + 2 * mean) // (count + 2)
    inward = (grid.in_sums[i] + 2 * mean) // (grid.in_kept[i] + 2)
    means[0], means[1], means[2], means[3] = row * inward // mean, row, row * col // mean, mean
    classes[0] = _class(log2, row, mean)
    classes[1] = _class(log2, col, mean)
    classes[2] = _class(log2, means[0], mean)
    row_sign, column_sign = min(max(now[ROW_SIGN], -3), 3) + 3, min(max(grid.signs[column], -3), 3) + 3
    classes[3] = row_sign * 7 + column_sign


@njit(cache=True, nogil=True, forceinline=True)
def predict_sign(m, grid, classes):
    """Fill the mixer for a kept weight's sign."""
    for j in range(N_DIRECT):
        m.inputs[j] = 0
    none = np.int64(0)  # no literal: the other call has numbers of this type
    _value_contexts(m, grid, none, none, none, classes)


@njit(cache=True, nogil=True, forceinline=True)
def predict_magnitude(m, exps, grid, scale, sign, node, level, first, middle, last, means, classes):
    """Fill the mixer for the bit of a tree node: magnitudes first..last - 1, the bit 1 from middle on."""
    start = scale.edges[sign, first]
    upper, whole = scale.edges[sign, middle] - start, scale.edges[sign, last] - start
    for j in range(N_DIRECT):
        m.inputs[j] = _upper_half(m.stretch, exps, upper, whole, max(means[j] - scale.lows[sign], 1))
    if level < 4:
        place = node
    else:
        deep = level - 4
        place = ((node >> deep) << 4) - 240 + ((node & ((1 << deep) - 1)) | (1 << deep))
    _value_contexts(m, grid, sign * NODES + place, level + 1, sign * 16 + node if level < 4 else 32 + level, classes)


@njit(cache=True, nogil=True, forceinline=True)
def _upper_half(stretch, exps, upper, whole, mean):
    # stretched (e^(-upper/mean) - e^(-whole/mean)) / (1 - e^(-whole/mean))
    end = exps[min((whole << 6) // mean, exps.size - 1)]
    total = exps[0] - end
    if total < 1024:
        return np.int64(0)
    part = exps[min((upper << 6) // mean, exps.size - 1)] - end
    return np.int64(stretch[min(max((part << 16) // total, 64), 65536 - 64)])


@njit(cache=True, nogil=True, forceinline=True)
def _value_contexts(m, grid, place, level, top, classes):
    near, kind, c, s = grid.near, grid.kind, m.contexts, m.selected
    half = 2 * NODES
    w2, n2 = (near[W] + 4) // 2, (near[N] + 4) // 2
    c[0] = kind * half + place
    c[1] = classes[1] * half + place
    c[2] = classes[2] * half + place
    c[3] = (w2 * 5 + n2) * half + place
    c[4] = ((near[BEFORE] + 4) * 5 + (near[BEFORE2] + 4) // 2) * half + place
    c[5] = ((near[CHANNEL] + 4) * 5 + (near[CHANNEL2] + 4) // 2) * half + place
    c[6] = near[PLACE] * half + place
    c[7] = classes[3] * half + place
    c[8] = (classes[0] // 2 * 8 + classes[1] // 2) * half + place
    s[0] = level * 4 + kind
    s[1] = top
    s[2] = (near[W] + 4) * 9 + near[N] + 4
    s[3] = level
    s[4] = place
    s[5] = level * 16 + classes[2]
