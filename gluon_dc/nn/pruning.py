"""Pruning: which weights of a net are kept (paper section 2; Han et al. 2015, arXiv:1506.02626)."""
import math
from typing import NamedTuple

import numpy as np

from ..coding.arrays import count_not_finite
from ..coding.select import keep_at_least, keep_largest
from ..coding.threads import in_threads, pieces
from .layers import set_mask
from .parameters import peek
from .patterns import resolve
from .walk import refresh_graphs, weighted_layers

# From here on a float64 copy of all weights costs too much.
_MANY = 2**20


def prune(net, sparsity=None, threshold=None, quality=None, scope="layer", scores=None):
    """Prune the weights of a net in place: mask them in the forward pass and give them no gradient.

    Pruning a pruned net again only ever removes more: weights once pruned stay pruned.

    Parameters
    ----------
    net : gluon.Block
        Initialized, all shapes known, hybridized or not. Where a larger hybridized net holds it,
        call ``hybridize()`` on that again afterwards.
    sparsity : float in [0, 1), or dict
        The share of weights to prune, those with the lowest scores first, ties by position.
    threshold : float >= 0, or dict
        Prune the weights whose score is below it.
    quality : float >= 0, or dict
        Prune the weights whose score is below quality times the standard deviation of the kept
        weights (Han et al. 2015, section 3).
        Exactly one of the three is given: one number for all layers, or ``{pattern: number}``
        over structural names, first match wins, None leaves a layer alone.
    scope : "layer" or "global"
        Whether numbers hold for each layer by itself or for all the layers that are pruned, taken
        together (then they must all be the same number).
    scores : dict, optional
        ``{name: array}``, the shape of the weight, nonnegative: what to rank by in place of the
        magnitude ``abs(weight)``.

    Returns
    -------
    dict
        ``{structural name: sparsity reached}``.

    Raises
    ------
    ValueError
        Not exactly one criterion; a number out of range; a pattern that matches nothing; NaN or
        infinite weights; a layer that is already shared; shapes not known yet.
    """
    kind, settings = _the_one(sparsity=sparsity, threshold=threshold, quality=quality)
    layers = _selected(net, settings, kind)
    if scope not in ("layer", "global"):
        raise ValueError(f'scope is "layer" or "global", got {scope!r}')
    masks = _masks(kind, scope, [_rank(layer, scores) for layer, _ in layers], layers)
    new = [layer for layer, _ in layers if not layer.is_masked]
    reached = {layer.name: 1.0 - np.count_nonzero(mask) / max(mask.size, 1)
               for (layer, _), mask in zip(layers, masks)}
    for layer, _ in reversed(layers):
        set_mask(layer, masks.pop())  # a mask at a time, for the sake of memory
    if new:
        refresh_graphs(net)
    return reached


def _the_one(**criteria):
    given = {kind: value for kind, value in criteria.items() if value is not None}
    if len(given) != 1:
        raise ValueError("give exactly one of sparsity, threshold and quality; got "
                         + (" and ".join(given) or "none"))
    return next(iter(given.items()))


def _selected(net, settings, kind):
    found = {layer.name: layer for layer in weighted_layers(net)}
    chosen = resolve(settings, list(found), kind)
    for name, number in chosen.items():
        within = 0 <= number < 1 if kind == "sparsity" else 0 <= number < np.inf
        if not within:
            raise ValueError(f"{kind} of {name} must be in "
                             f"{'[0, 1)' if kind == 'sparsity' else '[0, inf)'}, got {number}")
        if found[name].is_coded:
            raise ValueError(f"{name} is already shared: prune first, then quantize "
                             "(gluon_dc.unwrap makes its weight plain again)")
    return [(found[name], number) for name, number in chosen.items()]


class _Rank(NamedTuple):
    """What a layer's weights are ranked by. A weight with ``kept`` 0 is pruned already."""

    score: np.ndarray  # float32 or float64; its magnitude counts
    weight: np.ndarray  # float32
    kept: np.ndarray | None  # bool or uint8; None: all are kept


def _rank(layer, scores):
    # What is behind a mask has no say in anything.
    weight, kept = peek(layer.parameter), layer.mask_view()
    if count_not_finite(weight):
        check_finite(layer.name, layer.array())
    return _Rank(weight if scores is None else _score(layer, scores), weight, kept)


def _score(layer, scores):
    if layer.name not in scores:
        raise ValueError(f"scores has no entry for {layer.name}; it has {', '.join(scores)}")
    score = np.asarray(scores[layer.name])
    if score.shape != layer.shape:
        raise ValueError(f"scores of {layer.name}: expected the weight's shape "
                         f"{layer.shape}, got {score.shape}")
    check_finite(f"scores of {layer.name}", score)
    if score.size and score.min() < 0:
        raise ValueError(f"scores of {layer.name}: expected 0 or more, got {score.min()}")
    return score if score.dtype == np.float32 else score.astype(np.float64)


def check_finite(name, array):
    """Raise ValueError, with the count, where an array holds NaN or infinity."""
    bad = count_not_finite(array)
    if bad:
        raise ValueError(f"{name}: {bad} of {array.size} values are NaN or infinite; the training "
                         "that made them has diverged, so go back to an earlier checkpoint")


def _masks(kind, scope, ranks, layers):
    """A mask for each rank."""
    numbers = [number for _, number in layers]
    if scope == "layer":
        return [mask for rank, number in zip(ranks, numbers) for mask in _masks_together(kind, [rank], number)]
    if len(set(numbers)) > 1:
        raise ValueError(f'scope="global" takes one {kind} for all layers, got '
                         f"{sorted(set(numbers))}; use None in the dict to leave layers out")
    return _masks_together(kind, ranks, numbers[0])


def _masks_together(kind, ranks, number):
    """Masks of weights that one number holds for."""
    kept = [rank.kept for rank in ranks]
    if kind == "sparsity":
        return _keep_highest([rank.score for rank in ranks], number, kept)
    if kind == "quality":
        number *= _deviation(ranks)
    return [keep_at_least(rank.score, number, rank.kept) if rank.score.dtype == np.float32
            else (rank.score >= number) & (rank.kept is None or rank.kept != 0) for rank in ranks]


def _keep_highest(scores, sparsity, kept=None):
    """Masks that leave out the round(sparsity * size) lowest of arrays taken together, ties by position."""
    if any(score.dtype != np.float32 for score in scores):
        scores = [score.astype(np.float64, copy=False) for score in scores]
    pruned = int(round(sparsity * sum(score.size for score in scores)))
    return keep_largest(scores, pruned, kept)


def _deviation(ranks):
    """Standard deviation of the kept weights; 0.0 where there are none."""
    kept = [rank.weight.ravel() if rank.kept is None else rank.weight[rank.kept != 0] for rank in ranks]
    size = sum(weights.size for weights in kept)
    if size <= _MANY:
        return float(np.std(np.concatenate(kept), dtype=np.float64)) if size else 0.0
    tasks = [weights[piece] for weights in kept for piece in pieces(weights.size)]
    mean = sum(in_threads(lambda part: float(np.sum(part, dtype=np.float64)), tasks)) / size
    squares = in_threads(lambda part: float(np.sum(np.square(part.astype(np.float64) - mean))), tasks)
    return math.sqrt(sum(squares) / size)
