import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

from mxnet import autograd, gluon  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.nn.svd import truncate  # noqa: E402
from gluon_dc.models import get_model  # noqa: E402
from nets import arrays_of, make  # noqa: E402


def chain(*blocks):
    net = gluon.nn.HybridSequential()
    net.add(*blocks)
    net.initialize(mx.init.Xavier())
    return net


def set_weight(block, array):
    block.weight.set_data(mx.nd.array(np.asarray(array, np.float32)))


def inputs(*shape):
    return mx.nd.array(np.random.default_rng(1).normal(size=shape))


class TestByHand:
    # Singular values 5 and 1 along the axes: rank 1 keeps the first row's direction only.
    def test_rank_1_of_a_diagonal_weight(self):
        net = chain(gluon.nn.Dense(2, in_units=2))
        set_weight(net[0], [[5, 0], [0, 1]])
        net[0].bias.set_data(mx.nd.array([7, 8]))
        assert truncate(net, ranks=1) == {"0.weight": 1}
        assert net(mx.nd.array([[1, 1]])).asnumpy() == pytest.approx(np.array([[12, 8]]))

    def test_each_factor_gets_the_square_root_of_the_singular_value(self):
        net = chain(gluon.nn.Dense(2, in_units=2))
        set_weight(net[0], [[4, 0], [0, 1]])
        truncate(net, ranks=1)
        arrays = arrays_of(net)
        assert np.abs(arrays["0.0.weight"]) == pytest.approx(np.array([[2, 0]]))
        assert np.abs(arrays["0.1.weight"]) == pytest.approx(np.array([[2], [0]]))

    def test_the_structure(self):
        net = get_model("lenet-5")
        net.initialize()
        assert truncate(net, ranks={"2": 7, "4": 3}) == {"2.weight": 7, "4.weight": 3}
        assert {name: array.shape for name, array in arrays_of(net).items()} == {
            "0.weight": (20, 1, 5, 5), "0.bias": (20,),
            "2.0.weight": (7, 20, 5, 5), "2.1.weight": (50, 7, 1, 1), "2.1.bias": (50,),
            "4.0.weight": (3, 800), "4.1.weight": (500, 3), "4.1.bias": (500,),
            "5.weight": (10, 500), "5.bias": (10,)}
        assert net(inputs(2, 1, 28, 28)).shape == (2, 10)

    def test_energy(self):
        # Squared singular values 64, 16, 4, 1 of 85 in all: 64/85 = 0.753, 80/85 = 0.941, 84/85 = 0.988.
        for energy, rank in ((0.75, 1), (0.76, 2), (0.94, 2), (0.95, 3)):
            net = chain(gluon.nn.Dense(8, in_units=8))
            set_weight(net[0], np.diag([8, 4, 2, 1, 0, 0, 0, 0]))
            assert truncate(net, energy=energy) == {"0.weight": rank}

    def test_rank_share(self):
        for share, rank in ((0.001, 1), (0.1, 10), (0.126, 13)):
            net = chain(gluon.nn.Dense(100, in_units=300))
            assert truncate(net, rank_share=share) == {"0.weight": rank}

    def test_a_layer_that_would_not_become_smaller_is_left_alone(self):
        # 6 x 6 = 36 weights against 3 * (6 + 6) = 36 in the factors.
        for share, expected in ((2 / 6, {"0.weight": 2}), (3 / 6, {}), (1, {})):
            net = chain(gluon.nn.Dense(6, in_units=6))
            assert truncate(net, rank_share=share) == expected
        assert truncate(chain(gluon.nn.Dense(6, in_units=6)), ranks=6) == {"0.weight": 6}


CHAINS = {
    "dense": (lambda: [gluon.nn.Dense(5, in_units=7, activation="tanh"), gluon.nn.Dense(3, in_units=5)], (4, 7)),
    "without bias": (lambda: [gluon.nn.Dense(5, in_units=7, use_bias=False)], (4, 7)),
    "not flattened": (lambda: [gluon.nn.Dense(5, in_units=7, flatten=False)], (4, 2, 7)),
    "convolution": (lambda: [gluon.nn.Conv2D(6, (3, 5), (2, 1), (1, 2), (1, 2), in_channels=3, activation="relu")],
                    (2, 3, 9, 20)),
    "flattening": (lambda: [gluon.nn.Conv2D(4, 3, in_channels=2), gluon.nn.Dense(5, in_units=64)], (2, 2, 6, 6)),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("hybridized", [False, True])
def test_at_full_rank_the_net_computes_the_same(name, hybridized):
    blocks, shape = CHAINS[name]
    net = chain(*blocks())
    if hybridized:
        net.hybridize(static_alloc=True, static_shape=True)
    x = inputs(*shape)
    before = net(x).asnumpy()
    full = {key: min(len(array), array[0].size) for key, array in arrays_of(net).items() if "weight" in key}
    assert truncate(net, ranks=full) == full
    assert net(x).asnumpy() == pytest.approx(before, abs=1e-5)


def test_truncation_is_the_best_approximation_of_its_rank():
    """Eckart-Young: the squared error is the sum of the squares of the singular values left out."""
    net = chain(gluon.nn.Dense(9, in_units=12))
    weight = arrays_of(net)["0.weight"]
    values = np.linalg.svd(weight, compute_uv=False)
    truncate(net, ranks=4)
    arrays = arrays_of(net)
    difference = arrays["0.1.weight"] @ arrays["0.0.weight"] - weight
    assert np.square(difference).sum() == pytest.approx(np.square(values[4:]).sum(), rel=1e-4)


def test_nested_chains_and_a_layer_called_twice():
    shared = gluon.nn.Dense(6, in_units=6)
    inner = gluon.nn.HybridSequential()
    inner.add(shared, gluon.nn.Activation("relu"), shared)
    net = chain(inner, gluon.nn.Dense(3, in_units=6))
    x = inputs(2, 6)
    before = net(x).asnumpy()
    assert truncate(net, ranks={"0.*": 6}) == {"0.0.weight": 6}
    assert inner._children["0"] is inner._children["2"]
    assert net(x).asnumpy() == pytest.approx(before, abs=1e-5)


def test_what_is_not_a_plain_dense_or_convolution_is_left_alone():
    net, _ = make("convolutional")
    names = {name for name, array in arrays_of(net).items() if array.ndim > 1}
    found = truncate(net, ranks=1)
    assert found == {"0.weight": 1, "3.weight": 1} and names - set(found) == {"1.0.weight"}


def test_zero_weights():
    net = chain(gluon.nn.Dense(6, in_units=6))
    set_weight(net[0], np.zeros((6, 6)))
    assert truncate(net, energy=0.9) == {"0.weight": 1}
    assert not net(inputs(1, 6)).asnumpy().any()


def test_it_trains_compresses_and_is_restored_into_the_same_ranks():
    net = get_model("lenet-300-100")
    net.initialize(mx.init.Xavier())
    ranks = truncate(net, rank_share=0.02)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    before = arrays_of(net)
    x = inputs(4, 1, 28, 28)
    with autograd.record():
        loss = net(x).square()
    loss.backward()
    trainer.step(4)
    assert all((array != before[name]).any() for name, array in arrays_of(net).items())
    fresh = get_model("lenet-300-100")
    fresh.initialize()
    truncate(fresh, ranks=ranks)
    dc.restore(dc.loads(dc.compress(net).dumps()), fresh)
    assert (fresh(x).asnumpy() == net(x).asnumpy()).all()


@pytest.mark.parametrize("arguments, message", [
    ({}, "give exactly one of rank_share, energy and ranks; got none"),
    ({"ranks": 1, "energy": 0.5}, "exactly one of rank_share, energy and ranks; got energy and ranks"),
    ({"ranks": 0}, "ranks of 0.weight must be a whole number in 1..6, got 0"),
    ({"ranks": 7}, "ranks of 0.weight must be a whole number in 1..6, got 7"),
    ({"ranks": 2.0}, "ranks of 0.weight must be a whole number in 1..6, got 2.0"),
    ({"ranks": True}, "ranks of 0.weight must be a whole number in 1..6, got True"),
    ({"energy": 0}, "energy of 0.weight must be above 0 and at most 1, got 0"),
    ({"rank_share": 1.1}, "rank_share of 0.weight must be above 0 and at most 1, got 1.1"),
    ({"rank_share": float("nan")}, "rank_share of 0.weight must be above 0 and at most 1, got nan"),
    ({"ranks": {"fc*": 1}}, "ranks: pattern 'fc*' matches no layer; the layers are 0.weight, 1.weight"),
])
def test_errors_leave_the_net_as_it_was(arguments, message):
    net, x = make("dense")
    before = net(x).asnumpy()
    with pytest.raises(ValueError) as error:
        truncate(net, **arguments)
    assert message in str(error.value)
    assert (net(x).asnumpy() == before).all() and set(arrays_of(net)) == {"0.weight", "0.bias", "1.weight", "1.bias"}


@pytest.mark.parametrize("name, message", [
    ("attributes", "first.weight: truncate works on the layers of a chain (HybridSequential), and this one is of "
                   "block '', a Attributes"),
    ("single", "weight: truncate works on the layers of a chain (HybridSequential), and this one is of block '', a "
               "Dense"),
    ("shared", "one.weight is the weight of 2 layers: it cannot be factored in one"),
])
def test_other_nets_than_chains_are_refused(name, message):
    net, _ = make(name)
    with pytest.raises(ValueError) as error:
        truncate(net, ranks=1)
    assert str(error.value) == message


def test_a_pruned_or_diverged_net_is_refused():
    net, _ = make("dense")
    dc.prune(net, sparsity=0.5)
    with pytest.raises(ValueError, match="truncate needs a plain net; this one is pruned or shared"):
        truncate(net, ranks=1)
    net, _ = make("dense")
    set_weight(net[0], np.full((8, 6), np.nan))
    with pytest.raises(ValueError, match="0.weight: 48 of 48 values are NaN or infinite"):
        truncate(net, ranks=1)
