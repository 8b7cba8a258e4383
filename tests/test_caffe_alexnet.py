"""Caffe's AlexNet: its size, its groups, its normalisation."""
import mxnet as mx
import numpy as np

from gluon_dc.models import caffe_alexnet, zoo


def test_shapes_are_those_of_the_paper():
    net = zoo.build(caffe_alexnet.NAME)
    shapes = {name: parameter.shape for name, parameter in zoo.named_parameters(net).items()}
    weights = {name: int(np.prod(shape)) for name, shape in shapes.items() if name.endswith("weight")}
    # conv1 to conv5, fc6 to fc8 of the paper's Table 4, which rounds to thousands and millions.
    assert list(weights.values()) == [34_848, 307_200, 884_736, 663_552, 442_368, 37_748_736, 16_777_216, 4_096_000]
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 60_965_224
    assert zoo.build(caffe_alexnet.NAME, 7).output.weight.shape == (7, 4096)


def test_features_fit_the_first_dense_layer():
    net = zoo.without_gradients(zoo.build(caffe_alexnet.NAME, 2))
    convolutional = mx.gluon.nn.HybridSequential()
    convolutional.add(*list(net.features)[:11])
    convolutional.initialize(mx.init.Xavier())
    assert convolutional(mx.nd.zeros((1, 3, 227, 227))).shape == (1, 9216)


def test_normalisation_by_hand():
    x = np.random.default_rng(0).normal(0, 100, (1, 7, 1, 1)).astype(np.float32)
    squares = np.square(x[0, :, 0, 0])
    sums = [squares[max(0, i - 2):i + 3].sum() for i in range(7)]
    expected = x[0, :, 0, 0] / (1 + 1e-4 / 5 * np.array(sums)) ** 0.75
    found = caffe_alexnet.LocalResponseNorm()(mx.nd.array(x)).asnumpy()
    assert np.allclose(found[0, :, 0, 0], expected, rtol=1e-4)
