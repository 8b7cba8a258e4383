"""Pruned weights that are not shared: a relative index (paper section 2) and the kept values as float32.

`gluon_dc.compress` stores such weights as a bitmap and the kept values; where few are kept, the index is smaller. Made
of what a .gdc file has: the mask as a coded tensor whose only centroid is 1, and an array of the kept values.
"""
import numpy as np

from ..coding import CodedTensor, CompressedModel, pack, unpack

_KEPT = ".kept"
_MASK_CODEBOOK = np.array([0, 1], np.float32)


def with_index(model):
    """A CompressedModel with every float32 matrix or larger array that holds zeros as two tensors.

    ``name``: the mask, coded; ``name.kept``: float32 (kept,), in C order. Other tensors stay as they are.
    """
    tensors = {}
    for name, tensor in model.items():
        if _is_pruned(tensor):
            kept = tensor != 0
            tensors[name] = pack(CodedTensor(_MASK_CODEBOOK, kept.astype(np.uint8)))
            tensors[name + _KEPT] = tensor[kept]
        else:
            tensors[name] = tensor
    return CompressedModel(tensors, model.graph, model.metadata)


def without_index(model):
    """The CompressedModel that `with_index` was given, but that zeros are +0.0.

    FormatError for a stream that does not decode; ValueError where mask and values are not equally many.
    """
    tensors = {}
    for name, tensor in model.items():
        if name + _KEPT in model:
            weight = unpack(tensor, name).decode()
            np.place(weight, weight != 0, _checked(model[name + _KEPT], np.count_nonzero(weight), name))
            tensors[name] = weight
        elif not (name.endswith(_KEPT) and name.removesuffix(_KEPT) in model):
            tensors[name] = tensor
    return CompressedModel(tensors, model.graph, model.metadata)


def _is_pruned(tensor):
    return isinstance(tensor, np.ndarray) and tensor.dtype == np.float32 and tensor.ndim > 1 and not tensor.all()


def _checked(values, kept, name):
    if values.size != kept:
        raise ValueError(f"{name}: {kept} weights are kept, but there are {values.size} values")
    return values
