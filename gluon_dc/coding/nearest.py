"""Which centroid a value is nearest to: exact, in float32, for many values at once."""

import numpy as np
from numba import njit

from .arrays import flat_input
from .threads import in_threads, pieces

# From here on a table over the values' highest bits pays for being made.
_MANY = 2**18
_TABLE_BITS = 16


def assign(values, centroids) -> np.ndarray:
    """Index of the nearest of the ascending, distinct `centroids` (k,) for each value, ties to the lower one.

    Returns the values' shape; uint8 for k <= 256, int64 above. Values are taken as float32 and must not be NaN.
    """
    values = np.asarray(values, np.float32)
    limits = upper_limits(_checked_centroids(centroids))
    if limits.size >= 256:
        return np.searchsorted(limits, values, side="left")
    indices = np.empty(values.size, np.uint8)
    flat, limits = flat_input(values, np.float32), flat_input(limits, np.float32)
    if flat.size < _MANY:
        _assign(flat, limits, indices)
    else:
        table = limit_table(limits)
        in_threads(lambda piece: _assign_many(flat[piece], limits, table, indices[piece]), pieces(flat.size))
    return indices.reshape(values.shape)


def nearest_codes(weight, centroids) -> np.ndarray:
    """Codes uint8, of the weight's shape: 1 + index of the nearest centroid, and 0 for zeros.

    Parameters: `weight` float32, any shape, not NaN; `centroids` float32, ascending, distinct, (1..255,). Weights
    whose nearest centroid is 0 take code 0 too.
    """
    centroids = _checked_centroids(centroids)
    flat = flat_input(weight, np.float32)
    limits = flat_input(upper_limits(centroids), np.float32)
    code_of = flat_input(np.where(centroids == 0, 0, np.arange(1, centroids.size + 1)), np.uint8)
    codes = np.empty(flat.size, np.uint8)
    if flat.size < _MANY:
        _assign(flat, limits, codes)
        _to_codes(flat, code_of, codes)
    else:
        table = limit_table(limits)
        in_threads(lambda piece: _nearest_codes(flat[piece], limits, table, code_of, codes[piece]), pieces(flat.size))
    return codes.reshape(np.shape(weight))


def cluster_sums(values, centroids, skip_zeros: bool) -> tuple[np.ndarray, np.ndarray]:
    """Counts int64 (k,) and sums float64 (k,) of the values nearest to each of the ascending centroids, k <= 256.

    `values` float32, any shape, not NaN; `skip_zeros` leaves those out that are 0.
    """
    limits = flat_input(upper_limits(_checked_centroids(centroids)), np.float32)
    table, flat = limit_table(limits), flat_input(values, np.float32)
    k = limits.size + 1

    def add_up(piece):
        counts, sums = np.zeros(k, np.int64), np.zeros(k)
        _add_up(flat[piece], limits, table, skip_zeros, counts, sums)
        return counts, sums
    found = in_threads(add_up, pieces(flat.size))
    return sum((counts for counts, _ in found), np.zeros(k, np.int64)), sum((sums for _, sums in found), np.zeros(k))


def upper_limits(centroids: np.ndarray) -> np.ndarray:
    """The largest float32 that is still nearest to centroid i and not to i + 1: the midpoint rounded down; (k - 1,).

    Comparing float32 with it decides as the float64 midpoint would, without a float64 copy of the values.
    """
    midpoints = centroids[:-1] + (centroids[1:] - centroids[:-1]) / 2
    limits = midpoints.astype(np.float32)
    return np.where(limits > midpoints, np.nextafter(limits, np.float32(-np.inf)), limits)


def limit_table(limits: np.ndarray) -> np.ndarray:
    """Between which indices a value with given highest 16 bits lies: uint8 (2**16, 2), for at most 255 limits."""
    bits = np.arange(2**_TABLE_BITS, dtype=np.uint32) << (32 - _TABLE_BITS)
    ends = np.stack([bits, bits | (2**(32 - _TABLE_BITS) - 1)], axis=1).view(np.float32)
    # Among negative ones those of higher bits are the lower values.
    ends = np.where(np.signbit(ends[:, :1]), ends[:, ::-1], ends)
    return flat_input(np.searchsorted(limits, ends, side="left"), np.uint8).reshape(-1, 2)


def _checked_centroids(centroids) -> np.ndarray:
    centroids = np.asarray(centroids, np.float64)
    if centroids.ndim != 1 or centroids.size == 0 or not np.all(centroids[1:] > centroids[:-1]):
        raise ValueError(f"centroids must be ascending and distinct in one dimension, got shape {centroids.shape}")
    return centroids


@njit(cache=True, nogil=True)
def _assign(values, limits, indices):
    # Counting all limits below a value runs several of them at once; a binary search of so few is 4 times slower.
    for i in range(values.size):
        index = 0
        for j in range(limits.size):
            index += limits[j] < values[i]
        indices[i] = index


@njit(cache=True, nogil=True)
def _to_codes(values, code_of, indices):
    for i in range(values.size):
        indices[i] = 0 if values[i] == 0 else code_of[indices[i]]


@njit(cache=True, nogil=True, inline="always")
def _index(value, bits, limits, table):
    # How many limits lie below the value. Mostly its highest bits alone say it.
    row = bits >> np.uint32(32 - _TABLE_BITS)
    low, high = np.int64(table[row, 0]), np.int64(table[row, 1])
    while low < high:
        middle = (low + high) >> 1
        if limits[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _assign_many(values, limits, table, indices):
    bits = values.view(np.uint32)
    for i in range(values.size):
        indices[i] = _index(values[i], bits[i], limits, table)


@njit(cache=True, nogil=True)
def _nearest_codes(values, limits, table, code_of, codes):
    bits = values.view(np.uint32)
    for i in range(values.size):
        codes[i] = 0 if values[i] == 0 else code_of[_index(values[i], bits[i], limits, table)]


@njit(cache=True, nogil=True)
def _add_up(values, limits, table, skip_zeros, counts, sums):
    bits = values.view(np.uint32)
    for i in range(values.size):
        if not (skip_zeros and values[i] == 0):
            index = _index(values[i], bits[i], limits, table)
            counts[index] += 1
            sums[index] += values[i]
