"""Units that nothing reads any more."""
from collections import Counter

import mxnet as mx
import numpy as np
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
    uses = Counter()
    net.apply(lambda block: uses.update(id(p) for p in block._reg_params.values()))
    found = {}
    for name, block in named_blocks(net):
        if type(block) is nn.HybridSequential:
            for key, count in _in_chain(block._children, uses):
                found[f"{name}.{key}" if name else key] = count
    return found


def _in_chain(layers, uses):
    """Zero what is unused in a chain of layers; pairs of a layer's key and its unused units."""
    # From the output back, since units that feed unused ones only are unused as well.
    reader = None
    for key, layer in reversed(layers.items()):
        if _is_plain(layer) and all(uses[id(p)] == 1 for p in layer._reg_params.values()):
            if reader is not None:
                yield key, _zero_unread(layer, reader)
            reader = layer
        elif not isinstance(layer, _PASS):
            reader = None


def _is_plain(layer):
    return (isinstance(layer, _WEIGHTED) and not isinstance(layer, TRANSPOSED)
            and layer._reg_params.keys() <= {"weight", "bias"}
            and getattr(layer, "_kwargs", {}).get("num_group", 1) == 1)


def _zero_unread(layer, reader):
    """Zero the units of `layer` that `reader` does not read; returns how many."""
    weight, outgoing = value(layer.weight), value(reader.weight)
    units = weight.shape[0]
    # A flattened channel is read through several columns, all of its own.
    read = (outgoing.reshape(outgoing.shape[0], units, -1) != 0).any(axis=(0, 2))
    keep = read.reshape(-1, *[1] * (weight.ndim - 1))
    layer.weight.set_data(mx.nd.array(np.where(keep, weight, 0)))
    if layer.bias is not None:
        layer.bias.set_data(mx.nd.array(np.where(read, value(layer.bias), 0)))
    return int(units - read.sum())
