"""One-dimensional k-means over weights (paper section 3), on sorted values with prefix sums.

In sorted order a cluster is a range, so an iteration is one binary search per centroid and two differences of prefix
sums: its cost does not grow with the number of weights. More than 2**20 values of equal say are not sorted but put
into fine bins first (`bins`), which then stand for them; the centroids are the exact means all the same.
"""

from typing import NamedTuple

import numpy as np

from .arrays import count_nonzero, count_not_finite
from .bins import fill_bins
from .nearest import assign, cluster_sums, upper_limits
from .optimal import optimal_edges
from .threads import pieces

__all__ = ["STARTS", "assign", "cluster", "inertia", "starting_centroids"]

STARTS = ("linear", "density", "random", "kmeans++", "optimal")
_FINE_GROUPS = 2**13
_MANY = 2**20
# The share of the inertia that may lie inside of bins, out of sight: what clusters lose by it is as much at the most.
_INSIDE = 3e-4


class _Sorted(NamedTuple):
    values: np.ndarray                  # float32 (n,), ascending, n >= 1
    weight_sums: np.ndarray | None      # float64 (n + 1,), weights of the first i values; None: each weighs 1
    value_sums: np.ndarray              # float64 (n + 1,), weight * value likewise
    ends: np.ndarray                    # float32 (2,), the least and the largest value
    widths: np.ndarray | None = None    # float64 (n,) where each value stands for a bin: how wide that is


def cluster(values, k: int, start: str = "linear", seed: int = 0, weights=None,
            max_iterations: int = 300, skip_zeros: bool = False) -> np.ndarray:
    """At most `k` centroids of the values, float32, ascending, distinct, by Lloyd's iterations.

    Parameters: `values` float of any shape, at least one, finite, taken as float32; `start` one of STARTS, `seed` for
    those that draw; `weights` of the same shape, finite, >= 0 (a value of weight 0 has no say); `skip_zeros`: values
    that are 0 have no say. Iterates until no value changes its cluster or `max_iterations` are done. A cluster that
    ran empty is dropped; values with at most `k` distinct numbers give exactly those. Of more than 2**20 values
    without weights, those of a bin go to one cluster until the last iteration, the exact one; their inertia is within
    0.1 % of what sorting them would give. Raises ValueError for anything else. Source: paper section 3.1.
    """
    _check_start(start)
    if max_iterations < 0:
        raise ValueError(f"max_iterations must be >= 0, got {max_iterations}")
    values, weights = _checked(values, k, weights, skip_zeros)
    if _is_binned(values, k, weights, skip_zeros):
        data = _bin(values, skip_zeros)
        centroids = np.unique(_lloyd(data, k, start, seed, max_iterations).astype(np.float32))
        # Where bins are too coarse, or so few that the distinct values may be, the values are sorted after all.
        if data.values.size > k and _inside_bins(data) <= _INSIDE * _inertia_of_bins(data, centroids):
            return _exact_means(values, centroids, skip_zeros) if max_iterations else centroids
    data = _sort(values, weights, skip_zeros)
    if (distinct := _few_distinct(data.values, k)) is not None:
        return distinct
    return np.unique(_lloyd(data, k, start, seed, max_iterations).astype(np.float32))


def _lloyd(data: _Sorted, k: int, start: str, seed: int, max_iterations: int) -> np.ndarray:
    # Centroids float64, ascending, of the clusters that hold something.
    centroids = _start(data, k, start, seed)
    edges = _edges(data.values, centroids)
    for _ in range(max_iterations):
        centroids = _means(data, edges, centroids)
        previous, edges = edges, _edges(data.values, centroids)
        if np.array_equal(previous, edges):
            break
    return centroids[np.diff(_weight_below(data, edges)) > 0]


def starting_centroids(values, k: int, start: str = "linear", seed: int = 0, weights=None) -> np.ndarray:
    """Centroids before the first iteration: float64, ascending, distinct, at most `k`. Arguments as for `cluster`.

    linear: evenly from the least to the largest value. density: where the cumulative distribution passes the levels
    (i + 1/2) / k. random (Forgy): `k` of the values. kmeans++: each drawn with a probability that grows with the
    squared distance to those before. optimal: the least inertia there is, over at most 2**14 groups of neighbouring
    values. Source: paper section 3.2; Arthur and Vassilvitskii, SODA 2007, for k-means++.
    """
    _check_start(start)
    values, weights = _checked(values, k, weights, False)
    is_binned = _is_binned(values, k, weights, False)
    return _start(_bin(values, False) if is_binned else _sort(values, weights, False), k, start, seed)


def inertia(values, centroids, weights=None) -> float:
    """Sum of weight * (value - nearest centroid)**2 in float64; the objective of k-means, paper eq. 2."""
    values = np.asarray(values, np.float32).reshape(-1)
    weights = None if weights is None else np.broadcast_to(weights, np.shape(values)).reshape(-1)
    centroids, nearest = np.asarray(centroids, np.float64), assign(values, centroids)
    total = 0.0
    for piece in pieces(values.size):
        squares = values[piece] - centroids[nearest[piece]]
        np.square(squares, out=squares)
        total += float(squares.sum() if weights is None else np.sum(squares * weights[piece]))
    return total


def _check_start(start: str) -> None:
    if start not in STARTS:
        raise ValueError(f"unknown start {start!r}, expected one of {', '.join(STARTS)}")


def _checked(values, k: int, weights, skip_zeros: bool) -> tuple[np.ndarray, np.ndarray | None]:
    # Flat float32 values, not copied if they need not be, and their weights, of those that have a say.
    values = np.asarray(values, np.float32).reshape(-1)
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    bad = count_not_finite(values)
    if bad:
        raise ValueError(f"{bad} of {values.size} values are NaN or infinite in float32: k-means needs finite values")
    if weights is not None:
        values, weights = _weighted(values, weights, skip_zeros)
    if values.size == 0 or (skip_zeros and count_nonzero(values) == 0):
        raise ValueError("k-means needs at least one value (of a weight above 0), got none")
    return values, weights


def _sort(values: np.ndarray, weights, skip_zeros: bool) -> _Sorted:
    if weights is None:
        values = np.sort(values[values != 0] if skip_zeros else values)
        return _Sorted(values, None, _prefix_sums(values), values[[0, -1]])
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    return _Sorted(values, _prefix_sums(weights), _prefix_sums(weights * values), values[[0, -1]])


def _is_binned(values: np.ndarray, k: int, weights, skip_zeros: bool) -> bool:
    if weights is not None or k > 256 or values.size <= _MANY:
        return False
    return not skip_zeros or count_nonzero(values) > _MANY


def _bin(values: np.ndarray, skip_zeros: bool) -> _Sorted:
    bins = fill_bins(values, skip_zeros)
    return _Sorted(bins.means, _prefix_sums(bins.counts), _prefix_sums(bins.sums), np.array([bins.low, bins.high]),
                   bins.widths)


def _inside_bins(data: _Sorted) -> float:
    # The inertia of the values around the means of their bins, as if they were spread evenly there.
    return float(np.diff(data.weight_sums) @ data.widths**2) / 12


def _inertia_of_bins(data: _Sorted, centroids: np.ndarray) -> float:
    nearest = centroids[np.searchsorted(upper_limits(centroids.astype(np.float64)), data.values)]
    return float(np.diff(data.weight_sums) @ np.square(data.values.astype(np.float64) - nearest))


def _exact_means(values: np.ndarray, centroids: np.ndarray, skip_zeros: bool) -> np.ndarray:
    # One iteration over the values themselves.
    counts, sums = cluster_sums(values, centroids, skip_zeros)
    return np.unique((sums[counts > 0] / counts[counts > 0]).astype(np.float32))


def _weighted(values: np.ndarray, weights, skip_zeros: bool) -> tuple[np.ndarray, np.ndarray]:
    weights = np.asarray(weights, np.float64).reshape(-1)
    if weights.size != values.size:
        raise ValueError(f"expected one weight per value, got {weights.size} weights for {values.size} values")
    bad = np.count_nonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad:
        raise ValueError(f"{bad} of {weights.size} weights are negative, NaN or infinite")
    counted = (weights > 0) & (values != 0) if skip_zeros else weights > 0
    return values[counted], weights[counted]


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


def _edges(values: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    # Cluster i is values[edges[i]:edges[i + 1]].
    inner = np.searchsorted(values, upper_limits(centroids), side="right")
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
        centroids = np.linspace(float(data.ends[0]), float(data.ends[1]), k)
    elif start == "density":
        centroids = values[_at_level(data, (np.arange(k) + 0.5) / k)]
    elif start == "random":
        centroids = _drawn(data, k, rng)
    elif start == "kmeans++":
        centroids = _plus_plus(data, k, rng)
    else:
        centroids = _optimal(data, k)
    return np.unique(centroids.astype(np.float64))


def _drawn(data: _Sorted, k: int, rng: np.random.Generator) -> np.ndarray:
    if data.widths is None:
        return rng.choice(data.values, min(k, data.values.size), replace=False)
    # A bin comes up as often as it has values.
    drawn = rng.choice(int(data.weight_sums[-1]), k, replace=False)
    return data.values[np.searchsorted(data.weight_sums[1:], drawn, side="right")]


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
