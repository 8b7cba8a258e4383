"""What the kernels of one input row share: its copy in, the sums' way out."""

import numpy as np
from numba import njit

from .simd import LANES

_EXPONENT = np.uint32(0x7F800000)


@njit(cache=True, nogil=True)
def copy_finite(x, scratch) -> bool:
    """Copy x float32 (cols,) into scratch, whose rest becomes 0; whether all of x is finite."""
    bits = x.view(np.uint32)
    odd = 0
    for column in range(x.size):
        scratch[column] = x[column]
        odd += (bits[column] & _EXPONENT) == _EXPONENT
    scratch[x.size:] = 0
    return odd == 0


@njit(cache=True, nogil=True)
def finish_rows(sums, order, first, bias, relu, y):
    """y[order[16 (first + s) + lane]] = sums[s, lane] + bias, not below 0 with `relu` (NaN stays NaN).

    sums: float32 (n, 16) of the slices first <= . < first + n. bias: (rows,) or (0,).
    """
    begin = LANES * first
    flat, rows = sums.reshape(-1), order[begin:begin + sums.size]
    for place in range(rows.size):
        row, total = rows[place], flat[place]
        if bias.size:
            total += bias[row]
        y[row] = np.float32(0) if relu and total < 0 else total
