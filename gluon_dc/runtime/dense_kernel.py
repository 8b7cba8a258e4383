"""A dense convolution over packed tiles: a bundle of filters times up to three registers of pixels at a time."""

import numpy as np
from numba import njit

from .simd import HAS_AVX512
from .tile_kernel import address, multiply_dense
from .tile_packing import pack_tile, place_tile, write_rows

# Registers of pixels for 8, 4 and 1 filters: as many sums as there are registers for.
_AT_ONCE = (3, 4, 8) if HAS_AVX512 else (1, 1, 4)


@njit(cache=True, nogil=True)
def pack_filters(weight, packed):
    """Weight float32 (groups, filters, keys) to (groups, bundles, keys, bundle), filters that are none as 0.0."""
    groups, bundles, keys, many = packed.shape
    for group in range(groups):
        for which in range(bundles):
            for i in range(many):
                row = which * many + i
                for key in range(keys):
                    packed[group, which, key, i] = weight[group, row, key] if row < weight.shape[1] else 0


def convolve_dense(plan, x, out, bias, least, filters, buffer, sums, begin, end):
    """Items begin..end of (image, group, tile) of the output. bias float32 (groups, filters of whole bundles)."""
    at_once = _AT_ONCE[{8: 0, 4: 1, 1: 2}[filters.shape[3]]]
    _convolve(plan, x, out, bias, np.float32(least), filters, at_once, buffer, sums, begin, end)


@njit(cache=True, nogil=True)
def _convolve(plan, x, out, bias, least, weights, at_once, buffer, sums, begin, end):
    n, filters, oh, ow = out.shape
    groups, bundles, keys, many = weights.shape
    filters, channels = filters // groups, x.shape[1] // groups
    taps, tiles = keys // channels, plan.down * plan.across
    stride = 64 * plan.registers
    for item in range(begin, end):
        image, group = item // (groups * tiles), item // tiles % groups
        y, left, first, count, _ = place_tile(plan, oh, ow, item % tiles)
        for channel in range(0, channels, plan.panel_channels):
            some = min(plan.panel_channels, channels - channel)
            pack_tile(plan, x, image, group * channels + channel, some, y, left, first, count, ow, address(buffer))
            at = 0
            while at < plan.registers:
                # Shares as even as can be: a single register at the end would be slow.
                registers = -(-(plan.registers - at) // -(-(plan.registers - at) // at_once))
                for which in range(bundles):
                    _multiply(registers, many, address(weights[group, which]) + 4 * many * channel * taps, some * taps,
                              address(plan.offsets), address(buffer) + 64 * at,
                              address(sums) + which * many * stride + 64 * at, stride, channel == 0,
                              address(bias[group]) + 4 * which * many, least if channel + some == channels else -np.inf)
                at += registers
        dest = address(out) + 4 * ((image * groups + group) * filters * oh * ow + first)
        write_rows(address(sums), filters, stride, plan.rows, plan.width, count, dest, oh * ow, ow)


@njit(cache=True, nogil=True)
def _multiply(registers, many, weights, keys, offsets, x, sums, stride, is_first, bias, least):
    source, least = 0 if is_first else sums, np.float32(least)
    if many == 8:
        if registers == 1:
            multiply_dense(1, 8, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
        elif registers == 2:
            multiply_dense(2, 8, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
        elif registers == 3:
            multiply_dense(3, 8, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    elif many == 4:
        if registers == 1:
            multiply_dense(1, 4, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
        elif registers == 2:
            multiply_dense(2, 4, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
        elif registers == 3:
            multiply_dense(3, 4, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
        elif registers == 4:
            multiply_dense(4, 4, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    else:
        _multiply_one(registers, weights, keys, offsets, x, source, stride, sums, bias, least)


@njit(cache=True, nogil=True)
def _multiply_one(registers, weights, keys, offsets, x, source, stride, sums, bias, least):
    if registers == 1:
        multiply_dense(1, 1, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    elif registers == 2:
        multiply_dense(2, 1, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    elif registers == 3:
        multiply_dense(3, 1, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    elif registers == 4:
        multiply_dense(4, 1, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    elif registers == 5:
        multiply_dense(5, 1, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    elif registers == 6:
        multiply_dense(6, 1, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    elif registers == 7:
        multiply_dense(7, 1, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
    elif registers == 8:
        multiply_dense(8, 1, weights, keys, offsets, x, source, stride, sums, stride, bias, least)
