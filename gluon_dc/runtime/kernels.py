"""Loops over activations: float32, C-contiguous, no bounds checked; the GIL is released.

Planes are (h, w) images of one channel of one input; every kernel works on planes begin..end, so that threads share
them out. `low` and `high` clip what is written: (0, inf) is ReLU, (-inf, inf) nothing; NaN goes through.
"""

import math

import numpy as np
from numba import njit

LOWEST = np.float32(np.finfo(np.float32).min)


@njit(cache=True, nogil=True, inline="always")
def _clipped(value, low, high):
    value = low if value < low else value
    return high if value > high else value


@njit(cache=True, nogil=True)
def scale_planes(x, scale, shift, low, high, out, begin, end):
    """out[p] = clip(x[p] * scale[c] + shift[c]); x, out (planes, size); scale, shift (channels,); c = p mod channels."""
    channels = scale.size
    for plane in range(begin, end):
        a, b = scale[plane % channels], shift[plane % channels]
        for i in range(x.shape[1]):
            out[plane, i] = _clipped(x[plane, i] * a + b, low, high)


@njit(cache=True, nogil=True)
def clip_flat(x, low, high, out, begin, end):
    """out = clip(x), flat."""
    # Of slices, counted from 0, LLVM makes vectors: an index that may be negative costs four times as much.
    x, out = x[begin:end], out[begin:end]
    for i in range(out.size):
        out[i] = _clipped(x[i], low, high)


@njit(cache=True, nogil=True)
def add_flat(x, y, low, high, out, begin, end):
    """out = clip(x + y), flat."""
    x, y, out = x[begin:end], y[begin:end], out[begin:end]
    for i in range(out.size):
        out[i] = _clipped(x[i] + y[i], low, high)


@njit(cache=True, nogil=True)
def gelu_flat(x, out, begin, end):
    """out = x * (1 + erf(x / sqrt(2))) / 2, flat."""
    for i in range(begin, end):
        out[i] = x[i] * np.float32(0.5) * np.float32(1 + math.erf(x[i] * math.sqrt(0.5)))


@njit(cache=True, nogil=True)
def leaky_planes(x, slopes, out, begin, end):
    """out[p] = x[p] above 0, else slope * x[p]; x, out (planes, size); slopes (many,), that of p is p mod many."""
    for plane in range(begin, end):
        slope = slopes[plane % slopes.size]
        for i in range(x.shape[1]):
            value = x[plane, i]
            out[plane, i] = value if value > 0 else slope * value


@njit(cache=True, nogil=True)
def bias_rows(bias, low, out, begin, end):
    """out[r] = max(low, out[r] + bias); out (rows, size), bias (size,)."""
    for row in range(begin, end):
        for i in range(bias.size):
            value = out[row, i] + bias[i]
            out[row, i] = low if value < low else value


@njit(cache=True, nogil=True)
def scale_by_plane(x, factors, out, begin, end):
    """out[p] = x[p] * factors[p]: what a squeeze-and-excitation block does."""
    for plane in range(begin, end):
        factor = factors[plane]
        for i in range(x.shape[1]):
            out[plane, i] = x[plane, i] * factor


@njit(cache=True, nogil=True, inline="always")
def _span(stride, pad, tap, size, outputs):
    # Outputs first..last whose input at this tap lies inside.
    first = max(0, (pad - tap + stride - 1) // stride)
    last = (size - 1 + pad - tap) // stride + 1 if size + pad > tap else 0
    return first, max(first, min(outputs, last))


@njit(cache=True, nogil=True, inline="always")
def _larger(value, most):
    # One instruction; `most` where value is NaN.
    return value if value > most else most


@njit(cache=True, nogil=True)
def max_pool(x, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, out, begin, end):
    """Maximum over each window; x (planes, h, w), out (planes, oh, ow).

    As in MXNet NaN is passed over, and the least that comes out is the lowest float32: of an empty window, of nothing
    but NaN, of -inf. Down the columns first, which goes over whole rows, then along what that leaves.
    """
    height, width = x.shape[1], x.shape[2]
    outputs = out.shape[2]
    # A step over all of the input leads beyond it, however far: no more memory is taken for a longer one.
    stride_w = min(stride_w, pad_w + width)
    # Column j of the input stands at pad_w + j, with as many lowest values around as windows reach over the edges.
    column = np.full(max(pad_w + width, (outputs - 1) * stride_w + kernel_w), LOWEST, np.float32)
    inside = column[pad_w:pad_w + width]
    for plane in range(begin, end):
        for i in range(out.shape[1]):
            top = i * stride_h - pad_h
            first, last = max(0, top), min(top + kernel_h, height)
            if first >= last:
                inside[:] = LOWEST
            else:
                row = x[plane, first]
                for j in range(width):  # a loop is faster than an assignment of a slice
                    inside[j] = _larger(row[j], LOWEST)
            for y in range(first + 1, last):
                row = x[plane, y]
                for j in range(width):
                    inside[j] = _larger(row[j], inside[j])
            if kernel_w == 3 and stride_w == 2:
                _max_of_threes(column, out[plane, i])
            else:
                _max_of_runs(column, kernel_w, stride_w, out[plane, i])


@njit(cache=True, nogil=True, inline="always")
def _max_of_threes(values, out):
    # Runs of 3 by steps of 2, as in most nets: with known numbers LLVM makes vectors of them.
    for j in range(out.size):
        a, b, c = values[2 * j], values[2 * j + 1], values[2 * j + 2]
        a = a if a >= b else b
        out[j] = a if a >= c else c


@njit(cache=True, nogil=True)
def _max_of_runs(values, run, stride, out):
    for j in range(out.size):
        most = values[j * stride]
        for i in range(j * stride + 1, j * stride + run):
            most = most if most >= values[i] else values[i]
        out[j] = most


@njit(cache=True, nogil=True)
def max_pool_twos(x, out, begin, end):
    """`max_pool` over windows of 2x2 that neither overlap nor reach over the edge: 2 * oh <= h, 2 * ow <= w."""
    for plane in range(begin, end):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                upper = _larger(x[plane, 2 * i, 2 * j], _larger(x[plane, 2 * i, 2 * j + 1], LOWEST))
                lower = _larger(x[plane, 2 * i + 1, 2 * j], _larger(x[plane, 2 * i + 1, 2 * j + 1], LOWEST))
                out[plane, i, j] = _larger(upper, lower)


@njit(cache=True, nogil=True)
def sum_pool(x, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, average, count_pad, out, begin, end):
    """Sum over each window, or its mean; shapes and order as in `max_pool`.

    The mean divides by the window's size: within the padded input, or with count_pad=False within the input itself.
    """
    height, width = x.shape[1], x.shape[2]
    outputs = out.shape[2]
    column = np.empty(width, np.float32)
    for plane in range(begin, end):
        for i in range(out.shape[1]):
            top = i * stride_h - pad_h
            column[:] = np.float32(0)
            for y in range(max(0, top), min(top + kernel_h, height)):
                for j in range(width):
                    column[j] += x[plane, y, j]
            row = out[plane, i]
            row[:] = np.float32(0)
            for tap in range(kernel_w):
                first, last = _span(stride_w, pad_w, tap, width, outputs)
                at = first * stride_w - pad_w + tap
                for j in range(last - first):
                    row[first + j] += column[at + j * stride_w]
            if average:
                rows = _counted(top, kernel_h, pad_h, height, count_pad)
                for j in range(outputs):
                    columns = _counted(j * stride_w - pad_w, kernel_w, pad_w, width, count_pad)
                    row[j] /= np.float32(max(1, rows * columns))


@njit(cache=True, nogil=True, inline="always")
def _counted(start, kernel, pad, size, count_pad):
    if count_pad:
        return min(start + kernel, size + pad) - start
    return min(start + kernel, size) - max(start, 0)


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def plane_means(x, out, begin, end):
    """out[p] = mean of x[p]; x (planes, size), out (planes,). Sums may be added up in any order: in vectors."""
    size = x.shape[1]
    for plane in range(begin, end):
        total = np.float32(0)
        for i in range(size):
            total += x[plane, i]
        out[plane] = total / np.float32(size)


@njit(cache=True, nogil=True)
def adaptive_means(x, out, begin, end):
    """Means over a grid of oh x ow nearly even parts; x (planes, h, w), out (planes, oh, ow)."""
    height, width = x.shape[1], x.shape[2]
    rows, columns = out.shape[1], out.shape[2]
    for plane in range(begin, end):
        for i in range(rows):
            top, bottom = i * height // rows, -(-(i + 1) * height // rows)
            for j in range(columns):
                left, right = j * width // columns, -(-(j + 1) * width // columns)
                total = 0.0
                for y in range(top, bottom):
                    for at in range(left, right):
                        total += x[plane, y, at]
                out[plane, i, j] = total / ((bottom - top) * (right - left))


@njit(cache=True, nogil=True)
def local_response(x, reach, factor, beta, knorm, out, begin, end):
    """out = x * (knorm + factor * sum of x**2 over the channels up to `reach` away)**-beta, for inputs begin..end.

    x, out: (n, channels, size).
    """
    channels, size = x.shape[1], x.shape[2]
    sums = np.empty(size, np.float32)
    for one in range(begin, end):
        for channel in range(channels):
            sums[:] = np.float32(0)
            for other in range(max(0, channel - reach), min(channels, channel + reach + 1)):
                for i in range(size):
                    sums[i] += x[one, other, i] * x[one, other, i]
            for i in range(size):
                base = knorm + factor * sums[i]
                if beta == np.float32(0.75):  # the usual one; a power takes ten times as long as two roots
                    root = np.sqrt(base)
                    out[one, channel, i] = x[one, channel, i] / (root * np.sqrt(root))
                else:
                    out[one, channel, i] = x[one, channel, i] * base ** -beta
