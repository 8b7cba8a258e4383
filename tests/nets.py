"""Nets of every shape that the verbs must take, small."""
import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn


class Attributes(HybridBlock):
    """Blocks held as attributes, one of them used twice."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.first = nn.Dense(6, activation="relu", in_units=6)
            self.head = nn.Dense(3, use_bias=False, in_units=6)

    def hybrid_forward(self, F, x):
        return self.head(self.first(self.first(x)))


class SharedParameters(HybridBlock):
    """Two layers with one weight and one bias."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.one = nn.Dense(6, in_units=6)
            self.two = nn.Dense(6, in_units=6, params=self.one.params)
            self.out = nn.Dense(3, in_units=6)

    def hybrid_forward(self, F, x):
        return self.out(F.tanh(self.two(F.tanh(self.one(x)))))


def _sequential(*blocks):
    net = nn.HybridSequential()
    net.add(*blocks)
    return net


def dense():
    return _sequential(nn.Dense(8, activation="relu", in_units=6), nn.Dense(3, in_units=8))


def convolutional():
    """Fused activation, groups, no bias, batch norm, nesting."""
    inner = _sequential(nn.Conv2D(8, 3, groups=2, in_channels=4, use_bias=False),
                        nn.BatchNorm(in_channels=8), nn.Activation("relu"))
    return _sequential(nn.Conv2D(4, 3, in_channels=2, activation="relu"), inner,
                       nn.Flatten(), nn.Dense(3, in_units=32))


def depthwise():
    return _sequential(nn.Conv2D(4, 3, groups=4, in_channels=4, padding=1), nn.GlobalAvgPool2D(),
                       nn.Dense(3, in_units=4))


def one_dimensional():
    return _sequential(nn.Conv1D(4, 3, in_channels=2), nn.Conv1D(2, 1, in_channels=4))


def transposed():
    """A layer whose weight must be left alone."""
    return _sequential(nn.Conv2D(4, 3, in_channels=2), nn.Conv2DTranspose(2, 3, in_channels=4))


def embedding():
    return _sequential(nn.Embedding(10, 4), nn.Dense(3, in_units=4))


NETS = {
    "dense": (dense, (5, 6)), "attributes": (Attributes, (5, 6)),
    "shared": (SharedParameters, (5, 6)), "convolutional": (convolutional, (2, 2, 6, 6)),
    "depthwise": (depthwise, (2, 4, 5, 5)), "one_dimensional": (one_dimensional, (2, 2, 7)),
    "transposed": (transposed, (2, 2, 6, 6)), "single": (lambda: nn.Dense(3, in_units=6), (5, 6)),
}


def make(name, seed=0, ctx=None, hybridize=False):
    """An initialized net and an input for it."""
    build, shape = NETS[name]
    mx.random.seed(seed)
    net = build()
    net.initialize(mx.init.Xavier(), ctx=ctx)
    if hybridize:
        net.hybridize(static_alloc=True, static_shape=True)
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return net, mx.nd.array(x, ctx=ctx[0] if isinstance(ctx, list) else ctx)


def arrays_of(net):
    """{structural name: array} of a plain net."""
    return {name: parameter.list_data()[0].asnumpy()
            for name, parameter in net._collect_params_with_prefix().items()}


class Tied(HybridBlock):
    """An output layer that uses the embedding's weight."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.embedding = nn.Embedding(7, 4)
            self.inner = nn.Dense(4, in_units=4, flatten=False)
            self.output_weight = self.embedding.weight

    def hybrid_forward(self, F, x, output_weight):
        return F.dot(self.inner(self.embedding(x)), output_weight, transpose_b=True)
