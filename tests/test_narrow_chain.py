"""gluon_dc.nn.narrow_chain and chain_specs: the narrow net computes what the whole one does."""
import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

from mxnet.gluon import nn  # noqa: E402

from gluon_dc.models import get_model  # noqa: E402
from gluon_dc.nn.narrow_chain import NarrowChain  # noqa: E402
from gluon_dc.nn.chain_specs import ORDERS, ordered, read_chain  # noqa: E402

PLANE = (1, 12, 12)


def small_net(relu=True):
    """A LeNet-5 in small: 12 x 12 pixels, convolutions without ReLU."""
    net = nn.HybridSequential()
    net.add(nn.Conv2D(3, 3, in_channels=1), nn.MaxPool2D(2, 2), nn.Conv2D(4, 2, in_channels=3), nn.MaxPool2D(2, 2),
            nn.Dense(6, activation="relu" if relu else None, in_units=16), nn.Dense(3, in_units=6))
    return net


def dense_net():
    net = nn.HybridSequential()
    net.add(nn.Dense(5, activation="relu", in_units=144), nn.Dense(4, activation="relu", in_units=5),
            nn.Dense(3, in_units=4))
    return net


def new_chain(net, seed=0):
    rng = np.random.default_rng(seed)
    specs = read_chain(net, PLANE)
    return NarrowChain(specs, [array for spec in specs for array in (rng.normal(size=spec.shape),
                                                                     rng.normal(size=spec.shape[0]))])


def prune(chain, share, seed=1):
    rng = np.random.default_rng(seed)
    for tensor in chain.tensors:
        tensor.mask &= rng.random(tensor.mask.shape) < share
        tensor.refresh()


def images(n=7, seed=2):
    return np.random.default_rng(seed).integers(0, 256, (n, *PLANE)).astype(np.uint8)


def narrow_outputs(chain):
    chain.push()
    return chain.net(mx.nd.array(chain.inputs(images()).astype(np.float32))).asnumpy()


def whole_outputs(net, arrays):
    net.initialize()
    for name, parameter in net._collect_params_with_prefix().items():
        parameter.set_data(mx.nd.array(arrays[name]))
    return net(mx.nd.array(images().astype(np.float32))).asnumpy()


def expanded(chain):
    return chain.expand([tensor.w for tensor in chain.tensors])


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


class TestSpecs:
    def test_lenet_5(self):
        specs = read_chain(get_model("lenet-5"), (1, 28, 28))
        assert [(spec.name, spec.shape, spec.relu, spec.plane, spec.pool) for spec in specs] == [
            ("0", (20, 1, 5, 5), False, (1, 28, 28), (2, 2)), ("2", (50, 20, 5, 5), False, (20, 12, 12), (2, 2)),
            ("4", (500, 800), True, (50, 4, 4), None), ("5", (10, 500), False, None, None)]

    def test_lenet_300_100(self):
        specs = read_chain(get_model("lenet-300-100"), (1, 28, 28))
        assert [(spec.shape, spec.relu, spec.plane) for spec in specs] == [
            ((300, 784), True, (1, 28, 28)), ((100, 300), True, None), ((10, 100), False, None)]

    @pytest.mark.parametrize("layers, message", [
        ([nn.Dense(3, in_units=100)], "layer 0: 100 inputs do not follow from"),
        ([nn.Dense(3, in_units=144, use_bias=False)], "expected Dense or Conv2D with a bias"),
        ([nn.Dense(3, in_units=144, activation="tanh")], "expected no activation or relu, found tanh"),
        ([nn.Conv2D(3, 3, padding=1, in_channels=1)], "without padding, strides"),
        ([nn.Conv2D(3, 3, in_channels=2)], "without padding, strides"),
        ([nn.Conv2D(3, 3, in_channels=1), nn.MaxPool2D(2, 2, padding=1)], "max pooling without padding"),
        ([nn.Conv2D(3, 3, in_channels=1), nn.MaxPool2D(2, 2, ceil_mode=True)], "max pooling without padding"),
        ([nn.BatchNorm()], "layer 0: expected Dense or Conv2D"),
        ([nn.MaxPool2D(2)], "layer 0: expected Dense or Conv2D"),
    ])
    def test_other_nets_are_refused(self, layers, message):
        net = nn.HybridSequential()
        net.add(*layers)
        with pytest.raises(ValueError, match=message):
            read_chain(net, PLANE)


def test_a_constant_unit_by_hand():
    """Unit 0 has no inputs left and a bias of 2, read with weight 3: the next bias grows by 6."""
    net = nn.HybridSequential()
    net.add(nn.Dense(2, activation="relu", in_units=144), nn.Dense(1, in_units=2))
    weight = np.ones((2, 144))
    chain = NarrowChain(read_chain(net, PLANE), [weight, [2.0, -1.0], [[3.0, 5.0]], [0.5]])
    chain.weights[0].mask[0] = False
    chain.weights[0].refresh()
    assert chain.compact() and not chain.compact()
    np.testing.assert_array_equal(chain.units[0], [1])
    np.testing.assert_array_equal(chain.biases[1].w, [6.5])
    np.testing.assert_array_equal(chain.weights[1].w, [[5]])
    np.testing.assert_array_equal(expanded(chain)["1.weight"], [[0, 5]])


def test_relu_stops_a_negative_constant():
    net = nn.HybridSequential()
    net.add(nn.Dense(2, activation="relu", in_units=144), nn.Dense(1, in_units=2))
    chain = NarrowChain(read_chain(net, PLANE), [np.ones((2, 144)), [-2.0, 1.0], [[3.0, 5.0]], [0.5]])
    chain.weights[0].mask[0] = False
    chain.weights[0].refresh()
    chain.compact()
    np.testing.assert_array_equal(chain.biases[1].w, [0.5])


@pytest.mark.parametrize("make", [small_net, dense_net, lambda: small_net(relu=False)])
def test_nothing_pruned_nothing_dropped(make):
    chain = new_chain(make())
    assert not chain.compact()
    assert_close(narrow_outputs(chain), whole_outputs(make(), expanded(chain)))


@pytest.mark.parametrize("make", [small_net, dense_net, lambda: small_net(relu=False)])
def test_folding_biases_keeps_the_function(make):
    chain = new_chain(make())
    before = narrow_outputs(chain)
    chain.fold_biases()
    assert_close(narrow_outputs(chain), before)
    for spec, bias in zip(chain.specs[:-1], chain.biases):
        assert bias.mask.any() == spec.relu


@pytest.mark.parametrize("make", [small_net, dense_net])
@pytest.mark.parametrize("share", [0.3, 0.15, 0.05, 0.0])
def test_compacting_keeps_the_function_and_expands_to_it(make, share):
    for seed in range(4):
        chain = new_chain(make(), seed)
        chain.fold_biases()
        prune(chain, share, seed + 10)
        before = narrow_outputs(chain)
        sizes = [tensor.w.size for tensor in chain.tensors]
        assert chain.compact() == ([tensor.w.size for tensor in chain.tensors] != sizes)
        found = narrow_outputs(chain)
        assert_close(found, before)
        assert_close(whole_outputs(make(), expanded(chain)), found)


def test_compacting_drops_every_dead_unit_and_unread_pixel():
    chain = new_chain(dense_net(), 3)
    prune(chain, 0.1, 4)
    chain.compact()
    assert chain.columns.size < 144 and chain.weights[0].mask.any(axis=0).all()
    for number in range(2):
        if len(chain.units[number]) > 1:
            assert chain.weights[number].mask.any(axis=1).all() and chain.weights[number + 1].mask.any(axis=0).all()


def test_moments_and_shared_values_are_narrowed_too():
    chain = new_chain(small_net(), 5)
    for tensor in chain.tensors:
        tensor.v[...] = tensor.w**2
        tensor.shared = 2 * tensor.w
    prune(chain, 0.1, 6)
    for tensor in chain.tensors:
        tensor.shared *= tensor.mask
    chain.compact()
    weight = chain.weights[2]
    np.testing.assert_array_equal(weight.v[weight.mask], weight.w[weight.mask]**2)
    np.testing.assert_array_equal(weight.shared, 2 * weight.w)


def test_values_are_pushed_and_gradients_are_right_after_inference_too():
    """Inference leaves weights of 16 channels in a layout of oneDNN's own, which cannot be written directly."""
    chain, changed = new_chain(small_net(), 13), new_chain(small_net(), 14)
    narrow_outputs(chain)
    for tensor, other in zip(chain.tensors, changed.tensors):
        tensor.w[...] = other.w
    np.testing.assert_allclose(narrow_outputs(chain), narrow_outputs(changed), rtol=1e-5)
    net, x = small_net(), mx.nd.array(images().astype(np.float32) / 255)
    whole_outputs(net, expanded(chain))
    for one in (chain.net, net):
        with mx.autograd.record():
            loss = mx.nd.log_softmax(one(x))[:, 0].sum()
        loss.backward()
    expected = [value.grad().asnumpy() for _, value in sorted(net._collect_params_with_prefix().items())]
    for number, gradient in enumerate(chain.gradients()):
        assert_close(gradient, expected[number ^ 1])


def test_state_goes_out_and_in():
    chain = new_chain(small_net(), 7)
    prune(chain, 0.1, 8)
    chain.compact()
    other = new_chain(small_net(), 9)
    other.set_state(chain.state())
    np.testing.assert_array_equal(narrow_outputs(other), narrow_outputs(chain))
    assert other.state().keys() == chain.state().keys() and other.kept == chain.kept
    with pytest.raises(KeyError, match="units.0"):
        other.set_state({name: array for name, array in chain.state().items() if name != "units.0"})


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("make", [small_net, dense_net])
def test_orders_keep_the_function(order, make):
    chain = new_chain(make(), 11)
    prune(chain, 0.2, 12)
    arrays = expanded(chain)
    found = ordered(chain.specs, arrays, order)
    assert_close(whole_outputs(make(), found), whole_outputs(make(), arrays))
    if order == "fan-in":
        for spec in chain.specs[:-1]:
            weight = found[f"{spec.name}.weight"]
            assert (np.diff(np.count_nonzero(weight.reshape(len(weight), -1), axis=1)) <= 0).all()
