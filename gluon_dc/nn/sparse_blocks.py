"""`sparsify`: a Gluon net whose Dense layers and 2-D convolutions run from codes, in the fastest form for each shape.

As in `layers`, a block's class is changed in place (`sparse_layers`). Its weight is gone then: codes, packed, stand for
it, and forms are made of them (`runtime.weights`).
"""

import warnings
from dataclasses import dataclass

import mxnet as mx
import numpy as np
from mxnet import gluon
from mxnet.gluon import nn

from ..coding import CodedTensor, CompressedModel, FormatError, pack, unpack
from ..coding.coded import MAX_CODEBOOK
from ..coding.threads import in_threads
from ..runtime.choice import checked_force
from ..runtime.forms import CONV_FORMS, MATRIX_FORMS
from ..runtime.session import session
from ..runtime.weights import Weights
from .convert import assign_tensor, check_fit, plain_targets
from .graph import graph_of
from .layers import set_class, set_running
from .mxnet_forms import GluonConv, GluonMatrix
from .parameters import value
from .sparse_layers import SparseConv, SparseHolder, SparseMatrix
from .walk import plain_parameters, weighted_layers

_SAMPLED_VALUES = 8192
_NO_CODEBOOK = "has no codebook and more than 256 values: quantize the net before sparsify"


def sparsify(net_or_model, net=None, threads=1, force=None, measure=True):
    """Make a net run from codes: in place, for inference on the CPU, with little memory.

    Each Dense and 2-D convolution whose weight has a codebook (or at most 256 values) computes from codes, codebook and
    positions. The first time that a layer gets inputs of a shape, its forms are timed, MXNet's own dense layer among
    them, and the fastest is kept (`sparse_table` tells); the dense float32 weight is not, unless dense is the fastest.

    Parameters
    ----------
    net_or_model : gluon.Block or CompressedModel
        A net that is pruned and shared, or what `gluon_dc.load` gives. Layers that are only pruned run from codes where
        they have at most 256 values, and stay as they are else; `quantize` and all other verbs come before.
    net : gluon.Block, optional
        With a CompressedModel: a plain net of its architecture, initialized or not.
    threads : int >= 1
        That the sparse forms may use. MXNet's own layers use OMP_NUM_THREADS.
    force : str or dict, optional
        The form that layers run in: "dense", "sliced", "window", "panels" (Dense), "direct" (convolutions), or
        {pattern: name} over structural names.
    measure : bool
        Whether to time forms; else they are chosen by rule.

    Returns
    -------
    The net. It is called as before, from several threads too, hybridized if it was. After ``net.hybridize()`` it is
    several times as fast: all of it then runs without MXNet's overhead, with the biases and batch norms of that moment,
    if its operators are known to `gluon_dc.session`. It cannot be trained, pruned, compressed or saved: for that there
    is the compressed model.

    Raises
    ------
    ValueError
        No layer that can run from codes; a wrong form or pattern; a model of another architecture.
    """
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
        raise ValueError(f"threads must be a whole number from 1 on, got {threads!r}")
    if isinstance(net_or_model, CompressedModel):
        if net is None:
            raise TypeError("sparsify(model, net): a CompressedModel needs a net of its architecture to run in")
        served, others = _of_model(net_or_model, net)
    elif net is None:
        net = net_or_model
        served, others = _of_net(net)
    else:
        raise TypeError(f"sparsify takes a net, or a CompressedModel and a net; got {type(net_or_model).__name__} and "
                        f"{type(net).__name__}")
    graph = _WholeNet.of(net, served, others, (int(threads), force, measure))
    if not served:
        raise ValueError("no layer can run from codes: " + ("; ".join(f"{name} {reason}" for name, reason in
                         list(others.items())[:5]) or "there is no Dense or 2-D convolution in the net"))
    # Before anything is changed: what is wrong with `force` is told here.
    checked_force(force, {layer.name: _possible_forms(layer) for layer, _ in served})
    weights = Weights({layer.name: packed for layer, packed in served}, None, force, int(threads), measure,
                      dense=(GluonMatrix, GluonConv), beside=f"mxnet {mx.__version__}")
    if isinstance(net_or_model, CompressedModel):
        _fill_others(net_or_model, net, {layer.name for layer, _ in served})
    was_hybridized = getattr(net, "_active", False)
    _change(net, [layer for layer, _ in served], weights, int(threads))
    net.__dict__.update(_sparse=(weights, others), _whole=graph, _session=None)
    if others:
        warnings.warn(f"{len(others)} layers stay dense: " + "; ".join(
            f"{name} {reason}" for name, reason in list(others.items())[:5]) + "; ..." * (len(others) > 5),
            stacklevel=2)
    if was_hybridized:
        net.hybridize()
    return net


def sparse_table(net) -> str:
    """Text about a sparsified net: a line for each layer and batch it has met, with times of all forms measured."""
    weights, others = getattr(net, "_sparse", (None, {}))
    if weights is None:
        raise ValueError("this net is not one that gluon_dc.sparsify has returned")
    if getattr(net, "_session", None) is not None:
        return net._session.table()
    lines = [("layer", "weight", "kept", "batch", "form", "bytes", "of dense", "us of a call")]
    for name, batch, prepared in weights.rows():
        dense = 4 * int(np.prod(weights.shapes[name]))
        lines.append((name, "x".join(map(str, weights.shapes[name])), f"{100 * prepared.density:.1f} %", batch,
                      prepared.name, f"{prepared.form.nbytes:,}", f"{100 * prepared.form.nbytes / dense:.1f} %",
                      prepared.choice.times()))
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    text += [f"{name}: stays dense, {reason}" for name, reason in others.items()]
    dense = sum(4 * int(np.prod(shape)) for shape in weights.shapes.values())
    resident = weights.forms_nbytes + weights.packed_nbytes
    text.append(f"resident: {resident:,} bytes, packed weights included; {dense:,} as dense float32")
    return "\n".join(text)


@dataclass(frozen=True, eq=False)
class _WholeNet:
    """What a session of the net is made from: its graph, packed weights, and the Parameters that stay."""

    graph: str
    names: tuple
    packed: dict
    parameters: dict
    settings: tuple

    @classmethod
    def of(cls, net, served, others, settings):
        """None where some weight does not run from codes (it would be in memory twice), or the net has no graph."""
        if others:
            return None
        try:
            graph = graph_of(net)
        except ValueError:
            return None
        found = plain_parameters(net, ready=False)
        packed = {layer.name: tensor for layer, tensor in served}
        kept = {name: parameter for name, parameter in found.items() if name not in packed}
        return cls(graph, tuple(found), packed, kept, settings)

    def session(self):
        """A Session, or None where it does not know an operator or another input shape."""
        if any(parameter._data is None for parameter in self.parameters.values()):
            return None
        tensors = {name: self.packed[name] if name in self.packed else value(self.parameters[name])
                   for name in self.names}
        threads, force, measure = self.settings
        try:
            return session(CompressedModel(tensors, self.graph), threads=threads, force=force, measure=measure)
        except FormatError:
            return None


_BEHAVIOURS = {nn.Dense: SparseMatrix, nn.Conv2D: SparseConv}


def _plain_class(block):
    return getattr(type(block), "plain_class", type(block))


def _possible_forms(layer):
    # A convolution of an image as large as its kernel runs as a matrix, in a hybridized net.
    block = layer.blocks[0]
    if _plain_class(block) is nn.Dense:
        return [*MATRIX_FORMS]
    may_be = not any(block._kwargs["pad"]) and block._kwargs["num_group"] == 1
    return [*CONV_FORMS, *(MATRIX_FORMS if may_be else ())]


def _reason(layer):
    """Why a `WeightedLayer` cannot run from codes whatever its weight is, or None."""
    kinds = {_plain_class(block) for block in layer.blocks}
    if len(kinds) > 1 or not kinds <= set(_BEHAVIOURS):
        return f"is a {', '.join(sorted(kind.__name__ for kind in kinds))}"
    if any(getattr(block, "_kwargs", {}).get("layout", "NCHW") != "NCHW" for block in layer.blocks):
        return "has another layout than NCHW"
    return None


def _of_net(net):
    """([(WeightedLayer, PackedTensor)] of layers that can run from codes, {name: why not} of the others)."""
    layers, others, found = weighted_layers(net), {}, []
    for layer in layers:
        reason, coded = _reason(layer), None
        if reason is None:
            coded = layer.coded_tensor() if layer.is_coded else _few_values(layer.view())
            reason = None if coded is not None else _NO_CODEBOOK
        if reason is None:
            found.append((layer, pack(coded)))
        else:
            others[layer.name] = reason
    return found, others


def _few_values(array):
    """CodedTensor of an array that has at most 255 values but 0.0, else None."""
    sample = array.reshape(-1)[::max(1, array.size // _SAMPLED_VALUES)]
    if np.unique(sample).size > MAX_CODEBOOK or not array.size:
        return None
    values, codes = np.unique(array, return_inverse=True)
    kept = values[values != 0]
    if kept.size >= MAX_CODEBOOK or not np.isfinite(kept).all():
        return None
    code_of_value = np.where(values == 0, 0, np.cumsum(values != 0)).astype(np.uint8)
    return CodedTensor(np.concatenate([[np.float32(0)], kept]), code_of_value[codes].reshape(array.shape))


def _of_model(model, net):
    """As `_of_net`, of a model that a plain net is to run."""
    check_fit(plain_targets(net), model)
    others, found = {}, []
    for layer in weighted_layers(net, ready=False):
        tensor = model[layer.name]
        reason = _reason(layer) or ("has no codebook" if isinstance(tensor, np.ndarray) else None)
        if reason is None:
            found.append((layer, tensor))
        else:
            others[layer.name] = reason
    packed = in_threads(lambda pair: _packed(*pair), [(tensor, layer.name) for layer, tensor in found])
    return [(layer, tensor) for (layer, _), tensor in zip(found, packed)], others


def _packed(tensor, name):
    # Streams of the context coder take seconds to read, and are wanted again for batches of another size.
    return tensor if hasattr(tensor, "rel_bits") else pack(unpack(tensor, name))


def _fill_others(model, net, served):
    for name, parameter in plain_targets(net).items():
        if name not in served:
            tensor = model[name]
            assign_tensor(parameter, tensor if isinstance(tensor, np.ndarray) else unpack(tensor, name), None)


def _change(net, layers, weights, threads):
    changed = {}
    for layer in layers:
        behaviour = _BEHAVIOURS[_plain_class(layer.blocks[0])]
        set_running(layer, behaviour)
        for block in layer.blocks:
            block.__dict__.update(_weights=weights, _weight_name=layer.name, _threads=threads, _known={})
            changed[id(block)] = block
    _change_holders(net, changed)


def _change_holders(block, changed):
    """Make each block that holds one of `changed` run its children one by one; whether `block` is one of these."""
    if id(block) in changed:
        return True
    holds = [_change_holders(child, changed) for child in block._children.values()]
    if any(holds):
        changed[id(block)] = block
        if isinstance(block, gluon.HybridBlock):
            block._clear_cached_op()
            block.__dict__.pop("_active", None)
            set_class(block, SparseHolder)
    return any(holds)
