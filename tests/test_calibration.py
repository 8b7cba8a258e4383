"""Curvature of a net's layers from inputs, and `quantize` with them."""
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon
from mxnet.gluon import nn

import gluon_dc as dc
from gluon_dc.nn import calibration
from gluon_dc.nn.calibrated import loss_nats, on_grids, price_for
from gluon_dc.nn.calibration import curvatures, samples, second_moments
from gluon_dc.training.sensitivity import divergence

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, 3, 8, 8)).astype(np.float32)
NAMES = ["0.weight", "3.weight", "5.weight"]


def net_of(*layers, seed=1):
    net = nn.HybridSequential()
    net.add(*layers)
    mx.random.seed(seed)
    net.initialize(mx.init.Xavier(magnitude=4))
    return net


def small_net():
    """A convolution, batch norm, dropout, a grouped convolution and a classifier."""
    net = net_of(nn.Conv2D(8, 3, in_channels=3, activation="relu"), nn.BatchNorm(in_channels=8), nn.Dropout(0.5),
                 nn.Conv2D(8, 3, groups=2, in_channels=8, use_bias=False, activation="relu"), nn.MaxPool2D(2),
                 nn.Dense(5, in_units=32))
    net[1].running_mean.set_data(mx.nd.array(np.linspace(0, 1, 8)))
    return net


def scores(net, inputs=IMAGES):
    return net(mx.nd.array(inputs)).asnumpy()


class TestCurvatures:
    def test_shapes_and_what_they_are(self):
        found = curvatures(small_net(), [IMAGES[:16], mx.nd.array(IMAGES[16:])])
        assert list(found) == NAMES
        assert [one.inputs.shape for one in found.values()] == [(1, 28, 28), (2, 37, 37), (1, 33, 33)]
        assert [one.outputs.shape for one in found.values()] == [(8, 8), (8, 8), (5, 5)]
        for one in found.values():
            assert (np.linalg.eigvalsh(one.outputs) > 0).all() and (np.linalg.eigvalsh(one.inputs) > 0).all()
        # Without a bias nothing leads to one.
        assert not found["3.weight"].inputs[:, -1, :-1].any() and found["0.weight"].inputs[:, -1, :-1].any()
        last = found["5.weight"].outputs
        assert np.array_equal(last, last[0, 0] * np.eye(5))

    @pytest.mark.parametrize("hybridized", [False, True])
    def test_the_net_is_as_it_was(self, hybridized):
        net = small_net()
        if hybridized:
            net.hybridize(static_alloc=True)
        before, state = scores(net), net[1].running_mean.data().asnumpy()
        net[0].weight.grad_req = "null"
        curvatures(net, [IMAGES])
        assert np.array_equal(scores(net), before) and np.array_equal(net[1].running_mean.data().asnumpy(), state)
        assert net[2]._rate == 0.5 and not net[1]._kwargs["use_global_stats"] and net[0].weight.grad_req == "null"
        assert net._active == hybridized and not any(block._forward_pre_hooks for block in net)

    def test_the_same_for_a_seed(self):
        first, again, other = (curvatures(small_net(), [IMAGES], seed=seed)["0.weight"] for seed in (0, 0, 1))
        assert first.outputs.tobytes() == again.outputs.tobytes() != other.outputs.tobytes()

    def test_it_predicts_the_divergence(self, monkeypatch):
        # Without damping, and with the gradient of the predictions alone: the growth for small random changes.
        for name in ("INPUT_DAMPING", "OUTPUT_DAMPING", "LAST_DAMPING", "EVEN_CLASSES"):
            monkeypatch.setattr(calibration, name, 0.0)
        net = net_of(nn.Dense(12, in_units=6, activation="relu"), nn.Dense(10, in_units=12, activation="relu"),
                     nn.Dense(4, in_units=10))
        inputs = np.random.default_rng(1).normal(size=(400, 6)).astype(np.float32)
        found, base = curvatures(net, [inputs]), scores(net, inputs)
        for name, layer in zip(["0.weight", "1.weight"], net):
            before, ratios = layer.weight.data().asnumpy(), []
            for seed in range(8):
                change = 0.02 * np.random.default_rng(seed).normal(size=before.shape)
                layer.weight.set_data(mx.nd.array(before + change))
                predicted = found[name].loss_nats(np.pad(change, ((0, 0), (0, 1))))
                ratios.append(divergence(base, scores(net, inputs)) / predicted)
            layer.weight.set_data(mx.nd.array(before))
            assert 0.7 < np.median(ratios) < 1.4

    def test_masked_layers_and_frozen_ones(self):
        net = small_net()
        dc.prune(net, 0.5)
        net.collect_params().setattr("grad_req", "null")
        assert all(np.isfinite(one.outputs).all() for one in curvatures(net, [IMAGES]).values())

    def test_moments(self):
        x = RNG.normal(size=(2, 5, 3)).astype(np.float32)
        found = second_moments(x)
        assert np.allclose(found[1][:-1, :-1], x[1].T @ x[1], atol=1e-5) and np.allclose(found[1][-1, :-1], x[1].sum(0))
        assert found[0, -1, -1] == 5
        dense = samples(net_of(nn.Dense(2, in_units=192))[0], IMAGES, RNG)
        assert np.array_equal(dense, IMAGES.reshape(1, 24, 192))

    @pytest.mark.parametrize("make, inputs, names, message", [
        (small_net, [], None, "no calibration inputs: expected batches"),
        (small_net, [IMAGES], ["0.bias"], "0.bias: is no weight of this net"),
        (lambda: net_of(nn.Conv1D(2, 3, in_channels=3)), [IMAGES], ["0.weight"],
         "0.weight: is of a Conv1D; calibration serves Dense and 2-D"),
        (lambda: net_of(nn.Conv2D(2, 3, in_channels=3)), [IMAGES], None, "expected finite scores"),
    ])
    def test_errors(self, make, inputs, names, message):
        with pytest.raises(ValueError, match=message):
            curvatures(make(), inputs, names)

    def test_scores_that_are_not_finite(self):
        net = small_net()
        net[5].bias.set_data(mx.nd.array([0, np.inf, 0, 0, 0]))
        with pytest.raises(ValueError, match="with NaN or infinite values"):
            curvatures(net, [IMAGES])


class TestQuantize:
    def test_a_whole_net(self):
        net = small_net()
        net.hybridize()
        base = scores(net)
        shared = dc.quantize(net, bits=8, calibration=[IMAGES], divergence=0.01)
        assert list(shared) == NAMES
        found = divergence(base, scores(net))
        assert 0 < found < 0.05
        # The file gives the same net, and its biases are on grids as well.
        model = dc.loads(dc.compress(net, coder="context").dumps())
        plain = dc.restore(model, small_net())
        assert np.allclose(scores(plain), scores(net), atol=1e-6)
        assert all(np.array_equal(coded.decode(), model.decode()[name]) for name, coded in shared.items())

    def test_less_divergence_than_k_means_of_as_many_bits(self):
        net, plain = small_net(), small_net()
        base = scores(net)
        shared = dc.quantize(net, bits=8, calibration=[IMAGES], divergence=0.05)
        bits = int(np.ceil(np.log2(max(coded.codebook.size for coded in shared.values()))))
        dc.quantize(plain, bits={name: max(1, bits - 1) for name in NAMES})
        assert divergence(base, scores(net)) < divergence(base, scores(plain))

    def test_measured_once_and_used_twice(self):
        net = small_net()
        found = curvatures(net, [IMAGES])
        shared = dc.quantize(net, bits={"0": 8, "5": 4}, calibration=found)
        again = dc.quantize(small_net(), bits={"0": 8, "5": 4}, calibration=[IMAGES])
        assert list(shared) == list(again) == ["0.weight", "5.weight"] and shared["5.weight"].codebook.size <= 15
        net = small_net()
        with pytest.raises(ValueError, match="calibration has no curvature of 0.weight, 3.weight"):
            dc.quantize(net, 8, calibration={"5.weight": found["5.weight"]})

    def test_the_predicted_divergence_is_what_was_asked_for(self):
        net = small_net()
        found, bits = curvatures(net, [IMAGES]), dict.fromkeys(NAMES, 8)
        for nats in (1e-3, 1e-2, 1e-1):
            price = price_for(net, found, nats, bits)
            assert loss_nats(on_grids(net, found, price, bits)) == pytest.approx(nats, rel=0.25)

    def test_training_goes_on(self):
        net = small_net()
        dc.quantize(net, 8, calibration=IMAGES)
        trainer = dc.CentroidTrainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
        loss = gluon.loss.SoftmaxCrossEntropyLoss()
        losses = []
        for _ in range(8):
            with mx.autograd.record():
                one = loss(net(mx.nd.array(IMAGES)), mx.nd.array(np.arange(24) % 5))
            one.backward()
            trainer.step(24)
            losses.append(one.mean().asscalar())
        assert losses[-1] < losses[0] and dc.compress(net).nbytes > 0

    @pytest.mark.parametrize("changes, message", [
        ({"divergence": 0}, "divergence must be above 0 nats, got 0"), ({"bits": 1}, "whole number in 2..8, got 1"),
        ({"bits": {"nothing": 4}}, "matches no layer")])
    def test_errors(self, changes, message):
        with pytest.raises(ValueError, match=message):
            dc.quantize(small_net(), **{"bits": 8, "calibration": [IMAGES[:2]], **changes})

    def test_a_layer_that_is_shared_already(self):
        net = small_net()
        dc.quantize(net, {"0": 4})
        with pytest.raises(ValueError, match="0.weight: is already shared"):
            dc.quantize(net, 8, calibration=[IMAGES[:2]])
