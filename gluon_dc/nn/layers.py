"""Layers that compute their weight in the forward pass.

A layer is given something to do by changing its class in place to a subclass that first computes
the weight and then runs the layer's own ``hybrid_forward``. Attributes, children, hooks and names
of the net stay as they are, whatever way the net holds its blocks; strides, groups, layout,
fused activation and bias are the layer's own business.
"""
import functools

import numpy as np
from mxnet import gluon

from ..coding import CodedTensor
from ..coding.select import zero_left_out
from .parameters import Codebook, Constant, SharedWeight, assign, edit, filled, peek, value

# Below this density a training step that scatters the kept weights is faster than one that looks
# every weight up, the pruned ones included (benchmarks/training_step.py).
SCATTER_DENSITY = 0.1


class MaskedLayer(gluon.HybridBlock):
    """A pruned layer: its weight is ``weight * mask``, so that pruned weights get no gradient.

    Parameters of the layer: `weight` float32; `mask` uint8 of the same shape, 1 = kept, constant.
    """

    def hybrid_forward(self, F, x, weight, mask, **others):
        # A mask in bytes, cast in passing, takes a quarter of the memory and no more time.
        kept = F.cast(mask, dtype=np.dtype(self.weight.dtype).name)
        return super().hybrid_forward(F, x, weight * kept, **others)


class CodedLayer(gluon.HybridBlock):
    """A shared layer: its weight is ``codebook[codes]`` (paper section 3, Fig. 3).

    The backward pass of the look-up is the sum of the weight's gradient per centroid (Eq. 3).
    The subclasses differ in how they look up: `LookupLayer`, `ScatterLayer`.
    """

    def coded_tensor(self):
        """The weight as a `CodedTensor`."""
        raise NotImplementedError

    def __repr__(self):
        coded = self.coded_tensor()
        return (f"{type(self).__name__}({' x '.join(map(str, coded.shape))}, "
                f"{len(coded.codebook)} centroids, density {coded.density:.3f})")


class LookupLayer(CodedLayer):
    """Looks every weight up.

    Parameters of the layer: `codebook` float32 (k,), entry 0 is 0.0; `codes` uint8, shape of the
    weight, constant.
    """

    def hybrid_forward(self, F, x, codebook, codes, **others):
        return super().hybrid_forward(F, x, F.take(codebook, codes), **others)

    def coded_tensor(self):
        return CodedTensor(value(self.codebook), value(self.codes))


class ScatterLayer(CodedLayer):
    """Looks up the kept weights only and scatters them into zeros.

    Parameters of the layer: `codebook` float32 (k,), entry 0 is 0.0; `kept_codes` uint8 (nnz,) and
    `positions` int32 (1, nnz) into the flattened weight, both constant.
    """

    def hybrid_forward(self, F, x, codebook, kept_codes, positions, **others):
        kept = F.take(codebook, kept_codes)
        flat = F.scatter_nd(kept, positions, shape=(int(np.prod(self.weight_shape)),))
        return super().hybrid_forward(F, x, F.reshape(flat, shape=self.weight_shape), **others)

    def coded_tensor(self):
        codes = np.zeros(int(np.prod(self.weight_shape)), np.uint8)
        codes[peek(self.positions)[0]] = peek(self.kept_codes)
        codes.flags.writeable = False  # so that it is not copied once more
        return CodedTensor(value(self.codebook), codes.reshape(self.weight_shape))


@functools.lru_cache(maxsize=None)
def _subclass(behaviour, cls):
    prefix = behaviour.__name__.removesuffix("Layer")
    return type(prefix + cls.__name__, (behaviour, cls), {"plain_class": cls})


def _become(block, behaviour):
    cls = getattr(type(block), "plain_class", type(block))
    block.__class__ = cls if behaviour is None else _subclass(behaviour, cls)


def _exchange(block, old_names, new):
    """Put the Parameters `new` (attribute -> Parameter) where those called `old_names` stood."""
    old = {name: block._reg_params[name] for name in old_names}
    ordered = {}
    for name, parameter in list(block._reg_params.items()):
        if name == old_names[0]:
            ordered.update(new)
        if name not in old:
            ordered[name] = parameter
    for name, parameter in old.items():
        block.__dict__.pop(name)
        block.params._params.pop(parameter.name, None)
    block._reg_params.clear()
    for name, parameter in new.items():
        setattr(block, name, parameter)
        block.params._params[parameter.name] = parameter
    # setattr has registered the new Parameters last; the weight's place is before the bias.
    block._reg_params.clear()
    block._reg_params.update(ordered)


def set_mask(layer, mask):
    """Give a `WeightedLayer` a mask (bool, shape of the weight, True = kept)."""
    weight = layer.parameter
    edit(weight, lambda array: zero_left_out(array, mask))
    if layer.is_masked:
        assign(layer.blocks[0].mask, mask)
        return
    kept = filled(Constant, weight.name + "_mask", mask.view(np.uint8), weight, False)
    for block in layer.blocks:
        _exchange(block, ["weight"], {"weight": weight, "mask": kept})
        _become(block, MaskedLayer)


def set_coded(layer, coded, gradient="centroid"):
    """Share a `WeightedLayer`'s weight: from here on it follows the codebook of `coded`.

    With ``gradient="centroid"`` the forward pass looks the weight up and autograd gives the
    codebook's gradient; with ``"dense"`` the layer keeps a dense weight (`SharedWeight`) whose
    gradient `CentroidTrainer` sums per centroid.
    """
    like, plain_name = layer.parameter, layer.plain_parameter_name
    codebook = filled(Codebook, plain_name + "_codebook", coded.codebook, like, True)
    if gradient == "dense":
        behaviour, new = None, {"weight": _shared_weight(plain_name, coded, codebook, like)}
    elif coded.density <= SCATTER_DENSITY and coded.nnz:
        behaviour, new = ScatterLayer, {"codebook": codebook, **_kept(plain_name, coded, like)}
    else:
        codes = filled(Constant, plain_name + "_codes", coded.codes, like, False)
        codes.limit = len(coded.codebook)
        behaviour, new = LookupLayer, {"codebook": codebook, "codes": codes}
    attributes = layer.weight_attributes
    for block in layer.blocks:
        _exchange(block, attributes, new)
        block.weight_shape = coded.shape
        _become(block, behaviour)


def _shared_weight(name, coded, codebook, like):
    weight = filled(SharedWeight, name, coded.decode(), like, True)
    weight.codebook, weight.codes = codebook, coded.codes
    return weight


def _kept(name, coded, like):
    flat = np.asarray(coded.codes).ravel()
    positions = np.flatnonzero(flat)
    constants = {"kept_codes": flat[positions], "positions": positions.astype(np.int32)[None]}
    made = {key: filled(Constant, f"{name}_{key}", array, like, False) for key, array in constants.items()}
    made["kept_codes"].limit, made["positions"].limit = len(coded.codebook), flat.size
    return made


def set_plain(layer):
    """Give a `WeightedLayer` its plain class and an ordinary dense weight again."""
    weight = filled(gluon.Parameter, layer.plain_parameter_name, layer.array(), layer.parameter,
                    True)
    attributes = layer.weight_attributes
    for block in layer.blocks:
        _exchange(block, attributes, {"weight": weight})
        block.__dict__.pop("weight_shape", None)
        _become(block, None)


def set_running(layer, behaviour):
    """Take a `WeightedLayer`'s weight away: its blocks become `behaviour`, which brings the weights that it runs from."""
    attributes = layer.weight_attributes
    for block in layer.blocks:
        _exchange(block, attributes, {})
        block.__dict__.pop("weight_shape", None)
        _become(block, behaviour)


def set_class(block, behaviour):
    """Change a block's class in place to a subclass of its own and of `behaviour`."""
    _become(block, behaviour)
