"""Weight sharing: every kept weight becomes the code of its nearest centroid (paper section 3)."""

import numpy as np

from .arrays import count_nonzero, count_not_finite
from .kmeans import cluster
from .nearest import nearest_codes
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
    if count_nonzero(weight) == 0:
        return CodedTensor(np.zeros(1, np.float32), np.zeros(weight.shape, np.uint8))
    if weights is not None:
        weights = np.asarray(weights)
        if weights.shape != weight.shape:
            raise ValueError(f"expected one weight per element, shape {weight.shape}, got shape {weights.shape}")
        kept = weight != 0
        return share_as(weight, cluster(weight[kept], 2**bits - 1, start, seed, weights[kept]))
    return share_as(weight, cluster(weight, 2**bits - 1, start, seed, skip_zeros=True))


def share_as(weight, centroids) -> CodedTensor:
    """Coded form of a weight array with given centroids, ascending and distinct, float32 (1..255,).

    Each element other than zero takes the nearest centroid, ties to the lower; zeros keep code 0, and so do those
    whose centroid is 0. Raises ValueError for NaN or infinite weights or unsuitable centroids.
    """
    weight = _finite(weight)
    centroids = np.asarray(centroids, np.float32)
    if not 1 <= centroids.size <= 255:
        raise ValueError(f"expected 1..255 centroids beside the zero, got {centroids.size}")
    # A weight whose centroid is 0.0 is as good as pruned: the mask is codes != 0, and it says so.
    codes = nearest_codes(weight, centroids)
    codes.flags.writeable = False
    return CodedTensor(np.concatenate([np.zeros(1, np.float32), centroids]), codes)


def _finite(weight) -> np.ndarray:
    weight = np.asarray(weight, np.float32)
    bad = count_not_finite(weight)
    if bad:
        raise ValueError(f"{bad} of {weight.size} weights are NaN or infinite in float32: nothing to share")
    return weight
