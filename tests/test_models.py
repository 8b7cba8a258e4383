import mxnet as mx
import numpy as np
import pytest

from gluon_dc.models import LAYER_NAMES, MODELS, get_model, lenet_5, lenet_300_100

SHAPES = {
    "lenet-300-100": {
        "0.weight": (300, 784), "0.bias": (300,), "1.weight": (100, 300), "1.bias": (100,),
        "2.weight": (10, 100), "2.bias": (10,),
    },
    "lenet-5": {
        "0.weight": (20, 1, 5, 5), "0.bias": (20,), "2.weight": (50, 20, 5, 5), "2.bias": (50,),
        "4.weight": (500, 800), "4.bias": (500,), "5.weight": (10, 500), "5.bias": (10,),
    },
}


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


@pytest.fixture
def net(name):
    mx.random.seed(0)
    net = get_model(name)
    net.initialize(mx.init.Xavier())
    return net


def parameters(net):
    return net._collect_params_with_prefix()


@pytest.fixture
def images():
    return mx.nd.array(np.random.default_rng(0).random((3, 1, 28, 28), np.float32))


def test_names_and_shapes(net, name):
    assert {key: parameter.shape for key, parameter in parameters(net).items()} == SHAPES[name]


@pytest.mark.parametrize("make, count", [(lenet_300_100, 266_610), (lenet_5, 431_080)])
def test_parameter_counts_of_the_paper(make, count):
    # No data has passed through, so no shape may be deferred.
    assert sum(int(np.prod(parameter.shape)) for parameter in parameters(make()).values()) == count


def test_layer_names_are_the_weights_in_order(net, name):
    assert list(LAYER_NAMES[name]) == [key for key in parameters(net) if key.endswith(".weight")]


def test_layer_names_of_the_tables():
    assert list(LAYER_NAMES["lenet-300-100"].values()) == ["ip1", "ip2", "ip3"]
    assert list(LAYER_NAMES["lenet-5"].values()) == ["conv1", "conv2", "ip1", "ip2"]


def dense(x, values, layer):
    return x.reshape(len(x), -1) @ values[f"{layer}.weight"].T + values[f"{layer}.bias"]


def conv_and_pool(x, values, layer):
    weight = values[f"{layer}.weight"]
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    y = np.einsum("nchwij,ocij->nohw", windows, weight) + values[f"{layer}.bias"][:, None, None]
    n, channels, height, width = y.shape
    return y.reshape(n, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))


def relu(x):
    return np.maximum(x, 0)


REFERENCES = {
    "lenet-300-100": lambda x, v: dense(relu(dense(relu(dense(x, v, 0)), v, 1)), v, 2),
    # No relu around the convolutions.
    "lenet-5": lambda x, v: dense(relu(dense(conv_and_pool(conv_and_pool(x, v, 0), v, 2), v, 4)), v, 5),
}


def test_forward_against_numpy(net, name, images):
    values = {key: parameter.data().asnumpy().astype(np.float64) for key, parameter in parameters(net).items()}
    # Biases start at 0, which would hide a bias left out.
    for key, parameter in parameters(net).items():
        if key.endswith(".bias"):
            values[key] = np.linspace(-1, 1, len(values[key]))
            parameter.set_data(mx.nd.array(values[key]))
    found = net(images).asnumpy()
    assert found.shape == (3, 10)
    expected = REFERENCES[name](images.asnumpy().astype(np.float64), values)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_hybridized_equals_imperative(net, images):
    expected = net(images).asnumpy()
    net.hybridize()
    np.testing.assert_allclose(net(images).asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_batch_of_one(net, images):
    np.testing.assert_allclose(net(images[:1]).asnumpy(), net(images)[:1].asnumpy(), rtol=1e-4, atol=1e-5)


def test_wrong_image_size_is_refused(net):
    with pytest.raises(mx.base.MXNetError):
        net(mx.nd.zeros((1, 1, 32, 32))).asnumpy()


def test_each_call_makes_a_new_net(name):
    assert get_model(name) is not get_model(name)


@pytest.mark.parametrize("name", ["lenet", "", "LeNet-5"])
def test_unknown_name(name):
    with pytest.raises(ValueError, match=rf"^no model is named '{name}': choose one of lenet-300-100, lenet-5$"):
        get_model(name)
