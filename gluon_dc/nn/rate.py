"""What it costs to store that a weight is kept, in bits: the rate in rate-aware pruning.

The zero flags of a file are coded by contexts: how densely row and column are kept, which neighbours in the image or
the kernel are. A small logistic regression on the same things, fitted to the mask as it is, tells how likely each
place is to be kept; its surprise in bits is what the place costs. NumPy alone.
"""
import numpy as np

# A fit on as many places, drawn once and for all, is as good as one on all.
MAX_FITTED = 60_000
_EDGES = ((0, 1), (0, -1), (1, 0), (-1, 0))
_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
_LIMIT = 12  # of a logit: no place is surer than 1 in 160,000


def place_bits(mask, plane=None, columns=None, neighbours=True):
    """-log2 of the probability of being kept, for every place of a layer's mask.

    Parameters
    ----------
    mask : bool (rows, columns) of a dense layer, or (filters, channels, height, width)
    plane : (channels, height, width), optional
        What the columns of a dense layer are read from.
    columns : int (columns,), optional
        Where in the plane they are, for a layer without all of them.
    neighbours : bool
        Look at neighbours in the plane, and at how many of a channel are kept, too.

    Returns
    -------
    float32, shape of the mask
        1 everywhere where all or nothing is kept.
    """
    if mask.all() or not mask.any():
        return np.ones(mask.shape, np.float32)
    features = _features(mask, plane if neighbours else None, columns, neighbours)
    kept = mask.reshape(-1).astype(np.float64)
    logits = _predict(features, _fit(features, kept))
    return (np.logaddexp(0, -logits) / np.log(2)).astype(np.float32).reshape(mask.shape)


def entropy_bits(counts):
    """Bits of symbols that occur so often, at their zero-order entropy."""
    counts = counts[counts > 0].astype(np.float64)
    return float(-(counts * np.log2(counts / counts.sum())).sum()) if counts.size else 0.0


def _features(mask, plane, columns, neighbours):
    """float32 (places, features): 1, log row count, log column count; with neighbours those and the channel's count."""
    flat = mask.reshape(len(mask), -1)
    by_row, by_column = (np.log(flat.sum(axis) + np.float32(0.5)) for axis in (1, 0))
    found = [np.ones(flat.shape, np.float32), np.broadcast_to(by_row[:, None], flat.shape),
             np.broadcast_to(by_column[None], flat.shape)]
    planes = _planes(mask, plane, columns) if neighbours else None
    if planes is not None:
        found += [_back(near, flat.shape, columns) for near in _near(planes)]
    return np.stack([np.asarray(one, np.float32).reshape(-1) for one in found], axis=1)


def _planes(mask, plane, columns):
    """The mask as (rows, channels, height, width), or None where there is no such order."""
    if mask.ndim == 4:
        return mask
    if plane is None:
        return None
    if columns is None:
        return mask.reshape(len(mask), *plane)
    whole = np.zeros((len(mask), int(np.prod(plane))), bool)
    whole[:, columns] = mask
    return whole.reshape(len(mask), *plane)


def _near(planes):
    yield _neighbours(planes, _EDGES)
    yield _neighbours(planes, _CORNERS)
    if planes.shape[1] > 1:
        of_channel = np.log(planes.sum(axis=(2, 3), keepdims=True) + np.float32(0.5))
        yield np.broadcast_to(of_channel, planes.shape)


def _neighbours(planes, offsets):
    """How many of the places at these offsets (down, right) are kept; none beyond the edge."""
    height, width = planes.shape[2:]
    padded = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return sum((padded[..., 1 + down:1 + down + height, 1 + right:1 + right + width] for down, right in offsets),
               np.zeros(planes.shape, np.float32))


def _back(values, shape, columns):
    values = values.reshape(shape[0], -1)
    return values if columns is None else values[:, columns]


def _fit(features, kept, steps=8, ridge=1.0):
    """Coefficients of a logistic regression by Newton's method, from the mean on; no step longer than 2."""
    if len(kept) > MAX_FITTED:
        chosen = np.random.default_rng(0).choice(len(kept), MAX_FITTED, replace=False)
        features, kept = features[chosen], kept[chosen]
    # Around their means, as counts are far from 0 and would otherwise be taken for the constant.
    means = features.mean(axis=0, dtype=np.float64)
    means[0] = 0
    features = features - means
    share = np.clip(kept.mean(), 1e-6, 1 - 1e-6)
    found = np.zeros(features.shape[1])
    found[0] = np.log(share / (1 - share))
    for _ in range(steps):
        likely = 1 / (1 + np.exp(-_predict(features, found)))
        curvature = (features * (likely * (1 - likely) + 1e-6)[:, None]).T @ features + ridge * np.eye(found.size)
        step = np.linalg.solve(curvature, features.T @ (kept - likely))
        found += step * min(1, 2 / max(1e-9, np.abs(step).max()))
    found[0] -= found[1:] @ means[1:]
    return found


def _predict(features, coefficients):
    return np.clip(features @ coefficients, -_LIMIT, _LIMIT)
