"""How a convolution's output is cut into tiles: which pixels a tile holds and how its inputs are packed.

Two ways to pack. By rows: a tile is a few rows of the output, each as wide as `width` floats, a multiple of a
register, and every column of the kernel has its own shifted copy of the input rows, so that all loads are aligned and
taps above one another share a copy. Flat: a tile is a run of pixels whatever their rows, and every tap has a copy of
its own, which wastes no lanes on narrow planes and nothing at all on kernels of one tap. The cheaper way by a count of
cycles is taken.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .simd import LANES

ALONE_CYCLES = 100_000  # about 25 us: threads that are awake meet within one or two, others come within 50
MAX_REGISTERS = 16
PORTABLE_REGISTERS = 4  # 8 registers of AVX2
CACHE_NBYTES = 45_000  # of the first cache, for a packed tile
VECTOR_CYCLES = {False: 4, True: 20}  # to pack a register, strided or not
FAR_NBYTES, FAR_ROW_CYCLES = 1_000_000, 100  # an input beyond the second cache, and what a row of it takes to come
WEIGHT_BYTE_CYCLES = 1 / 24  # each tile reads all weights, mostly from the third cache
KEYS = 128  # channels times taps that a packed tile should hold, no more than 255


class TilePlan(NamedTuple):
    """Tiles of one output plane: down * across of them, `registers` registers of LANES pixels each.

    By rows: `rows` output rows of `width` floats. Flat: width = registers * LANES pixels, rows = 1; joined where the
    input's pixels lie as the output's do. channel_floats: packed floats of a channel. A key is (channel * kw + kx) *
    kh + ky; its pixels begin unit * key + extra * (key // kh) bytes after the tile's first, where key // kh is key *
    share >> 16 for keys below 256; offsets int32 (keys,): the same as a table. row_shifts, col_shifts int32: packed
    row i of a copy begins at input row y * row_stride + row_shifts[i], copy j at column col_shifts[j]; flat: one entry
    each for a tap. panel_channels: channels packed at a time. cycles: the estimated cost of the whole layer. (A tuple,
    as numba takes no other record.)
    """

    flat: bool
    joined: bool
    rows: int
    width: int
    registers: int
    down: int
    across: int
    channel_floats: int
    panel_channels: int
    row_stride: int
    col_stride: int
    unit: int
    share: int
    extra: int
    offsets: np.ndarray
    row_shifts: np.ndarray
    col_shifts: np.ndarray
    cycles: float


def channels_in_panel(channels: int, kernel: tuple[int, int]) -> int:
    """Input channels (of a group) whose weights stand in one panel; 0 where even one channel has too many taps."""
    taps = math.prod(kernel)
    if taps > 255:
        return 0
    most = max(1, (64 if taps == 1 else KEYS) // taps)
    return -(-channels // -(-channels // most))  # as even as can be


@lru_cache(maxsize=512)
def plan_tiles(geometry, kernel, size, channels, panel_channels, filters, density, images, threads, portable):
    """The TilePlan of least estimated cost for input planes of size (h, w).

    channels, filters: of one group. density: of kept weights; portable: whether
    registers are short and few.
    """
    far = 4 * channels * geometry.groups * math.prod(size) > FAR_NBYTES
    work = Work(channels, panel_channels, filters, density, math.prod(kernel), images * geometry.groups, threads,
                geometry.stride[1] > 1, far)
    most = PORTABLE_REGISTERS if portable else MAX_REGISTERS
    return min(possible_plans(geometry, kernel, size, work, most), key=lambda plan: plan.cycles)


def worth_threads(cycles, threads: int) -> int:
    """The number of threads, up to `threads`, to share out work among that takes one thread so many cycles."""
    return max(1, int(min(threads, cycles // max(1, ALONE_CYCLES // 2))))


def possible_plans(geometry, kernel, size, work, most_registers):
    """All TilePlans of up to `most_registers` registers."""
    output = geometry.output_size(size, kernel)
    full = -(-output[1] // LANES)
    # Every width from one register on that does not leave more pieces than needed.
    for width in sorted({-(-full // -(-full // most)) for most in range(1, min(full, most_registers) + 1)}):
        for rows in range(1, min(output[0], most_registers // width) + 1):
            yield _by_rows(geometry, kernel, output, rows, width * LANES, work)
    for registers in range(1, min(most_registers, -(-math.prod(output) // LANES)) + 1):
        yield _flat(geometry, kernel, output, registers, work)


@dataclass(frozen=True)
class Work:
    """What a convolution has to do: sizes of one group, `planes` images times groups, on `threads` threads."""

    channels: int
    panel_channels: int
    filters: int
    density: float
    taps: int
    planes: int
    threads: int
    strided: bool = False  # whether neighbouring pixels are no neighbours in the input
    far: bool = False  # whether the input is too large for the second cache

    def cycles(self, tiles, registers, channel_floats, runs, rows):
        """Estimated cycles, of what each part was measured to take on an AMD Zen 5.

        channel_floats: packed floats of a channel and tile, in so many runs, of `rows` rows of the input.
        """
        panels = self.channels / self.panel_channels
        kept = self.density * self.panel_channels * self.taps
        nbytes = 4 * channel_floats * self.panel_channels
        load = 0.6 + 0.6 * max(0, 1 - CACHE_NBYTES / nbytes)
        visit = kept * max(load * registers + 1.2, 4) + 1.5 * registers + 15
        pack = 12 * runs + VECTOR_CYCLES[self.strided] * channel_floats / LANES + (
            FAR_ROW_CYCLES * rows if self.far else 0)
        tile = panels * (self.filters * visit + self.panel_channels * pack) + self.filters * (2 * registers + 4)
        tile += WEIGHT_BYTE_CYCLES * self.channels * self.taps * self.filters * 2 * self.density
        return -(-tiles * self.planes // self.threads) * tile


def _by_rows(geometry, kernel, output, rows, width, work):
    (stride, dilate, pad), kh = (pair[0] for pair in (geometry.stride, geometry.dilate, geometry.pad)), kernel[0]
    reach = rows + (kh - 1) * dilate
    if stride == 1 and reach <= kh * rows:
        # Taps above one another share the rows that both need.
        shifts, unit = [slot - pad for slot in range(reach)], dilate
    else:
        shifts, unit = [row * stride + ky * dilate - pad for ky in range(kh) for row in range(rows)], rows
    columns = [kx * geometry.dilate[1] - geometry.pad[1] for kx in range(kernel[1])]
    down, across = -(-output[0] // rows), -(-output[1] // width)
    floats, registers = len(shifts) * width * kernel[1], rows * width // LANES
    cycles = work.cycles(down * across, registers, floats, len(shifts) * kernel[1], min(reach, len(shifts)))
    return _plan(geometry, False, False, rows, width, down, across, floats, kh, unit * width,
                 (len(shifts) - unit * kh) * width, shifts, columns, work, cycles)


def _flat(geometry, kernel, output, registers, work):
    width, taps = registers * LANES, math.prod(kernel)
    shifts = [ky * geometry.dilate[0] - geometry.pad[0] for _ in range(kernel[1]) for ky in range(kernel[0])]
    columns = [kx * geometry.dilate[1] - geometry.pad[1] for kx in range(kernel[1]) for _ in range(kernel[0])]
    tiles = -(-math.prod(output) // width)
    rows = 1 if joined(geometry, kernel) else width / output[1] + 1
    cycles = work.cycles(tiles, registers, width * taps, taps * rows, rows + (kernel[0] - 1) * geometry.dilate[0])
    return _plan(geometry, True, joined(geometry, kernel), 1, width, tiles, 1, width * taps, kernel[0], width, 0,
                 shifts, columns, work, cycles)


def joined(geometry, kernel) -> bool:
    """Whether the output's pixels lie as the input's do: one run over all rows."""
    return kernel == (1, 1) and geometry.stride == (1, 1) and geometry.pad == (0, 0)


def _plan(geometry, flat, is_joined, rows, width, down, across, floats, kh, unit, extra, shifts, columns, work,
          cycles):
    keys = np.arange(work.panel_channels * work.taps)
    offsets = 4 * (keys * unit + keys // kh * extra)
    arrays = [np.ascontiguousarray(array, np.int32) for array in (offsets, shifts, columns)]
    for array in arrays:
        array.flags.writeable = False
    return TilePlan(flat, is_joined, rows, width, rows * width // LANES, down, across, floats, work.panel_channels,
                    *geometry.stride, 4 * unit, -(-65536 // kh), 4 * extra, *arrays, cycles)
