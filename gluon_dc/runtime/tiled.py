"""Kept weights of a matrix in tiles: two bytes a weight, in the order in which the tile kernels read them.

The matrix is cut into blocks of rows and, within each, into panels of at most 255 columns. In a panel the rows are
sorted by their number of kept weights, and `group` neighbours go together, so that loops run equally long time after
time (a processor learns that) and all rows of a group end together. An entry is uint16: column in the panel + 256 *
code. Where rows of a group differ, the shorter ones are filled with entries (key `panel`, code 0): in a group of
several rows the pixels behind those of the panel's columns must be 0.0.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .simd import aligned

MAX_PANEL = 255
MAX_BLOCK_ROWS = 65536


@dataclass(frozen=True, eq=False)
class TiledWeights:
    """The weights of a (rows, cols) matrix in blocks of block_rows rows and panels of panel columns.

    padded: block_rows, rounded up to whole groups. entries uint16; begins int64 (blocks, panels): each panel's first
    entry; steps uint8 (blocks, panels, padded / group): entries of each row of a group; order uint16 (blocks, panels,
    padded): rows within the block as they are grouped, those from block_rows on are empty. codebook float32.
    """

    rows: int
    cols: int
    block_rows: int
    panel: int
    group: int
    entries: np.ndarray
    begins: np.ndarray
    steps: np.ndarray
    order: np.ndarray
    codebook: np.ndarray

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)

    @property
    def arrays(self) -> tuple:
        return self.entries, self.begins, self.steps, self.order, self.codebook

    @property
    def padded(self) -> int:
        return self.order.shape[2]


def tile_weights(codes, codebook, block_rows: int, panel: int, group: int) -> TiledWeights:
    """Tiled form of codes uint8 (rows, cols), both at least 1, with codebook float32 (k,).

    1 <= panel <= MAX_PANEL, 1 <= block_rows <= MAX_BLOCK_ROWS less a group.
    """
    rows, cols = codes.shape
    padded = -(-block_rows // group) * group
    blocks, panels = -(-rows // block_rows), -(-cols // panel)
    codes = np.ascontiguousarray(codes).reshape(-1)
    counts = np.zeros((blocks, panels, padded), np.uint8)
    _count(codes, rows, cols, block_rows, panel, counts)
    order, steps = np.empty(counts.shape, np.uint16), np.empty((blocks, panels, padded // group), np.uint8)
    sizes = np.empty((blocks, panels), np.int64)
    _sort(counts, group, order, steps, sizes)
    begins = np.zeros(blocks * panels, np.int64)
    np.cumsum(sizes.reshape(-1)[:-1], out=begins[1:])
    entries = aligned(int(sizes.sum()), np.uint16)
    begins = begins.reshape(sizes.shape)
    _fill(codes, rows, cols, block_rows, panel, group, order, steps, begins, entries)
    values = aligned(codebook.size)
    values[:] = codebook
    for array in (entries, begins, steps, order, values):
        array.flags.writeable = False
    return TiledWeights(rows, cols, block_rows, panel, group, entries, begins, steps, order, values)


@njit(cache=True, nogil=True)
def _count(codes, rows, cols, block_rows, panel, counts):
    for row in range(rows):
        for which in range(counts.shape[1]):
            begin = row * cols + which * panel
            kept = 0
            for i in range(begin, min(begin + panel, row * cols + cols)):
                kept += codes[i] != 0
            counts[row // block_rows, which, row % block_rows] = kept


@njit(cache=True, nogil=True)
def _sort(counts, group, order, steps, sizes):
    # A counting sort, the fullest rows first, equal ones in their own order.
    places = np.empty(MAX_PANEL + 2, np.int64)
    for block in range(counts.shape[0]):
        for which in range(counts.shape[1]):
            mine = counts[block, which]
            places[:] = 0
            for row in range(mine.size):
                places[mine[row]] += 1
            place = 0
            for kept in range(MAX_PANEL, -1, -1):
                many = places[kept]
                places[kept] = place
                place += many
            for row in range(mine.size):
                order[block, which, places[mine[row]]] = row
                places[mine[row]] += 1
            size = 0
            for number in range(steps.shape[2]):
                steps[block, which, number] = mine[order[block, which, number * group]]
                size += steps[block, which, number] * group
            sizes[block, which] = size


@njit(cache=True, nogil=True)
def _fill(codes, rows, cols, block_rows, panel, group, order, steps, begins, entries):
    for block in range(order.shape[0]):
        for which in range(order.shape[1]):
            begin = begins[block, which]
            for number in range(steps.shape[2]):
                end = begin + steps[block, which, number] * group
                for i in range(group):
                    row = block * block_rows + order[block, which, number * group + i]
                    place = begin + i
                    # Rows of padding (beyond the block, or beyond the matrix) have no weights.
                    if order[block, which, number * group + i] < block_rows and row < rows:
                        first = row * cols + which * panel
                        for key in range(min(panel, cols - which * panel)):
                            if codes[first + key] != 0:
                                entries[place] = key + 256 * codes[first + key]
                                place += group
                    while place < end:
                        entries[place] = panel
                        place += group
                begin = end
