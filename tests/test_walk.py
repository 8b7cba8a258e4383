import pytest

mx = pytest.importorskip("mxnet")
from mxnet.gluon import nn  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.nn.walk import named_blocks, plain_parameters, weighted_layers  # noqa: E402
from nets import NETS, make  # noqa: E402


def names(net, **options):
    return [layer.name for layer in weighted_layers(net, **options)]


def test_structural_names():
    assert names(make("convolutional")[0]) == ["0.weight", "1.0.weight", "3.weight"]
    assert names(make("attributes")[0]) == ["first.weight", "head.weight"]
    assert names(make("single")[0]) == ["weight"]


def test_a_weight_of_two_layers_is_one():
    net, _ = make("shared")
    first = weighted_layers(net)[0]
    assert names(net) == ["one.weight", "out.weight"]
    assert first.blocks == (net.one, net.two)


def test_transposed_convolutions_only_when_asked():
    net, _ = make("transposed")
    assert names(net) == ["0.weight"]
    assert names(net, transposed=True) == ["0.weight", "1.weight"]


def test_a_block_registered_twice_is_visited_once():
    layer = nn.Dense(2, in_units=2)
    net = nn.HybridSequential()
    net.add(layer, layer)
    assert [name for name, _ in named_blocks(net)] == ["", "0"]


@pytest.mark.parametrize("name", NETS)
def test_plain_parameters_keep_their_names_whatever_the_layers_become(name):
    net, _ = make(name)
    plain = list(plain_parameters(net))
    dc.prune(net, sparsity=0.5)
    assert list(plain_parameters(net)) == plain
    dc.quantize(net, 3)
    assert list(plain_parameters(net)) == plain
