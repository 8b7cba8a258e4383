import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from hypothesis import given, settings, strategies as st  # noqa: E402
from mxnet import autograd, gluon  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.nn import pruning, weighted_layers  # noqa: E402
from gluon_dc.nn.pruning import _keep_highest  # noqa: E402
from nets import NETS, make  # noqa: E402


def one_layer(weight):
    net = gluon.nn.Dense(len(weight), in_units=len(weight[0]), use_bias=False)
    net.initialize()
    net.weight.set_data(mx.nd.array(weight))
    return net


def weight_of(net):
    return weighted_layers(net)[0].array()


EXAMPLE = [[0.1, -0.5, 0.3], [0.0, -0.2, 0.9]]


def test_half_of_six_weights():
    net = one_layer(EXAMPLE)
    assert dc.prune(net, sparsity=0.5) == {"weight": 0.5}
    expected = np.float32([[0, -0.5, 0.3], [0, 0, 0.9]])
    np.testing.assert_array_equal(weight_of(net), expected)
    x = mx.nd.array([[1, 1, 1]])
    np.testing.assert_allclose(net(x).asnumpy(), [[-0.2, 0.9]], rtol=1e-6)


def test_threshold_keeps_what_reaches_it():
    net = one_layer(EXAMPLE)
    dc.prune(net, threshold=float(np.float32(0.3)))
    np.testing.assert_array_equal(weight_of(net) != 0, [[False, True, True], [False, False, True]])


def test_quality_times_standard_deviation():
    net = one_layer([[1.0, -1.0, 3.0, -3.0]])  # standard deviation sqrt(5) = 2.236
    dc.prune(net, quality=0.5)
    np.testing.assert_array_equal(weight_of(net), [[0, 0, 3, -3]])


@pytest.mark.parametrize("kind", ["threshold", "quality"])
def test_minus_zero_prunes_no_more_than_zero(kind):
    net = one_layer(EXAMPLE)
    dc.prune(net, **{kind: -0.0})
    np.testing.assert_array_equal(weight_of(net), np.float32(EXAMPLE))


def test_global_ranks_all_layers_together():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(1, in_units=4, use_bias=False), gluon.nn.Dense(4, in_units=1, use_bias=False))
    net.initialize()
    net[0].weight.set_data(mx.nd.array([[1, 2, 3, 4]]))
    net[1].weight.set_data(mx.nd.array([[10], [20], [30], [2.5]]))
    reached = dc.prune(net, sparsity=0.5, scope="global")
    assert reached == {"0.weight": 0.75, "1.weight": 0.25}


def test_scores_take_the_place_of_magnitudes():
    net = one_layer(EXAMPLE)
    dc.prune(net, sparsity=0.5, scores={"weight": [[6, 5, 4], [3, 2, 1]]})
    np.testing.assert_array_equal(weight_of(net), np.float32([[0.1, -0.5, 0.3], [0, 0, 0]]))


def test_pruned_weights_get_no_gradient_and_stay_pruned():
    net = one_layer(EXAMPLE)
    dc.prune(net, sparsity=0.5)
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.1, "wd": 0.1})
    for _ in range(3):
        with autograd.record():
            loss = net(mx.nd.ones((2, 3))).sum()
        loss.backward()
        assert not net.weight.grad().asnumpy()[~np.array([[0, 1, 1], [0, 0, 1]], bool)].any()
        trainer.step(1)
    np.testing.assert_array_equal(weight_of(net) != 0, [[False, True, True], [False, False, True]])
    dc.prune(net, sparsity=0.5)
    np.testing.assert_array_equal(weight_of(net) != 0, [[False, True, True], [False, False, True]])


def test_pruning_again_only_removes():
    rng = np.random.default_rng(0)
    net = one_layer(rng.normal(size=(8, 8)))
    dc.prune(net, sparsity=0.5)
    first = weight_of(net) != 0
    net.weight.set_data(mx.nd.array(rng.normal(size=(8, 8))))
    dc.prune(net, sparsity=0.75)
    second = weight_of(net) != 0
    assert second.sum() == 16 and not (second & ~first).any()
    dc.prune(net, sparsity=0.25)
    np.testing.assert_array_equal(weight_of(net) != 0, second)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("hybridize", [False, True])
def test_every_net_prunes_and_predicts_with_its_masked_weights(name, hybridize):
    net, x = make(name, hybridize=hybridize)
    net(x)
    dc.prune(net, sparsity=0.6)
    pruned = net(x).asnumpy()
    for layer in weighted_layers(net):
        assert abs(layer.mask().mean() - 0.4) < 1 / layer.mask().size + 1e-9
        assert (layer.array() != 0).sum() == layer.mask().sum()
    dc.unwrap(net)
    np.testing.assert_array_equal(net(x).asnumpy(), pruned)


def test_two_contexts_hold_the_same_mask():
    net, _ = make("dense", ctx=[mx.cpu(0), mx.cpu(1)])
    dc.prune(net, sparsity=0.5)
    first, second = (net[0].mask.data(ctx).asnumpy() for ctx in net[0].mask.list_ctx())
    np.testing.assert_array_equal(first, second)


@given(st.lists(st.integers(0, 3), min_size=0, max_size=30), st.floats(0, 0.99))
@settings(deadline=None, max_examples=60)
def test_exactly_the_asked_number_goes_whatever_the_ties(rank, sparsity):
    rank = np.array(rank, float)
    mask, = _keep_highest([rank], sparsity)
    assert (~mask).sum() == round(sparsity * rank.size)
    if mask.any() and not mask.all():
        assert rank[mask].min() >= rank[~mask].max()


@pytest.mark.parametrize("arguments, message", [
    ({}, "exactly one of sparsity, threshold and quality; got none"),
    ({"sparsity": 0.5, "quality": 1}, "got sparsity and quality"),
    ({"sparsity": 1.0}, r"sparsity of weight must be in \[0, 1\), got 1.0"),
    ({"threshold": -1}, r"threshold of weight must be in \[0, inf\), got -1"),
    ({"sparsity": float("nan")}, "got nan"),
    ({"sparsity": {"fc": 0.5}}, "pattern 'fc' matches no layer; the layers are weight"),
    ({"sparsity": 0.5, "scope": "net"}, 'scope is "layer" or "global", got \'net\''),
    ({"sparsity": 0.5, "scores": {}}, "scores has no entry for weight"),
    ({"sparsity": 0.5, "scores": {"weight": [1]}}, r"expected the weight's shape \(2, 3\), got \(1,\)"),
    ({"sparsity": 0.5, "scores": {"weight": [[1, 2, 3], [4, 5, float("nan")]]}},
     "scores of weight: 1 of 6 values are NaN"),
])
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        dc.prune(one_layer(EXAMPLE), **arguments)


def test_global_takes_one_number():
    net, _ = make("dense")
    with pytest.raises(ValueError, match="takes one sparsity for all layers, got"):
        dc.prune(net, sparsity={"0": 0.5, "1": 0.6}, scope="global")
    assert list(dc.prune(net, sparsity={"0": None, "*": 0.5}, scope="global")) == ["1.weight"]


def test_nan_weights_are_refused_and_the_net_is_unchanged():
    net, _ = make("dense")
    bad = net[1].weight.data().asnumpy()
    bad[0, :2] = np.nan, np.inf
    net[1].weight.set_data(mx.nd.array(bad))
    with pytest.raises(ValueError, match=r"1.weight: 2 of 24 values are NaN or infinite"):
        dc.prune(net, sparsity=0.5)
    assert type(net[0]) is gluon.nn.Dense


def test_deferred_and_uninitialized_shapes_are_refused():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(3))
    net.initialize()
    with pytest.raises(ValueError, match="layer '0': the shape of its weight is not known yet"):
        dc.prune(net, sparsity=0.5)
    with pytest.raises(ValueError, match="layer '': its weight is not initialized"):
        dc.prune(gluon.nn.Dense(3, in_units=2), sparsity=0.5)


def test_a_shared_layer_is_not_pruned():
    net, _ = make("dense")
    dc.quantize(net, 4)
    with pytest.raises(ValueError, match="0.weight is already shared: prune first"):
        dc.prune(net, sparsity=0.5)


def test_the_mask_takes_a_byte_a_weight_and_follows_a_cast():
    net, x = make("convolutional", hybridize=True)
    dc.prune(net, sparsity=0.5)
    assert net[0].mask.dtype == np.uint8 and set(np.unique(net[0].mask.data().asnumpy())) == {0, 1}
    expected = net(x).asnumpy()
    net.cast("float64")
    predicted = net(x.astype("float64"))
    assert predicted.dtype == np.float64
    np.testing.assert_allclose(predicted.asnumpy(), expected, rtol=1e-4, atol=1e-6)


def test_masks_saved_as_floats_are_read(tmp_path):
    net, x = make("dense")
    dc.prune(net, sparsity=0.5)
    arrays = {name: parameter.data().astype("float32") for name, parameter in net._collect_params_with_prefix().items()}
    mx.nd.save(str(tmp_path / "old.params"), arrays)
    again, _ = make("dense", seed=1)
    dc.prune(again, sparsity=0.0)
    again.load_parameters(str(tmp_path / "old.params"))
    np.testing.assert_array_equal(again(x).asnumpy(), net(x).asnumpy())
    assert again[0].mask.data().dtype == np.uint8


@pytest.mark.parametrize("wrong", [0.5, 2.0, -1.0, np.nan])
@pytest.mark.parametrize("cast", [False, True])
def test_floats_that_are_no_mask_are_refused(tmp_path, wrong, cast):
    net, _ = make("dense")
    dc.prune(net, sparsity=0.5)
    arrays = {name: parameter.data().astype("float32") for name, parameter in net._collect_params_with_prefix().items()}
    arrays["0.mask"][0, 0] = wrong
    mx.nd.save(str(tmp_path / "net.params"), arrays)
    before = net[0].mask.data().asnumpy()
    with pytest.raises(AssertionError, match="dtype"):
        net.load_parameters(str(tmp_path / "net.params"), cast_dtype=cast)
    np.testing.assert_array_equal(net[0].mask.data().asnumpy(), before)


@pytest.mark.parametrize("kvstore", ["device", "local"])
def test_a_trainer_on_two_contexts_takes_masks(kvstore):
    contexts = [mx.cpu(0), mx.cpu(1)]
    net, x = make("dense", ctx=contexts)
    dc.prune(net, sparsity=0.5)
    mask = net[0].mask.data(contexts[0]).asnumpy()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9}, kvstore=kvstore)
    for _ in range(2):
        with autograd.record():
            losses = [(net(x.as_in_context(ctx)) ** 2).sum() for ctx in contexts]
        autograd.backward(losses)
        trainer.step(10)
    first, second = (weighted_layers(net)[0].parameter.data(ctx).asnumpy() for ctx in contexts)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(net[0].mask.data(contexts[1]).asnumpy(), mask)


def test_what_is_behind_a_mask_has_no_say():
    net = one_layer(EXAMPLE)
    dc.prune(net, sparsity=0.5)  # keeps -0.5, 0.3, 0.9
    net.weight.set_data(mx.nd.array([[np.nan, -0.5, 0.3], [np.inf, 1000, 0.9]]))
    layer = weighted_layers(net)[0]
    expected = np.float32([[0, -0.5, 0.3], [0, 0, 0.9]])
    np.testing.assert_array_equal(layer.view(), expected)
    net.weight.set_data(mx.nd.array([[np.nan, -0.5, 0.3], [np.inf, 1000, 0.9]]))
    dc.prune(net, sparsity=4 / 6)
    np.testing.assert_array_equal(weight_of(net), np.float32([[0, -0.5, 0], [0, 0, 0.9]]))
    np.testing.assert_array_equal(net.weight.data().asnumpy(), weight_of(net))
    net.weight.set_data(mx.nd.array([[np.nan, -0.5, 7], [np.inf, 1000, 0.9]]))
    coded = dc.quantize(net, 4)["weight"]
    np.testing.assert_array_equal(coded.decode(), np.float32([[0, -0.5, 0], [0, 0, 0.9]]))


def test_the_view_of_a_plain_layer_is_no_copy():
    net = one_layer(EXAMPLE)
    layer = weighted_layers(net)[0]
    seen = layer.view()
    net.weight.data()[0, 0] = 5
    net.weight.data().wait_to_read()
    assert seen[0, 0] == 5 and layer.array()[0, 0] == 5 and layer.mask_view() is None


def test_negative_scores_are_refused():
    with pytest.raises(ValueError, match="scores of weight: expected 0 or more, got -1.0"):
        dc.prune(one_layer(EXAMPLE), sparsity=0.5, scores={"weight": [[1.0, -1, 2], [3, 4, 5]]})


def test_scores_in_float64_rank_by_all_their_digits():
    # As float32 all six would be equal, and the first three would go.
    scores = 1 + np.array([[6, 5, 4], [3, 2, 1]]) * 2.0**-40
    net = one_layer(np.ones((2, 3)))
    dc.prune(net, sparsity=0.5, scores={"weight": scores})
    np.testing.assert_array_equal(weight_of(net), [[1, 1, 1], [0, 0, 0]])
    net = one_layer(np.ones((2, 3)))
    dc.prune(net, threshold=1 + 3.5 * 2.0**-40, scores={"weight": scores})
    np.testing.assert_array_equal(weight_of(net), [[1, 1, 1], [0, 0, 0]])


def test_deviation_of_many_weights_is_that_of_few(monkeypatch):
    rng = np.random.default_rng(0)
    net = one_layer(rng.normal(size=(40, 50)))
    dc.prune(net, sparsity=0.3)
    ranks = [pruning._rank(weighted_layers(net)[0], None)]
    exact = pruning._deviation(ranks)
    monkeypatch.setattr(pruning, "_MANY", 0)
    assert pruning._deviation(ranks) == pytest.approx(exact, rel=1e-12)
    weights = weight_of(net)
    assert exact == pytest.approx(np.std(weights[weights != 0], dtype=np.float64), rel=1e-12)
