"""nn.graph_of: the graph in a file is the plain net's, and a session of the file gives what the net gives."""

import json

import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

from mxnet import gluon  # noqa: E402
from mxnet.gluon import nn  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.models import build, initialize, input_shape  # noqa: E402
from gluon_dc.nn import graph_of  # noqa: E402


class Residual(nn.HybridBlock):
    """Grouped, depthwise and 1x1 convolutions, batch norms in every place, two branches that meet."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.first = nn.Conv2D(8, 3, strides=2, padding=1, in_channels=3, use_bias=False)
            self.norm = nn.BatchNorm(in_channels=8)
            self.left = nn.Conv2D(8, 3, padding=1, groups=8, in_channels=8, activation="relu")
            self.right = nn.Conv2D(8, 1, in_channels=8)
            self.right_norm = nn.BatchNorm(in_channels=8, scale=False)
            self.grouped = nn.Conv2D(12, 3, padding=2, dilation=2, groups=2, in_channels=16)
            self.alone = nn.BatchNorm(in_channels=12)
            self.pool = nn.AvgPool2D(2, 2, ceil_mode=True, count_include_pad=False)
            self.output = nn.Dense(5, in_units=12 * 16)

    def hybrid_forward(self, F, x):
        x = F.relu(self.norm(self.first(x)))
        left, right = self.left(x), self.right_norm(self.right(x))
        x = F.concat(F.relu(left + right), F.clip(x, 0, 6), dim=1)
        x = F.relu(self.alone(F.Dropout(self.grouped(x))))
        return self.output(self.pool(x))


def small_net(seed=0):
    return with_statistics(initialize(Residual(), seed=seed))


def with_statistics(net):
    """Running means, variances and so on drawn, so that folding them shows."""
    rng = np.random.default_rng(0)
    for name, parameter in net._collect_params_with_prefix().items():
        if name.endswith(("gamma", "running_var")):
            parameter.set_data(mx.nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
        elif name.endswith(("beta", "running_mean", "bias")):
            parameter.set_data(mx.nd.array(rng.normal(0, 0.3, parameter.shape)))
    return net


def largest_difference(net, model, shape, n=2, **settings):
    """Largest difference of a session's outputs from the net's, relative to the largest output."""
    x = np.random.default_rng(1).normal(size=(n, *shape)).astype(np.float32)
    expected = net(mx.nd.array(x)).asnumpy()
    found = dc.session(model, measure=False, **settings).run(x)
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


class TestTheGraph:
    def test_by_hand(self):
        net = nn.HybridSequential()
        net.add(nn.Conv2D(2, 3, in_channels=1, activation="relu"), nn.Dense(3, in_units=8, use_bias=False))
        found = json.loads(graph_of(net, (1, 4, 4)))
        assert found["nodes"] == [
            {"op": "null", "name": "data", "inputs": [], "attrs": {"__shape__": "(0, 1, 4, 4)"}},
            {"op": "null", "name": "0.weight", "inputs": []}, {"op": "null", "name": "0.bias", "inputs": []},
            {"op": "Convolution", "name": "0", "attrs": {"kernel": "(3, 3)", "num_filter": "2"},
             "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]},
            {"op": "Activation", "name": "activation_1", "attrs": {"act_type": "relu"}, "inputs": [[3, 0, 0]]},
            {"op": "null", "name": "1.weight", "inputs": []},
            {"op": "FullyConnected", "name": "1", "attrs": {"no_bias": "True", "num_hidden": "3"},
             "inputs": [[4, 0, 0], [5, 0, 0]]}]
        assert found["arg_nodes"] == [0, 1, 2, 5] and found["heads"] == [[6, 0, 0]]

    @pytest.mark.parametrize("make", [small_net, lambda: initialize(build("lenet-5"))])
    def test_pruned_shared_and_hybridized_nets_have_the_plain_ones(self, make):
        net, texts = make(), []
        texts.append(graph_of(net))
        net.hybridize()
        texts.append(graph_of(net))
        dc.prune(net, sparsity=0.5)
        texts.append(graph_of(net))
        dc.quantize(net, 4)  # some densities look codes up, some scatter them
        texts.append(graph_of(net))
        dc.prune(other := make(), sparsity=0.96)
        dc.quantize(other, 3)
        texts.append(graph_of(other))
        dc.quantize(dense := make(), 3, gradient="dense")
        texts.append(graph_of(dense))
        assert len(set(texts)) == 1

    def test_mxnet_reads_it_and_computes_the_same(self):
        net = small_net()
        block = gluon.SymbolBlock(mx.sym.load_json(graph_of(net)), [mx.sym.var("data")])
        for name, parameter in block.collect_params().items():
            parameter._load_init(net._collect_params_with_prefix()[name].data(), mx.cpu())
        x = mx.nd.random.normal(shape=(2, 3, 16, 16))
        np.testing.assert_allclose(block(x).asnumpy(), net(x).asnumpy(), rtol=1e-5, atol=1e-5)

    def test_a_weight_that_two_layers_share(self):
        net = nn.HybridSequential()
        net.add(nn.Dense(4, in_units=4))
        net.add(nn.Dense(4, in_units=4, params=net[0].params))
        net.initialize()
        dc.quantize(net, 2)
        names = [node["name"] for node in json.loads(graph_of(net))["nodes"]]
        assert names == ["data", "0.weight", "0.bias", "0", "0_2"]
        assert largest_difference(net, dc.compress(net, graph=True), (4,)) < 1e-5

    def test_what_cannot_be_traced(self):
        class Eager(gluon.Block):
            def forward(self, x):
                return x.asnumpy()
        with pytest.raises(ValueError, match=r"^the net has no graph: it cannot be traced \(.*asnumpy.*\); every block "
                                             "must be a HybridBlock that takes symbols, and the net must take one "
                                             r"input$"):
            graph_of(Eager())
        with pytest.raises(TypeError, match="expected a gluon Block, got int"):
            graph_of(3)


class TestInAFile:
    def test_by_default_there_is_none(self):
        assert dc.compress(small_net()).graph is None

    @pytest.mark.parametrize("settings", [{}, {"coder": "fixed"}, {"coder": "context", "effort": "fast"}])
    @pytest.mark.parametrize("sparsity", [None, 0.3, 0.9])
    def test_a_session_gives_what_the_net_gives(self, settings, sparsity):
        net = small_net()
        if sparsity is not None:
            dc.prune(net, sparsity=sparsity)
            dc.quantize(net, {"first": None, "*": 5})
        model = dc.loads(dc.compress(net, graph=True, input_shape=(3, 16, 16), **settings).dumps())
        assert largest_difference(net, model, (3, 16, 16)) < 1e-5
        assert largest_difference(net, model, (3, 16, 16), 9, force="dense", threads=2) < 1e-5

    def test_another_input_size_than_the_noted_one(self):
        net = with_statistics(initialize(build("cifar_resnet20_v1", 4), (3, 32, 32)))
        net.hybridize()
        model = dc.compress(net, graph=True, input_shape=(3, 32, 32))
        for shape in ((3, 32, 32), (3, 40, 24)):
            assert largest_difference(net, model, shape) < 1e-5


@pytest.mark.parametrize("name, shape", [
    ("lenet-300-100", None), ("lenet-5", None), ("cifar_resnet20_v2", None), ("mobilenet0.25", (3, 64, 64)),
    ("mobilenetv2_0.25", (3, 64, 64)),
])
def test_nets_of_the_zoo(name, shape):
    shape = shape or input_shape(name)
    net = with_statistics(initialize(build(name), shape))
    dc.prune(net, sparsity=0.7)
    dc.quantize(net, 5)
    net.hybridize()
    assert largest_difference(net, dc.compress(net, graph=True, input_shape=shape), shape) < 1e-4


class TestInputShape:
    @pytest.mark.parametrize("shape", ["x", (-4,), (0,), 4, (3.5,), (True,)])
    def test_no_shape(self, shape):
        net = gluon.nn.Dense(2, in_units=4)
        with pytest.raises(ValueError, match=r"input_shape is a tuple of whole numbers from 1 on, such as"):
            graph_of(net, shape)

    @pytest.mark.parametrize("layer, shape, what", [
        (gluon.nn.Conv1D(4, 3, in_channels=2), (2, 9), "Convolution '0' is 1-D"),
        (gluon.nn.Conv3D(4, 3, in_channels=2), (2, 9, 9, 9), "Convolution '0' is 3-D"),
        (gluon.nn.MaxPool1D(2), (2, 9), "Pooling 'pooling_1' is 1-D")])
    def test_layers_of_other_than_two_axes(self, layer, shape, what):
        net = gluon.nn.HybridSequential()
        net.add(layer)
        net.initialize()
        message = (f"^{what}, and gluon_dc.session runs 2-D layers only: without the graph .no graph=True, no --graph. the "
                   "file can be written, and restored into the net$")
        with pytest.raises(ValueError, match=message):
            dc.compress(net, graph=True, input_shape=shape)
        assert dc.compress(net).graph is None and dc.compress(net, graph=True).graph is not None

    def test_a_shape_that_the_net_does_not_take(self):
        net = gluon.nn.HybridSequential()
        net.add(gluon.nn.Dense(2, in_units=4))
        net.initialize()
        with pytest.raises(ValueError, match=r"an input of shape \(7,\) does not go through the net: .*FullyConnected"):
            dc.compress(net, graph=True, input_shape=(7,))
        assert dc.compress(net, graph=True, input_shape=(4,)).graph is not None
