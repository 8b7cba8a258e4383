"""The best context coder: predictions of `context_flags` and `context_values`, mixed by `mixer`.

Of each tensor with rows: whether it has rows and columns that are all zero and are marked; the marked columns; then row
by row the mark, and of every weight left its flag, sign and magnitude. States carry over from tensor to tensor.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from . import context_flags, context_priors, context_values
from .borrowed import borrowed
from .codebook_tree import codebook_tree
from .context_flags import look_around, predict_flag, refresh, start_row
from .context_grid import (FIRST_MEAN, IN_KERNEL, N_LIVE, PLAIN, ROW, ROW_EXPECTED, ROW_PRIOR, ROW_SIGN, ROW_SUM, SEEN,
                           SUM, TOTAL, new_grid)
from .context_values import predict_magnitude, predict_sign, scale_of, start_value
from .logistic import exp_table, log2_table
from .mixer import Mixer, code_mixed, new_mixer
from .range_coder import POSITION, ROOM, code_bit, is_past_end, with_room

# Columns that are all zero are marked from this many on.
MARKED_FROM = 5
NEW_STATE = (1 << 21) << 10
EVEN = 32768
FLAG_PRIORS = context_priors.priors(context_priors.FLAG_DIRECT, context_priors.FLAG_SLOTS, context_priors.FLAG_CONSTANT)
VALUE_PRIORS = context_priors.priors(context_priors.VALUE_DIRECT, context_priors.VALUE_SLOTS,
                                     context_priors.VALUE_CONSTANT)


class Models(NamedTuple):
    """What the coder has learned: mixers of flags and of values, states int64 (256,) of marks; and tables."""

    flags: Mixer
    values: Mixer
    marks: np.ndarray
    log2: np.ndarray
    exps: np.ndarray


def new_models(flag_priors=FLAG_PRIORS, value_priors=VALUE_PRIORS) -> Models:
    """Models at their start."""
    return Models(new_mixer(context_flags.N_DIRECT, context_flags.N_SLOTS, context_flags.N_CONTEXTS, flag_priors),
                  new_mixer(context_values.N_DIRECT, context_values.N_SLOTS, context_values.N_CONTEXTS, value_priors),
                  np.full(256, NEW_STATE, np.int64), log2_table(), exp_table())


def copy_of(models: Models) -> Models:
    """Models that learn on their own from here on."""
    def copied(record):
        # Tables, which are read-only, stay: for writeable ones numba would compile the whole coder a second time.
        return record._replace(**{name: value.copy() for name, value in record._asdict().items()
                                  if isinstance(value, np.ndarray) and value.flags.writeable})

    return copied(models)._replace(flags=copied(models.flags), values=copied(models.values))


def code_tensor(decoding: bool, codes, shape, codebook, period: int, units, models: Models, buffer, state):
    """Write codes uint8 (n,), or read them where decoding. Returns the buffer, which may be a new one.

    Assumes k > 1 and at least one code. units int64: weights kept in the rows of the tensor before.
    """
    scale = scale_of(codebook, codebook_tree(codebook))
    grid = new_grid(shape, period, units)
    grid.now[FIRST_MEAN] = int(scale.sizes[1:codebook.size].sum()) // max(codebook.size - 1, 1)
    columns = grid.sums.size
    kept_rows, kept_columns = np.zeros(grid.rows, np.uint8), np.zeros(columns, np.uint8)
    if not decoding and grid.kind != PLAIN:
        table = codes.reshape(grid.rows, columns)
        kept_rows, kept_columns = table.any(axis=1).view(np.uint8), table.any(axis=0).view(np.uint8)
    return _code_tensor(decoding, codes, grid, scale, models, kept_rows, kept_columns, buffer, state)


@njit(cache=True, nogil=True)
def _code_state(decoding, buffer, coder, states, index, bit):
    state = states[index]
    count = state & 1023
    chance = state >> 10
    bit = code_bit(decoding, buffer, coder, (chance >> 6) | 1, bit)
    chance += (((bit << 22) - chance) * (131072 // (2 * count + 3))) >> 16
    states[index] = (chance << 10) | min(count + 1, 250)
    return bit


@njit(cache=True, nogil=True)
def _code_columns(decoding, grid, models, kept_columns, buffer, state):
    # Marks of columns that are all zero: live[i, y, x] becomes 0.
    live, pad = grid.live, grid.pad
    n_live = 0
    for i in range(grid.inputs):
        for y in range(grid.height):
            for x in range(grid.width):
                column = (i * grid.height + y) * grid.width + x
                context = 2
                if grid.span:
                    context = np.int64(grid.units[column // grid.span] > 0)
                context = context * 4 + grid.kind
                if pad:
                    context = ((context * 2 + live[i, y + 1, x]) * 2 + live[i, y, x + 1]) * 4
                    context += live[i, y, x] * 2 + live[i, y, x + 2]
                else:
                    context = context * 16
                    if i:
                        context += live[i - 1, 0, 0]
                bit = _code_state(decoding, buffer, state, models.marks, 16 + context, np.int64(kept_columns[column]))
                live[i, y + pad, x + pad] = bit
                n_live += bit
    grid.now[N_LIVE] = n_live


@njit(cache=True, nogil=True, forceinline=True)
def _code_value(decoding, grid, scale, models, i, column, code, means, classes, buffer, state):
    # Sign and magnitude of a kept weight; its code.
    m = models.values
    start_value(grid, models.log2, i, column, means, classes)
    sign, magnitude = scale.signs[code], scale.magnitudes[code]
    if scale.tree_sizes[0] == 0 or scale.tree_sizes[1] == 0:
        sign = np.int64(scale.tree_sizes[1] > 0)
    else:
        predict_sign(m, grid, classes)
        sign = code_mixed(decoding, buffer, state, m, sign)
    depth, size = scale.tree_depths[sign], scale.tree_sizes[sign]
    node = np.int64(1)  # as a literal it would be one more type to compile for
    for level in range(depth):
        below = depth - level - 1
        first = (node << (below + 1)) - (1 << depth)
        middle = first + (1 << below)
        bit = (magnitude >> below) & 1
        if middle < size:
            last = min(middle + (1 << below), size)
            predict_magnitude(m, models.exps, grid, scale, sign, node, level, first, middle, last, means, classes)
            bit = code_mixed(decoding, buffer, state, m, bit)
        else:
            bit = 0
        node = 2 * node + bit
    return np.int64(scale.codes[sign, node - (1 << depth)])


@njit(cache=True, nogil=True, forceinline=True)
def _count(grid, scale, code, row, i, y, x):
    # A kept weight in all counts.
    now = grid.now
    column = (i * grid.height + y) * grid.width + x
    size, sign = scale.sizes[code], 2 * scale.signs[code] - 1
    now[TOTAL] += 1
    now[SUM] += size
    now[ROW] += 1
    now[ROW_SUM] += size
    now[ROW_SIGN] += sign
    now[IN_KERNEL] += 1
    grid.kept[i, y + grid.pad, x + grid.pad] += 1
    grid.sums[column] += size
    grid.signs[column] += sign
    grid.in_kept[i] += 1
    grid.in_sums[i] += size
    grid.at_kept[y * grid.width + x] += 1
    line, plane, at = 1, 1, i + 2
    if grid.pad:
        line = grid.width + 4
        plane = (grid.height + 3) * line
        at = (i + 2) * plane + (y + 2) * line + x + 2
    grid.ring[(row & 3) * (grid.inputs + 4) * plane + at] = scale.levels[code]


@njit(cache=True, nogil=True)
def _code_row(decoding, codes, row, grid, scale, models, means, classes, buffer, state):
    codes, grid, scale, models = borrowed(codes), borrowed(grid), borrowed(scale), borrowed(models)
    means, classes, state = borrowed(means), borrowed(classes), borrowed(state)
    now, m, data = grid.now, models.flags, borrowed(buffer)
    area = grid.height * grid.width
    at = row * grid.inputs * area
    stale = True
    start_row(grid)
    for i in range(grid.inputs):
        now[IN_KERNEL] = 0
        for y in range(grid.height):
            for x in range(grid.width):
                if at == codes.size:
                    return buffer
                if grid.live[i, y + grid.pad, x + grid.pad]:
                    if not decoding and state[POSITION] + ROOM > data.size:
                        buffer = with_room(buffer, state, ROOM)
                        data = borrowed(buffer)
                    elif decoding and is_past_end(data, state):
                        return buffer
                    if stale or at & 7 == 0 or (y == 0 and x == 0):
                        refresh(grid, i)
                    look_around(grid, models.log2, row, i, y, x)
                    expected = predict_flag(m, models.log2, grid, i, y, x)
                    code = np.int64(codes[at])
                    stale = code_mixed(decoding, data, state, m, np.int64(code != 0)) == 1
                    now[SEEN] += 1
                    now[ROW_EXPECTED] += expected
                    grid.in_seen[i] += 1
                    grid.at_seen[y * grid.width + x] += 1
                    if stale:
                        code = _code_value(decoding, grid, scale, models, i, at % (grid.inputs * area), code, means,
                                           classes, data, state)
                        codes[at] = code
                        _count(grid, scale, code, row, i, y, x)
                at += 1
    return buffer


@njit(cache=True, nogil=True)
def _code_tensor(decoding, codes, grid, scale, models, kept_rows, kept_columns, buffer, state):
    now = grid.now
    mark_columns, mark_rows = np.int64(0), np.int64(0)
    if grid.kind != PLAIN:
        if not decoding:
            buffer = with_room(buffer, state, 2 * kept_columns.size + 2 * ROOM)
            mark_columns = np.int64(kept_columns.size - kept_columns.sum() >= MARKED_FROM)
            mark_rows = np.int64(kept_rows.sum() < kept_rows.size)
        mark_columns = code_bit(decoding, buffer, state, EVEN, mark_columns)
        mark_rows = code_bit(decoding, buffer, state, EVEN, mark_rows)
        if mark_columns:
            _code_columns(decoding, grid, models, kept_columns, buffer, state)
    means, classes = np.zeros(4, np.int64), np.zeros(8, np.int64)
    filter_size = grid.ring.size // 4
    live = np.int64(1)
    for row in range(grid.rows if now[N_LIVE] else 0):  # no decision would follow, in any number of rows
        grid.ring[(row & 3) * filter_size:((row & 3) + 1) * filter_size] = 0
        now[ROW], now[ROW_EXPECTED], now[ROW_SUM], now[ROW_SIGN] = 0, 0, 0, 0
        if mark_rows:
            if not decoding:
                buffer = with_room(buffer, state, ROOM)
            elif is_past_end(buffer, state):
                break
            live = _code_state(decoding, buffer, state, models.marks, grid.kind * 2 + live, np.int64(kept_rows[row]))
        if live:
            buffer = _code_row(decoding, codes, row, grid, scale, models, means, classes, buffer, state)
            now[ROW_PRIOR] = context_flags.factor(now[ROW], now[ROW_EXPECTED], 65536)
    return buffer
