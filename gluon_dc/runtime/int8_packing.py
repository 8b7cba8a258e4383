"""From float32 to bytes: the weights of an int8 convolution, and a tile's input."""

import numpy as np
from numba import njit

from .int8_pack_code import byte_lanes, byte_row, byte_vectors, fill_words, spread_bytes
from .int8_plan import TOGETHER
from .simd import LANES
from .tile_kernel import address
from .tile_packing import copy_run

LEAST_RANGE = 1e-30  # a smaller one counts as zeros: its inverse would be no float32
_SIGN = np.uint32(0x80000000)  # -0.0


@njit(cache=True, nogil=True)
def quantization(extremes, scales, sums, factors, starts):
    """From an image's extremes int32 (2, 16), as `word_extremes` finds them, to how it is made bytes; (inverse, zero).

    A byte is x * inverse + zero and stands for (byte - zero) * scale. scales float64, sums int32 (groups, filters): of
    the weights; to factors float32 and starts int32, likewise: what a sum is multiplied by and begins with. An image
    with NaN or an infinity has factors of NaN.
    """
    pair = np.empty(2, np.uint32)
    pair[0], pair[1] = np.uint32(extremes[0].max()), _SIGN
    for lane in range(LANES):
        pair[1] = max(pair[1], np.uint32(extremes[1, lane]))
    most, least = np.float64(pair.view(np.float32)[0]), np.float64(pair.view(np.float32)[1])
    inverse, zero, scale = np.float32(0), np.float32(0), 0.0
    if not (most < np.inf and least > -np.inf):
        scale = np.nan
    elif most - least >= LEAST_RANGE:
        scale, inverse = (most - least) / 255, np.float32(255 / (most - least))
        zero = np.float32(np.rint(np.float32(-least) * inverse))
    for group in range(sums.shape[0]):
        for i in range(sums.shape[1]):
            factors[group, i] = scale * scales[group, i]
            starts[group, i] = -np.int32(zero) * sums[group, i]
    return inverse, zero


@njit(cache=True, nogil=True)
def pack_bytes(plan, x, image, channel, channels, first, length, inverse, zero, row, buffer):
    """Pack `length` positions from `first` on into all copies of a BytePlan, of `channels` planes from `channel` on.

    row: address of plan.row_words words of scratch. Pixels outside of the input are `zero`. Up to 15 words beyond the
    last copy are overwritten.
    """
    h, w = x.shape[2], x.shape[3]
    plane, word = 4 * h * w, np.int32(np.uint32(zero) * np.uint32(0x01010101))
    source = address(x) + plane * (image * x.shape[1] + channel)
    if plan.by_row:
        fill_words(word, plan.row_words, row)
    elif plan.col_stride > 1 or plan.col_shifts.size > 1:
        fill_words(word, plan.margin, row)
        fill_words(word, plan.row_words - plan.margin - w - LANES, row + 4 * (plan.margin + w))
    y, left = first // plan.pitch, first % plan.pitch
    together = 1 if plan.by_row else 4
    for c in range(0, channels, together):
        some = min(together, channels - c)
        for row_shift in plan.row_shifts:
            _pack_rows(plan, source, plane, some, h, w, y * plan.row_stride + row_shift, left, length, inverse, zero,
                       word, row, buffer)
            buffer += 4 * plan.copy_words * plan.col_shifts.size
        source += together * plane


@njit(cache=True, nogil=True)
def _pack_rows(plan, source, plane, channels, h, w, y, left, length, inverse, zero, word, row, buffer):
    # The copies of four channels that begin with an input row, one for each column shift.
    done = 0
    while done < length:
        count, dest = min(plan.pitch - left, length - done), buffer + 4 * done
        if not 0 <= y < h:
            for _ in range(plan.col_shifts.size):
                fill_words(word, count, dest)
                dest += 4 * plan.copy_words
        elif plan.by_row:
            byte_row(source + 4 * w * y, w, inverse, zero, row + plan.margin)
            _spread(plan.col_stride, row + plan.margin + left * plan.col_stride + plan.col_shifts[0], count, dest)
        elif plan.col_stride == 1 and plan.col_shifts.size == 1:
            _pack_run(source + 4 * w * y, plane, channels, w, left + plan.col_shifts[0], count, inverse, zero, dest)
        else:
            _pack_run(source + 4 * w * y, plane, channels, w, 0, w, inverse, zero, row + 4 * plan.margin)
            for shift in plan.col_shifts:
                copy_run(row, plan.row_words, plan.margin + left * plan.col_stride + shift, plan.col_stride, count,
                         dest)
                dest += 4 * plan.copy_words
        y, left, done = y + plan.row_stride, 0, done + count


@njit(cache=True, nogil=True)
def _pack_run(source, plane, channels, w, column, count, inverse, zero, dest):
    # dest[i] = the word of column + i of a row, `zero` outside of 0..w, for i < count rounded up to a register.
    whole = (count + LANES - 1) // LANES
    head, inside = 0, 0
    if channels == 4:
        head = min(whole, (max(0, -column) + LANES - 1) // LANES)
        inside = max(head, min(whole, (w - column) // LANES))
    for i in range(0, LANES * head, LANES):
        byte_lanes(source + 4 * (column + i), plane, channels, -column - i, w - column - i, inverse, zero, dest + 4 * i)
    byte_vectors(source + 4 * (column + LANES * head), plane, inside - head, inverse, zero, dest + 4 * LANES * head)
    for i in range(LANES * max(head, inside), count, LANES):
        byte_lanes(source + 4 * (column + i), plane, channels, -column - i, w - column - i, inverse, zero, dest + 4 * i)


@njit(cache=True, nogil=True)
def _spread(stride, source, count, dest):
    # numba compiles the kernel once for each literal number.
    if stride == 1:
        spread_bytes(1, source, count, dest)
    elif stride == 2:
        spread_bytes(2, source, count, dest)
    else:
        spread_bytes(4, source, count, dest)


def by_row(weight):
    """Filters (groups, filters, channels, kh, kw) as those of a plan whose words lie by row: (groups, filters, 4 *
    channels, kh, words of a row)."""
    groups, filters, channels, down, across = weight.shape
    words = -(-across // TOGETHER)
    found = np.zeros((groups, filters, channels, down, words * TOGETHER), weight.dtype)
    found[..., :across] = weight
    found = found.reshape(groups, filters, channels, down, words, TOGETHER).transpose(0, 1, 2, 5, 3, 4)
    return np.ascontiguousarray(found).reshape(groups, filters, -1, down, words)


def byte_weights(weight, bundle):
    """Filters float32 (groups, filters, channels, kh, kw) as bytes: (int8 (groups, bundles, keys, bundle, 4), float64
    scales, int32 sums of bytes, both (groups, bundles * bundle)).

    Filter f is about bytes * scale: its largest weight is 127 or -127. A key is a tap of four channels; filters and
    channels that are none are 0. A filter with NaN or an infinity has the scale NaN.
    """
    groups, filters, channels, *kernel = weight.shape
    words, bundles = -(-channels // 4), -(-filters // bundle)
    largest = np.abs(weight).max(axis=(2, 3, 4), initial=0).astype(np.float64)
    finite = np.isfinite(largest)
    scale = np.where(finite, largest / 127, np.nan)
    divisor = np.where(finite & (largest > 0), scale, 1)[:, :, None, None, None]
    packed = np.zeros((groups, bundles * bundle, words * 4, *kernel), np.int8)
    packed[:, :filters, :channels] = np.rint(np.where(finite[:, :, None, None, None], weight, 0) / divisor)
    sums = packed.sum(axis=(2, 3, 4), dtype=np.int32)
    scales = np.zeros(sums.shape)
    scales[:, :filters] = scale
    packed = packed.reshape(groups, bundles, bundle, words, 4, -1).transpose(0, 1, 3, 5, 2, 4)
    return packed.reshape(groups, bundles, -1, bundle, 4), scales, sums
