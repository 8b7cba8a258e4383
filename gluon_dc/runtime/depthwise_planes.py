"""Convolutions of one channel a filter, of any kernel and on any processor (see depthwise).

The plane is copied once, padded, split into phases where strides are larger than 1; every tap then reads the same copy
at its own place, aligned or not, over all rows at once. What is computed between the rows is left out of the output.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from .simd import HAS_AVX512, LANES
from .tile_kernel import address, multiply_dense
from .tile_packing import clear_run, copy_run, write_rows

REGISTERS = 8 if HAS_AVX512 else 4


class PlanePlan(NamedTuple):
    """A padded plane as phases [row phase][column phase][height][width] of floats.

    offsets int32 (taps,): bytes from the copy's start to what each tap, in the order kx, ky, multiplies the first pixel
    with. Shifts: the input row or column that a phase begins with; strides: of the convolution.
    """

    height: int
    width: int
    row_shifts: np.ndarray
    col_shifts: np.ndarray
    row_stride: int
    col_stride: int
    offsets: np.ndarray


def planes_work(filters, geometry, kernel, x, out, bias, bounds):
    """As `depthwise.depthwise_work`, whose bounds are (least, most)."""
    plan = plan_plane(geometry, kernel, out.shape[2:])
    pixels = -(-out.shape[2] * plan.width // (REGISTERS * LANES)) * REGISTERS * LANES
    # Every tap reads `pixels` floats from its place on, and the last copied lanes reach beyond the plane.
    taps_end = int(plan.offsets.max()) // 4 + pixels
    planes_end = len(plan.row_shifts) * len(plan.col_shifts) * plan.height * plan.width
    floats, cycles = max(taps_end, planes_end) + 2 * LANES, out.size * (math.prod(kernel) + 4) // LANES
    # Rows leave the sums by whole registers.
    return convolve_planes, lambda buffer: (plan, REGISTERS, filters, x, out, bias, *bounds, buffer("buffer", floats),
                                            buffer("sums", pixels + LANES)), cycles


@lru_cache(maxsize=512)
def plan_plane(geometry, kernel, output) -> PlanePlan:
    """The PlanePlan for outputs of this height and width."""
    steps, phases, sizes = [], [], []
    for axis in (0, 1):
        steps.append([divmod(tap * geometry.dilate[axis], geometry.stride[axis]) for tap in range(kernel[axis])])
        phases.append(sorted({phase for _, phase in steps[axis]}))
        sizes.append(output[axis] + max(step for step, _ in steps[axis]))
    shifts = [np.array(phases[axis], np.int64) - geometry.pad[axis] for axis in (0, 1)]
    offsets = [4 * (((phases[0].index(down_phase) * len(phases[1]) + phases[1].index(phase)) * sizes[0] + down)
                    * sizes[1] + across) for across, phase in steps[1] for down, down_phase in steps[0]]
    return PlanePlan(*sizes, *shifts, *geometry.stride, np.array(offsets, np.int32))


@njit(cache=True, nogil=True)
def convolve_planes(plan, registers, filters, x, out, bias, least, most, buffer, sums, begin, end):
    """Planes begin..end of x, image by image: an item for each image and channel."""
    groups, each, taps = filters.shape
    n, _, oh, ow = out.shape
    for item in range(begin, end):
        group = item % groups
        _pack(plan, x, item // groups, group, address(buffer))
        for which in range(each):
            weights, own_bias = address(filters[group, which]), address(bias[group]) + 4 * which
            for first in range(0, oh * plan.width, LANES * registers):
                place, to = address(buffer) + 4 * first, address(sums) + 4 * first
                if registers == 8:
                    multiply_dense(8, 1, weights, taps, address(plan.offsets), place, 0, 0, to, 0, own_bias, least,
                                   most)
                else:
                    multiply_dense(4, 1, weights, taps, address(plan.offsets), place, 0, 0, to, 0, own_bias, least,
                                   most)
            dest = address(out) + 4 * (item * each + which) * oh * ow
            write_rows(address(sums), 1, 0, oh, plan.width, ow, dest, 0, ow)


@njit(cache=True, nogil=True)
def _pack(plan, x, image, channel, dest):
    h, w = x.shape[2], x.shape[3]
    plane = address(x) + 4 * h * w * (image * x.shape[1] + channel)
    for row_shift in plan.row_shifts:
        for col_shift in plan.col_shifts:
            for row in range(plan.height):
                y = row * plan.row_stride + row_shift
                if 0 <= y < h:
                    copy_run(plane + 4 * w * y, w, col_shift, plan.col_stride, plan.width, dest)
                else:
                    clear_run(plan.width, dest)
                dest += 4 * plan.width
