"""A dense convolution over packed runs (see run_plan): a few filters times up to three registers of pixels at once."""

import numpy as np
from numba import njit

from .simd import HAS_AVX512, LANES
from .tile_kernel import address, multiply_dense
from .tile_packing import pack_runs, write_run

# Registers of pixels for bundles of 8, 4 and 1 filters: as many sums as there are registers for.
AT_ONCE = {8: 3, 4: 4, 1: 8} if HAS_AVX512 else {8: 1, 4: 1, 1: 4}


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


@njit(cache=True, nogil=True)
def convolve_runs(plan, x, out, bias, least, most, weights, at_once, buffer, sums, begin, end):
    """Items begin..end of (image, group, tile) of the output. bias float32 (groups, filters of whole bundles); weights
    as `pack_filters` makes them; at_once: AT_ONCE of the bundle; buffer, sums: float32, as long as the plan says."""
    n, filters, oh, ow = out.shape
    groups, bundles, keys, many = weights.shape
    filters, channels = filters // groups, x.shape[1] // groups
    for item in range(begin, end):
        image, group, tile = item // (groups * plan.tiles), item // plan.tiles % groups, item % plan.tiles
        # The last tile takes what is left; it overlaps the one before where that is no whole register.
        begun = tile * plan.registers
        registers = min(plan.registers, -(-plan.positions // LANES) - begun)
        first = max(0, min(LANES * begun, plan.positions - LANES * registers))
        dest = address(out) + 4 * (image * groups + group) * filters * oh * ow
        for channel in range(0, channels, plan.panel_channels):
            some = min(plan.panel_channels, channels - channel)
            pack_runs(plan, x, image, group * channels + channel, some, first, LANES * registers + plan.reach,
                      address(buffer))
            _multiply_panel(plan, registers, first, weights[group], keys // channels, channel, some,
                            channel + some == channels, at_once, buffer, sums, bias[group], least, most, dest,
                            filters, oh, ow)


@njit(cache=True, nogil=True)
def _multiply_panel(plan, registers, first, weights, taps, channel, some, last, at_once, buffer, sums, bias, least,
                    most, dest, filters, oh, ow):
    # Adds up `some` channels from `channel` on for all filters of a tile; writes the output where they are the last.
    bundles, _, many = weights.shape
    count, plane = min(LANES * registers, plan.positions), 4 * oh * ow
    for which in range(bundles):
        mine = min(many, filters - which * many)
        # The sums of a bundle that is done at once need not be kept.
        to, stride = address(sums), 64 * registers
        if channel > 0 or not last:
            to += which * many * stride
        kept, kept_stride, source = to, stride, to if channel > 0 else 0
        # Where a tile is one run of the output's pixels too, it is written there at once.
        whole = last and plan.pitch == ow and count == LANES * registers and mine == many
        if whole:
            to, stride = dest + which * many * plane + 4 * first, plane
        at = 0
        while at < registers:
            # Shares as even as can be: a single register at the end would be slow.
            now = -(-(registers - at) // -(-(registers - at) // at_once))
            _multiply(now, many, address(weights[which]) + 4 * many * channel * taps, some * taps,
                      address(plan.offsets), address(buffer) + 64 * at, source + 64 * at if source else 0,
                      kept_stride, to + 64 * at, stride, address(bias) + 4 * which * many,
                      least if last else -np.inf, most if last else np.inf)
            at += now
        if last and not whole:
            write_run(kept, mine, kept_stride, first, count, plan.pitch, ow, dest + which * many * plane, oh * ow)


@njit(cache=True, nogil=True)
def _multiply(registers, many, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most):
    least, most = np.float32(least), np.float32(most)
    if many == 8:
        if registers == 1:
            multiply_dense(1, 8, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
        elif registers == 2:
            multiply_dense(2, 8, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
        elif registers == 3:
            multiply_dense(3, 8, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    elif many == 4:
        if registers == 1:
            multiply_dense(1, 4, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
        elif registers == 2:
            multiply_dense(2, 4, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
        elif registers == 3:
            multiply_dense(3, 4, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
        elif registers == 4:
            multiply_dense(4, 4, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    else:
        _multiply_one(registers, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)


@njit(cache=True, nogil=True)
def _multiply_one(registers, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most):
    if registers == 1:
        multiply_dense(1, 1, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    elif registers == 2:
        multiply_dense(2, 1, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    elif registers == 3:
        multiply_dense(3, 1, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    elif registers == 4:
        multiply_dense(4, 1, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    elif registers == 5:
        multiply_dense(5, 1, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    elif registers == 6:
        multiply_dense(6, 1, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    elif registers == 7:
        multiply_dense(7, 1, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
    elif registers == 8:
        multiply_dense(8, 1, weights, keys, offsets, x, source, ahead, to, stride, bias, least, most)
