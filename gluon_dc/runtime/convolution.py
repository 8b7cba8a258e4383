"""Direct sparse convolution: codes times tiles of shifted inputs, without im2col and without dense weights."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from .epilogue import epilogue
from .forms import ConvForm, Geometry, conv_output, run_once
from .simd import HAS_AVX512, LANES
from .tasks import shared
from .tile_kernel import address, multiply_filter
from .tile_packing import pack_tile, place_tile, write_rows
from .tile_plan import channels_in_panel, plan_tiles, worth_threads
from .tiled import MAX_BLOCK_ROWS, TiledWeights, tile_weights


@dataclass(frozen=True, eq=False)
class DirectConv(ConvForm):
    """A convolution from two bytes a kept weight. Faster than dense at densities below about a half.

    A pruned weight takes no part: where it meets an infinity it gives 0, not NaN.
    """

    weights: TiledWeights  # a block for each group
    shape: tuple[int, int, int, int]
    geometry: Geometry
    panel_channels: int
    density: float  # rounded, so that layers alike share a plan
    name: ClassVar[str] = "direct"
    finishes: ClassVar[bool] = True

    @property
    def nbytes(self) -> int:
        return self.weights.nbytes

    @classmethod
    def build(cls, coded, geometry):
        filters, channels, *kernel = _checked_shape(coded.shape, geometry)
        panel_channels = channels_in_panel(channels, kernel)
        if not cls._possible(coded.shape, geometry):
            raise ValueError(f"a weight of shape {coded.shape} in {geometry.groups} groups does not fit this form: it "
                             f"takes at most 255 taps and fewer than {MAX_BLOCK_ROWS} filters a group")
        weights = tile_weights(coded.codes.swapaxes(2, 3).reshape(filters, -1), coded.codebook,
                               filters // geometry.groups, panel_channels * math.prod(kernel), 1)
        return cls(weights, coded.shape, geometry, panel_channels, round(coded.density, 2))

    @staticmethod
    def fits(coded, geometry, shape):
        return DirectConv._possible(coded.shape, geometry)

    @staticmethod
    def _possible(shape, geometry):
        return (len(shape) == 4 and math.prod(shape) > 0 and shape[0] % geometry.groups == 0
                and math.prod(shape[2:]) <= 255 and shape[0] // geometry.groups < MAX_BLOCK_ROWS)

    def apply(self, x, bias=None, relu=False, out=None, threads=1, scale=None, most=np.inf):
        out = conv_output(x, bias, out, self.shape, self.geometry)
        return run_once(self, x, bias, relu, out, threads, scale, most)

    def stages(self, x, bias, relu, out, threads, scratch, scale=None, most=np.inf):
        threads = worth_threads(self.plan(x.shape).cycles, threads)
        plan = self.plan(x.shape, threads)
        after = epilogue(out.shape[1], bias, scale, relu, most)
        # Some lanes are written beyond the last pixel packed.
        buffer_floats = plan.channel_floats * plan.panel_channels + LANES
        sums_floats = self.weights.padded * plan.registers * LANES
        return shared(_convolve, lambda share: (
            plan, x, out, after, *self.weights.arrays, scratch("buffer", buffer_floats, share),
            scratch("sums", sums_floats, share)), plan.down * plan.across * x.shape[0] * self.geometry.groups, threads)

    def plan(self, shape, threads=1):
        """The TilePlan for inputs of this shape."""
        filters, channels, *kernel = self.shape
        return plan_tiles(self.geometry, tuple(kernel), tuple(shape[2:]), channels, self.panel_channels,
                          filters // self.geometry.groups, self.density, shape[0], threads, not HAS_AVX512)


def _checked_shape(shape, geometry):
    if len(shape) != 4 or math.prod(shape) == 0:
        raise ValueError(f"a convolution's weight has shape (out, in / groups, kh, kw), none 0, got {shape}")
    if shape[0] % geometry.groups:
        raise ValueError(f"{shape[0]} filters do not come out even in {geometry.groups} groups")
    return shape


@njit(cache=True, nogil=True)
def _convolve(plan, x, out, after, entries, begins, steps, order, codebook, buffer, sums, begin, end):
    # Items begin..end of (image, group, tile).
    n, filters, oh, ow = out.shape
    groups, panels = begins.shape
    filters, channels = filters // groups, x.shape[1] // groups
    tiles = plan.down * plan.across
    for item in range(begin, end):
        image, group = item // (groups * tiles), item // tiles % groups
        y, left, first, count, whole = place_tile(plan, oh, ow, item % tiles)
        dest = address(out) + 4 * ((image * groups + group) * filters * oh * ow + first)
        for panel in range(panels):
            some = min(plan.panel_channels, channels - panel * plan.panel_channels)
            pack_tile(plan, x, image, group * channels + panel * plan.panel_channels, some, y, left, first, count, ow,
                      address(buffer))
            last = panel == panels - 1
            to, to_stride = address(sums), 64 * plan.registers
            if last and whole:
                to, to_stride = dest, 4 * oh * ow
            source, stride = 0 if panel == 0 else address(sums), 64 * plan.registers
            places = (plan.unit, plan.share, plan.extra, address(codebook), address(buffer), source, stride, to,
                      to_stride)
            _multiply_panel(plan.registers, entries, begins[group, panel], steps[group, panel], order[group, panel],
                            places + _finish(after, 4 * group * filters, last))
        if not whole:
            write_rows(address(sums), filters, 64 * plan.registers, plan.rows, plan.width, count, dest, oh * ow, ow)


@njit(cache=True, nogil=True)
def _finish(after, ahead, last):
    # (bias, scale, shift, least, most) of a group: addresses and bounds; nothing follows a panel before the last.
    start, least, most = address(after.start) + ahead, np.float32(-np.inf), np.float32(np.inf)
    scale = shift = 0
    if last:
        least, most = after.least, after.most
        if after.scale.size:
            scale, shift = address(after.scale) + ahead, address(after.shift) + ahead
    return start, scale, shift, least, most


@njit(cache=True, nogil=True)
def _multiply_panel(registers, entries, begin, steps, order, others):
    # numba compiles the kernel once for each literal number.
    place = address(entries) + 2 * begin
    for number in range(steps.size):
        row, some = address(order) + 2 * number, np.int64(steps[number])
        if registers == 1:
            multiply_filter(1, place, some, row, others)
        elif registers == 2:
            multiply_filter(2, place, some, row, others)
        elif registers == 3:
            multiply_filter(3, place, some, row, others)
        elif registers == 4:
            multiply_filter(4, place, some, row, others)
        elif registers == 5:
            multiply_filter(5, place, some, row, others)
        elif registers == 6:
            multiply_filter(6, place, some, row, others)
        elif registers == 7:
            multiply_filter(7, place, some, row, others)
        elif registers == 8:
            multiply_filter(8, place, some, row, others)
        elif registers == 9:
            multiply_filter(9, place, some, row, others)
        elif registers == 10:
            multiply_filter(10, place, some, row, others)
        elif registers == 11:
            multiply_filter(11, place, some, row, others)
        elif registers == 12:
            multiply_filter(12, place, some, row, others)
        elif registers == 13:
            multiply_filter(13, place, some, row, others)
        elif registers == 14:
            multiply_filter(14, place, some, row, others)
        elif registers == 15:
            multiply_filter(15, place, some, row, others)
        elif registers == 16:
            multiply_filter(16, place, some, row, others)
        place += 2 * some
