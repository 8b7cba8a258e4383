"""Walking a net: which layers have a weight that can be compressed, under which structural names."""
from collections import Counter
from dataclasses import dataclass

import numpy as np
from mxnet import gluon
from mxnet.gluon import nn
from mxnet.gluon.nn import conv_layers

from .layers import CodedLayer, MaskedLayer
from .parameters import SharedWeight, edit, peek, shape_text, value
from ..coding import CodedTensor
from ..coding.select import is_zero_where_left_out, zero_left_out

TRANSPOSED = (nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Conv3DTranspose)
_WEIGHTED = (nn.Dense, conv_layers._Conv, nn.Embedding)
_WEIGHT_ATTRIBUTES = ("weight", "mask", "codebook", "codes", "kept_codes", "positions")


@dataclass(frozen=True)
class WeightedLayer:
    """One weight that can be compressed, and the layers that use it.

    Attributes
    ----------
    name : str
        Structural name of the weight in the plain net (``features.0.weight``). A weight that
        several layers share goes by the first of its names.
    blocks : tuple of HybridBlock
    """

    name: str
    blocks: tuple

    @property
    def is_masked(self):
        return isinstance(self.blocks[0], MaskedLayer)

    @property
    def is_coded(self):
        return isinstance(self.blocks[0], CodedLayer) or isinstance(self.parameter, SharedWeight)

    @property
    def parameter(self):
        """The Parameter that is trained: the weight, or the codebook of a coded layer."""
        return getattr(self.blocks[0], self.weight_attributes[0])

    @property
    def weight_attributes(self):
        """Names of the attributes that make up the weight, in the order of registration."""
        return [name for name in self.blocks[0]._reg_params if name in _WEIGHT_ATTRIBUTES]

    @property
    def plain_parameter_name(self):
        """Name of the weight Parameter of the plain layer."""
        return self.parameter.name.removesuffix("_codebook")

    @property
    def shape(self):
        return tuple(getattr(self.blocks[0], "weight_shape", None) or self.parameter.shape)

    def array(self):
        """The weight the forward pass uses: float32, pruned weights 0.0."""
        if self.is_coded:
            return self.coded_tensor().decode()
        # The optimizer's momentum moves pruned weights behind their mask.
        return np.where(self.mask(), peek(self.parameter), 0) if self.is_masked else value(self.parameter)

    def view(self):
        """Like `array`, read-only, and without a copy where that is possible: to be read at once, before
        anything changes the layer."""
        if self.is_coded:
            return self.coded_tensor().decode()
        weight = peek(self.parameter)
        if self.is_masked and not is_zero_where_left_out(weight, self.mask_view()):
            return self.array()
        return weight

    def mask_view(self):
        """The mask of a masked layer, uint8, 1 = kept, read-only, to be read at once; None for others."""
        return peek(self.blocks[0].mask) if self.is_masked else None

    def zero_hidden(self):
        """Set the pruned weights of a masked layer to 0, behind the mask, where no prediction sees it."""
        if self.is_masked:
            edit(self.parameter, lambda array: zero_left_out(array, self.mask_view()))

    def coded_tensor(self):
        """The `CodedTensor` of a coded layer."""
        if isinstance(self.parameter, SharedWeight):
            return CodedTensor(value(self.parameter.codebook), self.parameter.codes)
        return self.blocks[0].coded_tensor()

    def mask(self):
        """bool, shape of the weight, True = kept."""
        if self.is_masked:
            return self.mask_view() != 0
        if self.is_coded:
            return self.coded_tensor().mask
        return np.ones(self.shape, bool)


def named_blocks(net):
    """Every block of the net once, with the first of its structural names, in forward-walk order.

    Raises TypeError for what is no Block, ValueError for a sparsified net; every verb comes by here first.
    """
    if not isinstance(net, gluon.Block):
        raise TypeError(f"expected a gluon Block, got {type(net).__name__}")
    seen = {}

    def visit(block, name):
        if id(block) in seen:
            return
        if getattr(block, "runs_from_codes", False):
            raise ValueError(f"{name or 'the net'}: this layer runs from codes (gluon_dc.sparsify) and has no weight "
                             "any more: prune, quantize and compress come before sparsify; start again from a new net "
                             "with its weights (load_parameters, or restore of the compressed model)")
        seen[id(block)] = (name, block)
        for key, child in block._children.items():
            visit(child, f"{name}.{key}" if name else key)

    visit(net, "")
    return list(seen.values())


def weighted_layers(net, transposed=False, ready=True):
    """The net's compressible weights, in the order of its layers.

    A weight that something else uses too (an output layer tied to an embedding) is not among them:
    it would have to stay as it is there.

    Parameters
    ----------
    net : gluon.Block
    transposed : bool
        Transposed convolutions too. Their weight must not be computed in the forward pass
        (MXNet 1.9.1 fails in backward), so they can be shared with a dense gradient only.
    ready : bool
        Whether every weight must be initialized; without, the names are good for checking patterns
        before the weights are there.

    Returns
    -------
    list of WeightedLayer

    Raises
    ------
    ValueError
        A weight whose shape is not known yet, that is not initialized, or not float32.
    """
    blocks_of, uses = {}, Counter()
    for name, block in named_blocks(net):
        uses.update(id(parameter) for parameter in block._reg_params.values())
        if not isinstance(block, _WEIGHTED) or isinstance(block, TRANSPOSED) and not transposed:
            continue
        parameter = block._reg_params.get("codebook") or block._reg_params["weight"]
        if ready:
            _check_ready(parameter, name)
        _, blocks = blocks_of.setdefault(id(parameter), (f"{name}.weight" if name else "weight", []))
        blocks.append(block)
    return [WeightedLayer(name, tuple(blocks)) for key, (name, blocks) in blocks_of.items()
            if uses[key] == len(blocks)]


def plain_parameters(net, ready=True):
    """Structural name in the plain net -> ``WeightedLayer`` or Parameter, each Parameter once.

    Weights come as `WeightedLayer`; masks, codes and positions are part of them and have no entry. ready: as
    `weighted_layers` takes it.
    """
    layers = {id(layer.parameter): layer for layer in weighted_layers(net, transposed=True, ready=ready)}
    found, seen = {}, set()
    for block_name, block in named_blocks(net):
        for key, parameter in block._reg_params.items():
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if id(parameter) in layers:
                layer = layers[id(parameter)]
                found[layer.name] = layer
            elif not (isinstance(block, (MaskedLayer, CodedLayer)) and key in _WEIGHT_ATTRIBUTES):
                found[f"{block_name}.{key}" if block_name else key] = parameter
    return found


def wrapped_names(net):
    """Structural names of the blocks that are pruned or shared."""
    return [name for name, block in named_blocks(net)
            if isinstance(block, (MaskedLayer, CodedLayer))
            or any(isinstance(parameter, SharedWeight) for parameter in block._reg_params.values())]


def refresh_graphs(net):
    """Make hybridized blocks build their graphs anew.

    A hybridized net goes on running the graph of its first call, whatever has become of its
    layers since. (A block that `net` is part of cannot be found from here.)
    """
    for _, block in named_blocks(net):
        if isinstance(block, gluon.HybridBlock):
            block._clear_cached_op()


def _check_ready(parameter, name):
    if np.dtype(parameter.dtype) != np.float32:
        raise ValueError(f"layer {name!r}: its weight is {np.dtype(parameter.dtype)}, expected "
                         'float32; call net.cast("float32") first')
    if parameter._data is not None:
        return
    unknown = parameter.shape is None or any(size <= 0 for size in parameter.shape)
    if unknown:
        raise ValueError(f"layer {name!r}: the shape of its weight is not known yet "
                         f"(now {shape_text(parameter.shape)}); run one forward pass, or give the layer its "
                         "in_units / in_channels")
    raise ValueError(f"layer {name!r}: its weight is not initialized; call net.initialize() "
                     "or load its parameters first")
