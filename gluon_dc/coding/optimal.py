"""The partition of points on a line into k ranges with the least inertia, exactly, by dynamic programming."""

import numpy as np
from numba import njit


def optimal_edges(points, weights, k: int) -> np.ndarray:
    """Edges int64, ascending, at most k + 1: range i is points[edges[i]:edges[i + 1]], and their inertia is least.

    Parameters: `points` float64 (m,) ascending, `weights` float64 (m,) > 0, 1 <= k <= m. Time O(k m log m), memory
    4 k m bytes. Source: the monotone choice of the last range, as in Ckmeans.1d.dp, Wang and Song, R Journal 3(2),
    2011; Gronlund et al., arXiv:1701.07204.
    """
    points, weights = np.asarray(points, np.float64), np.asarray(weights, np.float64)
    if not 1 <= k <= points.size:
        raise ValueError(f"k must be 1..{points.size}, the number of points, got {k}")
    # Sums of squares around the mean lose the fewest digits.
    centred = points - np.average(points, weights=weights)
    sums = np.zeros((3, points.size + 1))
    for row, terms in enumerate((weights, weights * centred, weights * centred**2)):
        np.cumsum(terms, out=sums[row, 1:])
    last_start = np.zeros((k, points.size + 1), np.int32)
    _fill(sums, last_start)
    edges = [points.size]
    for row in reversed(last_start):
        edges.append(int(row[edges[-1]]))
    return np.unique(edges)


@njit(cache=True, nogil=True)
def _inertia(sums, low, high):
    # Of the range low..high around its own mean. Assumes low < high.
    weight = sums[0, high] - sums[0, low]
    moment = sums[1, high] - sums[1, low]
    return sums[2, high] - sums[2, low] - moment * moment / weight


@njit(cache=True, nogil=True)
def _fill(sums, last_start):
    # last_start[c, j]: where the last of at most c + 1 ranges over the first j points begins in the best partition.
    # It never falls as j grows, so a j halfway between two known ones has only the starts between theirs to try.
    m = sums.shape[1] - 1
    best = np.zeros(m + 1)
    for j in range(1, m + 1):
        best[j] = _inertia(sums, 0, j)
    for c in range(1, last_start.shape[0]):
        previous = best.copy()
        stride = 1
        while stride <= m:
            stride *= 2
        while stride > 1:
            half = stride // 2
            for j in range(half, m + 1, stride):
                low = last_start[c, j - half]
                high = last_start[c, j + half] if j + half <= m else m
                best[j] = np.inf
                for i in range(low, min(high, j - 1) + 1):
                    total = previous[i] + _inertia(sums, i, j)
                    if total < best[j]:
                        best[j] = total
                        last_start[c, j] = i
            stride = half
