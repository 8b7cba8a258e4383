"""Views and copies of arrays as the kernels and records of this package want them."""

import numpy as np

from .threads import in_threads, pieces


def flat_input(array, dtype) -> np.ndarray:
    """View of `array` as a contiguous, read-only (n,) array of `dtype`; a copy only where the layout or dtype differs.

    numba compiles a kernel once per argument type, and read-only is part of the type: one form, one compilation.
    """
    flat = np.ascontiguousarray(array, dtype=dtype).reshape(-1).view()
    flat.flags.writeable = False
    return flat


def symbol_input(symbols) -> np.ndarray:
    """`flat_input` for uint8 symbols. TypeError on any other dtype: a silent cast would change the symbols."""
    symbols = np.asarray(symbols)
    if symbols.dtype != np.uint8:
        raise TypeError(f"expected an array of uint8 symbols, got {symbols.dtype}: convert it with .astype(np.uint8)")
    return flat_input(symbols, np.uint8)


def frozen(array, dtype) -> np.ndarray:
    """Contiguous read-only array of `dtype`, same shape. A read-only input is kept as it is, any other is copied."""
    array = np.asarray(array)
    if array.dtype == dtype and array.flags.c_contiguous and not array.flags.writeable:
        return array
    result = np.array(array, dtype=dtype, order="C")
    result.flags.writeable = False
    return result


def count_not_finite(array) -> int:
    """How many elements of a float array are NaN or infinite, without a temporary of its size."""
    flat = np.asarray(array).reshape(-1)
    return flat.size - sum(in_threads(lambda piece: int(np.count_nonzero(np.isfinite(flat[piece]))), pieces(flat.size)))


def count_nonzero(array) -> int:
    """How many elements of an array differ from 0."""
    flat = np.asarray(array).reshape(-1)
    return sum(in_threads(lambda piece: int(np.count_nonzero(flat[piece])), pieces(flat.size)))
