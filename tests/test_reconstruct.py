"""Pruning and sharing with the least change of a layer's outputs."""
import mxnet as mx
import numpy as np
import pytest
from image_sets import picture
from mxnet.gluon import nn

from gluon_dc.coding import share
from gluon_dc.data import Preprocessing, from_arrays
from gluon_dc.training.reconstruct import Moments, ReconstructedChange, halved, input_moments, reconstruct
from gluon_dc.training.sensitivity import pruned
from gluon_dc.training.staged import StagedNet

TINY = Preprocessing("tiny", 10, 10, (110, 110, 110), (40, 40, 40))


def moments_of(inputs):
    """Of samples (n, d), undivided groups."""
    with_one = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    return Moments((with_one.T @ with_one / len(inputs))[None])


def inputs(n=400, d=12, seed=0):
    """Samples with much in common, as the inputs of a layer have."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)) @ rng.normal(size=(5, d)) + 0.3 * rng.normal(size=(n, d)) + 0.5


def change_of_outputs(x, weight, bias, found, new_bias):
    return np.square(x @ (found - weight).T + (new_bias - bias)).mean()


def net_of(*layers):
    net = nn.HybridSequential()
    net.add(*layers)
    mx.random.seed(1)
    net.initialize(mx.init.Xavier(magnitude=3))
    return net


class TestReconstruct:
    def test_by_hand(self):
        # Both inputs are always equal, so the one that stays takes over what the other did.
        x = np.repeat(np.random.default_rng(0).normal(size=(500, 1)), 2, axis=1)
        found, bias = reconstruct(np.float32([[1.0, 2.0]]), np.float32([0.5]), moments_of(x), sparsity=0.5)
        assert found[0, 0] == 0 and found[0, 1] == pytest.approx(3.0, abs=0.03)
        assert bias[0] == pytest.approx(0.5, abs=0.03)

    def test_a_constant_input_goes_into_the_bias(self):
        x = np.random.default_rng(0).normal(size=(500, 2))
        x[:, 0] = 4.0
        found, bias = reconstruct(np.float32([[0.1, 2.0]]), np.float32([0.0]), moments_of(x), sparsity=0.5)
        assert found[0, 0] == 0 and bias[0] == pytest.approx(0.4, abs=0.03)

    def test_nothing_to_do(self):
        weight, bias = np.float32([[1, 0, 2]]), np.float32([3])
        found, new_bias = reconstruct(weight, bias, moments_of(inputs(d=3)), sparsity=0.0)
        assert np.array_equal(found, weight) and np.array_equal(new_bias, bias)

    @pytest.mark.parametrize("sparsity, bits", [(0.5, None), (0.0, 2), (0.0, 4), (0.4, 3)])
    def test_changes_the_outputs_less_than_magnitude_and_k_means(self, sparsity, bits):
        x, rng = inputs(), np.random.default_rng(1)
        weight, bias = rng.normal(size=(20, 12)).astype(np.float32), rng.normal(size=20).astype(np.float32)
        found, new_bias = reconstruct(weight, bias, moments_of(x), sparsity, bits)
        plain = pruned(weight, sparsity)
        if bits:
            assert found.codebook.size <= 2**bits and found.codebook[0] == 0
            found, plain = found.decode(), share(plain, bits, "optimal").decode()
        assert np.count_nonzero(found) <= round((1 - sparsity) * weight.size)
        ours = change_of_outputs(x, weight, bias, found, new_bias)
        assert ours < 0.6 * change_of_outputs(x, weight, bias, plain, bias)

    def test_zeros_stay(self):
        weight = np.random.default_rng(2).normal(size=(6, 12)).astype(np.float32) * (np.arange(12) % 3 > 0)
        coded, _ = reconstruct(weight, np.zeros(6, np.float32), moments_of(inputs()), 0.5, 3)
        assert not coded.codes[weight == 0].any() and coded.nnz == 36

    def test_groups_have_moments_of_their_own(self):
        both = [moments_of(inputs(seed=seed)) for seed in (0, 1)]
        weight, bias = np.random.default_rng(3).normal(size=(4, 12)).astype(np.float32), np.zeros(4, np.float32)
        together = Moments(np.concatenate([one.second for one in both]))
        codes, biases = reconstruct(weight, bias, together, 0.0, 8)
        assert biases.shape == (4,) and codes.shape == (4, 12)
        assert np.array_equal(together.of_output(1, 4), both[0].of_output(0, 1))
        assert np.array_equal(together.of_output(2, 4), both[1].of_output(0, 1))

    @pytest.mark.parametrize("weight", [np.zeros((2, 12)), np.eye(2, 12), np.full((2, 12), 0.25)])
    def test_edges(self, weight):
        weight, bias = weight.astype(np.float32), np.float32([0.5, -1])
        coded, new_bias = reconstruct(weight, bias, moments_of(inputs()), 0.0, 3)
        assert np.allclose(coded.decode(), weight, atol=1e-6) and np.allclose(new_bias, bias, atol=1e-6)

    def test_an_input_that_is_always_zero(self):
        x = inputs()
        x[:, :3] = 0
        weight = np.random.default_rng(4).normal(size=(2, 12)).astype(np.float32)
        coded, bias = reconstruct(weight, np.zeros(2, np.float32), moments_of(x), 0.25, 4)
        assert not coded.codes[:, :3].any() and np.isfinite(coded.codebook).all() and np.isfinite(bias).all()

    def test_halved(self):
        assert halved([0.1]).tolist() == [np.float16(0.1)]
        assert halved([1e6, 0.1]).tolist() == np.float32([1e6, 0.1]).tolist()
        assert halved([1e-12]).tolist() == np.float32([1e-12]).tolist()


class TestMoments:
    @pytest.fixture
    def images(self):
        return from_arrays([picture(i, 10, 10) for i in range(6)], [0] * 6, ["a", "b"])

    @pytest.mark.parametrize("settings", [
        {}, {"strides": 2, "padding": 1}, {"dilation": 2}, {"groups": 3}, {"kernel_size": (3, 2), "padding": (0, 1)}])
    def test_they_predict_a_convolutions_outputs(self, images, settings):
        settings = {"kernel_size": 3, **settings}
        net = net_of(nn.Conv2D(6, in_channels=3, **settings), nn.Flatten())
        staged = StagedNet(net, images, TINY, 4)
        second = input_moments(net, staged)["0.weight"].second
        rows = net[0].weight.data().asnumpy().reshape(6, -1)
        rows = np.concatenate([rows, np.zeros((6, 1))], axis=1)
        predicted = [row @ second[i * len(second) // 6] @ row for i, row in enumerate(rows)]
        outputs = staged.scores().reshape(6, 6, -1)
        assert np.allclose(predicted, np.square(outputs).mean(axis=(0, 2)), rtol=1e-4)

    def test_a_dense_layers_outputs(self, images):
        net = net_of(nn.Dense(4, in_units=300, activation="relu"))
        staged = StagedNet(net, images, TINY, 4)
        second = input_moments(net, staged)["0.weight"].second[0]
        x = np.concatenate([x.asnumpy().reshape(-1, 300) for x in staged.inputs(0)])
        assert np.allclose(second[:-1, :-1], x.T @ x / 6, atol=1e-4) and np.allclose(second[-1, :-1], x.mean(axis=0))

    def test_layers_it_cannot_adapt_are_left_out(self, images):
        net = net_of(nn.Conv2D(4, 3, in_channels=3, use_bias=False), nn.Conv2D(4, 3, in_channels=4), nn.Flatten(),
                     nn.Dense(3, in_units=144))
        assert list(input_moments(net, StagedNet(net, images, TINY))) == ["1.weight", "3.weight"]

    def test_the_net_is_as_it_was(self, images):
        net = net_of(nn.Conv2D(4, 3, in_channels=3), nn.Flatten(), nn.Dense(3, in_units=256))
        staged = StagedNet(net, images, TINY)
        before = staged.scores()
        moments = input_moments(net, staged)
        assert np.array_equal(staged.scores(), before)
        assert not any(block._forward_pre_hooks for block in net)
        assert np.array_equal(moments["0.weight"].second, input_moments(net, staged)["0.weight"].second)

    def test_the_change_keeps_a_share_of_what_is_there(self, images):
        net = net_of(nn.Conv2D(4, 3, in_channels=3), nn.Flatten(), nn.Dense(3, in_units=256))
        from gluon_dc.nn import weighted_layers
        layer = weighted_layers(net)[1]
        layer.parameter.set_data(mx.nd.array(pruned(layer.array(), 0.5)))
        change = ReconstructedChange(input_moments(net, StagedNet(net, images, TINY)))
        assert np.count_nonzero(change(layer, "kept", 0.5)[0]) == 192
        weight, bias = change(layer, "bits", 2)
        assert len(np.unique(weight)) <= 4 and bias.shape == (3,)
