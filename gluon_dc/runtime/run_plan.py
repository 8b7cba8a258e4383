"""How a dense convolution cuts its output into runs, and which copies of the input a run needs.

The output's positions are numbered row by row, `pitch` to a row, so that a tap's pixels for neighbouring positions are
neighbours in a copy of the input, over the ends of rows too: a tile is a run of positions, whatever their rows. Per
axis there are two ways. Shared: one copy for each phase of the stride, in which taps stand some steps apart; of columns
it takes `steps` positions more a row, that are computed and left out. Own: a copy for each tap, which wastes nothing
and packs more. Loads from shared copies are not aligned, which costs a kernel of many filters nothing.
"""

import math
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from .simd import LANES

MAX_REGISTERS = 36  # of a tile
PANEL_NBYTES = 256_000  # of copies: a part of the second cache
VECTOR_CYCLES = {1: 3, 2: 4, 4: 8}  # to pack a register, by the stride
GATHER_CYCLES, SEGMENT_CYCLES = 20, 15  # at other strides; to begin a row of a copy
FAR_NBYTES, FAR_CYCLES = 1_000_000, 6  # an input beyond the second cache, and what a register of it takes more
CALL_CYCLES = 40  # of the kernel, for three registers of eight filters
WEIGHT_BYTE_CYCLES = 1 / 24  # each tile reads all weights, mostly from the third cache


class RunPlan(NamedTuple):
    """Tiles of one output plane: `tiles` runs of up to `registers` registers, of `positions` positions in all.

    A tile's buffer is [channel][row shift][column shift][copy_floats]: element i of a copy is the input of position
    first + i, which is at column (position % pitch) * col_stride + col_shift, likewise the row. offsets int32 (keys,):
    bytes from the buffer's start to the first position's pixel, for a key (channel * kw + kx) * kh + ky. reach: floats
    of a copy beyond the tile's positions. panel_channels: channels packed at a time. cycles: the estimated cost of the
    whole layer. (A tuple, as numba takes no other record.)
    """

    pitch: int
    positions: int
    registers: int
    tiles: int
    reach: int
    copy_floats: int
    panel_channels: int
    row_stride: int
    col_stride: int
    row_shifts: np.ndarray
    col_shifts: np.ndarray
    offsets: np.ndarray
    cycles: float


class Axis(NamedTuple):
    """One axis: the input row or column that each copy begins with, and for each tap its copy and its steps there."""

    shifts: tuple[int, ...]
    taps: tuple[tuple[int, int], ...]

    @property
    def steps(self):
        """The most steps of a tap."""
        return max(step for _, step in self.taps)


@lru_cache(maxsize=512)
def plan_runs(geometry, kernel, size, channels, filters, images, threads) -> RunPlan:
    """The RunPlan of least estimated cost for input planes of size (h, w); channels, filters: of one group."""
    return min(possible_runs(geometry, kernel, size, channels, filters, images, threads), key=lambda plan: plan.cycles)


def possible_runs(geometry, kernel, size, channels, filters, images, threads):
    """All RunPlans that come into question."""
    planes, far = images * geometry.groups, 4 * channels * geometry.groups * math.prod(size) > FAR_NBYTES
    for rows, cols in product(axis_ways(geometry, kernel, 0), axis_ways(geometry, kernel, 1)):
        down, across = geometry.output_size(size, kernel)
        positions = (down - 1) * (across + cols.steps) + across
        registers = -(-positions // LANES)
        for most in range(3, MAX_REGISTERS + 1, 3):
            tiles = -(-registers // most)
            if threads > 1:
                # As many for every thread.
                tiles = min(registers, -(-tiles * planes // threads) * threads // math.gcd(planes, threads))
            yield _plan(geometry, rows, cols, across + cols.steps, positions, -(-registers // tiles), channels,
                        filters, planes, threads, far)


def axis_ways(geometry, kernel, axis):
    """The possible copies of an axis: shared by taps, and each tap's own."""
    stride, pad = geometry.stride[axis], geometry.pad[axis]
    places = [tap * geometry.dilate[axis] for tap in range(kernel[axis])]
    phases = sorted({place % stride for place in places})
    shared = Axis(tuple(phase - pad for phase in phases),
                  tuple((phases.index(place % stride), place // stride) for place in places))
    yield shared
    if shared.steps:  # They may be very many, where a file says so.
        yield Axis(tuple(place - pad for place in places), tuple((tap, 0) for tap in range(len(places))))


def _plan(geometry, rows, cols, pitch, positions, registers, channels, filters, planes, threads, far):
    tiles = -(-positions // (LANES * registers))
    reach = rows.steps * pitch + cols.steps
    length = registers * LANES + reach
    copy_floats = -(-length // LANES) * LANES
    copies, taps = len(rows.shifts) * len(cols.shifts), len(rows.taps) * len(cols.taps)
    panels = -(-channels // max(1, PANEL_NBYTES // (4 * copies * copy_floats)))
    panel_channels = -(-channels // panels)  # as even as can be
    vector = VECTOR_CYCLES.get(geometry.stride[1], GATHER_CYCLES) + FAR_CYCLES * far
    pack = channels * copies * (vector * length / LANES + SEGMENT_CYCLES * (length / pitch + 1))
    calls = -(-channels // panel_channels) * filters / 8 * -(-registers // 3)
    multiply = filters * (channels * taps * (registers / 2 + 4 * WEIGHT_BYTE_CYCLES) + 2 * registers)
    cycles = -(-tiles * planes // threads) * (pack + multiply + CALL_CYCLES * calls)
    return RunPlan(pitch, positions, registers, tiles, reach, copy_floats, panel_channels, *geometry.stride,
                   np.array(rows.shifts, np.int64), np.array(cols.shifts, np.int64),
                   _offsets(rows, cols, pitch, copy_floats, panel_channels), cycles)


def _offsets(rows, cols, pitch, copy_floats, panel_channels):
    taps = [(row * len(cols.shifts) + col) * copy_floats + down * pitch + across
            for col, across in cols.taps for row, down in rows.taps]
    channels = np.arange(panel_channels)[:, None] * (len(rows.shifts) * len(cols.shifts) * copy_floats)
    return (4 * (channels + np.array(taps))).astype(np.int32).reshape(-1)
