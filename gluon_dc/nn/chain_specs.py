"""A net that is a plain chain of layers: what its layers are, and its units in another order."""
from dataclasses import dataclass, replace

import numpy as np
from mxnet.gluon import nn


@dataclass(frozen=True)
class LayerSpec:
    """One weighted layer of a chain, whole.

    name: structural, such as "0". shape: of its weight. relu: whether one follows. plane: (channels, height, width)
    that it reads, None where it reads units. pool: (size, strides) of the max pooling after it, or None.
    """

    name: str
    shape: tuple
    relu: bool
    plane: tuple | None
    pool: tuple | None = None

    @property
    def is_conv(self):
        """Whether it is a convolution; else it is dense."""
        return len(self.shape) == 4


def read_chain(net, plane):
    """The LayerSpecs of a HybridSequential that runs over images (channels, height, width) = `plane`.

    Raises
    ------
    ValueError
        A child other than Dense (ReLU or nothing after it), Conv2D without padding, strides, dilation or groups, and
        MaxPool2D without padding after a layer; a layer without bias; shapes that do not follow.
    """
    specs = []
    for name, block in net._children.items():
        if isinstance(block, nn.MaxPool2D) and specs and specs[-1].is_conv and not specs[-1].pool:
            size, strides = _pooling(name, block)
            plane = (plane[0], *((extent - size) // strides + 1 for extent in plane[1:]))
            specs[-1] = replace(specs[-1], pool=(size, strides))
        else:
            specs.append(_weighted(name, block, plane, specs))
            plane = _plane_after(specs[-1], plane)
    return tuple(specs)


def _weighted(name, block, plane, before):
    if type(block) not in (nn.Dense, nn.Conv2D) or block.bias is None:
        raise ValueError(f"layer {name}: expected Dense or Conv2D with a bias, or MaxPool2D after one, found {block!r}")
    activation = None if block.act is None else block.act._act_type
    if activation not in (None, "relu"):
        raise ValueError(f"layer {name}: expected no activation or relu, found {activation}")
    shape = tuple(block.weight.shape)
    if isinstance(block, nn.Conv2D):
        plain = {"pad": (0, 0), "stride": (1, 1), "dilate": (1, 1), "num_group": 1, "layout": "NCHW"}
        if plane is None or shape[1] != plane[0] or any(block._kwargs[key] != value for key, value in plain.items()):
            raise ValueError(f"layer {name}: expected a convolution over channels without padding, strides, dilation "
                             f"and groups, found {block!r}")
    elif shape[1] != (before[-1].shape[0] if plane is None else int(np.prod(plane))) or not block._flatten:
        raise ValueError(f"layer {name}: {shape[1]} inputs do not follow from {plane or before[-1].shape[0]}")
    return LayerSpec(name, shape, activation == "relu", plane)


def _pooling(name, block):
    about = block._kwargs
    size, strides = about["kernel"], about["stride"]
    if size[0] != size[1] or strides[0] != strides[1] or any(about["pad"]) or about["pooling_convention"] != "valid":
        raise ValueError(f"layer {name}: expected square max pooling without padding, found {block!r}")
    return size[0], strides[0]


def _plane_after(spec, plane):
    if not spec.is_conv:
        return None
    return (spec.shape[0], plane[1] - spec.shape[2] + 1, plane[2] - spec.shape[3] + 1)


def new_layer(spec, shape):
    """A Gluon layer of a LayerSpec's kind, narrow: with a weight of this shape."""
    activation = "relu" if spec.relu else None
    if spec.is_conv:
        return nn.Conv2D(shape[0], shape[2:], in_channels=shape[1], activation=activation)
    return nn.Dense(shape[0], in_units=shape[1], activation=activation)


ORDERS = {
    "as they are": None,
    "fan-in": lambda incoming, outgoing: incoming,
    "fan-out": lambda incoming, outgoing: outgoing,
    "both": lambda incoming, outgoing: incoming + outgoing,
}


def ordered(specs, arrays, order):
    """Whole arrays {name: array} with the hidden units of every layer reordered, most kept weights first.

    The rows of a weight and its bias move together with what reads them, so that the net computes the same up to the
    order of sums. Arrays may be weights or codes: 0 is not kept. order: a key of ORDERS, what is counted.
    """
    if ORDERS[order] is None:
        return dict(arrays)
    arrays = dict(arrays)
    for spec, reader in zip(specs[:-1], specs[1:]):
        weight, read = arrays[f"{spec.name}.weight"], arrays[f"{reader.name}.weight"]
        units = len(weight)
        read = read.reshape(len(read), units, -1)
        incoming = np.count_nonzero(weight.reshape(units, -1), axis=1)
        places = np.argsort(-ORDERS[order](incoming, np.count_nonzero(read, axis=(0, 2))), kind="stable")
        arrays[f"{spec.name}.weight"] = weight[places]
        arrays[f"{spec.name}.bias"] = arrays[f"{spec.name}.bias"][places]
        arrays[f"{reader.name}.weight"] = read[:, places].reshape(arrays[f"{reader.name}.weight"].shape)
    return arrays
