"""Varied copies of digits: each image turned, scaled, sheared, moved and bent by numbers of its own.

As in Simard, Steinkraus, Platt 2003 ("Best practices for convolutional neural networks"): a small affine map and a
smooth random field of displacements, read bilinearly. NumPy and numba alone.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True)
class Warp:
    """How far images are varied, uniformly either way; all 0 leaves them as they are.

    shift: pixels. rotation: degrees. scale, shear: shares. elastic: root mean square displacement in pixels.
    """

    shift: float = 1.5
    rotation: float = 8.0
    scale: float = 0.08
    shear: float = 0.08
    elastic: float = 0.5


def elastic_fields(rng, count, sigma, side=28):
    """Smooth random displacements: float32 (count, 2, side, side), down and right, of root mean square 1 each.

    Uniform noise under a Gaussian of `sigma` pixels, zeros beyond the edge.
    """
    noise = rng.uniform(-1, 1, (count, 2, side, side)).astype(np.float32)
    offsets = np.arange(side)[:, None] - np.arange(side)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2).astype(np.float32)
    fields = kernel @ noise @ kernel
    return fields / np.sqrt((fields**2).mean(axis=(1, 2, 3), keepdims=True))


def warped(images, rng, warp, fields):
    """Every image varied by numbers drawn from `rng` and a field drawn from `fields`.

    images: uint8 (n, 1, side, side); so is what is returned. Outside of an image is 0. Equal generators give equal
    images.
    """
    count, _, side, _ = images.shape
    maps = _affine_maps(rng, count, warp)
    chosen = rng.integers(len(fields), size=count)
    out = np.empty((count, side, side), np.uint8)
    _warp(np.ascontiguousarray(images).reshape(count, side, side), out, maps, fields, chosen, np.float32(warp.elastic))
    return out.reshape(images.shape)


def _affine_maps(rng, count, warp):
    """float32 (count, 6): from a place in the new image to one in the old, rows then columns, around the middle."""
    angle = np.deg2rad(rng.uniform(-warp.rotation, warp.rotation, count))
    scale = 1 + rng.uniform(-warp.scale, warp.scale, (count, 2))
    shear = rng.uniform(-warp.shear, warp.shear, count)
    moved = rng.uniform(-warp.shift, warp.shift, (count, 2))
    return np.column_stack([np.cos(angle) * scale[:, 0], -np.sin(angle) * scale[:, 1],
                            np.sin(angle) * scale[:, 0] + shear, np.cos(angle) * scale[:, 1], moved]).astype(np.float32)


@njit(cache=True, nogil=True)
def _warp(images, out, maps, fields, chosen, elastic):
    count, side, _ = images.shape
    middle = (side - 1) / 2
    for i in range(count):
        by_down, by_right = fields[chosen[i], 0], fields[chosen[i], 1]
        for y in range(side):
            for x in range(side):
                down, right = y - middle, x - middle
                source_y = maps[i, 0] * down + maps[i, 1] * right + maps[i, 4] + middle + elastic * by_down[y, x]
                source_x = maps[i, 2] * down + maps[i, 3] * right + maps[i, 5] + middle + elastic * by_right[y, x]
                out[i, y, x] = np.uint8(min(255.0, _between(images[i], source_y, source_x) + 0.5))


@njit(cache=True, nogil=True, inline="always")
def _between(image, y, x):
    """Bilinear value of an image at a place, zeros beyond its edge."""
    top, left = int(np.floor(y)), int(np.floor(x))
    below, beside = y - top, x - left
    value = 0.0
    for down in range(2):
        for right in range(2):
            row, column = top + down, left + right
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                value += (below if down else 1 - below) * (beside if right else 1 - beside) * image[row, column]
    return value
