"""Dense layers for several inputs at once: panels of columns, so that the panel's inputs stay in the first cache."""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numba import njit

from .forms import MatrixForm, matrix_output, run_once
from .simd import HAS_AVX512, LANES
from .tasks import shared
from .tile_copies import copy_lanes, store_lanes, transpose_square
from .tile_kernel import address, multiply_kept
from .tile_plan import worth_threads
from .tiled import tile_weights

PANEL = 128  # columns: 64 inputs of them take 32 KB
GROUP = 4  # rows at a time, so that enough sums are in flight for few inputs too
BLOCK_ROWS = 1024  # their sums stay in the second cache
MAX_REGISTERS = 4 if HAS_AVX512 else 1


@dataclass(frozen=True, eq=False)
class PanelsMatrix(MatrixForm):
    """A matrix from two bytes a kept weight and about 3/128 of a byte each weight; meant for 4 and more inputs.

    The inputs, transposed, are taken 64 at a time (16 where registers are short), so a panel serves all of them from
    the first cache. A pruned weight takes no part: where it meets an infinity it gives 0, not NaN. The arrays are
    those of TiledWeights.
    """

    rows: int
    cols: int
    block_rows: int
    entries: np.ndarray
    begins: np.ndarray
    steps: np.ndarray
    order: np.ndarray
    codebook: np.ndarray
    name: ClassVar[str] = "panels"

    @classmethod
    def build(cls, coded):
        if not cls.fits(coded, 1):
            raise ValueError(f"a matrix has shape (rows, cols), none 0, got {coded.shape}")
        rows, cols = coded.shape
        # At least 4 blocks for threads to share, of whole squares to transpose.
        blocks = max(-(-rows // BLOCK_ROWS), min(4, -(-rows // (4 * LANES))))
        block_rows = -(-rows // (blocks * LANES)) * LANES
        return cls(rows, cols, block_rows,
                   *tile_weights(coded.codes, coded.codebook, block_rows, PANEL, GROUP).arrays)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self._arrays)

    @property
    def _arrays(self):
        return self.entries, self.begins, self.steps, self.order, self.codebook

    @staticmethod
    def fits(coded, batch):
        return len(coded.shape) == 2 and coded.size > 0

    def apply(self, x, bias=None, relu=False, out=None, threads=1):
        return run_once(self, x, bias, relu, matrix_output(x, bias, out, self.rows, self.cols), threads)

    def stages(self, x, bias, relu, out, threads, scratch):
        biases = np.zeros(len(self.begins) * self.block_rows, np.float32)
        if bias is not None:
            biases[:bias.size] = bias
        most, least = MAX_REGISTERS * LANES, np.float32(0 if relu else -np.inf)
        parts = [slice(begin, begin + most) for begin in range(0, len(x), most)]
        return [stage for part in parts
                for stage in self._some(x[part], biases, least, out[part], threads, scratch)]

    def _some(self, x, biases, least, out, threads, scratch):
        # For at most MAX_REGISTERS * LANES inputs.
        registers, (blocks, panels) = -(-len(x) // LANES), self.begins.shape
        threads = worth_threads(self.entries.size * (0.7 * registers + 1), threads)
        size = (panels, PANEL + 1, registers * LANES)
        packed = scratch("packed", math.prod(size))[:math.prod(size)].reshape(size)
        square = partial(scratch, "square", LANES * LANES)
        sums = partial(scratch, "sums", self.order.shape[2] * registers * LANES)
        pack = lambda share: (x, packed, square(share))  # noqa: E731
        multiply = lambda share: (registers, *self._arrays, self.block_rows, packed, sums(share), biases,  # noqa: E731
                                  least, out, square(share))
        return shared(_pack, pack, panels, threads) + shared(_multiply_blocks, multiply, blocks, threads)


@njit(cache=True, nogil=True)
def _pack(x, packed, square, begin, end):
    # packed[panel][column in it][input] = x[input][column]; the row behind a panel's last is 0.0, for filled entries.
    n, cols = x.shape
    panel, width = packed.shape[1] - 1, packed.shape[2]
    for which in range(begin, end):
        packed[which, panel] = 0
        for column in range(which * panel, min(cols, which * panel + panel), LANES):
            for i in range(0, width, LANES):
                dest = address(packed) + 4 * ((which * (panel + 1) + column - which * panel) * width + i)
                if column + LANES <= cols and i + LANES <= n:
                    transpose_square(address(x) + 4 * (i * cols + column), 4 * cols, dest, 4 * width, -np.inf)
                else:
                    for row in range(LANES):
                        some = cols - column if i + row < n else 0
                        copy_lanes(address(x) + 4 * ((i + row) * cols + column), 0, some,
                                   address(square) + 4 * LANES * row)
                    transpose_square(address(square), 4 * LANES, dest, 4 * width, -np.inf)


@njit(cache=True, nogil=True)
def _multiply_blocks(registers, entries, begins, steps, order, codebook, block_rows, packed, sums, bias, least,
                     out, square, begin, end):
    (n, rows), width = out.shape, registers * LANES
    for block in range(begin, end):
        for panel in range(begins.shape[1]):
            _multiply_panel(registers, entries, begins[block, panel], steps[block, panel], order[block, panel],
                            codebook, address(packed[panel]), address(sums), panel == 0,
                            address(bias) + 4 * block * block_rows)
        first = block * block_rows
        for row in range(0, min(block_rows, rows - first), LANES):
            for i in range(0, n, LANES):
                source = address(sums) + 4 * (row * width + i)
                dest = address(out) + 4 * (i * rows + first + row)
                if first + row + LANES <= rows and i + LANES <= n:
                    transpose_square(source, 4 * width, dest, 4 * rows, least)
                else:
                    transpose_square(source, 4 * width, address(square), 4 * LANES, least)
                    for j in range(min(LANES, n - i)):
                        store_lanes(address(square) + 4 * LANES * j, rows - first - row, dest + 4 * rows * j)


@njit(cache=True, nogil=True)
def _multiply_panel(registers, entries, begin, steps, order, codebook, x, sums, is_first, bias):
    place, book, least = address(entries) + 2 * begin, address(codebook), np.float32(-np.inf)
    source, stride = 0 if is_first else sums, 64 * registers
    for number in range(steps.size):
        row, some = address(order) + 8 * number, np.int64(steps[number])
        if registers == 1:
            multiply_kept(1, 4, place, some, stride, 0, 0, book, x, row, source, stride, sums, stride, bias,
                          least)
        elif registers == 2:
            multiply_kept(2, 4, place, some, stride, 0, 0, book, x, row, source, stride, sums, stride, bias,
                          least)
        elif registers == 3:
            multiply_kept(3, 4, place, some, stride, 0, 0, book, x, row, source, stride, sums, stride, bias,
                          least)
        elif registers == 4:
            multiply_kept(4, 4, place, some, stride, 0, 0, book, x, row, source, stride, sums, stride, bias,
                          least)
        place += 8 * some
