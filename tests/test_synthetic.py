"""Drawn weights: their distribution, and that they are drawn again alike."""

import os
from pathlib import Path

import numpy as np
import pytest
from mxnet import gluon, nd

from gluon_dc.models import build, infer_shapes, initialize, named_parameters, without_gradients
from gluon_dc.models import net_format, synthetic
from gluon_dc.nn import weighted_layers
from gluon_dc.models.synthetic import draw_weights, laplace


def arrays(net):
    return {name: parameter.data().asnumpy() for name, parameter in named_parameters(net).items()}


class TestLaplace:
    def test_moments(self):
        """A Laplace variable has mean 0, standard deviation b sqrt(2), mean magnitude b, kurtosis 6."""
        values = laplace(np.random.default_rng(0), 2_000_000, deviation=0.5).astype(float)
        assert values.mean() == pytest.approx(0, abs=2e-3)
        assert values.std() == pytest.approx(0.5, rel=5e-3)
        assert np.abs(values).mean() == pytest.approx(0.5 / 2 ** 0.5, rel=5e-3)
        assert (values ** 4).mean() / values.var() ** 2 == pytest.approx(6, rel=0.05)
        assert (np.abs(values) > 0.5).mean() == pytest.approx(np.exp(-2 ** 0.5), rel=0.02)

    @pytest.mark.parametrize("size", [0, 1, 7, 8, 9])
    def test_sizes(self, size):
        values = laplace(np.random.default_rng(0), size)
        assert values.shape == (size,) and values.dtype == np.float32


class TestDraw:
    def net(self):
        net = gluon.nn.HybridSequential()
        net.add(gluon.nn.Conv2D(64, 3, in_channels=32), gluon.nn.BatchNorm(in_channels=64),
                gluon.nn.Dense(200, in_units=400))
        return net

    def test_deviations_follow_the_fan_in(self):
        found = arrays(draw_weights(self.net()))
        assert found["0.weight"].std() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)
        assert found["2.weight"].std() == pytest.approx((2 / 400) ** 0.5, rel=0.05)
        assert np.abs(found["1.gamma"] - 1).max() < 1 and found["1.gamma"].mean() == pytest.approx(1, abs=0.1)
        assert (found["1.running_var"] > 0).all()

    def test_no_parameter_is_constant(self):
        assert all(len(np.unique(array)) > 0.9 * array.size for array in arrays(draw_weights(self.net())).values())

    def test_seeds(self):
        one, again, other = (arrays(draw_weights(self.net(), seed)) for seed in (3, 3, 4))
        assert all(np.array_equal(one[name], again[name]) for name in one)
        assert not any(np.array_equal(one[name], other[name]) for name in one)
        assert not np.array_equal(one["0.bias"], one["1.beta"])

    def test_what_was_there_before_does_not_matter(self):
        initialised = initialize(self.net(), seed=5)
        assert all(np.array_equal(a, b) for a, b in zip(arrays(draw_weights(initialised)).values(),
                                                        arrays(draw_weights(self.net())).values()))

    def test_chunks_do_not_change_layers_that_fit_in_one(self, monkeypatch):
        whole = arrays(draw_weights(self.net()))
        counts = []
        monkeypatch.setattr(synthetic, "_CHUNK", 4000)
        chunked = arrays(draw_weights(self.net(), progress=counts.append))
        assert sum(counts) == sum(array.size for array in whole.values()) and max(counts) <= 4000
        assert np.array_equal(whole["0.bias"], chunked["0.bias"])
        assert chunked["2.weight"].std() == pytest.approx((2 / 400) ** 0.5, rel=0.05)

    def test_a_whole_net_without_gradients(self):
        net = without_gradients(build("mobilenet0.25"))
        infer_shapes(net, (3, 32, 32))
        draw_weights(net)
        assert np.isfinite(net(nd.zeros((1, 3, 32, 32))).asnumpy()).all()
        assert all(parameter._grad is None for parameter in net.collect_params().values())

    def test_constants_are_left_alone(self):
        class Shifted(gluon.HybridBlock):
            def __init__(self):
                super().__init__()
                self.shift = self.params.get_constant("shift", nd.array([[1.0, 2.0]]))
                self.scale = self.params.get("scale", shape=(2,))

        found = arrays(draw_weights(Shifted()))
        assert found["shift"].tolist() == [[1, 2]] and (found["scale"] != 0).all()


def test_trained_weights_are_like_that():
    """What the module says of the authors' SqueezeNet, counted again."""
    path = Path(os.environ.get("GLUON_DC_DATA", "")) / "squeezenet" / "compressed_SqueezeNet.net"
    if not path.is_file():
        pytest.skip("GLUON_DC_DATA leads to no squeezenet/compressed_SqueezeNet.net")
    net = build("squeezenet1.0")
    infer_shapes(net, (3, 224, 224))
    coded, _ = net_format.read_net(path, {layer.name: layer.shape for layer in weighted_layers(net, ready=False)})
    weights = [tensor.decode().astype(float) for tensor in coded.values()]
    whole = [weight[weight != 0] for weight in weights if (weight != 0).mean() > 0.98]
    kurtosis = [((w - w.mean()) ** 4).mean() / w.var() ** 2 for w in whole]
    spread = [np.abs(w).std() / np.abs(w).mean() for w in whole]
    assert len(whole) == 13
    assert np.median(kurtosis) == pytest.approx(6.0, abs=0.05) and 3.5 < min(kurtosis) and max(kurtosis) < 24
    assert sorted(kurtosis)[-2] < 8.1
    assert np.median(spread) == pytest.approx(1.0, abs=0.05) and 0.75 < min(spread) < max(spread) < 1.15
