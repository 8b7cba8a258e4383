"""gluon_dc.session: a file runs without MXNet, and gives what the net gives."""

import copy
import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gluon_dc as dc
from gluon_dc.coding import CodedTensor, CompressedModel, FormatError, pack, pack_all
from graphs import DATA, graph_text

R = np.random.default_rng(7)


def coded(shape, density=0.4, entries=15, seed=0):
    """A random CodedTensor."""
    rng = np.random.default_rng(seed)
    codebook = np.concatenate([[0], np.sort(rng.normal(size=entries))]).astype(np.float32)
    return CodedTensor(codebook, (rng.integers(1, entries + 1, shape) * (rng.random(shape) < density)).astype(np.uint8))


def dense_text(name="data", shape="(0, 6)"):
    """A dense layer of 6 to 4 with bias, ReLU, and one of 4 to 3 without."""
    nodes = [("null", name, {"__shape__": shape}, []), ("null", "0.weight", {}, []), ("null", "0.bias", {}, []),
             ("FullyConnected", "0", {"num_hidden": "4"}, [0, 1, 2]), ("relu", "r", {}, [3]), ("Dropout", "d", {}, [4]),
             ("null", "1.weight", {}, []), ("FullyConnected", "1", {"num_hidden": "3", "no_bias": "True"}, [5, 6])]
    return graph_text(*nodes)


def dense_model(**more):
    """The CompressedModel of `dense_text`; the second layer is not compressed."""
    tensors = {"0.weight": pack(coded((4, 6))), "0.bias": np.float32([1, -1, 0, 2]),
               "1.weight": np.arange(12, dtype=np.float32).reshape(3, 4)}
    return CompressedModel(tensors, **{"graph": dense_text(), **more})


def dense_reference(x):
    """What `dense_model` gives for x (n, 6)."""
    weights = dense_model().decode()
    return np.maximum(x @ weights["0.weight"].T + weights["0.bias"], 0) @ weights["1.weight"].T


class TestRuns:
    @pytest.mark.parametrize("n", [1, 2, 9, 64])
    @pytest.mark.parametrize("threads", [1, 2])
    def test_a_small_net_at_any_batch_size(self, n, threads):
        x = R.normal(size=(n, 6)).astype(np.float32)
        found = dc.session(dense_model(), threads=threads, measure=False).run(x)
        assert found.dtype == np.float32 and found.shape == (n, 3)
        np.testing.assert_allclose(found, dense_reference(x), rtol=1e-5, atol=1e-5)

    def test_batch_sizes_one_after_another(self, tmp_path):
        dense_model().save(tmp_path / "net.gdc")
        for net in (dc.session(tmp_path / "net.gdc", measure=False), dc.session(dense_model(), batch=8, measure=False)):
            for n in (1, 8, 3, 1, 70, 2, 5, 6, 7, 1):
                x = R.normal(size=(n, 6)).astype(np.float32)
                np.testing.assert_allclose(net(x), dense_reference(x), rtol=1e-5, atol=1e-5)

    def test_results_are_new_arrays(self):
        net, x = dc.session(dense_model(), measure=False), R.normal(size=(2, 6)).astype(np.float32)
        first = net.run(x)
        before = first.copy()
        net.run(x + 1)
        assert (first == before).all() and (net.run(x) == before).all()

    def test_an_input_that_is_not_contiguous(self):
        x = R.normal(size=(6, 4)).astype(np.float32).T
        assert (dc.session(dense_model(), measure=False).run(x)
                == dc.session(dense_model(), measure=False).run(x.copy())).all()

    def test_several_outputs_come_as_a_tuple(self):
        text = graph_text(DATA, ("relu", "r", {}, [0]), ("sigmoid", "s", {}, [1]),
                          heads=[[1, 0, 0], [2, 0, 0], [0, 0, 0]])
        x = R.normal(size=(2, 1, 4, 4)).astype(np.float32)
        relu, sigmoid, same = dc.session(CompressedModel({}, text)).run(x)
        np.testing.assert_array_equal(relu, np.maximum(x, 0))
        np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-np.maximum(x, 0))), rtol=1e-6)
        np.testing.assert_array_equal(same, x)

    def test_several_threads_at_once(self):
        net, inputs = dc.session(dense_model(), measure=False), R.normal(size=(8, 3, 6)).astype(np.float32)
        wrong = []

        def work(x):
            for _ in range(10):
                wrong.extend([] if np.allclose(net.run(x), dense_reference(x), atol=1e-5) else [x])
        workers = [threading.Thread(target=work, args=(x,)) for x in inputs]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not wrong

    def test_shared_weights_with_norms_of_their_own(self):
        # One weight under two batch norms: a dense form holds the scale of one of them.
        names = [f"{norm}.{part}" for norm in "ab" for part in ("gamma", "beta", "mean", "var")]
        nodes = [("null", "data", {"__shape__": "(0, 5)"}, []), ("null", "w", {}, []),
                 *[("null", name, {}, []) for name in names],
                 *[("FullyConnected", f"f{i}", {"num_hidden": "4", "no_bias": "True"}, [0, 1]) for i in range(2)],
                 ("BatchNorm", "a", {"fix_gamma": "False"}, [10, 2, 3, 4, 5]),
                 ("BatchNorm", "b", {"fix_gamma": "False"}, [11, 6, 7, 8, 9]), ("elemwise_sub", "s", {}, [12, 13])]
        statistics = {name: R.uniform(0.5, 2, 4).astype(np.float32) for name in names}
        x, weight = R.normal(size=(3, 5)).astype(np.float32), coded((4, 5))
        y = x @ weight.decode().T
        a, b = ((y - statistics[f"{k}.mean"]) / np.sqrt(statistics[f"{k}.var"] + 1e-3) * statistics[f"{k}.gamma"]
                + statistics[f"{k}.beta"] for k in "ab")
        for tensor in (pack(weight), weight.decode()):
            for force in (None, "dense"):
                model = CompressedModel({"w": tensor, **statistics}, graph_text(*nodes))
                np.testing.assert_allclose(dc.session(model, force=force, measure=False).run(x), a - b, rtol=1e-4,
                                           atol=1e-5)


    def test_a_batch_norm_of_another_axis_than_the_layers_outputs(self):
        names = ["gamma", "beta", "mean", "var"]
        nodes = [("null", "data", {"__shape__": "(0, 4, 5)"}, []), ("null", "w", {}, []),
                 *[("null", name, {}, []) for name in names],
                 ("FullyConnected", "f", {"num_hidden": "4", "no_bias": "True", "flatten": "False"}, [0, 1]),
                 ("BatchNorm", "b", {"fix_gamma": "False"}, [6, 2, 3, 4, 5])]
        statistics = {name: R.uniform(0.5, 2, 4).astype(np.float32) for name in names}
        x, weight = R.normal(size=(3, 4, 5)).astype(np.float32), coded((4, 5))
        gamma, beta, mean, var = (array[:, None] for array in statistics.values())
        expected = (x @ weight.decode().T - mean) / np.sqrt(var + 1e-3) * gamma + beta
        model = CompressedModel({"w": pack(weight), **statistics}, graph_text(*nodes))
        np.testing.assert_allclose(dc.session(model, measure=False).run(x), expected, rtol=1e-4, atol=1e-5)


class TestOddNumbers:
    # NumPy's warnings would be errors here.
    pytestmark = pytest.mark.filterwarnings("error")

    @pytest.mark.parametrize("form", ["dense", "sliced", "panels"])
    def test_they_go_through_a_dense_net_without_a_word(self, form):
        x = np.float32([[np.nan] * 6, [np.inf] * 6, [-np.inf] * 6, [3e38] * 6])
        with np.errstate(all="ignore"):
            expected = dense_reference(x)
        net = dc.session(dense_model(), force={"0.weight": form}, measure=False)
        found = net.run(x)
        assert np.isnan(found[0]).all()
        assert form != "dense" or np.array_equal(found[:3], expected[:3], equal_nan=True)
        assert net.profile(x, 1)

    @pytest.mark.parametrize("op, attrs", [
        ("softsign", {}), ("sigmoid", {}), ("tanh", {}), ("softmax", {}), ("log_softmax", {}), ("hard_sigmoid", {}),
        *[("LeakyReLU", {"act_type": kind}) for kind in ("leaky", "elu", "selu", "gelu")], ("sum", {"axis": "1"}),
        ("mean", {"axis": "1"}), ("max", {"axis": "1"}), ("_mul_scalar", {"scalar": "10"}),
        ("_rdiv_scalar", {"scalar": "0"}), ("Activation", {"act_type": "softrelu"}),
        ("clip", {"a_min": "-1", "a_max": "1"}), ("LRN", {"nsize": "3"})])
    def test_every_operator_keeps_quiet(self, op, attrs):
        x = np.float32([np.nan, np.inf, -np.inf, 3e38, -3e38, 0, 1, -1]).reshape(1, 8, 1, 1)
        text = graph_text(("null", "data", {}, []), (op, "it", attrs, [0]))
        net = dc.session(CompressedModel({}, text), measure=False)
        assert np.isnan(net.run(x)).any() or op == "clip"


    def test_nor_do_threads_that_run_images_of_their_own(self, monkeypatch):
        monkeypatch.setattr("gluon_dc.runtime.batch_plan._WORTH_THREADS", 0)
        nodes = [("null", "data", {}, []), ("null", "w", {}, []),
                 ("Convolution", "c", {"kernel": "(1, 1)", "num_filter": "2", "no_bias": "True"}, [0, 1]),
                 ("softsign", "s", {}, [2]), ("softmax", "m", {"axis": "1"}, [3])]
        net = dc.session(CompressedModel({"w": np.ones((2, 1, 1, 1), np.float32)}, graph_text(*nodes)), threads=2)
        assert np.isnan(net.run(np.full((4, 1, 3, 3), np.inf, np.float32))).all()
        assert len(net._last._heads) == 2


class TestForms:
    @pytest.mark.parametrize("form", ["dense", "sliced", "window", "panels"])
    def test_a_forced_form_runs_and_shows(self, form):
        x = R.normal(size=(3, 6)).astype(np.float32)
        net = dc.session(dense_model(), force={"0.weight": form}, batch=3)
        np.testing.assert_allclose(net.run(x), dense_reference(x), rtol=1e-5, atol=1e-5)
        assert [row.form for row in net.layers] == [form, "dense"]
        assert f"0.weight  {'4x6':>6}" in net.table() and f"  {form}" in net.table()
        assert net.table().endswith(
            f"\ninputs of shape (3, 6): {net._last.nbytes:,} bytes of activations, buffers and results")

    def test_parameters_of_a_file_are_as_writeable_as_others(self, tmp_path):
        # Kernels are compiled for one kind of arrays; where forms are measured these are writeable.
        dense_model().save(tmp_path / "net.gdc")
        assert not dc.load(tmp_path / "net.gdc")["0.bias"].flags.writeable
        net = dc.session(tmp_path / "net.gdc", measure=False)
        assert net._weights.array("0.bias").flags.writeable

    def test_no_dense_weights_stay(self, tmp_path):
        weight = coded((256, 1024), density=0.05)
        text = graph_text(("null", "data", {"__shape__": "(0, 1024)"}, []), ("null", "w", {}, []),
                          ("FullyConnected", "f", {"num_hidden": "256", "no_bias": "True"}, [0, 1]))
        CompressedModel(pack_all({"w": weight}, "context", effort="fast"), text).save(tmp_path / "net.gdc")
        net = dc.session(tmp_path / "net.gdc", measure=False)
        assert net.layers[0].form != "dense" and net.weights_nbytes < weight.size  # 4 bytes each as dense float32
        x = R.normal(size=(1, 1024)).astype(np.float32)
        np.testing.assert_allclose(net.run(x), x @ weight.decode().T, rtol=1e-4, atol=1e-4)
        before = net.weights_nbytes
        net.run(np.repeat(x, 16, axis=0))  # another form; the model that it was made from does not stay
        assert net.layers[0].form == "panels" and net._weights._model is None
        assert net.weights_nbytes == before + net.layers[0].nbytes


class TestBadInput:
    def test_a_file_without_a_graph(self, tmp_path):
        dense_model(graph=None).save(tmp_path / "net.gdc")
        with pytest.raises(FormatError) as error:
            dc.session(tmp_path / "net.gdc")
        assert str(error.value) == (
            f"{tmp_path / 'net.gdc'}: this file has no graph, so it cannot run by itself: compress with graph=True, or "
            "add one: tools/add_graph.py FILE.gdc -o OUT.gdc")

    def test_an_unknown_operator_is_named(self):
        model = CompressedModel({}, graph_text(DATA, ("RNN", "lstm0", {}, [0])))
        with pytest.raises(FormatError, match="graph: RNN 'lstm0': the operator 'RNN' is not known; known are "
                                              "_contrib_AdaptiveAvgPooling2D, "):
            dc.session(model)

    def test_an_unknown_operator_is_found_without_an_input_shape_too(self):
        model = CompressedModel({}, graph_text(("null", "data", {}, []), ("RNN", "lstm0", {}, [0])))
        with pytest.raises(FormatError, match="the operator 'RNN' is not known"):
            dc.session(model)

    @pytest.mark.parametrize("x, message", [
        (np.zeros((2, 6)), r"expected a float32 array of shape \(n, 6\), got float64 of shape \(2, 6\): preprocess it"),
        ([[1.0]], r"expected a float32 array of shape \(n, 6\), got list"),
        (np.zeros(6, np.float32),
         r"expected an input of shape \(n, 6\), got \(6,\); one image is a batch of one: x\[None\]"),
        (np.zeros((0, 6), np.float32), r"expected an input of shape \(n, 6\), got \(0, 6\)$"),
        (np.zeros((2, 1, 6), np.float32), r"expected an input of shape \(n, 6\), got \(2, 1, 6\)$"),
        (np.zeros(7, np.float32), r"expected an input of shape \(n, 6\), got \(7,\)$"),
        (np.zeros((2, 7), np.float32), r"an input of shape \(2, 7\) does not go through the net, expected \(n, 6\) "
         r"\(graph: FullyConnected '0': expected a weight of shape \(4, 7\) for this input, got \(4, 6\)\)"),
    ])
    def test_a_wrong_input(self, x, message):
        net = dc.session(dense_model(), measure=False)
        with pytest.raises(ValueError, match=message):
            net.run(x)
        assert net.run(np.zeros((1, 6), np.float32)).shape == (1, 3)

    @pytest.mark.parametrize("settings, message", [
        ({"threads": 0}, "threads must be a whole number from 1 on, got 0"),
        ({"batch": True}, "batch must be a whole number from 1 on, got True"),
        ({"force": "fast"}, "force: no form is named 'fast', expected one of dense, direct, panels, sliced, wide, window"),
        ({"force": {"2.weight": "dense"}}, "force: '2.weight' matches none of 0.weight, 1.weight$"),
        ({"force": {"*.bias": "dense"}}, r"force: '\*.bias' matches none of 0.weight, 1.weight$"),
        ({"force": {"*": "dense", "1*": "sliced"}},
         r"force: no layer that '1\*' matches may run in the form 'sliced': 1.weight in dense$"),
        ({"force": {"0": "direct"}}, "force: no layer that '0' matches may run in the form 'direct': 0.weight in sliced "
                                     "or window or wide or panels or dense$"),
    ])
    def test_wrong_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            dc.session(dense_model(), **settings)

    def test_inputs_that_are_too_large_are_refused_before_they_are_allocated(self):
        text = graph_text(("null", "data", {"__shape__": "(0, 3)"}, []),
                          ("Pad", "p", {"pad_width": "(0, 0, 0, 999999999)"}, [0]))
        with pytest.raises(ValueError, match=r"an input of shape \(2, 3\) \(6 numbers\) makes activations and results "
                                             r"of 16,000,000,144 bytes, at most 4,294,967,296 are allowed: run fewer"):
            dc.session(CompressedModel({}, text), batch=2)

    def test_buffers_of_layers_count_too(self):
        weight = coded((8, 16, 3, 3))
        text = graph_text(("null", "data", {"__shape__": "(0, 16, 10, 10)"}, []), ("null", "w", {}, []),
                          ("Convolution", "c", {"kernel": "(3, 3)", "num_filter": "8", "no_bias": "True"}, [0, 1]))
        model = CompressedModel({"w": weight.decode()}, text)
        net = dc.session(model)
        values = 4 * (16 * 100 + 2 * 8 * 64)  # the result is copied
        buffers = sum(buffer.nbytes for buffer in net._last._scratch._buffers.values())
        assert net._last.nbytes == values + buffers > 2 * values
        assert dc.session(model, max_nbytes=net._last.nbytes)._last.nbytes == net._last.nbytes
        with pytest.raises(ValueError, match=f"^layers work in buffers of {buffers:,} bytes, beside the activations "
                                             f"there is room for {buffers - 1:,}: run fewer inputs at a time, or raise"):
            dc.session(model, max_nbytes=net._last.nbytes - 1)

    def test_a_missing_parameter_is_named(self):
        with pytest.raises(FormatError, match="2 variables are no tensors of the file: data, 0.bias"):
            dc.session(CompressedModel({name: dense_model()[name] for name in ("0.weight", "1.weight")}, dense_text()))

    def test_a_weight_of_another_shape(self):
        with pytest.raises(ValueError, match=r"FullyConnected '0': expected a weight of shape \(4, 6\) for this input, "
                                             r"got \(5, 6\)"):
            dc.session(CompressedModel({**dense_model().tensors, "0.weight": pack(coded((5, 6)))}, dense_text()))

    def test_a_layer_whose_weight_is_computed(self):
        nodes = [("null", "data", {}, []), ("null", "w", {}, []), ("relu", "r", {}, [1]),
                 ("FullyConnected", "f", {"num_hidden": "4", "no_bias": "True"}, [0, 2])]
        with pytest.raises(FormatError, match="graph: FullyConnected 'f': takes 'r' where a parameter is expected"):
            dc.session(CompressedModel({"w": coded((4, 6)).decode()}, graph_text(*nodes)))

    def test_a_path_that_is_not_there(self):
        with pytest.raises(FileNotFoundError):
            dc.session("absent.gdc")


# Operators of random graphs, by NumPy.
UNARY = {
    "relu": lambda x: np.maximum(x, 0), "_mul_scalar": lambda x: x * np.float32(-0.5), "_copy": lambda x: x,
    "clip": lambda x: np.clip(x, -1, 1), "Reshape": lambda x: x.reshape(1, -1, 2),
         "Flatten": lambda x: x.reshape(len(x), -1),
    "transpose": np.transpose, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
ATTRS = {"_mul_scalar": {"scalar": "-0.5"}, "clip": {"a_min": "-1", "a_max": "1"}, "Reshape": {"shape": "(1, -1, 2)"}}


BINARY = {"elemwise_add": np.add, "elemwise_sub": np.subtract, "elemwise_mul": np.multiply,
          "Concat": lambda x, y: np.concatenate([x, y], axis=1)}


def random_graph(steps, x):
    """(nodes, values by NumPy) of operators on earlier values, drawn as (operator, number, number)."""
    nodes, values = [("null", "data", {}, [])], [x]

    def add(op, attrs, inputs, value):
        nodes.append((op, f"n{len(nodes)}", attrs, inputs))
        values.append(value)
    for op, a, b in steps:
        a = len(values) - 1 - a % min(4, len(values))  # a recent one, so that much depends on much
        u = values[a]
        if u.size > 256:
            continue
        if op == "transpose":
            add(op, {}, [a], u.transpose().copy())
            add("Reshape", {"shape": "(1, -1)"}, [len(values) - 1], values[-1].reshape(1, -1))
        elif op in BINARY:
            # The second input is one that goes with the first: of its shape, but for the axis that is joined.
            rest = slice(2, None) if op == "Concat" else slice(1, None)
            fitting = [i for i, v in enumerate(values) if v.ndim == u.ndim and len(v) == len(u)
                       and v.shape[rest] == u.shape[rest]]
            b = fitting[-1 - b % min(4, len(fitting))]
            add(op, {}, [a, b], BINARY[op](u, values[b]))
        else:
            add(op, ATTRS.get(op, {}), [a], UNARY[op](u))
    return nodes, values


@settings(max_examples=250, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*UNARY, *BINARY, "Concat"]), st.integers(0, 99), st.integers(0, 99)), min_size=1,
                max_size=16), st.integers(1, 3))
def test_values_that_share_memory_never_disturb_each_other(steps, n_outputs):
    x = np.random.default_rng(3).normal(size=(1, 4)).astype(np.float32)
    nodes, values = random_graph(steps, x)
    outputs = [max(0, len(nodes) - 1 - 2 * i) for i in range(n_outputs)]
    net = dc.session(CompressedModel({}, graph_text(*nodes, heads=[[i, 0, 0] for i in outputs])))
    for _ in range(2):
        found = net.run(x)
        for array, i in zip(found if n_outputs > 1 else [found], outputs, strict=True):
            np.testing.assert_allclose(array, values[i], rtol=1e-5, atol=1e-6)


def test_a_part_of_a_concatenation_that_is_read_after_the_whole_was_overwritten():
    x = np.random.default_rng(3).normal(size=(1, 4)).astype(np.float32)
    nodes = [("null", "data", {}, []), ("relu", "r", {}, [0]), ("Concat", "c", {}, [1, 0]),
             ("_mul_scalar", "m", {"scalar": "-2"}, [2]), ("Concat", "out", {}, [3, 1])]
    relu = np.maximum(x, 0)
    np.testing.assert_array_equal(dc.session(CompressedModel({}, graph_text(*nodes))).run(x),
                                  np.concatenate([-2 * relu, -2 * x, relu], axis=1))


def test_without_mxnet(tmp_path):
    dense_model().save(tmp_path / "net.gdc")
    code = ("import sys; sys.modules['mxnet'] = sys.modules['gluoncv'] = None; import numpy as np, gluon_dc as dc; "
            "print(dc.session(sys.argv[1], measure=False).run(np.ones((1, 6), np.float32)).tolist())")
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "net.gdc"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), dense_reference(np.ones((1, 6), np.float32)), rtol=1e-5)


class TestArguments:
    def test_what_is_no_model(self):
        with pytest.raises(TypeError, match="takes a CompressedModel or the path of a file, got bytes: gluon_dc.loads"):
            dc.session(dense_model().dumps())

    @pytest.mark.parametrize("shape", ["1,28,28", (1, -28, 28), 4])
    def test_no_shape(self, shape):
        with pytest.raises(ValueError, match="input_shape is a tuple of whole numbers from 1 on"):
            dc.session(dense_model(), input_shape=shape)

    def test_no_form(self):
        with pytest.raises(TypeError, match="force is the name of a form or {pattern: name}, got 3"):
            dc.session(dense_model(), force=3)

    def test_no_memory(self):
        with pytest.raises(ValueError, match="max_nbytes must be a number above 0, got -1"):
            dc.session(dense_model(), max_nbytes=-1)


class TestMessages:
    def open_model(self):
        """A net whose graph does not say its input's shape."""
        nodes = [("null", "data", {}, []), ("null", "w", {}, []), ("Dropout", "d", {}, [0]),
                 ("Convolution", "c", {"kernel": "(3, 3)", "num_filter": "4", "no_bias": "True"}, [2, 1])]
        return CompressedModel({"w": pack(coded((4, 2, 3, 3)))}, graph_text(*nodes))

    def test_settings_are_told_as_settings_for_files_too(self, tmp_path):
        dense_model().save(tmp_path / "net.gdc")
        for settings, message in (({"force": "nothing"}, "^force: no form is named 'nothing'"),
                                  ({"force": {"x": "dense"}}, "^force: 'x' matches none of"),
                                  ({"input_shape": (7,)}, r"^input_shape: \(7,\) does not go through the net \(graph: "),
                                  ({"max_nbytes": 1}, "raise max_nbytes$"),
                                  ({"max_operations": 1}, "raise max_operations$")):
            with pytest.raises(ValueError, match=message) as caught:
                dc.session(tmp_path / "net.gdc", **settings)
            assert not isinstance(caught.value, FormatError)

    def test_a_file_that_contradicts_itself_is_told_with_its_name(self, tmp_path):
        dense_model(graph=dense_text(shape="(0, 7)")).save(tmp_path / "net.gdc")
        with pytest.raises(FormatError, match=r"net\.gdc: graph: FullyConnected '0'"):
            dc.session(tmp_path / "net.gdc")

    def test_an_open_shape_is_told_as_far_as_it_is_known(self):
        net = dc.session(self.open_model(), measure=False)
        assert repr(net) == "Session((n, 2, h, w), 1 tensors, not yet made ready)"
        with pytest.raises(ValueError, match=r"does not go through the net, expected \(n, 2, h, w\)"):
            net.run(np.ones((1, 3, 5, 5), np.float32))
        assert net.run(np.ones((1, 2, 5, 5), np.float32)).shape == (1, 4, 3, 3)
        assert "weights of " in repr(net)

    def test_one_image_is_told_to_be_a_batch_of_one_where_that_is_what_it_lacks(self):
        net = dc.session(self.open_model(), measure=False, input_shape=(2, 5, 5))
        hint = "; one image is a batch of one: x[None]"
        for shape, expected in (((2, 5, 5), hint), ((2, 7, 9), hint), ((3, 5, 5), ""), ((5, 5), ""),
                                ((1, 2, 1, 5, 5), "")):
            with pytest.raises(ValueError) as caught:
                net.run(np.ones(shape, np.float32))
            assert str(caught.value) == f"expected an input of shape (n, 2, 5, 5), got {shape}{expected}"

    def test_copies_are_refused_with_the_remedy(self):
        net = dc.session(dense_model(), measure=False)
        for copied in (copy.copy, copy.deepcopy, lambda net: copy.copy([net, copy.deepcopy(net)])):
            with pytest.raises(TypeError, match=r"make another one from the file, gluon_dc.session\(FILE\)"):
                copied(net)
