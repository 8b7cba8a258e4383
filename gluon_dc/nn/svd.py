"""Truncated SVD: a layer as two smaller ones, what the paper's Fig. 6 compares itself with.

W (out, in) ~ U V with U (out, r), V (r, in): Denton et al. 2014 (arXiv:1404.0736), section 3; a convolution is taken
as the matrix (out, in * kh * kw), so that it becomes r filters of its size and a 1 x 1 convolution over them.
"""
import mxnet as mx
import numpy as np
from mxnet.gluon import nn

from .parameters import value
from .patterns import resolve
from .pruning import check_finite
from .walk import named_blocks, refresh_graphs, weighted_layers, wrapped_names


def truncate(net, rank_share=None, energy=None, ranks=None):
    """Replace Dense and Conv2D layers of a chain by two each, in place: the truncated SVD of their weights.

    Layer ``0`` becomes a HybridSequential ``0`` of two layers, so that all other structural names stay. The first of
    the two has the rank for its outputs and neither bias nor activation; the second has those of the old layer.
    Grouped convolutions and layers of other kinds are left alone. Where the net is hybridized, or a larger net
    holds it, call ``hybridize()`` again for the full speed.

    Parameters
    ----------
    net : HybridSequential or Sequential
        Plain (neither pruned nor shared), initialized, all shapes known; it may hold others of its kind.
    rank_share : float in (0, 1], or dict
        Rank as a share of the full one, min(out, in), rounded, at least 1.
    energy : float in (0, 1], or dict
        The lowest rank whose squared singular values reach this share of their sum.
        With these two a layer whose factors would not have fewer weights than it has is left alone.
    ranks : int, or dict
        The rank itself, at least 1 and at most the full one.
        Exactly one of the three is given: one number, or ``{pattern: number}`` over structural names, first match
        wins, None leaves a layer alone.

    Returns
    -------
    dict
        ``{structural name of the replaced weight: rank}``. A new net of the same architecture given these as `ranks`
        has the same shapes, whatever its weights.

    Raises
    ------
    ValueError
        Not exactly one of the three; a number out of range; a pattern that matches nothing; a net or layer that is
        no part of a chain; a weight that several layers share; NaN or infinite weights. The net is unchanged then.
    """
    given = {"rank_share": rank_share, "energy": energy, "ranks": ranks}
    kinds = [kind for kind, setting in given.items() if setting is not None]
    if len(kinds) != 1:
        raise ValueError(f"give exactly one of rank_share, energy and ranks; got {' and '.join(kinds) or 'none'}")
    if wrapped_names(net):
        raise ValueError("truncate needs a plain net; this one is pruned or shared: call gluon_dc.unwrap(net) first")
    layers = {layer.name: layer for layer in weighted_layers(net) if _can_be_factored(layer.blocks[0])}
    chosen = resolve(given[kinds[0]], list(layers), kinds[0])
    found = {name: _rank(kinds[0], number, name, _matrix(layers[name])) for name, number in chosen.items()}
    found = {name: rank for name, rank in found.items() if rank is not None}
    places = {name: _places(net, layers[name]) for name in found}
    pairs = {name: _pair(layers[name], rank) for name, rank in found.items()}
    for name, pair in pairs.items():
        for parent, key in places[name]:
            parent._children[key] = pair
    refresh_graphs(net)
    return found


def _can_be_factored(block):
    # A class of one's own may compute something else.
    if type(block) is nn.Conv2D:
        return block._kwargs["num_group"] == 1 and block._kwargs["layout"] == "NCHW"
    return type(block) is nn.Dense


def _places(net, layer):
    """Where a layer stands: [(chain, key)], several where it is called several times."""
    if len(layer.blocks) > 1:
        raise ValueError(f"{layer.name} is the weight of {len(layer.blocks)} layers: it cannot be factored in one")
    places = [(name, parent, key) for name, parent in named_blocks(net)
              for key, child in parent._children.items() if child is layer.blocks[0]]
    for name, parent, _ in places or [("", net, "")]:
        if not isinstance(parent, (nn.HybridSequential, nn.Sequential)):
            raise ValueError(f"{layer.name}: truncate works on the layers of a chain (HybridSequential), and this "
                             f"one is of block {name!r}, a {type(parent).__name__}")
    return [(parent, key) for _, parent, key in places]


def _matrix(layer):
    """The weight as float64 (out, in * kh * kw)."""
    weight = layer.array()
    check_finite(layer.name, weight)
    return weight.reshape(len(weight), -1).astype(np.float64)


def _rank(kind, number, name, matrix):
    """The rank of a layer, None for leaving it alone."""
    full = min(matrix.shape)
    if kind == "ranks":
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 1 <= number <= full:
            raise ValueError(f"ranks of {name} must be a whole number in 1..{full}, got {number!r}")
        return int(number)
    if not 0 < number <= 1:
        raise ValueError(f"{kind} of {name} must be above 0 and at most 1, got {number!r}")
    rank = max(1, round(number * full)) if kind == "rank_share" else _rank_of_energy(matrix, number)
    return rank if rank * sum(matrix.shape) < matrix.size else None


def _rank_of_energy(matrix, share):
    energies = np.linalg.svd(matrix, compute_uv=False) ** 2
    reached = np.cumsum(energies)
    # Against rounding in the sum, so that a share of 1 is reached.
    return min(int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))) + 1, energies.size)


def _pair(layer, rank):
    """The two layers in a HybridSequential, with their values."""
    left, values, right = np.linalg.svd(_matrix(layer), full_matrices=False)
    # Half of each singular value on either side: both factors then train at the same rate.
    root = np.sqrt(values[:rank])
    old = layer.blocks[0]
    first, second = (_conv_pair if isinstance(old, nn.Conv2D) else _dense_pair)(old, layer.shape, rank)
    _fill(first.weight, (root[:, None] * right[:rank]).reshape(first.weight.shape), old.weight)
    _fill(second.weight, (left[:, :rank] * root).reshape(second.weight.shape), old.weight)
    if old.bias is not None:
        _fill(second.bias, value(old.bias), old.bias)
    pair = nn.HybridSequential()
    pair.add(first, second)
    return pair


def _dense_pair(old, shape, rank):
    units, in_units = shape
    return (nn.Dense(rank, use_bias=False, flatten=old._flatten, in_units=in_units),
            nn.Dense(units, use_bias=old.bias is not None, flatten=old._flatten, in_units=rank,
                     activation=_activation(old)))


def _conv_pair(old, shape, rank):
    how = old._kwargs
    return (nn.Conv2D(rank, how["kernel"], how["stride"], how["pad"], how["dilate"], in_channels=shape[1],
                      use_bias=False),
            nn.Conv2D(shape[0], 1, in_channels=rank, use_bias=old.bias is not None, activation=_activation(old)))


def _activation(block):
    return None if block.act is None else block.act._act_type


def _fill(parameter, array, like):
    """Give a new Parameter its value, and the contexts and settings of an old one."""
    parameter.lr_mult, parameter.wd_mult, parameter.grad_req = like.lr_mult, like.wd_mult, like.grad_req
    parameter.initialize(mx.init.Zero(), ctx=like.list_ctx())
    parameter.set_data(mx.nd.array(array.astype(np.float32)))
