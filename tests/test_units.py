import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet.gluon import nn  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.models import MODELS  # noqa: E402
from gluon_dc.nn import sort_units, zero_unused_units  # noqa: E402
from nets import NETS, make  # noqa: E402


def test_a_chain_by_hand():
    net = nn.HybridSequential()
    net.add(nn.Dense(2, in_units=1), nn.Activation("relu"), nn.Dense(2, in_units=2), nn.Dense(1, in_units=2))
    net.initialize(mx.init.One())
    for layer in (net[0], net[2], net[3]):
        layer.bias.set_data(layer.bias.data() + 5)
    net[3].weight.set_data(mx.nd.array([[1, 0]]))     # unit 1 of the middle layer is not read,
    net[2].weight.set_data(mx.nd.array([[3, 0], [4, 5]]))  # and unit 1 of the first by it alone
    before = net(mx.nd.array([[2.0]])).asnumpy()
    assert zero_unused_units(net) == {"2": 1, "0": 1}
    np.testing.assert_array_equal(net[2].weight.data().asnumpy(), [[3, 0], [0, 0]])
    np.testing.assert_array_equal(net[2].bias.data().asnumpy(), [5, 0])
    np.testing.assert_array_equal(net[0].weight.data().asnumpy(), [[1], [0]])
    np.testing.assert_array_equal(net[0].bias.data().asnumpy(), [5, 0])
    np.testing.assert_array_equal(net(mx.nd.array([[2.0]])).asnumpy(), before)


@pytest.mark.parametrize("name", MODELS)
def test_predictions_of_a_pruned_lenet_stay_bit_for_bit(name):
    mx.random.seed(0)
    net = MODELS[name]()
    net.initialize(mx.init.Normal(1.0))
    dc.prune(net, sparsity=0.99, scope="global")
    dc.unwrap(net)
    x = mx.nd.random.uniform(shape=(4, 1, 28, 28))
    before = net(x).asnumpy()
    unused = zero_unused_units(net)
    assert sum(unused.values()) > 0 and len(unused) == sum(isinstance(b, (nn.Dense, nn.Conv2D)) for b in net) - 1
    np.testing.assert_array_equal(net(x).asnumpy(), before)


def test_units_are_sorted_by_their_incoming_weights():
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=2), nn.Dense(1, in_units=3))
    net.initialize()
    net[0].weight.set_data(mx.nd.array([[0, 0], [1, 2], [0, 3]]))
    net[0].bias.set_data(mx.nd.array([7, 8, 9]))
    net[1].weight.set_data(mx.nd.array([[4, 5, 6]]))
    sort_units(net)
    np.testing.assert_array_equal(net[0].weight.data().asnumpy(), [[1, 2], [0, 3], [0, 0]])
    np.testing.assert_array_equal(net[0].bias.data().asnumpy(), [8, 9, 7])
    np.testing.assert_array_equal(net[1].weight.data().asnumpy(), [[5, 6, 4]])


@pytest.mark.parametrize("name", MODELS)
def test_sorting_keeps_predictions_and_makes_the_file_smaller(name):
    mx.random.seed(0)
    net = MODELS[name]()
    net.initialize(mx.init.Normal(1.0))
    dc.prune(net, sparsity=0.99, scope="global")
    zero_unused_units(dc.unwrap(net))
    x = mx.nd.random.uniform(shape=(4, 1, 28, 28))
    before = net(x).asnumpy()
    nbytes = []
    for step in (lambda net: None, sort_units):
        step(net)
        shared = MODELS[name]()
        dc.restore(dc.compress(net), shared)
        dc.quantize(shared, 4)
        nbytes.append(dc.compress(shared).nbytes)
    np.testing.assert_allclose(net(x).asnumpy(), before, rtol=1e-4, atol=1e-3)
    assert nbytes[1] < nbytes[0]


@pytest.mark.parametrize("name", NETS)
def test_predictions_stay_whatever_the_net(name):
    net, x = make(name)
    for parameter in net.collect_params(".*weight").values():
        parameter.set_data(parameter.data() * (mx.nd.random.uniform(shape=parameter.shape) > 0.7))
    before = net(x).asnumpy()
    zero_unused_units(net)
    np.testing.assert_array_equal(net(x).asnumpy(), before)
    sort_units(net)
    np.testing.assert_allclose(net(x).asnumpy(), before, rtol=1e-5, atol=1e-6)


def test_grouped_layers_and_wrapped_ones_are_left_alone():
    net, _ = make("depthwise")
    net[2].weight.set_data(mx.nd.zeros((3, 4)))
    assert zero_unused_units(net) == {}
    for wrap in (lambda net: dc.prune(net, sparsity=0.9), lambda net: dc.quantize(net, 3),
                 lambda net: dc.quantize(net, 3, gradient="dense")):
        net, _ = make("dense")
        wrap(net)
        assert zero_unused_units(net) == {}


@pytest.mark.parametrize("layers, shape", [
    (lambda: [nn.Conv2D(4, 3, in_channels=2), nn.Dense(3, in_units=4, flatten=False)], (1, 2, 6, 6)),
    (lambda: [nn.Dense(3, in_units=4, flatten=False), nn.Dense(2, in_units=6)], (1, 2, 4)),
])
def test_layers_that_are_not_read_channel_by_channel_are_left_alone(layers, shape):
    mx.random.seed(1)
    net = nn.HybridSequential()
    net.add(*layers())
    net.initialize(mx.init.Normal(1.0))
    net[0].weight.set_data(net[0].weight.data() * (mx.nd.random.uniform(shape=net[0].weight.shape) > 0.5))
    x = mx.nd.random.uniform(shape=shape)
    before = net(x).asnumpy()
    sort_units(net)
    assert zero_unused_units(net) == {}
    np.testing.assert_array_equal(net(x).asnumpy(), before)


def test_a_layer_that_is_used_twice_is_left_alone():
    layer = nn.Dense(2, in_units=2)
    net = nn.HybridSequential()
    net.add(layer, nn.Activation("relu"), layer)
    net.initialize()
    layer.weight.set_data(mx.nd.array([[1, 0], [1, 0]]))
    assert zero_unused_units(net) == {}
