"""Nets through the context coder: compress, file, restore."""

import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

import gluon_dc as dc  # noqa: E402
from gluon_dc.coding import ContextTensor  # noqa: E402
from nets import make  # noqa: E402


def shrunk(name="convolutional", seed=0, bits=3):
    net, x = make(name, seed=seed)
    net(x)
    dc.prune(net, sparsity=0.7)
    dc.quantize(net, bits)
    return net, x


@pytest.mark.parametrize("name, effort", [("convolutional", "fast"), ("dense", "fast"), ("dense", "best")])
def test_there_and_back(name, effort, tmp_path):
    net, x = shrunk(name)
    model = dc.compress(net, coder="context", effort=effort, metadata={"network": name})
    model.save(tmp_path / "net.gdc")
    loaded = dc.load(tmp_path / "net.gdc")
    assert loaded.version == 2 and loaded.effort == effort and loaded["0.weight"].effort == effort
    expected = dc.compress(net).decode()
    for key, array in loaded.decode().items():
        np.testing.assert_array_equal(array.view(np.uint32), expected[key].view(np.uint32))
    plain = dc.restore(loaded, make(name, seed=1)[0])
    np.testing.assert_array_equal(plain(x).asnumpy(), net(x).asnumpy())
    again = dc.restore(loaded, make(name, seed=1)[0], coded=True)
    np.testing.assert_array_equal(again(x).asnumpy(), net(x).asnumpy())
    assert dc.compress(again, coder="context", effort=effort, metadata={"network": name}).dumps() == model.dumps()


def test_biases_with_few_values_are_coded_like_weights():
    net, _ = make("dense")
    dc.quantize(net, 2)
    assert isinstance(dc.compress(net, coder="context")["0.bias"], ContextTensor)  # all zero
    bias = net[0].bias.data().asnumpy()
    drawn = np.random.default_rng(0).normal(size=bias.size)
    for values, is_coded in ((np.arange(bias.size) % 2 / 4, True), (drawn, False)):
        net[0].bias.set_data(mx.nd.array(values))
        model = dc.compress(net, coder="context", effort="fast")
        assert isinstance(model["0.bias"], ContextTensor) is is_coded
        found = dc.loads(model.dumps()).decode()["0.bias"]
        np.testing.assert_array_equal(found, values.astype(np.float32))
    assert isinstance(dc.compress(net)["0.bias"], np.ndarray)


def test_weights_that_are_pruned_only_take_a_mask_and_their_values():
    net, x = make("dense")
    net(x)
    dc.prune(net, sparsity=0.9)
    bitmap, context = dc.compress(net), dc.compress(net, coder="context", effort="fast")
    assert context.version == 2 and isinstance(context["0.weight"], np.ndarray)
    assert context.nbytes < bitmap.nbytes
    for name, array in dc.loads(context.dumps()).decode().items():
        np.testing.assert_array_equal(array, bitmap.decode()[name])


def test_a_codebook_that_training_disordered_is_put_in_order():
    net, _ = shrunk("dense")
    layer = next(layer for layer in dc.nn.weighted_layers(net) if layer.is_coded)
    parameter = layer.parameter
    codebook = parameter.data().asnumpy()
    codebook[[1, -1]] = codebook[[-1, 1]]
    parameter.set_data(mx.nd.array(codebook))
    before = layer.array()
    tensor = dc.compress(net, coder="context", effort="fast")[layer.name]
    assert (np.diff(tensor.codebook[1:]) > 0).all()
    np.testing.assert_array_equal(tensor.decode(), before)


@pytest.mark.parametrize("options, message", [
    ({"coder": "context", "rel_bits": 3}, "rel_bits is the width of gaps, and the context coder stores none"),
    ({"coder": "context", "effort": "slow"}, "effort is one of fast, best, got 'slow'")])
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        dc.compress(make("dense")[0], **options)
