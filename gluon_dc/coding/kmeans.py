"""One-dimensional k-means over weights (paper section 3), on sorted values with prefix sums.

In sorted order a cluster is a range, so an iteration is one binary search per centroid and two differences of prefix
sums: its cost does not grow with the number of weights.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .arrays import flat_input
from .optimal import optimal_edges

STARTS = ("linear", "density", "random", "kmeans++", "optimal")
_FINE_GROUPS = 2**13


class _Sorted(NamedTuple):
    values: np.ndarray                  # float32 (n,), ascending, n >= 1
    weight_sums: np.ndarray | None      # float64 (n + 1,), weights of the first i values; None: each weighs 1
    value_sums: np.ndarray              # float64 (n + 1,), weight * value likewise


def cluster(values, k: int, start: str = "linear", seed: int = 0, weights=None,
            max_iterations: int = 300) -> np.ndarray:
    """At most `k` centroids of the values, float32, ascending, distinct, by Lloyd's iterations.

    Parameters: `values` float of any shape, at least one, finite, taken as float32; `start` one of STARTS, `seed` for
    those that draw; `weights` of the same shape, finite, >= 0 (a value of weight 0 has no say). Iterates until no
    value changes its cluster or `max_iterations` are done. A cluster that ran empty is dropped; values with at most
    `k` distinct numbers give exactly those. Raises ValueError for anything else. Source: paper section 3.1.
    """
    _check_start(start)
    data = _sort(values, k, weights)
    if max_iterations < 0:
        raise ValueError(f"max_iterations must be >= 0, got {max_iterations}")
    if (distinct := _few_distinct(data.values, k)) is not None:
        return distinct
    centroids = _start(data, k, start, seed)
    edges = _edges(data.values, centroids)
    for _ in range(max_iterations):
        centroids = _means(data, edges, centroids)
        previous, edges = edges, _edges(data.values, centroids)
        if np.array_equal(previous, edges):
            break
    return np.unique(centroids[np.diff(_weight_below(data, edges)) > 0].astype(np.float32))


def starting_centroids(values, k: int, start: str = "linear", seed: int = 0, weights=None) -> np.ndarray:
    """Centroids before the first iteration: float64, ascending, distinct, at most `k`. Arguments as for `cluster`.

    linear: evenly from the least to the largest value. density: where the cumulative distribution passes the levels
    (i + 1/2) / k. random (Forgy): `k` of the values. kmeans++: each drawn with a probability that grows with the
    squared distance to those before. optimal: the least inertia there is, over at most 2**14 groups of neighbouring
    values. Source: paper section 3.2; Arthur and Vassilvitskii, SODA 2007, for k-means++.
    """
    _check_start(start)
    return _start(_sort(values, k, weights), k, start, seed)


def assign(values, centroids) -> np.ndarray:
    """Index of the nearest of the ascending, distinct `centroids` (k,) for each value, ties to the lower one.

    Returns the values' shape; uint8 for k <= 256, int64 above. Values are taken as float32 and must not be NaN.
    """
    values = np.asarray(values, np.float32)
    limits = _upper_limits(_checked_centroids(centroids))
    if limits.size >= 256:
        return np.searchsorted(limits, values, side="left")
    indices = np.empty(values.size, np.uint8)
    _assign(flat_input(values, np.float32), flat_input(limits, np.float32), indices)
    return indices.reshape(values.shape)


def inertia(values, centroids, weights=None) -> float:
    """Sum of weight * (value - nearest centroid)**2 in float64; the objective of k-means, paper eq. 2."""
    values = np.asarray(values, np.float32)
    squares = values - np.asarray(centroids, np.float64)[assign(values, centroids)]
    np.square(squares, out=squares)
    return float(squares.sum() if weights is None else np.sum(squares * np.asarray(weights)))


def _check_start(start: str) -> None:
    if start not in STARTS:
        raise ValueError(f"unknown start {start!r}, expected one of {', '.join(STARTS)}")


def _sort(values, k: int, weights) -> _Sorted:
    values = np.array(values, np.float32).reshape(-1)
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    bad = values.size - np.count_nonzero(np.isfinite(values))
    if bad:
        raise ValueError(f"{bad} of {values.size} values are NaN or infinite in float32: k-means needs finite values")
    if weights is not None:
        values, weights = _weighted(values, weights)
    if values.size == 0:
        raise ValueError("k-means needs at least one value (of a weight above 0), got none")
    if weights is None:
        values.sort()
        return _Sorted(values, None, _prefix_sums(values))
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    return _Sorted(values, _prefix_sums(weights), _prefix_sums(weights * values))


def _weighted(values: np.ndarray, weights) -> tuple[np.ndarray, np.ndarray]:
    weights = np.asarray(weights, np.float64).reshape(-1)
    if weights.size != values.size:
        raise ValueError(f"expected one weight per value, got {weights.size} weights for {values.size} values")
    bad = np.count_nonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad:
        raise ValueError(f"{bad} of {weights.size} weights are negative, NaN or infinite")
    return values[weights > 0], weights[weights > 0]


def _prefix_sums(terms: np.ndarray) -> np.ndarray:
    sums = np.zeros(terms.size + 1)
    np.cumsum(terms, dtype=np.float64, out=sums[1:])
    return sums


def _few_distinct(values: np.ndarray, k: int) -> np.ndarray | None:
    is_new = values[1:] != values[:-1]
    if np.count_nonzero(is_new) >= k:
        return None
    return values[np.concatenate([[True], is_new])]


def _weight_below(data: _Sorted, edges: np.ndarray) -> np.ndarray:
    return edges if data.weight_sums is None else data.weight_sums[edges]


def _upper_limits(centroids: np.ndarray) -> np.ndarray:
    # The largest float32 that is still nearest to centroid i and not to i + 1: the midpoint rounded down. Comparing
    # float32 with it decides as the float64 midpoint would, without a float64 copy of the values.
    midpoints = centroids[:-1] + (centroids[1:] - centroids[:-1]) / 2
    limits = midpoints.astype(np.float32)
    return np.where(limits > midpoints, np.nextafter(limits, np.float32(-np.inf)), limits)


def _edges(values: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    # Cluster i is values[edges[i]:edges[i + 1]].
    inner = np.searchsorted(values, _upper_limits(centroids), side="right")
    return np.concatenate([[0], inner, [values.size]])


def _means(data: _Sorted, edges: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    # Means of the clusters; one without values (or of a weight lost in rounding) keeps its centroid.
    weight = np.diff(_weight_below(data, edges))
    filled = weight > 0
    low, high = edges[:-1][filled], edges[1:][filled]
    means = (data.value_sums[high] - data.value_sums[low]) / weight[filled]
    result = centroids.copy()
    # The difference of two long sums may miss the range of its values by a rounding error.
    result[filled] = np.clip(means, data.values[low], data.values[high - 1])
    return result


def _start(data: _Sorted, k: int, start: str, seed: int) -> np.ndarray:
    # Assumes one of STARTS.
    rng = np.random.default_rng(seed)
    values = data.values
    if start == "linear":
        centroids = np.linspace(float(values[0]), float(values[-1]), k)
    elif start == "density":
        centroids = values[_at_level(data, (np.arange(k) + 0.5) / k)]
    elif start == "random":
        centroids = rng.choice(values, min(k, values.size), replace=False)
    elif start == "kmeans++":
        centroids = _plus_plus(data, k, rng)
    else:
        centroids = _optimal(data, k)
    return np.unique(centroids.astype(np.float64))


def _at_level(data: _Sorted, levels: np.ndarray) -> np.ndarray:
    # Index of the value at which the cumulative weight first exceeds each share, 0 <= level < 1, of the total.
    last = data.values.size - 1
    if data.weight_sums is None:
        return np.minimum((levels * data.values.size).astype(np.int64), last)
    return np.minimum(np.searchsorted(data.weight_sums[1:], levels * data.weight_sums[-1], side="right"), last)


def _plus_plus(data: _Sorted, k: int, rng: np.random.Generator) -> np.ndarray:
    values = data.values.astype(np.float64)
    weights = 1.0 if data.weight_sums is None else np.diff(data.weight_sums)
    centroids = [values[_at_level(data, rng.random(1))[0]]]
    distance = np.square(values - centroids[0])
    while len(centroids) < k and distance.any():
        chances = np.cumsum(distance * weights)
        drawn = np.searchsorted(chances, rng.random() * chances[-1], side="right")
        centroids.append(values[min(drawn, values.size - 1)])
        np.minimum(distance, np.square(values - centroids[-1]), out=distance)
    return np.array(centroids)


def _optimal(data: _Sorted, k: int) -> np.ndarray:
    # Groups: half of them equally wide, half equally full, so that neither outliers nor a dense middle is coarse.
    n = data.values.size
    limits = np.linspace(float(data.values[0]), float(data.values[-1]), _FINE_GROUPS).astype(np.float32)
    full = np.linspace(0, n, min(n, _FINE_GROUPS) + 1).astype(np.int64)
    groups = np.unique(np.concatenate([np.searchsorted(data.values, limits), full]))
    groups = groups[np.diff(_weight_below(data, groups), prepend=-1) > 0]
    weights = np.diff(_weight_below(data, groups)).astype(np.float64)
    means = np.diff(data.value_sums[groups]) / weights
    edges = groups[optimal_edges(means, weights, min(k, means.size))]
    return np.diff(data.value_sums[edges]) / np.diff(_weight_below(data, edges))


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
