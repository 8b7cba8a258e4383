"""MXNet's own layers as dense forms (runtime.forms): what sparse forms are measured against in a Gluon net."""

import mxnet as mx

from ..runtime.forms import ConvForm, MatrixForm
from .parameters import memory


class _Dense:
    # What both have in common: the weight as an NDArray, and results as NumPy arrays on MXNet's memory.
    name = "dense"

    def __init__(self, weight, options):
        self.weight, self._options = weight, options
        self.rows = weight.shape[0]
        self.nbytes = 4 * weight.size

    @staticmethod
    def _decoded(coded):
        weight = mx.nd.empty(coded.shape)
        coded.decode(memory(weight))
        return weight

    def call(self, x, bias=None):
        """The layer of an NDArray x, and of a bias or None: an NDArray, made by MXNet's engine in the background."""
        arguments = (x, self.weight) if bias is None else (x, self.weight, bias)
        return self._operator(*arguments, no_bias=bias is None, **self._options)

    def timed_call(self, x):
        """A function without arguments that runs the layer for x (NumPy) and waits for it."""
        x = mx.nd.array(x)
        return lambda: self.call(x).wait_to_read()

    def apply(self, x, bias=None, relu=False, out=None, threads=1):
        """As `MatrixForm.apply` and `ConvForm.apply`; the threads are MXNet's own (OMP_NUM_THREADS)."""
        y = self.call(mx.nd.array(x), None if bias is None else mx.nd.array(bias))
        result = memory(mx.nd.relu(y) if relu else y)
        if out is None:
            return result
        out[...] = result
        return out


class GluonMatrix(_Dense, MatrixForm):
    """A dense layer of MXNet."""

    _operator = staticmethod(mx.nd.FullyConnected)

    @classmethod
    def build(cls, coded):
        return cls(cls._decoded(coded), {"num_hidden": coded.shape[0], "flatten": False})

    @staticmethod
    def fits(coded, batch):
        return len(coded.shape) == 2


class GluonConv(_Dense, ConvForm):
    """A 2-D convolution of MXNet."""

    _operator = staticmethod(mx.nd.Convolution)

    @classmethod
    def build(cls, coded, geometry):
        return cls(cls._decoded(coded), {
            "kernel": coded.shape[2:], "num_filter": coded.shape[0], "stride": geometry.stride, "pad": geometry.pad,
            "dilate": geometry.dilate, "num_group": geometry.groups})

    @staticmethod
    def fits(coded, geometry, shape):
        return len(coded.shape) == 4
