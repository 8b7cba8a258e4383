"""Units: those that nothing reads any more, and the order that makes files small."""
from collections import Counter

import mxnet as mx
import numpy as np
from mxnet import gluon
from mxnet.gluon import nn
from mxnet.gluon.nn import conv_layers

from .parameters import value
from .walk import TRANSPOSED, named_blocks

# Layers between two weighted ones that keep channels apart.
_PASS = (nn.Activation, nn.Dropout, nn.Flatten, nn.LeakyReLU, conv_layers._Pooling)
_WEIGHTED = (nn.Dense, conv_layers._Conv)


def zero_unused_units(net):
    """Set weights and biases of units to 0 whose every outgoing weight is 0, in place.

    Pruning leaves such units behind; predictions do not depend on them, files and biases of
    theirs still cost bytes. Looks at plain Dense and convolution layers that follow one another in
    a `HybridSequential`, with nothing between but activations, pooling, dropout and flattening;
    everything else is left alone.

    Parameters
    ----------
    net : gluon.Block

    Returns
    -------
    dict
        ``{structural name of the layer: number of unused units}``.
    """
    return {name: _zero_unread(layer, reader) for name, layer, reader in _readers(net)}


def sort_units(net):
    """Reorder units by the number of their kept incoming weights, most first, in place.

    The units of a layer have no order of their own: the rows of its weight are moved together
    with the columns of the next. Units without weights come last, where zeros take no gaps and no
    fillers. Predictions stay the same up to the rounding of sums in another order. Looks at the
    same layers as `zero_unused_units`.
    """
    for _, layer, reader in _readers(net):
        weight = value(layer.weight)
        fan_in = np.count_nonzero(weight.reshape(len(weight), -1), axis=1)
        order = np.argsort(-fan_in, kind="stable")
        for parameter in layer._reg_params.values():
            parameter.set_data(mx.nd.array(value(parameter)[order]))
        outgoing = _by_unit(reader, len(weight))[:, order]
        reader.weight.set_data(mx.nd.array(outgoing.reshape(reader.weight.shape)))


def _readers(net):
    """Triples of structural name, layer, and the layer that alone reads its units, last ones first."""
    uses = Counter()
    net.apply(lambda block: uses.update(id(p) for p in block._reg_params.values()))
    for name, block in named_blocks(net):
        if type(block) is nn.HybridSequential:
            for key, layer, reader in _in_chain(block._children, uses):
                yield f"{name}.{key}" if name else key, layer, reader


def _in_chain(layers, uses):
    # From the output back, since units that feed unused ones only are unused as well.
    reader = None
    for key, layer in reversed(layers.items()):
        if _is_plain(layer) and all(uses[id(p)] == 1 for p in layer._reg_params.values()):
            if reader is not None and _reads_units(reader, layer):
                yield key, layer, reader
            reader = layer
        elif not isinstance(layer, _PASS):
            reader = None


def _is_plain(layer):
    return (isinstance(layer, _WEIGHTED) and not isinstance(layer, TRANSPOSED)
            and layer._reg_params.keys() <= {"weight", "bias"}
            and type(layer.weight) is gluon.Parameter
            and getattr(layer, "_kwargs", {}).get("num_group", 1) == 1)


def _reads_units(reader, layer):
    """Whether the reader's weight goes unit by unit along its second axis, channels first."""
    if isinstance(layer, nn.Dense) or isinstance(reader, conv_layers._Conv):
        whole = reader.weight.shape[1] == layer.weight.shape[0]
    else:
        whole = reader._flatten and reader.weight.shape[1] % layer.weight.shape[0] == 0
    convolutions = [one for one in (layer, reader) if isinstance(one, conv_layers._Conv)]
    return whole and all(one._kwargs["layout"].startswith("NC") for one in convolutions)


def _by_unit(reader, units):
    """The reader's weight as (out, units, rest): a flattened channel is read through several columns."""
    weight = value(reader.weight)
    return weight.reshape(len(weight), units, -1)


def _zero_unread(layer, reader):
    """Zero the units of `layer` that `reader` does not read; returns how many."""
    weight = value(layer.weight)
    read = (_by_unit(reader, len(weight)) != 0).any(axis=(0, 2))
    keep = read.reshape(-1, *[1] * (weight.ndim - 1))
    layer.weight.set_data(mx.nd.array(np.where(keep, weight, 0)))
    if layer.bias is not None:
        layer.bias.set_data(mx.nd.array(np.where(read, value(layer.bias), 0)))
    return int(len(read) - read.sum())
