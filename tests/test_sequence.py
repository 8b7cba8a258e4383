"""Layers shared one after another, each making up for what those before it got wrong."""
import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

from gluon_dc.nn.calibrated import on_grids, put
from gluon_dc.nn.calibration import curvatures
from gluon_dc.nn.chain import chain_of
from gluon_dc.nn.sequence import share_in_sequence, target_for
from gluon_dc.training.sensitivity import divergence

PRICE = 3e-5
BITS = {"0.weight": 8, "2.weight": 8, "5.weight": 8}


def inputs_of(n, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 2, 1, 1)) + 0.5 * rng.normal(size=(n, 3, 8, 8)).cumsum(2)[:, :2]).astype(np.float32)


def net_of(hybrid=True):
    net = nn.HybridSequential() if hybrid else nn.Sequential()
    net.add(nn.Conv2D(8, 3, in_channels=2, activation="relu"), nn.MaxPool2D(2),
            nn.Conv2D(8, 3, padding=1, in_channels=8, activation="relu"), nn.GlobalAvgPool2D(), nn.Flatten(),
            nn.Dense(6, in_units=8))
    mx.random.seed(2)
    net.initialize(mx.init.Xavier(magnitude=12))
    net[-1].weight.set_data(10 * net[-1].weight.data())  # so that it is sure of its classes
    return net


class TestTarget:
    def test_by_hand(self):
        # The input has become half of what it was, so the weight has to be twice what it was.
        old = np.random.default_rng(0).normal(size=(1, 2000, 1)).astype(np.float32)
        target = target_for(np.float32([[3.0]]), np.float32([1.0]), old, old / 2)
        assert target == pytest.approx(np.array([[6.0, 1.0]]), rel=0.12)  # damped

    def test_a_shift_goes_into_the_bias(self):
        old = np.random.default_rng(0).normal(size=(1, 2000, 2)).astype(np.float32)
        target = target_for(np.float32([[3.0, 1.0]]), np.float32([1.0]), old, old + np.float32([0.5, 0]))
        assert target == pytest.approx(np.array([[3.0, 1.0, -0.5]]), abs=0.1)

    def test_unchanged_inputs_and_no_bias(self):
        rng = np.random.default_rng(1)
        old, weight = rng.normal(size=(2, 50, 9)).astype(np.float32), rng.normal(size=(4, 1, 3, 3)).astype(np.float32)
        target = target_for(weight, None, old, old)
        assert np.allclose(target[:, :-1], weight.reshape(4, 9)) and not target[:, -1].any()
        moved = target_for(weight, None, old, old + 0.1)
        assert not moved[:, -1].any() and not np.allclose(moved, target)


class TestSequence:
    @pytest.mark.parametrize("hybrid", [True, False])
    def test_nearer_to_the_net_than_each_layer_by_itself(self, hybrid):
        net, x = net_of(hybrid), inputs_of(200)
        test = mx.nd.array(inputs_of(300, seed=1))
        base = net(test).asnumpy()
        found = curvatures(net, [x])
        before = {name: parameter.data().asnumpy() for name, parameter in net.collect_params().items()}
        sequence = share_in_sequence(net, [x[:128], mx.nd.array(x[128:])], found, PRICE, BITS)
        assert all(np.array_equal(parameter.data().asnumpy(), before[name])
                   for name, parameter in net.collect_params().items())
        alone = on_grids(net, found, PRICE, BITS)
        losses = []
        for shared in (sequence, alone):
            changed = net_of(hybrid)
            put(changed, shared)
            losses.append(divergence(base, changed(test).asnumpy()))
        assert 0 < losses[0] < 0.9 * losses[1]

    def test_it_goes_on(self):
        net, x = net_of(), inputs_of(30)
        found, kept = curvatures(net, [x]), {}
        whole = share_in_sequence(net, [x], found, 1e-3, BITS, after_layer=kept.__setitem__)
        assert list(kept) == list(BITS) and all(kept[name] is whole[name] for name in BITS)
        again = {}
        del kept["5.weight"]
        rest = share_in_sequence(net, [x], found, 1e-3, BITS, done=kept, after_layer=again.__setitem__)
        assert list(again) == ["5.weight"] and rest["5.weight"].coded == whole["5.weight"].coded

    def test_an_interrupt_leaves_the_net_as_it_was(self):
        net, x = net_of(), inputs_of(10)
        net.hybridize()
        before = net(mx.nd.array(x)).asnumpy()

        def stop(*_):
            raise KeyboardInterrupt
        with pytest.raises(KeyboardInterrupt):
            share_in_sequence(net, [x], curvatures(net, [x]), 1e-2, BITS, after_layer=stop)
        assert np.array_equal(net(mx.nd.array(x)).asnumpy(), before) and net._active

    def test_a_net_that_is_no_chain(self):
        class Odd(nn.HybridSequential):
            def hybrid_forward(self, F, x):
                return 2 * super().hybrid_forward(F, x)
        net, x = net_of(), inputs_of(10)
        net.__class__ = Odd
        assert chain_of(net) == [("", net)]
        assert list(share_in_sequence(net, [x], curvatures(net, [x]), 1e-3, BITS)) == list(BITS)
