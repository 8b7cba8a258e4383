import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import autograd, gluon  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.nn import adjust_dropout, penalty, retraining_dropout_rate, sparsity_schedule  # noqa: E402
from nets import make  # noqa: E402


def test_schedules_by_hand():
    assert sparsity_schedule("one-shot", 0.9, 3) == [0.9, 0.9, 0.9]
    # iterative: density 1 -> 1/2 -> 1/4 -> 1/8
    np.testing.assert_allclose(sparsity_schedule("iterative", 0.875, 3), [0.5, 0.75, 0.875])
    # gradual (or cubic): 0.8 * (1 - (1 - t)^3) at t = 1/2, 1
    np.testing.assert_allclose(sparsity_schedule("gradual", 0.8, 2), [0.7, 0.8])
    np.testing.assert_allclose(sparsity_schedule("cubic", 0.9, 2, initial=0.5), [0.85, 0.9])


@pytest.mark.parametrize("kind", ["one-shot", "iterative", "gradual", "cubic"])
@pytest.mark.parametrize("final, initial", [(0.0, 0.0), (0.99, 0.0), (0.7, 0.7), (0.9, 0.3)])
def test_schedules_rise_and_end_at_the_final_sparsity(kind, final, initial):
    schedule = sparsity_schedule(kind, final, 7, initial)
    assert len(schedule) == 7 and schedule[-1] == final
    assert all(initial - 1e-12 <= a <= b + 1e-12 for a, b in zip(schedule, schedule[1:]))


@pytest.mark.parametrize("arguments, message", [
    (("cubic", 1.0, 3), "expected 0 <= initial <= final < 1, got 0.0 and 1.0"),
    (("cubic", 0.3, 3, 0.5), "got 0.5 and 0.3"),
    (("cubic", 0.3, 0), "steps must be at least 1, got 0"),
    (("square", 0.3, 1), "kind must be one of one-shot, iterative, gradual, got 'square'"),
])
def test_bad_schedules(arguments, message):
    with pytest.raises(ValueError, match=message):
        sparsity_schedule(*arguments)


def test_dropout_rate_by_hand():
    # Han et al. 2015: a layer pruned to a quarter of its connections halves the rate
    assert retraining_dropout_rate(0.5, 25, 100) == 0.25
    assert retraining_dropout_rate(0.5, 100, 100) == 0.5
    assert retraining_dropout_rate(0.5, 0, 0) == 0.5


def test_dropout_follows_the_layer_before_it_and_starts_from_the_dense_rate_each_time():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(10, in_units=10), gluon.nn.Dropout(0.5),
            gluon.nn.Dense(10, in_units=10), gluon.nn.Dropout(0.4), gluon.nn.Dense(2, in_units=10))
    net.initialize()
    net.hybridize()
    net(mx.nd.ones((1, 10)))
    dc.prune(net, sparsity={"0": 0.75, "2": 0.0})
    for _ in range(2):
        assert adjust_dropout(net) == {"1": 0.25, "3": 0.4}
    dc.prune(net, sparsity={"0": 0.91})
    assert adjust_dropout(net)["1"] == pytest.approx(0.15)
    with autograd.record():
        dropped = net[1](mx.nd.ones((1, 20000))).asnumpy()
    assert (dropped == 0).mean() == pytest.approx(0.15, abs=0.02)


def test_penalty_by_hand_and_its_gradient():
    net = gluon.nn.Dense(1, in_units=3, use_bias=False)
    net.initialize()
    net.weight.set_data(mx.nd.array([[1.0, -2.0, 0.5]]))
    dc.prune(net, threshold=0.8)
    with autograd.record():
        loss = penalty(net, l1=0.1, l2=1.0)
    loss.backward()
    assert loss.asscalar() == pytest.approx(0.1 * 3 + (1 + 4) / 2)
    np.testing.assert_allclose(net.weight.grad().asnumpy(), [[1.1, -2.1, 0.0]], rtol=1e-6)


def test_penalty_on_each_context():
    net, _ = make("dense", ctx=[mx.cpu(0), mx.cpu(1)])
    assert penalty(net, l2=1.0, ctx=mx.cpu(1)).context == mx.cpu(1)
    dc.quantize(net, 2)
    with pytest.raises(ValueError, match="no weight that is not shared yet"):
        penalty(net, l1=1.0)
