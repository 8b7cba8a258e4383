"""A tensor as the best context coder sees it: rows of kernels, and what has been counted in it so far.

rows (first axis) x inputs (second) x height x width of a kernel. A matrix whose columns are pixels is taken as rows of
square kernels of `period` x `period`. A column is a place in a row. Tensors of one dimension, and those with rows of
more than MAX_COLUMNS, are one plain sequence in rows of FOLD.
"""

import math
from typing import NamedTuple

import numpy as np

FOLD = 4096
MAX_COLUMNS = 1 << 20
# Kinds: one sequence, kernels of one weight, small kernels, images.
PLAIN, POINTS, KERNELS, IMAGES = range(4)
MAX_KERNEL = 49

# Places of scalars in Grid.now.
(TOTAL, SEEN, SUM, ROW, ROW_EXPECTED, ROW_SUM, ROW_SIGN, ROW_PRIOR, RATE, ROW_FACTOR, ROW_FACTOR_PRIOR, COLUMN_INVERSE,
 N_LIVE, UNIT_TOTAL, UNIT_LIVE, IN_FACTOR, IN_KERNEL, FIRST_MEAN) = range(18)


class Grid(NamedTuple):
    """Geometry, and int64 counts of what is kept so far. pad is 1 where kernels have neighbours (height * width > 1).

    units: weights kept in each row of the tensor before, span of this one's columns going with each (span 0: none).
    live uint8, kept (inputs, height + 2 pad, width + 2 pad): columns not known to be all zero; weights kept in each.
    sums, signs (columns,): of magnitudes, and of +1 or -1. in_*: the same for inputs, with what was seen; at_*: for
    places in the kernel. ring int8 (4 * filter,): signed levels of the codes of this row and the three before it,
    with a margin of zeros. now: scalars.
    """

    rows: int
    inputs: int
    height: int
    width: int
    kind: int
    pad: int
    span: int
    units: np.ndarray
    live: np.ndarray
    kept: np.ndarray
    sums: np.ndarray
    signs: np.ndarray
    in_seen: np.ndarray
    in_kept: np.ndarray
    in_sums: np.ndarray
    at_seen: np.ndarray
    at_kept: np.ndarray
    at_factors: np.ndarray
    ring: np.ndarray
    now: np.ndarray
    near: np.ndarray


def extents(shape: tuple[int, ...], period: int) -> tuple[int, int, int, int]:
    """(rows, inputs, height, width) of a shape; the last row may be longer than what is left of the tensor."""
    size = math.prod(shape)
    if len(shape) < 2 or size // shape[0] > MAX_COLUMNS:
        columns = min(size, FOLD)
        return -(-size // columns), columns, 1, 1
    if len(shape) == 2:
        return shape[0], shape[1] // period**2, period, period
    return shape[0], shape[1], math.prod(shape[2:-1]), shape[-1]


def new_grid(shape: tuple[int, ...], period: int, units: np.ndarray) -> Grid:
    """A grid with nothing counted. shape: without a zero; period > 1 only for matrices whose columns its square
    divides. units int64 (u,): see Grid; left out where they do not divide the columns."""
    rows, inputs, height, width = extents(shape, period)
    columns = inputs * height * width
    plain = len(shape) < 2 or rows != shape[0]
    area = height * width
    kind = PLAIN if plain else POINTS if area == 1 else KERNELS if area <= MAX_KERNEL else IMAGES
    span = columns // units.size if units.size and columns % units.size == 0 else 0
    pad = int(area > 1)
    padded = (inputs, height + 2 * pad, width + 2 * pad)
    plane = (height + 3) * (width + 4) if area > 1 else 1
    now = np.zeros(32, np.int64)
    now[N_LIVE] = columns
    now[UNIT_TOTAL], now[UNIT_LIVE] = max(1, units.sum()), max(1, np.count_nonzero(units))
    now[ROW_PRIOR] = 65536
    return Grid(rows, inputs, height, width, kind, pad, span, units if span else np.zeros(1, np.int64),
                np.ones(padded, np.uint8), np.zeros(padded, np.int64), *np.zeros((2, columns), np.int64),
                *np.zeros((3, inputs), np.int64), *np.zeros((3, area), np.int64),
                np.zeros(4 * (inputs + 4) * plane, np.int8), now, np.zeros(24, np.int64))
