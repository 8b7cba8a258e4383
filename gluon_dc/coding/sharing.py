"""Weight sharing: every kept weight becomes the code of its nearest centroid (paper section 3)."""

import numpy as np

from .kmeans import assign, cluster
from .tensor import CodedTensor


def share(weight, bits: int, start: str = "linear", seed: int = 0, weights=None) -> CodedTensor:
    """Coded form of a weight array: zeros take code 0, the others one of at most 2**bits - 1 centroids.

    Parameters: `weight` float of any shape, finite, taken as float32; `bits` 1..8; `start` and `seed` as for
    `cluster`; `weights` >= 0 of the same shape say how much each element counts (those of zeros are not read).
    The codebook ascends from entry 1 on. Raises ValueError for NaN or infinite weights. Source: paper section 3.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"bits must be 1..8, got {bits}")
    weight = _finite(weight)
    kept = weight != 0
    if not kept.any():
        return CodedTensor(np.zeros(1, np.float32), np.zeros(weight.shape, np.uint8))
    if weights is not None:
        weights = np.asarray(weights)
        if weights.shape != weight.shape:
            raise ValueError(f"expected one weight per element, shape {weight.shape}, got shape {weights.shape}")
        weights = weights[kept]
    return share_as(weight, cluster(weight[kept], 2**bits - 1, start, seed, weights))


def share_as(weight, centroids) -> CodedTensor:
    """Coded form of a weight array with given centroids, ascending and distinct, float32 (1..255,).

    Each element other than zero takes the nearest centroid, ties to the lower; zeros keep code 0, and so do those
    whose centroid is 0. Raises ValueError for NaN or infinite weights or unsuitable centroids.
    """
    weight = _finite(weight)
    centroids = np.asarray(centroids, np.float32)
    if not 1 <= centroids.size <= 255:
        raise ValueError(f"expected 1..255 centroids beside the zero, got {centroids.size}")
    codes = assign(weight, centroids) + np.uint8(1)
    # A weight whose centroid is 0.0 is as good as pruned: the mask is codes != 0, and it says so.
    codes = np.where((weight == 0) | (centroids == 0)[codes - 1], np.uint8(0), codes)
    return CodedTensor(np.concatenate([np.zeros(1, np.float32), centroids]), codes)


def _finite(weight) -> np.ndarray:
    weight = np.asarray(weight, np.float32)
    bad = weight.size - np.count_nonzero(np.isfinite(weight))
    if bad:
        raise ValueError(f"{bad} of {weight.size} weights are NaN or infinite in float32: nothing to share")
    return weight
