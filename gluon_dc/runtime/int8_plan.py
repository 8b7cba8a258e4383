"""How an int8 convolution cuts its output into tiles, and which copies of the input a tile needs, as words of 4 bytes.

As in run_plan, with shared copies alone: positions are numbered row by row, `pitch` to a row, so that a tap's pixels
are a run of a copy wherever rows end; one copy for each phase of the stride. A row of a copy needs no margin on its
right where the next row's left one serves: 14 positions a row for 13 pixels and a pad of 1, not 15.
"""

import math
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from .run_plan import axis_ways
from .simd import LANES
from .tile_plan import joined

MAX_REGISTERS = 48  # of a tile that is no whole rows: the sums of 8 filters are half of the first cache
PANEL_NBYTES = 120_000  # of copies: a part of the second cache, beside weights and what is written
POINTWISE_NBYTES = 300_000  # where each word is read but once for some filters
MAX_NBYTES = 2**26  # of copies: for taps far apart
WORD_CYCLES = 4  # to pack a register of words
MOST_PACKING = 20  # times the products and one packing of the input: tiles whose taps stand far apart do little else
BUNDLE = 8  # filters that are multiplied at once
AT_ONCE = 3  # registers of pixels


class BytePlan(NamedTuple):
    """Tiles of one output plane: `tiles` runs of up to `registers` registers, of `positions` positions in all; where a
    row of the output is whole registers, runs of `rows` rows, else rows is 0.

    A tile's buffer is [four channels][row shift][column shift][copy_words]: word i of a copy is the input of position
    first + i, which is at column (position % pitch) * col_stride + col_shift, likewise the row. offsets int32 (keys,):
    bytes from the buffer's start to the first position's word, for a key ((channel / 4) * kh + ky) * kw + kx. reach:
    words of a copy beyond the tile's positions. margin, row_words: of a row of the input before it is cut into copies,
    left of it and in all. cycles: about what the whole layer takes. (A tuple, as numba takes no other record.)
    """

    pitch: int
    positions: int
    registers: int
    tiles: int
    rows: int
    reach: int
    copy_words: int
    row_stride: int
    col_stride: int
    row_shifts: np.ndarray
    col_shifts: np.ndarray
    offsets: np.ndarray
    margin: int
    row_words: int
    cycles: float

    @property
    def copies(self):
        """Copies of each four channels."""
        return len(self.row_shifts) * len(self.col_shifts)


@lru_cache(maxsize=512)
def plan_bytes(geometry, kernel, size, channels, filters, images, threads) -> BytePlan:
    """The BytePlan for input planes of size (h, w); channels, filters: of one group.

    ValueError where taps stand so far apart that a tile's buffer would take more than MAX_NBYTES, or that most of the
    time would go to filling it for each tile anew.
    """
    if joined(geometry, kernel):
        size = (1, math.prod(size))
    rows, cols = (next(axis_ways(geometry, kernel, axis)) for axis in (0, 1))
    down, across = geometry.output_size(size, kernel)
    pitch, words = _pitch(cols, geometry.stride[1], size[1], across), -(-channels // 4)
    positions, reach, planes = (down - 1) * pitch + across, rows.steps * pitch + cols.steps, images * geometry.groups
    copies, taps = words * len(rows.shifts) * len(cols.shifts), len(rows.taps) * len(cols.taps)
    most = (PANEL_NBYTES if taps > 1 else POINTWISE_NBYTES) // (4 * copies) - reach
    if across % LANES == 0 and pitch > across:
        some = _even_share(down, max(1, most // pitch), planes, threads)
        tiles, registers, length = -(-down // some), some * across // LANES, some * pitch + reach
    else:
        some, tiles, registers = 0, *_runs(-(-positions // LANES), most, planes, threads)
        length = registers * LANES + reach
    # Column copies are written side by side, each up to 15 words too far.
    copy_words = -(-length // LANES) * LANES + LANES * (len(cols.shifts) > 1)
    margin = max(0, -min(cols.shifts))
    row_words = margin + max(size[1], (pitch - 1) * geometry.stride[1] + max(cols.shifts) + 1) + LANES
    cycles = planes * positions / LANES * filters * words * taps / 2
    packing = planes * tiles * copies * copy_words / LANES * WORD_CYCLES
    once = planes * words * math.prod(size) / LANES * WORD_CYCLES
    is_large = 4 * (copy_words * copies + row_words) > MAX_NBYTES
    if is_large or packing > MOST_PACKING * (cycles + once + 1000):
        raise ValueError(f"an int8 convolution of a kernel of {kernel[0]}x{kernel[1]}, pad {geometry.pad}, dilate "
                         f"{geometry.dilate} over {channels} channels of {size[0]}x{size[1]} takes too "
                         f"{'large a buffer' if is_large else 'long to pack'}: run it in another form")
    return BytePlan(pitch, positions, registers, tiles, some, reach, copy_words, *geometry.stride,
                    np.array(rows.shifts, np.int64), np.array(cols.shifts, np.int64),
                    _offsets(rows, cols, pitch, copy_words, words), margin, row_words, cycles + packing)


def _pitch(cols, stride, width, across):
    # The least at which what a row reads beyond its end are pixels outside of the input, here and in the next row:
    # pitch * stride + shift >= width and (across + steps - 1 - pitch) * stride + shift < 0 for all shifts.
    least = max(across, -((min(cols.shifts) - width) // stride), across + cols.steps + max(cols.shifts) // stride)
    return min(least, across + cols.steps)


def _even_share(many, most, planes, threads):
    # How many of `many` a tile has: at most `most`, as even as can be, as many tiles for every thread.
    tiles = -(-many // most)
    if threads > 1:
        tiles = min(many, -(-tiles * planes // threads) * threads // math.gcd(planes, threads))
    return -(-many // tiles)


def _runs(registers, most, planes, threads):
    # (tiles, registers of each): as few as the second cache allows.
    each = _even_share(registers, min(MAX_REGISTERS, max(AT_ONCE, most // LANES)), planes, threads)
    if each < registers:
        each = -(-each // AT_ONCE) * AT_ONCE
    return -(-registers // each), each


def _offsets(rows, cols, pitch, copy_words, words):
    taps = [(row * len(cols.shifts) + col) * copy_words + down * pitch + across
            for (row, down), (col, across) in product(rows.taps, cols.taps)]
    first = np.arange(words)[:, None] * (len(rows.shifts) * len(cols.shifts) * copy_words)
    return (4 * (first + np.array(taps))).astype(np.int32).reshape(-1)
