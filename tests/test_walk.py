import pytest

mx = pytest.importorskip("mxnet")
from mxnet.gluon import nn  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.coding import CompressedModel  # noqa: E402
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


@pytest.mark.parametrize("verb", [
    lambda wrong: dc.prune(wrong, sparsity=0.5), lambda wrong: dc.quantize(wrong, 4), dc.compress, dc.unwrap,
    lambda wrong: dc.restore(CompressedModel({}), wrong)])
@pytest.mark.parametrize("wrong, kind", [(3, "int"), (None, "NoneType"), ("net.gdc", "str"), (nn.Dense, "type")])
def test_what_is_no_net_is_named(verb, wrong, kind):
    with pytest.raises(TypeError, match=f"^expected a gluon Block, got {kind}$"):
        verb(wrong)


def test_model_and_net_the_wrong_way_round():
    net, _ = make("dense")
    with pytest.raises(TypeError, match="^restore takes a CompressedModel and then a net, got HybridSequential: "):
        dc.restore(net, CompressedModel({}))
    with pytest.raises(TypeError, match=r"^expected a CompressedModel, got HybridSequential: gluon_dc.compress\(net\)"):
        dc.size_report(net)


def test_sizes_that_are_not_known_yet_are_question_marks():
    """MXNet has 0 there."""
    net = nn.HybridSequential()
    net.add(nn.Dense(3), nn.Conv2D(4, 3))
    net.initialize()
    with pytest.raises(ValueError, match=r"not known yet \(now \(3, \?\)\); run one forward pass"):
        dc.prune(net, sparsity=0.5)
    plain, _ = make("dense")
    with pytest.raises(ValueError, match=r"0.weight: the net's shape is \(3, \?\), the model's \(8, 6\)"):
        other = nn.HybridSequential()
        other.add(nn.Dense(3), nn.Dense(3))
        dc.restore(dc.compress(plain), other)
    norm = nn.BatchNorm()
    norm.initialize()
    with pytest.raises(ValueError, match=r"gamma is not initialized \(shape \(\?\)\); run one forward pass first"):
        dc.compress(norm)
