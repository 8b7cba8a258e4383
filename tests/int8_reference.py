"""An int8 convolution as docs/runtime.md says it, in NumPy: what all ways to run one must give, bit for bit."""

import numpy as np
from conv_cases import plain_convolution


def byte_filters(weight):
    """(whole numbers -127 .. 127, scales float64 (filters,)) of a weight (filters, channels, kh, kw)."""
    scales = np.abs(weight).max(axis=(1, 2, 3)).astype(np.float64) / 127
    return np.rint(weight / np.where(scales > 0, scales, 1)[:, None, None, None]), scales


def byte_image(image):
    """(whole numbers 0 .. 255 as float64, the one that stands for 0, the scale) of float32 numbers."""
    high, low = max(0.0, float(image.max())), min(0.0, float(image.min()))
    if high - low < 1e-30:
        return np.zeros(image.shape), 0, 0.0
    inverse = np.float32(255 / (high - low))
    zero = np.rint(np.float32(-low) * inverse)
    return np.minimum(np.rint((image * inverse).astype(np.float64) + zero), 255), zero, (high - low) / 255


def int8_convolution(x, weight, geometry, bias=None, clip=(-np.inf, np.inf)):
    """float32 (n, out, oh, ow) of x float32 (n, c, h, w)."""
    numbers, scales = byte_filters(weight)
    found = []
    for image in x:
        pixels, zero, scale = byte_image(image)
        sums = plain_convolution((pixels - zero)[None], numbers, geometry)[0].astype(np.float32)
        made = sums * (scale * scales).astype(np.float32)[:, None, None]
        found.append(np.clip(made if bias is None else made + bias[:, None, None], *map(np.float32, clip)))
    return np.array(found)


def bound(x, weight, geometry):
    """float64 (n, out, oh, ow): how far an int8 convolution may be off at most, rounding of its sums left out.

    A weight is off by half a step of its filter, a pixel by half a step of its image (and as much again where zero
    falls between two steps).
    """
    _, scales = byte_filters(weight)
    found = []
    for image in x:
        _, zero, scale = byte_image(image)
        step = scale * (1.0 if zero else 0.5)
        inside, ones = np.ones_like(image), np.ones_like(weight)
        of_pixels = step * plain_convolution(inside[None], np.abs(weight), geometry)[0]
        of_weights = plain_convolution(np.abs(image)[None] + step, ones, geometry)[0] * (scales / 2)[:, None, None]
        found.append(of_pixels + of_weights)
    return np.array(found)


def maxima(planes, kernel, pad, size):
    """The maxima float32 (n, c, *size) over kernel x kernel pixels, 2 apart, of planes (n, c, h, w)."""
    down, across = (max(0, 2 * many + kernel - pixels) for many, pixels in zip(size, planes.shape[2:]))
    padded = np.pad(planes, ((0, 0), (0, 0), (pad, down), (pad, across)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))
    return windows[:, :, :2 * size[0]:2, :2 * size[1]:2].max(axis=(4, 5))
