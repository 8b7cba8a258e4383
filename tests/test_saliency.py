import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import autograd, gluon  # noqa: E402

from gluon_dc.nn import adam_saliency  # noqa: E402


def test_weight_squared_times_mean_squared_gradient():
    net = gluon.nn.Dense(1, in_units=2, use_bias=False)
    net.initialize()
    net.weight.set_data(mx.nd.array([[3.0, 1.0]]))
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.0, "beta2": 0.9})
    with autograd.record():
        loss = net(mx.nd.array([[1.0, 10.0]]))  # gradients 1 and 10
    loss.backward()
    trainer.step(1)
    # the mean of squares after one step is 0.1 * g^2: 0.1 and 10
    np.testing.assert_allclose(adam_saliency(net, trainer)["weight"], [[0.9, 10.0]], rtol=1e-5)


def test_it_needs_adam_and_a_step():
    net = gluon.nn.Dense(1, in_units=2)
    net.initialize()
    for optimizer in ("adam", "sgd"):
        with pytest.raises(ValueError, match="weight: saliency needs a Trainer with the optimizer adam"):
            adam_saliency(net, gluon.Trainer(net.collect_params(), optimizer))
