"""What follows a convolution's sums before they are written: bias or batch norm, and a clip."""

from typing import NamedTuple

import numpy as np


class Epilogue(NamedTuple):
    """Per filter: sums begin with start; then clip(sum * scale + shift, least, most), scale only where it has elements.

    start float32 (filters,); scale, shift float32 (filters,), or (0,) for none. (A tuple, as numba takes no other
    record.)
    """

    start: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    least: np.float32
    most: np.float32


def epilogue(filters, bias=None, scale=None, relu=False, most=np.inf) -> Epilogue:
    """The Epilogue of clip(sum * scale + bias); bias, scale: float32 (filters,) or None; relu: of nothing below 0."""
    zeros, none = np.zeros(filters, np.float32), np.zeros(0, np.float32)
    bias, bounds = zeros if bias is None else bias, (np.float32(0 if relu else -np.inf), np.float32(most))
    return Epilogue(bias, none, none, *bounds) if scale is None else Epilogue(zeros, scale, bias, *bounds)
