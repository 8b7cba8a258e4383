import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet.gluon import nn  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.models import initialize  # noqa: E402
from gluon_dc.training.checkpoints import plain_arrays, write_arrays  # noqa: E402
from gluon_dc.training.transfer import StartWeights, fit_head, read_weights, take_over  # noqa: E402
from photographs import TINY, other, tiny  # noqa: E402

SHAPE = (3, 16, 16)


def ready(function=tiny, classes=10, seed=0):
    return initialize(function(classes), SHAPE, seed=seed)


def test_all_weights_are_taken_over_where_the_classes_are_as_many():
    start = StartWeights("a file", plain_arrays(ready(seed=1)))
    net = ready()
    assert take_over(net, start, 10) == ()
    for name, array in plain_arrays(net).items():
        np.testing.assert_array_equal(array, start.arrays[name])


def test_an_output_layer_of_other_classes_keeps_its_random_weights():
    start, net = StartWeights("a file", plain_arrays(ready(classes=10, seed=1))), ready(classes=4)
    before = plain_arrays(net)
    assert take_over(net, start, 4) == ("6.weight", "6.bias")
    after = plain_arrays(net)
    np.testing.assert_array_equal(after["6.weight"], before["6.weight"])
    np.testing.assert_array_equal(after["3.weight"], start.arrays["3.weight"])
    np.testing.assert_array_equal(after["1.running_var"], start.arrays["1.running_var"])


def test_random_weights_take_nothing_over():
    net = ready()
    before = plain_arrays(net)
    assert take_over(net, StartWeights("random"), 10) == tuple(before)
    for name, array in plain_arrays(net).items():
        np.testing.assert_array_equal(array, before[name])


def test_weights_of_another_network_are_refused_and_nothing_changes():
    net = ready()
    before = plain_arrays(net)
    with pytest.raises(ValueError, match="a file is of another network: it lacks 1.gamma, 1.beta, 1.running_mean ...; "
                                         "the net lacks 0.bias, 2.weight, 2.bias"):
        take_over(net, StartWeights("a file", plain_arrays(ready(other))), 10)
    wrong = {**before, "3.weight": np.zeros((16, 9, 3, 3), np.float32)}
    with pytest.raises(ValueError, match=r"3.weight is \(16, 9, 3, 3\), expected \(16, 8, 3, 3\)"):
        take_over(net, StartWeights("a file", wrong), 10)
    more = {**before, "3.weight": np.zeros((99, 8, 3, 3), np.float32)}
    with pytest.raises(ValueError, match=r"3.weight is \(99, 8, 3, 3\), .* not in the number of classes alone"):
        take_over(net, StartWeights("a file", more), 10)
    for name, array in plain_arrays(net).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("kind", ["gdc", "params", "npz"])
@pytest.mark.parametrize("classes", [10, 6])
def test_weights_from_files_of_any_class_count(tmp_path, kind, classes):
    net, path = ready(classes=classes, seed=3), tmp_path / f"net.{kind}"
    if kind == "gdc":
        dc.compress(net, metadata={"preprocessing": "caffe"}).save(path)
    elif kind == "params":
        net.save_parameters(str(path))
    else:
        write_arrays(path, plain_arrays(net))
    start = read_weights("gdc" if kind == "gdc" else "params", path, TINY, 10)
    assert start.arrays.keys() == plain_arrays(net).keys()
    np.testing.assert_array_equal(start.arrays["6.bias"], plain_arrays(net)["6.bias"])
    assert start.metadata == ({"preprocessing": "caffe"} if kind == "gdc" else {})
    assert start.note.startswith(f"net.{kind} (SHA-256 ") and len(start.digest()) == 64


def test_files_of_something_else(tmp_path):
    (tmp_path / "x.params").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="x.params is no .params file"):
        read_weights("params", tmp_path / "x.params", TINY, 10)
    with pytest.raises(dc.FormatError):
        (tmp_path / "x.gdc").write_bytes(b"nothing of the kind")
        read_weights("gdc", tmp_path / "x.gdc", TINY, 10)
    ready(other).save_parameters(str(tmp_path / "other.params"))
    with pytest.raises(ValueError, match="other.params is of another network"):
        read_weights("params", tmp_path / "other.params", TINY, 10)
    with pytest.raises(OSError):
        read_weights("params", tmp_path / "missing.params", TINY, 10)
    assert read_weights("random", None, TINY, 10).digest() == "random"


def test_a_new_head_is_scaled_to_large_features():
    """By hand: scores 1000 * w, so the weights shrink until the scores' standard deviation is a quarter."""
    net = nn.HybridSequential()
    net.add(nn.Dense(2, in_units=1))
    net.initialize()
    net[0].weight.set_data(mx.nd.array([[1.0], [-1.0]]))
    fit_head(net, ("0.weight", "0.bias"), mx.nd.array([[1000.0]]))
    np.testing.assert_allclose(net[0].weight.data().asnumpy(), [[0.00025], [-0.00025]], rtol=1e-5)
    assert net[0].bias.data().asnumpy().tolist() == [0, 0]
    fit_head(net, ("0.weight", "0.bias"), mx.nd.array([[1.0]]))
    np.testing.assert_allclose(net[0].weight.data().asnumpy(), [[0.00025], [-0.00025]], rtol=1e-5)


def test_a_new_head_under_a_relu_begins_alive():
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=2, activation="relu"))
    net.initialize()
    fit_head(net, ("0.weight", "0.bias"), mx.nd.ones((4, 2)))
    assert net[0].bias.data().asnumpy().tolist() == [1, 1, 1]
    assert (net(mx.nd.ones((1, 2))).asnumpy() > 0).all()
