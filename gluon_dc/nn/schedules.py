"""How sparsity grows over a training, how dropout follows it, and the weight penalties.

One-shot, iterative: Han et al. 2015 (arXiv:1506.02626), section 3; gradual: Zhu & Gupta 2017
(arXiv:1710.01878), Eq. 1.
"""
import math

from mxnet.gluon import nn

from .walk import named_blocks, refresh_graphs, weighted_layers

SYNONYMS = {"cubic": "gradual"}


def sparsity_schedule(kind, final, steps, initial=0.0):
    """The sparsities to prune to, one for each step.

    Parameters
    ----------
    kind : "one-shot", "iterative" or "gradual"
        One-shot reaches `final` at the first step. Iterative keeps the same share of the remaining
        weights at every step. Gradual rises steeply at first, while there is much to prune, and
        levels off: ``final + (initial - final) * (1 - t / steps) ** 3``; "cubic" is another word for it.
    final, initial : float in [0, 1), initial <= final
    steps : int >= 1

    Returns
    -------
    list of float
        Nondecreasing; the last is `final`.
    """
    if not 0 <= initial <= final < 1:
        raise ValueError(f"expected 0 <= initial <= final < 1, got {initial} and {final}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    shape = {
        "one-shot": lambda t: final,
        "iterative": lambda t: 1 - (1 - initial) * ((1 - final) / (1 - initial)) ** t,
        "gradual": lambda t: final + (initial - final) * (1 - t) ** 3,
    }
    kind = SYNONYMS.get(kind, kind)
    if kind not in shape:
        raise ValueError(f"kind must be one of {', '.join(shape)}, got {kind!r}")
    return [shape[kind](step / steps) for step in range(1, steps)] + [final]


def retraining_dropout_rate(rate, kept, weights):
    """Dropout rate for retraining a pruned layer: rate * sqrt(kept / weights).

    A pruned layer has less capacity to overfit (Han et al. 2015, Eq. 3: D_r = D_o
    sqrt(C_ir / C_io) with C the layer's connections).

    Parameters
    ----------
    rate : float in [0, 1), the rate of the dense training
    kept, weights : int, connections of the layer after and before pruning
    """
    return rate * math.sqrt(kept / weights) if weights else rate


def adjust_dropout(net):
    """Set every Dropout of a pruned net to its retraining rate, by the weighted layer before it.

    May be called after every pruning step: it starts from the rate of the dense training each time.

    Returns
    -------
    dict
        ``{structural name of the Dropout: new rate}``.
    """
    layer_of = {id(block): layer for layer in weighted_layers(net) for block in layer.blocks}
    rates, last = {}, None
    for name, block in named_blocks(net):
        last = layer_of.get(id(block), last)
        if isinstance(block, nn.Dropout) and last is not None:
            mask = last.mask()
            dense_rate = block.__dict__.setdefault("_dense_rate", block._rate)
            block._rate = retraining_dropout_rate(dense_rate, int(mask.sum()), mask.size)
            rates[name] = block._rate
    if rates:
        refresh_graphs(net)
    return rates


def penalty(net, l1=0.0, l2=0.0, ctx=None):
    """The penalty l1 * sum|w| + l2/2 * sum w^2 over the kept compressible weights.

    Add it to the loss inside ``autograd.record()``. (`wd` of the Trainer is the same as `l2`, for
    all parameters; paper 2015, section 3.1: L1 suits pruning without retraining, L2 with it.)

    Parameters
    ----------
    net : gluon.Block
    l1, l2 : float >= 0
    ctx : mxnet.Context, optional
        The replica to penalize, where the net is on several contexts.

    Returns
    -------
    NDArray of shape (1,), on `ctx`.
    """
    layers = [layer for layer in weighted_layers(net) if not layer.is_coded]
    if not layers:
        raise ValueError("penalty: the net has no weight that is not shared yet")
    return sum(_penalty_of(layer, l1, l2, ctx) for layer in layers)


def _penalty_of(layer, l1, l2, ctx):
    weight = layer.parameter.data(ctx)
    if layer.is_masked:
        weight = weight * layer.blocks[0].mask.data(ctx).astype(weight.dtype)
    return l1 * weight.abs().sum() + l2 / 2 * (weight * weight).sum()
