"""Convolutions of one channel a filter, as MobileNet's: too few multiplications for tiles that are packed per tap.

Kernels of 3x3 and 5x5 run straight over the input's rows (`depthwise_kernel`). For others, and where registers are
short, the plane is copied once, padded, split into phases where strides are larger than 1 (`depthwise_planes`).
"""

import math

from numba import njit

from .depthwise_kernel import multiply_strip
from .depthwise_planes import planes_work
from .simd import HAS_AVX512, LANES
from .tile_kernel import address
from .tile_packing import clear_run


def depthwise_work(filters, geometry, kernel, x, out, bias, bounds):
    """How to convolve x (n, groups, h, w) into out (n, groups * each, oh, ow): (run, arguments_of, cycles).

    run(*arguments_of(buffer), begin, end) does planes begin..end of x, image by image; run: an njit function; buffer:
    function (name, number of floats) -> float32 array, no other thread's. cycles: of all, estimated. filters float32
    (groups, each, taps), taps in the order kx, ky; bias float32 (groups, each); bounds: (least, most), float32. Checks
    nothing.
    """
    if not runs_in_strips(geometry, kernel):
        return planes_work(filters, geometry, kernel, x, out, bias, bounds)
    # A row to read in place of missing ones; it is cleared by whole registers.
    floats, cycles = x.shape[3] + LANES, out.size * math.prod(kernel) // (2 * LANES)
    return convolve_strips, lambda buffer: (kernel[0], geometry.stride[0], geometry.pad, filters, x, out, bias, *bounds,
                                            buffer("zeros", floats)), cycles


def runs_in_strips(geometry, kernel) -> bool:
    """Whether there is a kernel that needs no copy of the input."""
    return (HAS_AVX512 and kernel in ((3, 3), (5, 5)) and geometry.stride in ((1, 1), (2, 2))
            and geometry.dilate == (1, 1))


@njit(cache=True, nogil=True)
def convolve_strips(kernel, stride, pad, filters, x, out, bias, least, most, zeros, begin, end):
    """Planes begin..end of x, image by image: an item for each image and channel. zeros: room for a row of x."""
    groups, each, _ = filters.shape
    clear_run(x.shape[3], address(zeros))
    for item in range(begin, end):
        group = item % groups
        for which in range(each):
            weights, own_bias = address(filters[group, which]), address(bias[group]) + 4 * which
            for column in range(0, out.shape[3], LANES):
                place, masked = place_strip(x, item, out, item * each + which, column, kernel, stride, pad,
                                            address(zeros))
                _multiply(kernel, stride, masked, place, weights, own_bias, least, most)


@njit(cache=True, nogil=True)
def place_strip(x, plane, out, made, column, kernel, stride, pad, missing):
    """(place, masked) as `multiply_strip` takes them, of the strip from `column` on of plane `made` of out.

    x, out: (n, c, h, w); plane, made: numbers of planes, image by image.
    """
    h, w, oh, ow = x.shape[2], x.shape[3], out.shape[2], out.shape[3]
    left, lanes = column * stride - pad[1], min(LANES, ow - column)
    # Taps of a whole strip read this many columns, some of them only to be left out.
    masked = left < 0 or left + LANES * stride + kernel - 1 > w or lanes < LANES
    return (address(x) + 4 * h * w * plane, h, w, -pad[0], left, missing, address(out) + 4 * (oh * ow * made + column),
            oh, ow, lanes), masked


@njit(cache=True, nogil=True)
def _multiply(kernel, stride, masked, place, weights, bias, least, most):
    # numba compiles the kernel once for each combination of literal numbers.
    if kernel == 3 and stride == 1:
        if masked:
            multiply_strip(3, 1, 1, place, weights, bias, least, most)
        else:
            multiply_strip(3, 1, 0, place, weights, bias, least, most)
    elif kernel == 3:
        if masked:
            multiply_strip(3, 2, 1, place, weights, bias, least, most)
        else:
            multiply_strip(3, 2, 0, place, weights, bias, least, most)
    elif stride == 1:
        if masked:
            multiply_strip(5, 1, 1, place, weights, bias, least, most)
        else:
            multiply_strip(5, 1, 0, place, weights, bias, least, most)
    elif masked:
        multiply_strip(5, 2, 1, place, weights, bias, least, most)
    else:
        multiply_strip(5, 2, 0, place, weights, bias, least, most)
