"""A net that is a plain chain of layers, held narrow while it is pruned, and made whole again.

Pruning leaves units that nothing feeds or nothing reads. A NarrowChain drops them for real, so that training gets
faster as the net gets sparser: what a unit without inputs still gives, a constant, is folded into the biases that
come after it; input pixels that nothing reads are not looked at. `expand` gives the weights of the whole net back,
which computes the same up to the order of sums.
"""
import mxnet as mx
import numpy as np
from mxnet.gluon import nn

from .chain_specs import new_layer

_STATE = ("w", "m", "v", "mask")
# A convolution runs with a multiple of so many channels, those beyond its units all 0: oneDNN is up to twice as fast.
CHANNELS = 16


class Tensor:
    """A weight or bias in training; all arrays have its shape and are narrowed together.

    w: float32 values, 0 where not kept. m, v: float32, Adam's running means of gradient and squared gradient. mask:
    bool, True = kept. kept: int64, flat positions of the kept. shared: float32, what the forward pass uses in place of
    w, or None.
    """

    def __init__(self, values):
        self.w = np.array(values, np.float32)
        self.m, self.v = np.zeros_like(self.w), np.zeros_like(self.w)
        self.mask, self.shared = np.ones(self.w.shape, bool), None
        self.refresh()

    def refresh(self):
        """After the mask was changed: zero what is not kept any more."""
        self.kept = np.flatnonzero(self.mask)
        self.w *= self.mask
        self.m *= self.mask

    def settle(self):
        """Make what the forward pass uses the weights; what is 0 there is not kept any more."""
        self.w, self.shared = self.used, None
        self.mask = self.mask & (self.w != 0)
        self.refresh()

    def take(self, cut):
        """Replace every array by cut(array)."""
        for name in _STATE + (("shared",) if self.shared is not None else ()):
            setattr(self, name, np.ascontiguousarray(cut(getattr(self, name))))
        self.kept = np.flatnonzero(self.mask)

    @property
    def used(self):
        """float32: what the forward pass uses."""
        return self.w if self.shared is None else self.shared


class NarrowChain:
    """A chain in training: its tensors, which units of the whole net they are, and a Gluon net of just these.

    Parameters
    ----------
    specs : tuple of LayerSpec
    values : list of float arrays
        Weight and bias of every layer in turn, whole.

    Attributes
    ----------
    tensors : list of Tensor, weight and bias of every layer in turn.
    units : list of int arrays, the numbers of the live units of every layer.
    columns : int array of the pixels that the first layer, if it is dense, reads; None for a convolution.
    net : HybridSequential, narrow; rebuilt by `compact`. Weights reach it by `push`.
    """

    def __init__(self, specs, values):
        self.specs = specs
        self.tensors = [Tensor(array) for array in values]
        self.units = [np.arange(spec.shape[0]) for spec in specs]
        self.columns = None if specs[0].is_conv else np.arange(specs[0].shape[1])
        self._build()

    @property
    def weights(self):
        """The weights among the tensors, by layer."""
        return self.tensors[::2]

    @property
    def biases(self):
        """The biases among the tensors, by layer."""
        return self.tensors[1::2]

    @property
    def kept(self):
        """Number of kept weights and biases."""
        return sum(tensor.kept.size for tensor in self.tensors)

    def fold_biases(self):
        """Fold the biases of layers without ReLU into the next layer's.

        Exact: a constant passes max pooling as it is, and a convolution without padding as the sum of its weights.
        """
        for number, spec in enumerate(self.specs[:-1]):
            if not spec.relu:
                bias = self.biases[number]
                self._pass_on(number, bias.w)
                bias.mask[:] = False
                bias.refresh()

    def settle(self):
        """Make what the forward pass uses the weights; what is 0 there is not kept any more."""
        for tensor in self.tensors:
            tensor.settle()

    def compact(self):
        """Drop units that nothing feeds or nothing reads, their constants folded; build the net anew if any was.

        A layer keeps one unit, whatever it is. Returns whether anything was dropped.
        """
        changed = False
        while any([self._drop(number) for number in range(len(self.specs) - 1)]):
            changed = True
        if self.columns is not None:
            changed |= self._drop_columns()
        if changed:
            self._build()
        return changed

    def _drop(self, number):
        """Drop dead units of one layer; returns whether there were any."""
        weight, bias, reader = self.weights[number], self.biases[number], self.weights[number + 1]
        units = len(weight.w)
        fed, read = weight.mask.reshape(units, -1).any(axis=1), self._by_unit(number, reader.mask).any(axis=(0, 2))
        constant = ~fed & read
        if constant.any():
            values = np.maximum(bias.w, 0) if self.specs[number].relu else bias.w
            self._pass_on(number, np.where(constant, values, 0))
            self._by_unit(number, reader.mask)[:, constant] = False
            reader.refresh()
        alive = fed & read
        if not alive.any():
            alive[0] = True
        if alive.all():
            return False
        weight.take(lambda array: array[alive])
        bias.take(lambda array: array[alive])
        reader.take(lambda array: self._by_unit(number, array)[:, alive].reshape(
            len(array), -1, *(array.shape[2:] if array.ndim == 4 else ())))
        self.units[number] = self.units[number][alive]
        return True

    def _drop_columns(self):
        first = self.weights[0]
        read = first.mask.any(axis=0)
        if not read.any():
            read[0] = True
        if read.all():
            return False
        first.take(lambda array: array[:, read])
        self.columns = self.columns[read]
        return True

    def _pass_on(self, number, values):
        """Add what constant outputs (units,) of a layer give to the next layer's biases."""
        reader, bias = self.weights[number + 1], self.biases[number + 1]
        added = self._by_unit(number, reader.w).sum(axis=2, dtype=np.float64) @ values.astype(np.float64)
        bias.w += added.astype(np.float32)
        bias.mask |= added != 0
        bias.refresh()

    def _by_unit(self, number, array):
        """An array of the layer after `number` as (out, units of `number`, rest); a view."""
        return array.reshape(len(array), len(self.units[number]), -1)

    def expand(self, arrays):
        """{structural name: array} of the whole net from narrow ones, in the order of `tensors`; the rest is 0."""
        whole = {}
        for number, spec in enumerate(self.specs):
            weight, bias = arrays[2 * number:2 * number + 2]
            filled = np.zeros(spec.shape, weight.dtype)
            filled[np.ix_(self.units[number], self._columns_of(number))] = weight
            whole[f"{spec.name}.weight"] = filled
            whole[f"{spec.name}.bias"] = np.zeros(spec.shape[0], bias.dtype)
            whole[f"{spec.name}.bias"][self.units[number]] = bias
        return whole

    def _columns_of(self, number):
        """Second-axis places of a narrow weight in the whole one."""
        shape = self.specs[number].shape
        if number == 0:
            return np.arange(shape[1]) if self.columns is None else self.columns
        each = shape[1] // self.specs[number - 1].shape[0]
        return (self.units[number - 1][:, None] * each + np.arange(each)).reshape(-1)

    def plane_of(self, number):
        """(plane, columns) of a layer as `rate.place_bits` takes them, narrow."""
        plane = self.specs[number].plane
        if number == 0:
            return plane, self.columns
        return (None if plane is None else (len(self.units[number - 1]), *plane[1:])), None

    def inputs(self, images):
        """uint8 images (n, 1, height, width) as the narrow net takes them."""
        return images if self.columns is None else images.reshape(len(images), -1)[:, self.columns]

    def push(self):
        """Bring the tensors' values into the net."""
        for parameter, tensor, buffer, place in zip(self.parameters, self.tensors, self._buffers, self._places):
            part = buffer[place]
            part[...] = tensor.used.reshape(part.shape)
            _put(buffer.reshape(parameter.shape), parameter.data())

    def gradients(self):
        """The net's gradients, float32, in the order of `tensors`."""
        return [parameter.grad().asnumpy().reshape(buffer.shape)[place].reshape(tensor.w.shape) for
                parameter, tensor, buffer, place in zip(self.parameters, self.tensors, self._buffers, self._places)]

    def _build(self):
        net = nn.HybridSequential()
        self.parameters, self._buffers, self._places = [], [], []
        before = 1, 1
        for spec, weight in zip(self.specs, self.weights):
            units = len(weight.w)
            width = -(-units // CHANNELS) * CHANNELS if spec.is_conv else units
            rest = weight.w.size // (units * before[0])
            self._buffers += [np.zeros((width, before[1], rest), np.float32), np.zeros(width, np.float32)]
            self._places += [np.s_[:units, :before[0]], np.s_[:units]]
            before = units, width
            layer = new_layer(spec, self._padded_shape(spec, weight, width))
            net.add(layer)
            if spec.pool:
                net.add(nn.MaxPool2D(*spec.pool))
            self.parameters += [layer.weight, layer.bias]
        net.initialize()
        net.hybridize(static_alloc=True, static_shape=True)
        self.net = net
        self.push()

    def _padded_shape(self, spec, weight, width):
        """Shape of a layer's weight in the net, from that of the buffer appended last."""
        _, inputs, rest = self._buffers[-2].shape
        if not spec.is_conv:
            return width, inputs * rest
        kernel = weight.w.shape[2:]
        return (width, inputs * rest // (kernel[0] * kernel[1]), *kernel)

    def state(self):
        """{name: array} of everything but the net, for a checkpoint."""
        arrays = {f"{name}.{number}": getattr(tensor, name)
                  for number, tensor in enumerate(self.tensors) for name in _STATE}
        arrays.update({f"units.{number}": units for number, units in enumerate(self.units)})
        return arrays if self.columns is None else {**arrays, "columns": self.columns}

    def set_state(self, arrays):
        """Take over what `state` gave. KeyError for an array that is missing."""
        for number, tensor in enumerate(self.tensors):
            for name in _STATE:
                setattr(tensor, name, np.ascontiguousarray(arrays[f"{name}.{number}"]))
            tensor.kept, tensor.shared = np.flatnonzero(tensor.mask), None
        self.units = [arrays[f"units.{number}"] for number in range(len(self.specs))]
        self.columns = None if self.columns is None else arrays["columns"]
        self._build()


def _put(values, array):
    """Write float32 values into an NDArray of the same shape."""
    try:
        array._sync_copyfrom(values)  # ten times as fast as the other
    except mx.MXNetError:  # inference has left the weights in oneDNN's own layout
        mx.nd.array(values).copyto(array)
