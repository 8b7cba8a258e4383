"""Maxima over windows of 3x3, strip by strip (see strips): two to four times as fast as going over whole rows."""

import numpy as np
from numba import njit

from .depthwise import place_strip
from .depthwise_kernel import LOWEST, maximum_strip
from .simd import HAS_AVX512, LANES
from .tile_kernel import address


def pools_in_strips(kernel, stride) -> bool:
    """Whether `max_pool_strips` knows windows of this size and step, pairs (vertical, horizontal)."""
    return HAS_AVX512 and kernel == (3, 3) and stride in ((1, 1), (2, 2))


@njit(cache=True, nogil=True)
def max_pool_strips(x, stride, pad, out, begin, end):
    """Maximum over each window of 3x3 of planes begin..end; x (n, c, h, w), out (n, c, oh, ow), at least one pixel each.

    stride: 1 or 2; pad: (rows, columns) around x that count as the lowest float32, as does all beyond its end. NaN and
    infinities as in `kernels.max_pool`.
    """
    missing = np.full(x.shape[3], LOWEST, np.float32)
    for plane in range(begin, end):
        for column in range(0, out.shape[3], LANES):
            place, masked = place_strip(x, plane, out, plane, column, 3, stride, pad, address(missing))
            if stride == 2:
                if masked:
                    maximum_strip(3, 2, 1, place)
                else:
                    maximum_strip(3, 2, 0, place)
            elif masked:
                maximum_strip(3, 1, 1, place)
            else:
                maximum_strip(3, 1, 0, place)
