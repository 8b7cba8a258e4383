import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import autograd, gluon  # noqa: E402

from gluon_dc.coding import CodedTensor  # noqa: E402
from gluon_dc.nn import layers, weighted_layers  # noqa: E402
from gluon_dc.nn.layers import set_coded, set_mask, set_plain  # noqa: E402

CODED = CodedTensor(np.float32([0, -1, 0.5, 2]), np.uint8([[0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 2, 0]]))
X = np.float32([[1, 2, 3, 4], [-1, 0, 1, 0]])


def dense_layer(**options):
    net = gluon.nn.Dense(3, in_units=4, **options)
    net.initialize(mx.init.One())
    return net, weighted_layers(net)[0]


def test_masked_by_hand():
    net, layer = dense_layer()
    set_mask(layer, np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool))
    np.testing.assert_array_equal(net(mx.nd.array(X)).asnumpy(), [[5, 0, 10], [-1, 0, 0]])
    assert type(net).__name__ == "MaskedDense" and isinstance(net, gluon.nn.Dense)


@pytest.mark.parametrize("way", ["lookup", "scatter", "dense"])
@pytest.mark.parametrize("hybridize", [False, True])
def test_every_way_of_sharing_by_hand(way, hybridize, monkeypatch):
    monkeypatch.setattr(layers, "SCATTER_DENSITY", 1.0 if way == "scatter" else 0.0)
    net, layer = dense_layer(activation="relu")
    set_coded(layer, CODED, "dense" if way == "dense" else "centroid")
    if hybridize:
        net.hybridize()
    assert type(net).__name__ == {"dense": "Dense"}.get(way, f"{way.title()}Dense")
    with autograd.record():
        out = net(mx.nd.array(X))
    out.backward()
    # rows: -x1 + 0.5 x3, 2 x0, 0.5 x2, then relu
    np.testing.assert_array_equal(out.asnumpy(), [[0, 2, 1.5], [0, 0, 0.5]])
    if way == "dense":
        net.weight.sum_gradient()
    codebook = net.weight.codebook if way == "dense" else net.codebook
    # relu passes outputs above 0 only: gradients x2 = 3 + 1 for entry 2, x0 = 1 for entry 3
    np.testing.assert_array_equal(codebook.grad().asnumpy()[1:], [0, 4, 1])
    assert weighted_layers(net)[0].coded_tensor() == CODED


@pytest.mark.parametrize("way", ["lookup", "scatter", "dense", "masked"])
def test_plain_again_in_place_and_in_order(way, monkeypatch):
    monkeypatch.setattr(layers, "SCATTER_DENSITY", 1.0 if way == "scatter" else 0.0)
    net, layer = dense_layer()
    before = list(net._reg_params), sorted(net.collect_params())
    if way == "masked":
        set_mask(layer, CODED.mask)
    else:
        set_coded(layer, CODED, "dense" if way == "dense" else "centroid")
    assert list(net._reg_params)[-1] == "bias"
    set_plain(weighted_layers(net)[0])
    assert (list(net._reg_params), sorted(net.collect_params())) == before
    expected = CODED.mask.astype(np.float32) if way == "masked" else CODED.decode()
    np.testing.assert_array_equal(net.weight.data().asnumpy(), expected)
    assert type(net) is gluon.nn.Dense and not hasattr(net, "weight_shape")


def test_multipliers_and_frozen_weights_are_passed_on():
    net, layer = dense_layer()
    net.weight.lr_mult, net.weight.grad_req = 3.0, "null"
    set_coded(layer, CODED)
    assert net.codebook.lr_mult == 3.0 and net.codebook.grad_req == "null"
