"""The authors' compressed networks as our compressed models."""

import numpy as np

from ..coding import CodedTensor, CompressedModel, pack_all
from .net_format import read_net

WEIGHT, BIAS = "weight", "bias"


def import_net(source, shapes, reverse_channels=True, coder="huffman", metadata=None,
               effort="best") -> CompressedModel:
    """Read a .net file and code it anew: the same weights, bit for bit, in fewer bytes.

    source: path or bytes. shapes: {"LAYER.weight": shape} in the network's order. reverse_channels: turn round the
    input channels of the first layer, which are BGR in the authors' networks, for RGB images. coder, metadata, effort: as
    in `gluon_dc.compress`; each layer takes the gap width with the fewest bytes.
    Returns a model with each weight followed by its bias ("LAYER.bias"). Raises as `read_net`; ValueError where the
    channels cannot be turned round, since the first layer does not look at three.
    """
    coded, biases = read_net(source, shapes)
    first = next(iter(coded))
    if reverse_channels:
        coded[first] = reversed_channels(coded[first], first)
    packed = pack_all({name: without_unused(tensor) for name, tensor in coded.items()}, coder, effort=effort)
    tensors = {}
    for name, tensor in packed.items():
        tensors[name] = tensor
        tensors[name.removesuffix(WEIGHT) + BIAS] = biases[name]
    return CompressedModel(tensors, metadata=metadata or {}, effort=effort if coder == "context" else None)


def reversed_channels(tensor, name) -> CodedTensor:
    """BGR to RGB and back: the codes of a (out, 3, ...) weight with its input channels in the other order."""
    if len(tensor.shape) < 2 or tensor.shape[1] != 3:
        raise ValueError(f"{name}: its shape {tensor.shape} has no 3 input channels to turn round: leave them as they "
                         "are")
    return CodedTensor(tensor.codebook, np.ascontiguousarray(tensor.codes[:, ::-1]))


def without_unused(tensor) -> CodedTensor:
    """The same weight with the fewest codebook entries: those that occur, each value once, ascending after the 0.0."""
    used = np.bincount(tensor.codes.reshape(-1), minlength=tensor.codebook.size) > 0
    used[0] = False
    values = np.unique(tensor.codebook[used])
    codebook = np.concatenate([np.zeros(1, np.float32), values[values != 0]])
    new_of_old = np.zeros(tensor.codebook.size, np.uint8)
    kept = used & (tensor.codebook != 0)
    new_of_old[kept] = 1 + np.searchsorted(codebook[1:], tensor.codebook[kept])
    return CodedTensor(codebook, new_of_old[tensor.codes])
