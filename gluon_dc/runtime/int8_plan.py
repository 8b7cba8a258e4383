"""How an int8 convolution cuts its output into tiles, and which copies of the input a tile needs, as words of 4 bytes.

As in run_plan, with shared copies alone: positions are numbered row by row, `pitch` to a row, so that a tap's pixels
are a run of a copy wherever rows end; one copy for each phase of the stride. A row of a copy needs no margin on its
right where the next row's left one serves: 14 positions a row for 13 pixels and a pad of 1, not 15.
"""

import math
from dataclasses import replace
from functools import lru_cache
from itertools import islice, product
from typing import NamedTuple

import numpy as np

from .run_plan import FAR_NBYTES, axis_ways
from .simd import LANES
from .tile_plan import joined

MAX_REGISTERS = 48  # of a tile that is no whole rows: the sums of 8 filters are half of the first cache
PANEL_NBYTES = 240_000  # of copies: a part of the second cache, beside weights and what is written
POINTWISE_NBYTES = 300_000  # where each word is read but once for some filters
MAX_NBYTES = 2**26  # of copies: for taps far apart
WORD_CYCLES = 4  # to pack a register of words
WEIGHT_CYCLES = 0.15  # to bring four weights from the third cache, for each tile
WRITE_CYCLES = 3  # to leave positions out of a register that is written
MOST_OWN = 8  # taps of a row that have a copy each
MOST_PACKING = 20  # times the products and one packing of the input: tiles whose taps stand far apart do little else
POOL_CYCLES = {False: 4, True: 12}  # to write a register and pool it later: in the second cache, beyond it
POOLED_FLOATS = 80_000  # sums of a bundle that are pooled at once: a part of the second cache
BUNDLE = 8  # filters that are multiplied at once
AT_ONCE = 3  # registers of pixels
TOGETHER = 4  # neighbours of a row in a word


class Window(NamedTuple):
    """Maxima over kernel x kernel pixels, 2 apart both ways, that begin `above` rows and `left` columns outside: rows x
    columns of them. kernel: 2 or 3, more than above and left; each window has a pixel of the plane.
    """

    kernel: int
    above: int
    left: int
    rows: int
    columns: int


NO_WINDOW = Window(0, 0, 0, 0, 0)


class BytePlan(NamedTuple):
    """Tiles of one output plane: `tiles` runs of up to `registers` registers, of `positions` positions in all; where a
    row of the output is whole registers, runs of `rows` rows, else rows is 0.

    A tile's buffer is [four channels][row shift][column shift][copy_words]: word i of a copy is the input of position
    first + i, which is at column (position % pitch) * col_stride + col_shift, likewise the row. offsets int32 (keys,):
    bytes from the buffer's start to the first position's word, for a key ((channel / 4) * kh + ky) * kw + kx. reach:
    words of a copy beyond the tile's positions. margin, row_words: of a row of the input before it is cut into copies,
    left of it and in all. cycles: about what the whole layer takes. down, across: size of the plane. window: of maxima
    that are written in place of the plane, `pooled` rows of them a tile (0: none are); such tiles are whole rows that
    overlap. by_row: words are four neighbours of a row, a copy is of one channel, keys are taps 4 columns apart (see
    `lies_by_row`). (A tuple, as numba takes no other record.)
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
    down: int
    across: int
    words: int
    pooled: int
    window: Window
    by_row: bool

    @property
    def copies(self):
        """Copies of each four channels."""
        return len(self.row_shifts) * len(self.col_shifts)


@lru_cache(maxsize=512)
def plan_bytes(geometry, kernel, size, channels, filters, images, threads, window=NO_WINDOW) -> BytePlan:
    """The BytePlan for input planes of size (h, w); channels, filters: of one group.

    ValueError where taps stand so far apart that a tile's buffer would take more than MAX_NBYTES, or that most of the
    time would go to filling it for each tile anew.
    """
    arguments = geometry, kernel, size, channels, filters, images, threads, window
    plan = _plan(*arguments, is_own=False)
    # A copy for each tap wastes no positions at the ends of rows; where these are whole registers none are wasted.
    if (kernel[1] == 1 or kernel[1] > MOST_OWN or geometry.stride[1] > 1 or plan.by_row or plan.across % LANES == 0
            or plan.across == 1):
        return plan
    try:
        return min(plan, _plan(*arguments, is_own=True), key=lambda plan: plan.cycles)
    except ValueError:
        return plan


def _plan(geometry, kernel, size, channels, filters, images, threads, window, is_own):
    # is_own: of columns, a copy for each tap.
    if joined(geometry, kernel) and not window.rows:
        size = (1, math.prod(size))
    (down, across), by_row = geometry.output_size(size, kernel), lies_by_row(geometry, kernel, channels)
    words = channels if by_row else -(-channels // 4)
    in_words = (geometry, kernel) if not by_row else (
        replace(geometry, dilate=(geometry.dilate[0], TOGETHER)), (kernel[0], -(-kernel[1] // TOGETHER)))
    rows, cols = next(axis_ways(*in_words, 0)), list(islice(axis_ways(*in_words, 1), 1 + is_own))[-1]
    # Words that begin left of a row hold pixels of it: no margin serves two rows.
    pitch = across + cols.steps if by_row else _pitch(cols, geometry.stride[1], size[1], across)
    positions, reach, planes = (down - 1) * pitch + across, rows.steps * pitch + cols.steps, images * geometry.groups
    copies, taps = words * len(rows.shifts) * len(cols.shifts), len(rows.taps) * len(cols.taps)
    most = (PANEL_NBYTES if taps > 1 else POINTWISE_NBYTES) // (4 * copies) - reach
    strips, made = across % LANES == 0 and (pitch > across or window.rows > 0), 0
    if window.rows:
        made, tiles, registers, some, length = _pooled_tiles(window, pitch, across, down, most, planes, threads, strips)
        length += reach
    elif strips:
        some = _even_share(down, max(1, most // pitch), planes, threads)
        tiles, registers, length = -(-down // some), some * across // LANES, some * pitch + reach
    else:
        some, tiles, registers = 0, *_runs(-(-positions // LANES), most, planes, threads)
        length = registers * LANES + reach
    # Column copies are written side by side, each up to 15 words too far.
    copy_words = -(-length // LANES) * LANES + LANES * (len(cols.shifts) > 1)
    margin = max(0, -min(cols.shifts))
    row_words = margin + max(size[1], (pitch - 1) * geometry.stride[1] + max(cols.shifts) + 1) + LANES
    computed = tiles * registers if window.rows else down * across / LANES if strips else -(-positions // LANES)
    cycles = planes * filters * (words * taps * (computed / 2 + tiles * WEIGHT_CYCLES)
                                 + (0 if window.rows or strips or pitch == across else computed * WRITE_CYCLES))
    packing = planes * tiles * copies * copy_words / LANES * WORD_CYCLES
    once = planes * words * math.prod(size) / LANES * WORD_CYCLES
    sums = BUNDLE * LANES * registers * bool(window.rows)
    is_large = 4 * max(copy_words * copies + row_words, sums) > MAX_NBYTES
    # Threads are given smaller tiles, and no plan is refused for that.
    if is_large or threads == 1 and packing > MOST_PACKING * (cycles + once + 1000 * planes):
        raise ValueError(f"an int8 convolution of a kernel of {kernel[0]}x{kernel[1]}, pad {geometry.pad}, dilate "
                         f"{geometry.dilate} over {channels} channels of {size[0]}x{size[1]} takes too "
                         f"{'large a buffer' if is_large else 'long to pack'}: run it in another form")
    return BytePlan(pitch, positions, registers, tiles, some, reach, copy_words, *geometry.stride,
                    np.array(rows.shifts, np.int64), np.array(cols.shifts, np.int64),
                    _offsets(rows, cols, pitch, copy_words, words), margin, row_words, cycles + packing, down, across,
                    words, made, window, by_row)


def lies_by_row(geometry, kernel, channels) -> bool:
    """Whether a word takes four neighbours of a row, not four channels: where these are few, it wastes less."""
    fewer = channels * -(-kernel[1] // TOGETHER) < kernel[1]
    return channels < 4 and fewer and geometry.stride[1] in (1, 2, 4) and geometry.dilate[1] == 1


def pooled_pays(geometry, kernel, size, channels, filters, window) -> bool:
    """Whether it takes less time to write the maxima of windows alone: rows that two tiles need are multiplied twice.

    One image, one thread: so it is the same for any number of them. ValueError as `plan_bytes` without the window.
    """
    arguments = geometry, kernel, size, channels, filters, 1, 1
    apart = plan_bytes(*arguments)
    try:
        at_once = plan_bytes(*arguments, window)
    except ValueError:
        return False
    written = filters * geometry.groups * math.prod(geometry.output_size(size, kernel))
    return at_once.cycles < apart.cycles + written / LANES * POOL_CYCLES[4 * written > FAR_NBYTES]


def _pooled_tiles(window, pitch, across, down, most, planes, threads, strips):
    # (rows of maxima a tile, tiles, registers, rows, positions); rows only where registers are cut row by row.
    rows = min(most // pitch, POOLED_FLOATS // (BUNDLE * pitch))
    made = _even_share(window.rows, max(1, (rows - window.kernel) // 2 + 1), planes, threads)
    tiles, rows = -(-window.rows // made), min(down, 2 * (made - 1) + window.kernel)
    if strips:
        return made, tiles, rows * across // LANES, rows, rows * pitch
    registers = -(-((rows - 1) * pitch + across) // LANES)
    return made, tiles, registers, 0, registers * LANES


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
