"""Weights from .params files of every making, and what is said of those that do not fit."""

import re

import numpy as np
import pytest
from mxnet import gluon, init, nd

from gluon_dc.models import build, initialize, load_params, named_parameters


def small(classes=3, in_units=4):
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(5, in_units=in_units, activation="relu"), gluon.nn.BatchNorm(in_channels=5),
            gluon.nn.Dense(classes, in_units=5))
    return net


def drawn(**settings):
    net = small(**settings)
    net.initialize(init.Normal(1))
    net(nd.zeros((1, 4)))
    return net


def arrays(net):
    return {name: parameter.data().asnumpy() for name, parameter in named_parameters(net).items()}


def same(a, b):
    return list(arrays(a)) == list(arrays(b)) and all(
        np.array_equal(x, y) for x, y in zip(arrays(a).values(), arrays(b).values()))


class TestFormats:
    @pytest.mark.parametrize("initialised", [False, True])
    def test_save_parameters(self, tmp_path, initialised):
        net, other = drawn(), small()
        net.save_parameters(str(tmp_path / "a.params"))
        if initialised:
            other.initialize()
        assert load_params(tmp_path / "a.params", other) is other and same(net, other)

    def test_deferred_shapes_come_from_the_file(self, tmp_path):
        net, other = drawn(), gluon.nn.HybridSequential()
        other.add(gluon.nn.Dense(5, activation="relu"), gluon.nn.BatchNorm(), gluon.nn.Dense(3))
        net.save_parameters(str(tmp_path / "a.params"))
        assert same(net, load_params(tmp_path / "a.params", other))

    def test_export(self, tmp_path):
        net = drawn()
        net.hybridize()
        net(nd.zeros((1, 4)))
        net.export(str(tmp_path / "a"))
        assert same(net, load_params(tmp_path / "a-0000.params", small()))

    @pytest.mark.parametrize("prefix", ["", "arg:"])
    def test_full_and_short_names(self, tmp_path, prefix):
        net = drawn()
        for number, cut in enumerate(("", net.prefix, "dense")):
            names = {f"{prefix}{parameter.name.removeprefix(cut)}": parameter.data()
                     for parameter in net.collect_params().values()}
            nd.save(str(tmp_path / f"{number}.params"), names)
            assert same(net, load_params(tmp_path / f"{number}.params", small() if number == 2 else net))

    def test_float16_is_converted(self, tmp_path):
        net = drawn()
        nd.save(str(tmp_path / "a.params"), {name: nd.array(array, dtype=np.float16) for name, array in arrays(net).items()})
        found = arrays(load_params(tmp_path / "a.params", small()))
        assert all(array.dtype == np.float32 for array in found.values())
        assert np.array_equal(found["0.weight"], arrays(net)["0.weight"].astype(np.float16))

    def test_a_shared_parameter_under_either_name(self, tmp_path):
        def tied():
            one = gluon.nn.Dense(2, in_units=2)
            net = gluon.nn.HybridSequential()
            net.add(one, gluon.nn.Dense(2, in_units=2, params=one.params))
            return net
        weight, bias = nd.array([[1, 2], [3, 4]]), nd.array([5, 6])
        nd.save(str(tmp_path / "a.params"), {"1.weight": weight, "0.bias": bias})
        assert arrays(load_params(tmp_path / "a.params", tied()))["0.weight"].tolist() == [[1, 2], [3, 4]]


class TestErrors:
    def failing(self, path, net, message):
        before = arrays(net)
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}{message}$"):
            load_params(path, net)
        assert all(np.array_equal(before[name], array) for name, array in arrays(net).items())

    def test_sizes_that_the_net_leaves_open_are_question_marks(self, tmp_path):
        drawn().save_parameters(str(tmp_path / "a.params"))
        net = gluon.nn.HybridSequential()
        net.add(gluon.nn.Dense(6), gluon.nn.BatchNorm(), gluon.nn.Dense(3))
        with pytest.raises(ValueError, match=r"0.weight is \(5, 4\), expected \(6, \?\); 0.bias is \(5,\), expected"):
            load_params(tmp_path / "a.params", net)

    def test_another_class_count(self, tmp_path):
        drawn(classes=7).save_parameters(str(tmp_path / "a.params"))
        self.failing(tmp_path / "a.params", drawn(), r" does not fit the net: 2.weight is \(7, 5\), expected \(3, 5\); "
                     r"2.bias is \(7,\), expected \(3,\) \(2 of 8 parameters\); give the class count that the file was "
                     r"trained for \(--classes\)")

    def test_another_network(self, tmp_path):
        initialize(build("lenet-300-100")).save_parameters(str(tmp_path / "a.params"))
        self.failing(tmp_path / "a.params", drawn(), r" is of another network: it lacks 1.gamma, 1.beta, "
                     r"1.running_mean ...; the net lacks nothing \(4 and 0 of 8 parameters\)|"
                     r" is of another network: it lacks 1.gamma, 1.beta, 1.running_mean ...; the net lacks 1.weight, "
                     r"1.bias \(4 and 2 of 8 parameters\)")

    def test_names_of_neither_kind(self, tmp_path):
        nd.save(str(tmp_path / "a.params"), {"x": nd.zeros(1)})
        self.failing(tmp_path / "a.params", drawn(), r" is of another network: it lacks 0.weight, 0.bias, 1.gamma ...; "
                     r"the net lacks x \(8 and 1 of 8 parameters\)")

    def test_integers(self, tmp_path):
        net = drawn()
        found = {name: nd.array(array) for name, array in arrays(net).items()}
        found["0.bias"] = nd.zeros(5, dtype=np.int32)
        nd.save(str(tmp_path / "a.params"), found)
        self.failing(tmp_path / "a.params", net, ": 0.bias is int32, expected float32")

    @pytest.mark.parametrize("data", [b"", b"junk", b"\x89GDC" + bytes(40)])
    def test_no_params_file(self, tmp_path, data):
        (tmp_path / "a.params").write_bytes(data)
        self.failing(tmp_path / "a.params", drawn(), f" is no .params file: it begins with {re.escape(repr(data[:8]))}; "
                     "expected one that net.save_parameters or net.export has written")

    def test_a_truncated_file(self, tmp_path):
        net = drawn()
        net.save_parameters(str(tmp_path / "a.params"))
        data = (tmp_path / "a.params").read_bytes()
        for size in range(8, len(data), 37):
            (tmp_path / "a.params").write_bytes(data[:size])
            self.failing(tmp_path / "a.params", net, "( cannot be read as a .params file| holds no named arrays).*")

    def test_arrays_without_names(self, tmp_path):
        nd.save(str(tmp_path / "a.params"), [nd.zeros(2)])
        self.failing(tmp_path / "a.params", drawn(), " holds no named arrays; expected those of net.save_parameters or "
                     "net.export")

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no.params"):
            load_params(tmp_path / "no.params", drawn())
