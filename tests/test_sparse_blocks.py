import gc
import threading
import warnings
import weakref

import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

from mxnet import autograd, gluon  # noqa: E402
from mxnet.gluon import nn  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.nn.mxnet_forms import GluonConv, GluonMatrix  # noqa: E402
from gluon_dc.nn.sparse_layers import SparseConv, SparseLayer, SparseMatrix  # noqa: E402
from gluon_dc.runtime.forms import Geometry  # noqa: E402


def small_net(seed=0):
    """LeNet-like, initialized: both kinds of layers, fused activations, batch norm, no bias."""
    mx.random.seed(seed)
    net = nn.HybridSequential()
    with net.name_scope():
        net.add(nn.Conv2D(6, 3, padding=1, in_channels=2, activation="relu"), nn.MaxPool2D(2, 2),
                nn.Conv2D(8, 3, strides=2, in_channels=6, use_bias=False), nn.BatchNorm(in_channels=8),
                nn.Flatten(), nn.Dense(20, activation="tanh", in_units=72), nn.Dropout(0.5), nn.Dense(5, in_units=20))
    net.initialize(mx.init.Xavier(magnitude=3))
    return net


def shared(net, sparsity=0.7, bits=4, **settings):
    dc.prune(net, sparsity=sparsity)
    dc.quantize(net, bits=bits, **settings)
    return net


def images(n=1, seed=1):
    return mx.nd.array(np.random.default_rng(seed).standard_normal((n, 2, 16, 16)))


def assert_close(found, expected):
    np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), rtol=1e-4, atol=1e-5)


def layers_of(net):
    found = []
    net.apply(lambda block: found.append(block) if isinstance(block, SparseLayer) else None)
    return found


def test_by_hand():
    net = nn.Dense(2, in_units=3)
    net.initialize()
    net.weight.set_data(mx.nd.array([[0, 2, 0], [2, 0, -1]]))
    net.bias.set_data(mx.nd.array([10, 20]))
    assert dc.sparsify(net, force="sliced") is net
    assert net(mx.nd.array([[1, 2, 3]])).asnumpy().tolist() == [[14, 19]]
    assert repr(net) == "SparseDense(2 x 3)"


@pytest.mark.parametrize("force", [None, "dense", "sliced", "window", "panels", "direct"])
def test_a_net_gives_what_it_gave(force):
    net = shared(small_net())
    x, y = images(3), net(images(3))
    assert dc.sparsify(net, force=force) is net
    assert_close(net(x), y)
    assert sorted(type(layer).__mro__[1] is SparseConv for layer in layers_of(net)) == [False, False, True, True]


def test_a_layer_of_each_kind_of_wrapping():
    for settings in ({"sparsity": 0.3}, {"sparsity": 0.95}, {"gradient": "dense"}):
        net = shared(small_net(), **settings)
        y = net(images())
        assert_close(dc.sparsify(net)(images()), y)


def test_a_model_and_a_net():
    net = shared(small_net())
    net[3].running_mean.set_data(mx.nd.arange(8))
    y, model = net(images()), dc.compress(net)
    for plain in (small_net(seed=3), _uninitialized(small_net)):
        assert_close(dc.sparsify(model, plain)(images()), y)
    context = dc.compress(net, coder="context", effort="fast")
    assert_close(dc.sparsify(context, small_net(seed=3))(images()), y)


def _uninitialized(make):
    net = make()
    for parameter in net.collect_params().values():
        parameter._data = parameter._grad = None
    return net


@pytest.mark.parametrize("options, shape", [
    (dict(channels=8, kernel_size=3, in_channels=4, groups=2, padding=1), (2, 4, 7, 6)),
    (dict(channels=4, kernel_size=3, in_channels=4, groups=4), (1, 4, 7, 6)),
    (dict(channels=3, kernel_size=(3, 2), in_channels=4, dilation=(2, 1), strides=(1, 3)), (2, 4, 9, 8)),
    (dict(channels=3, kernel_size=1, in_channels=4, activation="sigmoid"), (3, 4, 5, 5))])
@pytest.mark.parametrize("force", ["direct", "dense"])
def test_convolutions(options, shape, force):
    net = nn.Conv2D(**options)
    net.initialize(mx.init.Normal(1))
    shared(net)
    x = mx.nd.random.normal(shape=shape)
    y = net(x)
    assert_close(dc.sparsify(net, force=force)(x), y)


@pytest.mark.parametrize("options, shape", [
    (dict(units=7, in_units=6, flatten=False), (2, 3, 6)), (dict(units=7, in_units=18), (2, 3, 6)),
    (dict(units=7, in_units=6, use_bias=False, activation="relu"), (40, 6))])
@pytest.mark.parametrize("force", [None, "dense", "panels"])
def test_dense_layers(options, shape, force):
    net = nn.Dense(**options)
    net.initialize(mx.init.Normal(1))
    shared(net)
    x = mx.nd.random.normal(shape=shape)
    y = net(x)
    assert y.shape == dc.sparsify(net, force=force)(x).shape
    assert_close(net(x), y)


def test_inputs_that_are_views_and_batches_of_many_sizes():
    net = shared(small_net())
    x = images(12)
    y = net(x)
    dc.sparsify(net)
    for begin, end in ((0, 1), (3, 5), (0, 12), (11, 12)):
        assert_close(net(x[begin:end]), y[begin:end])
    text = dc.sparse_table(net)
    assert "1      " in text and "2 to 3" in text and "8 to 15" in text


def test_a_bias_that_changes_is_seen():
    net = shared(small_net())
    dc.sparsify(net)
    y = net(images())
    net[7].bias.set_data(net[7].bias.data() + 1)
    assert_close(net(images()), y + 1)


def test_blocks_that_share_a_weight_or_are_called_twice():
    class Twice(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            with self.name_scope():
                self.one = nn.Dense(6, in_units=6)
                self.two = nn.Dense(6, in_units=6, params=self.one.params)

        def hybrid_forward(self, F, x):
            return self.two(self.one(self.one(x)))
    net = Twice()
    net.initialize(mx.init.Normal(1))
    shared(net)
    x = mx.nd.random.normal(shape=(2, 6))
    y = net(x)
    assert_close(dc.sparsify(net)(x), y)
    assert dc.sparse_table(net).count("one.weight") == 1


def test_a_net_that_is_only_pruned_but_has_few_values():
    net = nn.Dense(30, in_units=40)
    net.initialize()
    values = np.random.default_rng(0).integers(-3, 4, (30, 40)).astype(np.float32)
    values[values == 0] = -0.0
    net.weight.set_data(mx.nd.array(values))
    dc.prune(net, sparsity=0.5)
    x = mx.nd.random.normal(shape=(1, 40))
    y = net(x)
    assert_close(dc.sparsify(net)(x), y)


def test_layers_that_stay_dense_are_named():
    net = nn.HybridSequential()
    net.add(nn.Dense(50, in_units=100), nn.Dense(5, in_units=50))
    net.initialize(mx.init.Normal(1))
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, bits={"1": 3})
    x = mx.nd.random.normal(shape=(1, 100))
    y = net(x)
    with pytest.warns(UserWarning, match="1 layers stay dense: 0.weight has no codebook and more than 256 values"):
        dc.sparsify(net)
    assert_close(net(x), y)
    assert "0.weight: stays dense, has no codebook" in dc.sparse_table(net)
    assert [type(layer).__mro__[1] for layer in layers_of(net)] == [SparseMatrix]


def test_nothing_to_run_from_codes():
    with pytest.raises(ValueError, match="no layer can run from codes: 0.weight has no codebook and more than 256 "
                                         "values: quantize the net before sparsify"):
        dc.sparsify(small_net_of_many_values())
    with pytest.raises(ValueError, match="there is no Dense or 2-D convolution in the net"):
        dc.sparsify(nn.Flatten())
    conv = nn.Conv1D(3, 3, in_channels=2)
    conv.initialize()
    with pytest.raises(ValueError, match="no layer can run from codes: weight is a Conv1D"):
        dc.sparsify(shared(conv))


def small_net_of_many_values():
    net = nn.HybridSequential()
    net.add(nn.Dense(50, in_units=100))
    net.initialize()
    return net


class Odd(gluon.HybridBlock):
    """An operator that gluon_dc.session does not know."""

    def hybrid_forward(self, F, x):
        return F.arcsinh(x)


class TestHybridized:
    def test_before(self):
        net = shared(small_net())
        net.hybridize()
        y = net(images())
        dc.sparsify(net)
        assert net._session is not None  # hybridized as before
        assert_close(net(images()), y)

    def test_after_and_no_stale_graph(self):
        net = shared(small_net())
        dc.sparsify(net)
        y = net(images())
        net.hybridize(static_alloc=True, static_shape=True)
        assert_close(net(images()), y)
        assert net._session is not None and "all weights resident" in dc.sparse_table(net)
        # Biases are those of the last call of hybridize.
        net[7].bias.set_data(net[7].bias.data() + 1)
        net.hybridize()
        assert_close(net(images()), y + 1)
        net.hybridize(False)
        assert net._session is None
        assert_close(net(images()), y + 1)
        assert_close(net(images(5)), net(images(5)))

    def test_forms_are_not_kept_twice(self):
        net = dc.sparsify(shared(small_net()))
        net(images())
        weights, _ = net._sparse
        assert weights.forms_nbytes > 0
        net.hybridize()
        assert weights.forms_nbytes == 0
        y = net(images())
        assert_close(nn.HybridSequential.forward(net, images()), y)  # block by block they are made again

    def test_an_operator_that_the_session_does_not_know_runs_block_by_block(self):
        net = nn.HybridSequential()
        net.add(nn.Dense(4, in_units=4), Odd())
        net.initialize(mx.init.Normal(1))
        shared(net)
        y = net(mx.nd.ones((1, 4)))
        dc.sparsify(net).hybridize()
        assert net._session is None
        assert_close(net(mx.nd.ones((1, 4))), y)

    def test_refusals_of_a_hybridized_net(self):
        net = dc.sparsify(shared(small_net()))
        net.hybridize()
        with pytest.raises(RuntimeError, match="the net: a sparsified net is for inference only"):
            with autograd.record():
                net(images())
        with pytest.raises(ValueError, match="the net: expected a float32 array on the CPU, got float64"):
            net(mx.nd.ones((1, 2, 16, 16), dtype="float64"))
        with pytest.raises(ValueError, match="does not go through the net"):
            net(mx.nd.ones((1, 3, 16, 16)))

    def test_blocks_without_such_layers_keep_their_graphs(self):
        net = nn.HybridSequential()
        inner = nn.HybridSequential()
        inner.add(nn.Activation("relu"), Odd())
        net.add(nn.Dense(4, in_units=4), inner)
        net.initialize(mx.init.Normal(1))
        shared(net)
        dc.sparsify(net)
        net.hybridize()
        net(mx.nd.ones((1, 4)))
        assert inner._active and inner._cached_op is not None and not net._active

    def test_a_larger_net_that_is_hybridized_is_refused(self):
        larger = nn.HybridSequential()
        net = shared(small_net())
        larger.add(dc.sparsify(net))
        larger(images())
        larger.hybridize()
        with pytest.raises(ValueError, match="0.weight: a layer made by gluon_dc.sparsify has no symbol: do not "):
            larger(images())


class TestRefusals:
    def test_training(self):
        net = dc.sparsify(shared(small_net()))
        with pytest.raises(RuntimeError, match="0.weight: a sparsified net is for inference only; call it outside"):
            with autograd.record():
                net(images())

    @pytest.mark.parametrize("verb", [
        dc.compress, dc.unwrap, dc.sparsify,
        lambda net: dc.prune(net, sparsity=0.5), lambda net: dc.quantize(net, bits=2)])
    def test_verbs(self, verb):
        net = dc.sparsify(shared(small_net()))
        with pytest.raises(ValueError, match=r"0: this layer runs from codes \(gluon_dc.sparsify\) and has no weight"):
            verb(net)

    def test_quantize_comes_before(self):
        # Only pruned: the small layer has few values and runs from codes, the large one is to be quantized, too late.
        net = nn.HybridSequential()
        net.add(nn.Dense(50, in_units=100), nn.Dense(5, in_units=50))
        net.initialize(mx.init.Normal(1))
        dc.prune(net, sparsity=0.5)
        with pytest.warns(UserWarning, match="0.weight has no codebook and more than 256 values: quantize the net"):
            dc.sparsify(net)
        with pytest.raises(ValueError, match=r"^1: this layer runs from codes .*: prune, quantize and compress come "
                                             "before sparsify; start again from a new net with its weights"):
            dc.quantize(net, bits=4)

    def test_restore(self):
        net = shared(small_net())
        model = dc.compress(net)
        with pytest.raises(ValueError, match="this layer runs from codes"):
            dc.restore(model, dc.sparsify(net))

    @pytest.mark.parametrize("name", ["save_parameters", "load_parameters", "export"])
    def test_files(self, name, tmp_path):
        net = dc.sparsify(shared(small_net()))
        with pytest.raises(ValueError, match="holds no weights to save, load or export"):
            getattr(net, name)(str(tmp_path / "x"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("x, message", [
        (mx.nd.ones((1, 2, 16)), r"0.weight: expected an input of shape \(n, 2, h, w\), got \(1, 2, 16\)"),
        (mx.nd.ones((1, 3, 16, 16)), r"expected an input of shape \(n, 2, h, w\), got \(1, 3, 16, 16\)"),
        (mx.nd.ones((1, 2, 20, 20)), r"5.weight: expected an input of shape \(n, 72\), got \(1, 128\)"),
        (mx.nd.ones((1, 2, 16, 16), dtype="float64"), "0.weight: expected a float32 array on the CPU, got float64")])
    def test_inputs(self, x, message):
        with pytest.raises(ValueError, match=message):
            dc.sparsify(shared(small_net()))(x)

    def test_settings(self):
        net = shared(small_net())
        y = net(images())
        for settings, message in (({"threads": 0}, "threads must be a whole number from 1 on, got 0"),
                                  ({"force": "fast"}, "force: no form is named 'fast'"),
                                  ({"force": {"9*": "dense"}}, r"force: '9\*' matches none of 0.weight, 2.weight"),
                                  ({"force": {"0*": "sliced"}},
                                   r"no layer that '0\*' matches may run in the form 'sliced': 0.weight in direct or "),
                                  ({"force": {"5*": "direct"}},
                                   r"no layer that '5\*' matches may run in the form 'direct': 5.weight in sliced or ")):
            with pytest.raises(ValueError, match=message):
                dc.sparsify(net, **settings)
        with pytest.raises(TypeError, match="sparsify takes a net, or a CompressedModel and a net"):
            dc.sparsify(net, net)
        with pytest.raises(TypeError, match="a CompressedModel needs a net of its architecture"):
            dc.sparsify(dc.compress(net))
        with pytest.raises(ValueError, match="model and net are of different architectures"):
            dc.sparsify(dc.compress(net), nn.Dense(3, in_units=3))
        with pytest.raises(ValueError, match="is not one that gluon_dc.sparsify has returned"):
            dc.sparse_table(net)
        assert_close(net(images()), y)  # and is unchanged


class TestMemory:
    def test_weights_are_gone(self):
        net = shared(small_net())
        parameters = [weakref.ref(parameter) for name, parameter in net.collect_params().items() if "bias" not in name
                      and "batchnorm" not in name]
        dc.sparsify(net)
        gc.collect()
        assert len(parameters) > 4 and not any(reference() for reference in parameters)
        assert all("bias" in name or "batchnorm" in name for name in net.collect_params())

    def test_no_dense_weights_stay_but_those_chosen(self):
        net = nn.Dense(400, in_units=1000)
        net.initialize()
        shared(net, sparsity=0.95)
        dc.sparsify(net, force="window")
        net(mx.nd.ones((1, 1000)))
        weights, _ = net._sparse
        assert weights.forms_nbytes + weights.packed_nbytes < 400 * 1000 * 4 / 10

    def test_threads_call_it_at_once(self):
        net = shared(small_net())
        x, y = images(4), net(images(4))
        dc.sparsify(net, threads=2)
        found = [None] * 4

        def run(i):
            found[i] = [net(x[i:i + 1]).asnumpy() for _ in range(10)]
        threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i in range(4):
            np.testing.assert_allclose(found[i], [y[i:i + 1].asnumpy()] * 10, rtol=1e-4, atol=1e-5)


def test_no_warning_where_all_layers_run_from_codes():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        dc.sparsify(shared(small_net()))


def test_many_shapes_are_not_kept():
    conv = nn.Conv2D(2, 1, in_channels=1)
    conv.initialize()
    conv.weight.set_data(mx.nd.array([2, 3]).reshape((2, 1, 1, 1)))
    dc.sparsify(conv, measure=False)
    for size in range(1, 80):
        assert conv(mx.nd.ones((1, 1, 1, size))).shape == (1, 2, 1, size)
    assert len(conv._known) <= 64


@pytest.mark.parametrize("relu", [False, True])
def test_mxnet_forms_do_as_the_others(relu):
    rng = np.random.default_rng(0)
    weight = dc.CodedTensor(np.array([0, 1, -2], np.float32), rng.integers(0, 3, (4, 2, 3, 3)).astype(np.uint8))
    matrix = dc.CodedTensor(weight.codebook, weight.codes.reshape(4, 18))
    bias, x = rng.standard_normal(4).astype(np.float32), rng.standard_normal((2, 18)).astype(np.float32)
    expected = x @ matrix.decode().T + bias
    expected = np.maximum(expected, 0) if relu else expected
    form, out = GluonMatrix.build(matrix), np.empty((2, 4), np.float32)
    np.testing.assert_allclose(form.apply(x, bias, relu), expected, rtol=1e-5, atol=1e-5)
    assert form.apply(x, bias, relu, out) is out and form.nbytes == 4 * 72 and form.rows == 4
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    conv = GluonConv.build(weight, Geometry())
    found = conv.apply(x.reshape(2, 2, 3, 3), bias, relu)[:, :, 0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert GluonMatrix.fits(matrix, 1) and GluonConv.fits(weight, Geometry(), (1, 2, 3, 3))
