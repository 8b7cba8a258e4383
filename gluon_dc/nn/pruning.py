"""Pruning: which weights of a net are kept (paper section 2; Han et al. 2015, arXiv:1506.02626)."""
import numpy as np

from .layers import set_mask
from .patterns import resolve
from .walk import refresh_graphs, weighted_layers


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
    ranks = [_rank(layer, scores) for layer, _ in layers]
    values = [setting for _, setting in layers]
    if scope == "global":
        masks = _masks_of_whole_net(kind, ranks, values, [layer for layer, _ in layers])
    else:
        masks = [_mask(kind, rank, setting, layer.array())
                 for rank, (layer, setting) in zip(ranks, layers)]
    new = [layer for layer, _ in layers if not layer.is_masked]
    for (layer, _), mask in zip(layers, masks):
        set_mask(layer, mask)
    if new:
        refresh_graphs(net)
    return {layer.name: 1.0 - np.count_nonzero(mask) / max(mask.size, 1)
            for (layer, _), mask in zip(layers, masks)}


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


def _rank(layer, scores):
    """Scores of a layer's weights; those pruned already get -1, below all others."""
    weight = layer.array()
    check_finite(layer.name, weight)
    score = np.abs(weight)
    if scores is not None:
        if layer.name not in scores:
            raise ValueError(f"scores has no entry for {layer.name}; it has {', '.join(scores)}")
        score = np.asarray(scores[layer.name])
        if score.shape != weight.shape:
            raise ValueError(f"scores of {layer.name}: expected the weight's shape "
                             f"{weight.shape}, got {score.shape}")
        check_finite(f"scores of {layer.name}", score)
    return np.where(layer.mask(), score, -1.0)


def check_finite(name, array):
    """Raise ValueError, with the count, where an array holds NaN or infinity."""
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise ValueError(f"{name}: {bad} of {array.size} values are NaN or infinite; the training "
                         "that made them has diverged, so go back to an earlier checkpoint")


def _mask(kind, rank, number, weight):
    if kind == "sparsity":
        return _keep_highest(rank.ravel(), number).reshape(rank.shape)
    if kind == "quality":
        kept = weight[rank >= 0]
        number = number * float(np.std(kept, dtype=np.float64)) if kept.size else 0.0
    return (rank >= number) & (rank >= 0)


def _keep_highest(rank, sparsity):
    """Mask of a flat array that leaves out the round(sparsity * size) lowest, ties by position."""
    pruned = int(round(sparsity * rank.size))
    mask = rank >= 0
    if pruned:
        limit = np.partition(rank, pruned - 1)[pruned - 1]
        mask &= rank >= limit
        ties = np.flatnonzero(rank == limit)
        mask[ties[:pruned - np.count_nonzero(rank < limit)]] = False
    return mask


def _masks_of_whole_net(kind, ranks, numbers, layers):
    if len(set(numbers)) > 1:
        raise ValueError(f'scope="global" takes one {kind} for all layers, got '
                         f"{sorted(set(numbers))}; use None in the dict to leave layers out")
    weights = np.concatenate([layer.array().ravel() for layer in layers])
    flat = _mask(kind, np.concatenate([rank.ravel() for rank in ranks]), numbers[0], weights)
    ends = np.cumsum([rank.size for rank in ranks])[:-1]
    return [part.reshape(rank.shape) for part, rank in zip(np.split(flat, ends), ranks)]
