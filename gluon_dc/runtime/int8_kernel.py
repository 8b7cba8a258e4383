"""Convolution of bytes: sums of products in int32, made float32 as they are written. Two ways, the same integers."""

import numpy as np
from numba import njit

from .int8_code import ANY, RELU, SUMS, copy_extremes, multiply_bytes, word_extremes
from .int8_packing import pack_bytes, quantization
from .int8_pool_code import pool_row
from .simd import LANES
from .tile_kernel import address


@njit(cache=True, nogil=True)
def find_extremes(x, extremes, begin, end):
    """`word_extremes` of the numbers begin..end of each image of x (n, size), to int32 (n, 2, 16)."""
    extremes[:] = 0
    for image in range(x.shape[0]):
        word_extremes(address(x) + 4 * (image * x.shape[1] + begin), end - begin, address(extremes[image]))


@njit(cache=True, nogil=True)
def copy_words(source, dest, begin, end):
    """Images begin..end of an array int32 (n, 2, 16) to another."""
    dest[begin:end] = source[begin:end]


@njit(cache=True, nogil=True)
def prepare(parts, scales, sums, inverse, zero, factors, starts, found, begin, end):
    """`quantization` of images begin..end: inverse, zero float32 (n,); factors, starts (n, groups, filters).

    parts: extremes int32 (parts, n, 2, 16) of all that these images consist of. found, likewise: made 0.
    """
    for image in range(begin, end):
        for part in range(1, parts.shape[0]):
            for lane in range(LANES):
                parts[0, image, 0, lane] = max(parts[0, image, 0, lane], parts[part, image, 0, lane])
                parts[0, image, 1, lane] = np.int32(max(np.uint32(parts[0, image, 1, lane]),
                                                        np.uint32(parts[part, image, 1, lane])))
        inverse[image], zero[image] = quantization(parts[0, image], scales, sums, factors[image], starts[image])
        found[:, image] = 0


@njit(cache=True, nogil=True)
def convolve_vectors(plan, x, out, bias, clip, weights, inverse, zero, factors, starts, row, buffer, sums, extremes,
                     begin, end):
    """Items begin..end of (image, group, tile) of the output. Needs HAS_VNNI.

    weights int8 (groups, bundles, keys, 8, 4); bias float32 (groups, filters of whole bundles); clip: (low, high)
    float32; of each image inverse, zero (n,) float32, factors float32 and starts int32 (n, groups, filters of whole
    bundles); extremes int32 (n, 2, 16): those of the output are put in. row, buffer, sums: scratch, of the sums one
    register before what is used. Where the plan has a window, `out` are its maxima.
    """
    groups, bundles, keys = weights.shape[:3]
    nothing = np.empty((2, LANES), np.int32)
    filters, plane = out.shape[1] // groups, 4 * out.shape[2] * out.shape[3]
    finish = SUMS if plan.pooled else RELU if clip[0] == 0 and clip[1] == np.inf else ANY
    for item in range(begin, end):
        image, group, first, count, strips, registers = _place(plan, groups, item)
        _pack(plan, x, image, group, groups, first, count, strips, inverse, zero, row, buffer)
        dest = address(out) + (image * groups + group) * filters * plane
        start = first // plan.pitch * plan.across + first % plan.pitch
        straight = not plan.pooled and (plan.rows > 0 or plan.pitch == plan.across and count == LANES * registers)
        for which in range(bundles):
            mine, many = min(8, filters - 8 * which), 32 * which
            to, stride, found = address(sums) + 4 * LANES, 64 * registers * strips, address(nothing)
            if straight and mine == 8:
                to, stride, found = dest + 4 * start, plane, address(extremes[image])
            for strip in range(strips):
                at = 0
                while at < registers:
                    # Shares as even as can be: a single register at the end would be slow.
                    now = -(-(registers - at) // -(-(registers - at) // 3))
                    _multiply(now, finish, (
                        address(weights[group, which]), keys, address(plan.offsets),
                        address(buffer) + 4 * strip * plan.pitch + 64 * at, address(starts[image, group]) + many,
                        address(factors[image, group]) + many, address(bias[group]) + many,
                        to + 64 * (strip * registers + at), stride, found), clip)
                    at += now
            if plan.pooled:
                some, made = slice(8 * which, 8 * which + mine), _made(plan, item % plan.tiles)
                _pool(plan, to, mine, stride, first, made, made + plan.pooled, factors[image, group, some],
                      bias[group, some], clip, dest, plane, address(extremes[image]))
            elif not (straight and mine == 8):
                _write(plan, to, mine, stride, first, count, start, dest, plane, address(extremes[image]))
            dest += 8 * plane


@njit(cache=True, nogil=True)
def _multiply(registers, finish, places, clip):
    # numba compiles the kernel once for each combination of literal numbers (no names).
    if finish == SUMS:
        if registers == 1:
            multiply_bytes(1, 8, 2, places, clip)
        elif registers == 2:
            multiply_bytes(2, 8, 2, places, clip)
        else:
            multiply_bytes(3, 8, 2, places, clip)
    elif finish == RELU:
        if registers == 1:
            multiply_bytes(1, 8, 1, places, clip)
        elif registers == 2:
            multiply_bytes(2, 8, 1, places, clip)
        else:
            multiply_bytes(3, 8, 1, places, clip)
    elif registers == 1:
        multiply_bytes(1, 8, 0, places, clip)
    elif registers == 2:
        multiply_bytes(2, 8, 0, places, clip)
    else:
        multiply_bytes(3, 8, 0, places, clip)


@njit(cache=True, nogil=True)
def convolve_plain(plan, x, out, bias, clip, weights, inverse, zero, factors, starts, row, buffer, sums, extremes,
                   begin, end):
    """As `convolve_vectors`, on any machine."""
    groups, bundles, keys = weights.shape[:3]
    filters, plane, data = out.shape[1] // groups, 4 * out.shape[2] * out.shape[3], buffer.view(np.uint8)
    for item in range(begin, end):
        image, group, first, count, strips, registers = _place(plan, groups, item)
        _pack(plan, x, image, group, groups, first, count, strips, inverse, zero, row, buffer)
        dest = address(out) + (image * groups + group) * filters * plane
        start = first // plan.pitch * plan.across + first % plan.pitch
        each = count // strips
        found = np.empty(each, np.int32)
        for filter in range(filters):
            factor, shift = factors[image, group, filter], bias[group, filter]
            for strip in range(strips):
                found[:] = starts[image, group, filter]
                for key in range(keys):
                    _add(weights[group, filter // 8, key, filter % 8],
                         data[4 * strip * plan.pitch + plan.offsets[key]:], found)
                if plan.pooled:
                    at = LANES + strip * each
                    sums[at:at + each].view(np.int32)[:] = found
                    continue
                for i in range(each):
                    value = np.float32(found[i]) * factor + shift
                    value = clip[0] if value < clip[0] else value
                    sums[LANES + strip * each + i] = clip[1] if value > clip[1] else value
            if plan.pooled:
                some, made = slice(filter, filter + 1), _made(plan, item % plan.tiles)
                _pool(plan, address(sums) + 4 * LANES, 1, 0, first, made, made + plan.pooled,
                      factors[image, group, some], bias[group, some], clip, dest, plane, address(extremes[image]))
            else:
                _write(plan, address(sums) + 4 * LANES, 1, 0, first, count, start, dest, plane,
                       address(extremes[image]))
            dest += plane


@njit(cache=True, nogil=True)
def _add(weights, words, sums):
    # sums[i] += weights of one key (4,) times the bytes of word i.
    a, b, c, d = np.int32(weights[0]), np.int32(weights[1]), np.int32(weights[2]), np.int32(weights[3])
    if a or b or c or d:
        for i in range(sums.size):
            sums[i] += (a * np.int32(words[4 * i]) + b * np.int32(words[4 * i + 1]) + c * np.int32(words[4 * i + 2])
                        + d * np.int32(words[4 * i + 3]))


@njit(cache=True, nogil=True)
def _place(plan, groups, item):
    # (image, group, first position, pixels or positions, strips of so many registers) of an item.
    image, group, tile = item // (groups * plan.tiles), item // plan.tiles % groups, item % plan.tiles
    # The last tile takes what is left or overlaps the one before.
    if plan.pooled:
        made = _made(plan, tile)
        y = max(0, 2 * made - plan.window.above)
        rows = min(plan.down, 2 * (made + plan.pooled - 1) - plan.window.above + plan.window.kernel) - y
        if plan.rows:
            return image, group, y * plan.pitch, rows * plan.across, rows, plan.across // LANES
        count = (rows - 1) * plan.pitch + plan.across
        return image, group, y * plan.pitch, count, 1, -(-count // LANES)
    if plan.rows:
        y = min(tile * plan.rows, plan.down - plan.rows)
        return image, group, y * plan.pitch, plan.rows * plan.across, plan.rows, plan.across // LANES
    begun = tile * plan.registers
    registers = min(plan.registers, -(-plan.positions // LANES) - begun)
    first = max(0, min(LANES * begun, plan.positions - LANES * registers))
    return image, group, first, min(LANES * registers, plan.positions), 1, registers


@njit(cache=True, nogil=True)
def _made(plan, tile):
    # The first row of maxima of a tile.
    return min(tile * plan.pooled, plan.window.rows - plan.pooled)


@njit(cache=True, nogil=True)
def _pack(plan, x, image, group, groups, first, count, strips, inverse, zero, row, buffer):
    channels = x.shape[1] // groups
    length = strips * plan.pitch if plan.rows else -(-count // LANES) * LANES
    pack_bytes(plan, x, image, group * channels, channels, first, length + plan.reach, inverse[image], zero[image],
               address(row), address(buffer))


@njit(cache=True, nogil=True)
def _write(plan, sums, filters, stride, first, count, start, dest, plane, extremes):
    # `count` sums of each filter to planes of the output, where those of a row's end that are no pixels are left out.
    ow = plan.across
    pitch = ow if plan.rows else plan.pitch
    for _ in range(filters):
        source, to, left, at = sums, dest + 4 * start, first % plan.pitch, count
        while at > 0:
            some = min(ow - left, at)
            if some > 0:
                copy_extremes(source, some, to, extremes)
            step = pitch - left
            source, to, at, left = source + 4 * step, to + 4 * (ow - left), at - step, 0
        sums += stride
        dest += plane


@njit(cache=True, nogil=True)
def _pool(plan, sums, filters, stride, first, begin, end, factors, biases, clip, dest, plane, extremes):
    # Rows begin..end of the maxima of a tile's sums (int32): what follows a sum keeps the order of numbers.
    window, pitch, top = plan.window, 4 * (plan.across if plan.rows else plan.pitch), first // plan.pitch
    for y in range(begin, end):
        # Rows inside of the plane; one of them stands for those outside.
        low, high = max(0, 2 * y - window.above) - top, min(plan.down, 2 * y - window.above + window.kernel) - top
        for i in range(filters):
            one, last = sums + stride * i + low * pitch, sums + stride * i + (high - 1) * pitch
            to = dest + plane * i + 4 * y * window.columns
            if window.kernel == 2:
                pool_row(2, (one, last), plan.across, window.left, window.columns, factors[i], biases[i], clip, to,
                         extremes)
            else:
                pool_row(3, (one, min(one + pitch, last), last), plan.across, window.left, window.columns, factors[i],
                         biases[i], clip, to, extremes)
