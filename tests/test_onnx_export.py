"""gluon_dc.export's ONNX modules and tools/export_onnx.py: onnxruntime beside MXNet and beside our own runtime."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from report_inputs import exit_code, load_tool, one_error_line

from gluon_dc.coding import CodedTensor, CompressedModel, FormatError, pack, pack_group, unpack
from gluon_dc.export.onnx_builder import Builder
from gluon_dc.export.onnx_export import to_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from gluon_dc.export.onnx_check import differences, gzip_nbytes, is_same, onnxruntime_session  # noqa: E402
from gluon_dc.export.onnx_decoders import coded_weight, function_protos  # noqa: E402
from gluon_dc.export.onnx_file import OnnxModel, Tensor  # noqa: E402

export_tool = load_tool("export_onnx")


def write(model, path):
    """Write an OnnxModel; check it and its size."""
    with open(path, "wb") as file:
        model.write(file)
    assert path.stat().st_size == model.nbytes
    onnx.checker.check_model(str(path), full_check=True)
    return path


def run(path, x):
    return onnxruntime_session(path).run(None, {"data": x})


def optimized_operators(path):
    """The operators that onnxruntime is left with once it has loaded a model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(path) + ".optimized", 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}


def shared(shape, density=0.4, k=8, seed=0):
    """A pruned weight with a codebook, packed."""
    rng = np.random.default_rng(seed)
    codes = (rng.random(shape) < density) * rng.integers(1, k, shape)
    codebook = np.append(0, rng.normal(size=k - 1)).astype(np.float32)
    return pack(CodedTensor(codebook, codes.astype(np.uint8)))


# ---- a weight made by ONNX operators

def made_weight(coded, path):
    """(what onnxruntime makes of a coded weight, the function that the file calls or None)."""
    builder = Builder(named=False)
    name = coded_weight(builder, coded, "w")
    if name is None:
        return None, None
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    builder.node("Add", ["data", name], "out")
    graph = helper.make_graph(builder.nodes, "net", [helper.make_tensor_value_info("data", float32, list(coded.shape))],
                              [helper.make_tensor_value_info("out", float32, list(coded.shape))])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("gluon_dc", 1)],
                              functions=function_protos(builder.functions), ir_version=8)
    write(OnnxModel(proto, tuple(builder.tensors.values())), path)
    calls = [node.op_type for node in builder.nodes if node.op_type in ("Sparse", "Full", "Expand")]
    return run(path, np.zeros(coded.shape, np.float32))[0], calls[0] if calls else None


@pytest.mark.parametrize("k", [2, 3, 16, 33, 256])
@pytest.mark.parametrize("density", [0.0, 0.002, 0.05, 0.35, 0.9, 1.0])
def test_coded_weights_come_back_bit_for_bit(tmp_path, k, density):
    rng = np.random.default_rng(k)
    codes = (rng.random((40, 3, 5, 5)) < density) * np.minimum(rng.geometric(0.2, (40, 3, 5, 5)), k - 1)
    coded = CodedTensor(np.append(np.float32(0), rng.normal(size=k - 1)).astype(np.float32), codes.astype(np.uint8))
    found, kind = made_weight(coded, tmp_path / "w.onnx")
    np.testing.assert_array_equal(found, coded.decode())
    assert kind == ("Expand" if density == 0 else "Sparse" if density < 0.2 else kind)
    assert optimized_operators(tmp_path / "w.onnx") == {"Add"}  # made when the file is loaded, once


def test_the_last_weight_alone(tmp_path):
    codes = np.zeros((300, 50), np.uint8)
    codes[-1, -1] = 1
    coded = CodedTensor(np.array([0, 0.1], np.float32), codes)
    np.testing.assert_array_equal(made_weight(coded, tmp_path / "w.onnx")[0], coded.decode())


def test_dense_codes_of_a_half_precision_codebook(tmp_path):
    rng = np.random.default_rng(0)
    codebook = np.append(0, rng.normal(size=255)).astype(np.float16).astype(np.float32)
    coded = CodedTensor(codebook, rng.integers(1, 256, (50, 60)).astype(np.uint8))
    found, kind = made_weight(coded, tmp_path / "w.onnx")
    np.testing.assert_array_equal(found, coded.decode())
    assert kind == "Full" and (tmp_path / "w.onnx").stat().st_size < 3000 + 2 * 255 + 700


def test_huge_dense_codes_stay_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("gluon_dc.export.onnx_decoders._MOST_NUMBERS", 100)
    rng = np.random.default_rng(0)
    coded = CodedTensor(np.arange(9).astype(np.float32), rng.integers(0, 9, (50, 60)).astype(np.uint8))
    np.testing.assert_array_equal(made_weight(coded, tmp_path / "w.onnx")[0], coded.decode())


def test_a_small_weight_stays_plain():
    coded = CodedTensor(np.array([0, 1], np.float32), np.ones((3, 3), np.uint8))
    assert coded_weight(Builder(), coded, "w") is None


# ---- operators, beside MXNet

def operator_cases():
    mx = pytest.importorskip("mxnet")
    s = mx.sym
    x = s.var("data")
    image = (3, 11, 12)

    def pool(**attributes):
        return s.Pooling(x, **attributes), image, {}

    def scalar(make, shape=image):
        return make(x), shape, {}

    cases = {
        "convolution": (s.Convolution(x, s.var("w"), s.var("b"), kernel=(3, 2), stride=(2, 1), pad=(1, 0),
                                      dilate=(1, 2), num_filter=6, num_group=3), image,
                        {"w": (6, 1, 3, 2), "b": (6,)}),
        "convolution without bias": (s.Convolution(x, s.var("w"), kernel=(1, 1), num_filter=4, no_bias=True), image,
                                     {"w": (4, 3, 1, 1)}),
        "dense": (s.FullyConnected(x, s.var("w"), s.var("b"), num_hidden=5), image, {"w": (5, 396), "b": (5,)}),
        "dense without bias": (s.FullyConnected(x, s.var("w"), num_hidden=5, no_bias=True), (7,), {"w": (5, 7)}),
        "dense over the last axis": (s.FullyConnected(x, s.var("w"), s.var("b"), num_hidden=5, flatten=False), image,
                                     {"w": (5, 12), "b": (5,)}),
        "batch norm": (s.BatchNorm(x, *map(s.var, ("g", "b", "m", "v")), fix_gamma=False, eps=1e-5), image,
                       {"g": (3,), "b": (3,), "m": (3,), "v": (3,)}),
        "batch norm of gamma 1": (s.BatchNorm(x, *map(s.var, ("g", "b", "m", "v"))), image,
                                  {"g": (3,), "b": (3,), "m": (3,), "v": (3,)}),
        "prelu": (s.LeakyReLU(x, s.var("g"), act_type="prelu"), image, {"g": (3,)}),
        "lrn": (s.LRN(x, alpha=0.02, beta=0.6, knorm=1.5, nsize=3), image, {}),
        "concat": (s.Concat(x, x * 2, dim=1), image, {}),
        "add": (x + s.Activation(x, act_type="relu"), image, {}),
        "broadcast": (s.broadcast_mul(x, s.Pooling(x, global_pool=True, kernel=(1, 1), pool_type="avg")), image, {}),
        "a parameter for all": (s.broadcast_add(x, s.var("c")), image, {"c": (1, 3, 1, 1)}),
        "two outputs": (s.Group([x + 1, s.Flatten(x)]), image, {}),
        "one output twice": (s.Group([s.Flatten(x)] * 2), image, {}),
        "the input as output": (s.Group([x, s.Flatten(x)]), image, {}),
    }
    for act in ("relu", "sigmoid", "tanh", "softrelu", "softsign"):
        cases[act] = scalar(lambda x: s.Activation(x, act_type=act))
    for act in ("leaky", "elu", "selu", "gelu"):
        cases[act] = scalar(lambda x: s.LeakyReLU(x, act_type=act, slope=0.3))
    makers = {
        "plain relu": s.relu, "clip": lambda x: s.clip(x, a_min=-0.5, a_max=6), "hard sigmoid": s.hard_sigmoid,
        "dropout": s.Dropout, "softmax": s.softmax, "softmax of channels": lambda x: s.softmax(x, axis=1),
        "log softmax": s.log_softmax, "flatten": s.Flatten, "reshape": lambda x: s.reshape(x, shape=(0, -1, 4)),
        "reshape by specials": lambda x: s.reshape(x, shape=(-4, -1, 1, -3, 0)),
        "expand": lambda x: s.expand_dims(x, axis=2), "squeeze": lambda x: s.squeeze(s.expand_dims(x, axis=2), axis=2),
        "transpose": lambda x: s.transpose(x, axes=(0, 2, 3, 1)), "all axes turned": s.transpose,
        "swap": lambda x: s.SwapAxis(x, dim1=1, dim2=3),
        "slice axis": lambda x: s.slice_axis(x, axis=2, begin=-4, end=None),
        "slice": lambda x: s.slice(x, begin=(None, 1, 2), end=(None, 3, -1)),
        "slice of nothing off": lambda x: s.slice_axis(x, axis=0, begin=0, end=None),
        "pad": lambda x: s.Pad(x, mode="constant", constant_value=1.5, pad_width=(0, 0, 0, 0, 1, 2, 3, 0)),
        "edge": lambda x: s.Pad(x, mode="edge", pad_width=(0, 0, 0, 0, 1, 2, 3, 0)),
        "reflect": lambda x: s.Pad(x, mode="reflect", pad_width=(0, 0, 0, 0, 1, 2, 3, 0)),
        "mean": lambda x: s.mean(x, axis=(2, 3)), "mean kept": lambda x: s.mean(x, axis=1, keepdims=True),
        "sum of all": s.sum, "max": lambda x: s.max(x, axis=1, exclude=True),
        "scalars": lambda x: 2 - (3 * x + 1) / 4 - 5,
        "divided": lambda x: 1 / (s.Activation(x, act_type="relu") + 1),
        "between": lambda x: s._internal._minimum_scalar(s._internal._maximum_scalar(x, scalar=-1), scalar=0.5),
        "arithmetic": lambda x: s.broadcast_div(x - s.sigmoid(x), s.sigmoid(x) + x * x) / s.sigmoid(x),
        "nothing": lambda x: s.broadcast_sub(s.BlockGrad(x), s.identity(s.mean(x, axis=1, keepdims=True))),
        "adaptive": lambda x: s.contrib.AdaptiveAvgPooling2D(x, output_size=(11, 4)),
        "adaptive to one": lambda x: s.contrib.AdaptiveAvgPooling2D(x, output_size=1),
    }
    cases |= {name: scalar(make) for name, make in makers.items()}
    for kind in ("max", "avg", "sum"):
        cases[f"global {kind}"] = pool(kernel=(1, 1), pool_type=kind, global_pool=True)
        for convention in ("valid", "full"):
            for pad in ((0, 0), (1, 1)):
                cases[f"{kind} {convention} {pad[0]}"] = pool(kernel=(3, 3), stride=(2, 2), pad=pad, pool_type=kind,
                                                              pooling_convention=convention)
    for pad in ((0, 0), (1, 1)):
        cases[f"avg of what is there {pad[0]}"] = pool(kernel=(3, 3), stride=(2, 3), pad=pad, pool_type="avg",
                                                       pooling_convention="full", count_include_pad=False)
    return cases


@pytest.fixture(scope="module")
def cases():
    return operator_cases()


def parameters_of(shapes):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return arrays | {name: np.abs(arrays[name]) + 0.5 for name in arrays if name == "v"}


def by_mxnet(symbol, arrays, x):
    import mxnet as mx
    known = {name: mx.nd.array(array) for name, array in arrays.items()}
    auxiliary = {name: known.pop(name) for name in symbol.list_auxiliary_states()}
    arguments = {name: array for name, array in {**known, "data": mx.nd.array(x)}.items()
                 if name in symbol.list_arguments()}
    return [out.asnumpy() for out in symbol.bind(mx.cpu(), arguments, aux_states=auxiliary).forward(is_train=False)]


def test_operators_give_what_mxnet_gives(cases, tmp_path):
    # One test, so that a case costs milliseconds; what fails is told by name.
    wrong, rng = {}, np.random.default_rng(1)
    for name, (symbol, shape, shapes) in cases.items():
        arrays = parameters_of(shapes)
        model = CompressedModel(arrays, symbol.tojson())
        for compact in (False, True):
            path = write(to_onnx(model, shape, compact), tmp_path / "op.onnx")
            session = onnxruntime_session(path)
            for batch in (1, 3):
                x = rng.normal(size=(batch, *shape)).astype(np.float32)
                for found, expected in zip(session.run(None, {"data": x}), by_mxnet(symbol, arrays, x), strict=True):
                    if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-4, atol=1e-5):
                        wrong[name, compact, batch] = found.shape, expected.shape, np.abs(found - expected).max()
    assert wrong == {}


def test_every_operator_that_can_be_exported_is_known_to_the_runtime_and_is_tried(cases):
    from gluon_dc.export.onnx_operators import CONVERTERS
    from gluon_dc.runtime.graph import OPERATORS, read_graph
    assert set(CONVERTERS) == set(OPERATORS)
    tried = {node.op for symbol, _, shapes in cases.values()
             for node in read_graph(symbol.tojson(), set(shapes)).nodes} - {"null"}
    assert set(CONVERTERS) == tried


# ---- whole nets

GRAPH = {
    "nodes": [
        {"op": "null", "name": "data", "attrs": {"__shape__": "(0, 2, 8, 8)"}, "inputs": []},
        {"op": "null", "name": "0.weight", "inputs": []}, {"op": "null", "name": "0.bias", "inputs": []},
        {"op": "Convolution", "name": "conv", "attrs": {"kernel": "(3, 3)", "num_filter": "16"},
         "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]},
        {"op": "Activation", "name": "relu", "attrs": {"act_type": "relu"}, "inputs": [[3, 0, 0]]},
        {"op": "null", "name": "1.weight", "inputs": []},
        {"op": "FullyConnected", "name": "fc", "attrs": {"num_hidden": "10", "no_bias": "True"},
         "inputs": [[4, 0, 0], [5, 0, 0]]},
    ],
    "heads": [[6, 0, 0]],
}


def small_net(graph=GRAPH, **others):
    """A net of two coded layers with its graph; one is packed, one context-coded."""
    second = unpack(shared((10, 576), 0.1))
    second = pack_group({"1.weight": second})["1.weight"]
    tensors = {"0.weight": shared((16, 2, 3, 3)), "0.bias": np.linspace(-1, 1, 16).astype(np.float32),
               "1.weight": second, **others}
    return CompressedModel(tensors, json.dumps(graph) if graph else None)


def by_numpy(model, x):
    """The outputs of small_net."""
    weights = model.decode()
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    hidden = np.einsum("nchwij,ocij->nohw", windows, weights["0.weight"]) + weights["0.bias"][:, None, None]
    return np.maximum(hidden, 0).reshape(len(x), -1) @ weights["1.weight"].T


@pytest.mark.parametrize("compact", [False, True])
def test_a_net(tmp_path, compact):
    model = small_net(unused=np.zeros(1000, np.float32))
    made = to_onnx(model, compact=compact)
    path = write(made, tmp_path / "net.onnx")
    loaded = onnx.load(str(path))
    assert [entry.version for entry in loaded.opset_import if entry.domain == ""] == [13]
    assert "unused" not in {tensor.name for tensor in loaded.graph.initializer}
    [given], [out] = loaded.graph.input, loaded.graph.output
    assert [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim] == ["n", 2, 8, 8]
    assert [dim.dim_param or dim.dim_value for dim in out.type.tensor_type.shape.dim] == ["n", 10]
    for batch in (1, 2, 5):
        x = np.random.default_rng(batch).normal(size=(batch, 2, 8, 8)).astype(np.float32)
        np.testing.assert_allclose(run(path, x)[0], by_numpy(model, x), rtol=1e-4, atol=1e-5)


def test_the_compact_file_is_small_and_is_dense_once_loaded(tmp_path):
    model = small_net()
    dense, compact = (write(to_onnx(model, compact=flag), tmp_path / f"{flag}.onnx") for flag in (False, True))
    assert compact.stat().st_size < 0.5 * dense.stat().st_size
    assert optimized_operators(compact) == optimized_operators(dense)


def test_equal_models_give_equal_files(tmp_path):
    for compact in (False, True):
        one, two = (write(to_onnx(small_net(), compact=compact), tmp_path / name) for name in "ab")
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("name", ["convolutional", "depthwise", "dense", "single"])
@pytest.mark.parametrize("compact", [False, True])
def test_gluon_nets(tmp_path, name, compact):
    pytest.importorskip("mxnet")
    from nets import make

    import gluon_dc as dc
    net, x = make(name)
    net(x)
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, bits=3)
    model = dc.compress(net, graph=True)
    path = write(to_onnx(model, x.shape[1:], compact), tmp_path / "net.onnx")
    np.testing.assert_allclose(run(path, x.asnumpy())[0], net(x).asnumpy(), rtol=1e-4, atol=1e-5)


class TestErrors:
    def test_no_graph(self):
        with pytest.raises(ValueError, match=r"the file has no graph, .*: compress with graph=True, or add one"):
            to_onnx(small_net(graph=None))

    def test_no_input_shape(self):
        nodes = [dict(GRAPH["nodes"][0], attrs={}), *GRAPH["nodes"][1:]]
        with pytest.raises(ValueError, match="does not say which shape an input has: give it"):
            to_onnx(small_net(graph=GRAPH | {"nodes": nodes}))

    def test_an_operator_that_is_not_known(self):
        nodes = [*GRAPH["nodes"][:4], dict(GRAPH["nodes"][4], op="Frobnicate"), *GRAPH["nodes"][5:]]
        with pytest.raises(FormatError, match="'relu': the operator 'Frobnicate' is not known; known are"):
            to_onnx(small_net(graph=GRAPH | {"nodes": nodes}))

    def test_a_parameter_that_is_missing(self):
        model = small_net()
        with pytest.raises(ValueError, match=r"2 inputs that are no parameters \(data, 0.bias\), expected one"):
            to_onnx(CompressedModel({name: model[name] for name in model if name != "0.bias"}, model.graph))

    def test_a_wrong_input_shape(self):
        with pytest.raises(ValueError, match="'conv': expected a weight of shape"):
            to_onnx(small_net(), (3, 8, 8))

    def test_a_parameter_of_whole_numbers(self):
        with pytest.raises(ValueError, match="'0.bias' is int32: only float parameters"):
            to_onnx(small_net(**{"0.bias": np.zeros(16, np.int32)}))

    def test_a_batch_size_in_two_axes(self):
        mx = pytest.importorskip("mxnet")
        symbol = mx.sym.Reshape(mx.sym.var("data"), shape=(4, -1))
        symbol = mx.sym.Reshape(mx.sym.broadcast_add(mx.sym.transpose(symbol), mx.sym.var("c")), shape=(-1, 2))
        model = CompressedModel({"c": np.zeros((1, 4), np.float32)}, symbol.tojson())
        path_of = to_onnx(model, (4,))
        assert path_of.nbytes > 0

    @pytest.mark.parametrize("value", ["", "0", "-1", "(1, 1, 1)", "(999999999, 1)", "None", "nan", "9" * 50, "x"])
    def test_damaged_attributes_are_a_value_error_or_another_net(self, value):
        model = small_net()
        for i, node in enumerate(GRAPH["nodes"]):
            for name in (*node.get("attrs", {}), "stride", "pad", "num_group", "flatten"):
                damaged = dict(node, attrs={**node.get("attrs", {}), name: value})
                nodes = [*GRAPH["nodes"][:i], damaged, *GRAPH["nodes"][i + 1:]]
                try:
                    assert to_onnx(replace(model, graph=json.dumps(GRAPH | {"nodes": nodes}))).nbytes > 0
                except ValueError as error:
                    assert str(error)

    def test_two_gibibytes(self):
        proto = onnx.helper.make_model(onnx.helper.make_graph([], "net", [], []))
        huge = OnnxModel(proto, (Tensor("w", "float32", (2**29,), lambda: None),))
        assert huge.nbytes > 2**31
        with pytest.raises(ValueError, match="the ONNX file would have 2,147,48.* take the compact form"):
            huge.write(io.BytesIO())


def test_differences_and_sizes(tmp_path):
    import gzip
    model = small_net()
    path = write(to_onnx(model), tmp_path / "net.onnx")
    x = np.ones((2, 2, 8, 8), np.float32)
    right, wrong = differences(path, lambda x: by_numpy(model, x) + (x.shape[0] == 1), [x, x[:1]])
    assert is_same(*right) and not is_same(*wrong) and wrong[0] == pytest.approx(1, abs=1e-3)
    assert not is_same(float("nan"), 1.0)
    packed = gzip.compress(path.read_bytes(), 6)
    assert abs(gzip_nbytes(path) - len(packed)) <= 16
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="onnxruntime refuses the model"):
        onnxruntime_session(path)


class TestTheTool:
    @pytest.fixture
    def gdc(self, tmp_path):
        small_net().save(tmp_path / "m.gdc")
        return tmp_path / "m.gdc"

    @pytest.mark.parametrize("compact", [[], ["--compact"]])
    def test_it_writes_checks_and_tells_the_sizes(self, gdc, capsys, compact):
        out = gdc.parent / "o.onnx"
        assert export_tool.main([str(gdc), "-o", str(out), "--check", "random", *compact]) == 0
        printed = capsys.readouterr().out
        assert f"{gdc.stat().st_size:,} bytes" in printed and f"{out.stat().st_size:,} bytes" in printed
        assert f"{to_onnx(small_net()).nbytes:,} bytes" in printed and "after gzip -6" in printed
        assert "largest difference between onnxruntime and gluon_dc.session over 4 inputs" in printed
        assert sorted(path.name for path in gdc.parent.iterdir()) == ["m.gdc", "o.onnx"]

    def test_a_model_that_differs_is_not_written(self, gdc, capsys, monkeypatch):
        monkeypatch.setattr(export_tool, "differences", lambda *_: [(0.0, 1.0), (0.5, 1.0)])
        assert export_tool.main([str(gdc), "-o", str(gdc.parent / "o.onnx"), "--check", "random"]) == 1
        assert "differs by 0.5 from gluon_dc.session on input 2" in one_error_line(capsys.readouterr().err,
                                                                                   "export_onnx.py")
        assert [path.name for path in gdc.parent.iterdir()] == ["m.gdc"]

    def test_ctrl_c(self, gdc, capsys, monkeypatch):
        def stop(*_):
            raise KeyboardInterrupt
        monkeypatch.setattr(export_tool, "differences", stop)
        assert export_tool.main([str(gdc), "-o", str(gdc.parent / "o.onnx"), "--check", "random"]) == 130
        assert capsys.readouterr().err == (
            "export_onnx.py: interrupted; nothing was written, an earlier file is as it was\n")
        assert [path.name for path in gdc.parent.iterdir()] == ["m.gdc"]

    @pytest.mark.parametrize("output, message", [("no/such/o.onnx", "no/such/o.onnx: -o cannot be written, its folder does not exist"),
                                                 ("m.onnx", "m.onnx: -o is the same file as the file to read")])
    def test_bad_outputs_are_one_line(self, gdc, capsys, output, message):
        gdc = gdc.rename(gdc.with_suffix(".onnx"))
        before = gdc.read_bytes()
        assert export_tool.main([str(gdc), "-o", str(gdc.parent / output)]) == 1
        assert message in one_error_line(capsys.readouterr().err, "export_onnx.py")
        assert gdc.read_bytes() == before and list(gdc.parent.iterdir()) == [gdc]

    def test_a_file_without_a_graph(self, gdc, capsys):
        small_net(graph=None).save(gdc)
        assert export_tool.main([str(gdc), "-o", str(gdc.parent / "o.onnx")]) == 1
        message = one_error_line(capsys.readouterr().err, "export_onnx.py")
        assert message.startswith(f"{gdc}: the file has no graph") and "add_graph.py" in message

    def test_a_missing_package(self, gdc, capsys, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
        assert export_tool.main([str(gdc), "-o", str(gdc.parent / "o.onnx"), "--check", "random"]) == 1
        message = one_error_line(capsys.readouterr().err, "export_onnx.py")
        assert message == "needs onnxruntime: pip install -r requirements-onnx.txt"

    def test_usage(self, gdc, capsys):
        assert exit_code(export_tool, "--help") == 0 and "(default: 4294967296)" in capsys.readouterr().out
        assert exit_code(export_tool, str(gdc), "-o", "o.onnx", "--input-shape", "3,x") == 2
        assert "--input-shape: expected sizes such as 3,224,224; got '3,x'" in capsys.readouterr().err

    @pytest.mark.parametrize("name, got", [("o.txt", "'.txt'"), ("onnx", "'nothing'")])
    def test_a_name_that_does_not_say_what_it_is(self, gdc, capsys, name, got):
        assert export_tool.main([str(gdc), "-o", name]) == 2
        message = one_error_line(capsys.readouterr().err, "export_onnx.py")
        assert message == f"{name}: a name must end in .onnx, got {got}; weights alone: tools/export_weights.py"

    def test_options_in_any_order_and_more_than_one_check(self, gdc, capsys):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(gdc.parent / "a.png")
        out, image = str(gdc.parent / "o.onnx"), str(gdc.parent / "a.png")
        assert export_tool.main(["--check", "random", str(gdc), "-o", out]) == 0
        assert "over 4 inputs" in capsys.readouterr().out
        assert export_tool.main(["--check", "absent.png", str(gdc), "-o", out]) == 1
        assert "absent.png" in one_error_line(capsys.readouterr().err, "export_onnx.py")
        assert export_tool.main(["-o", out, "--check", "random", "--check", image, str(gdc)]) == 1
        message = one_error_line(capsys.readouterr().err, "export_onnx.py")
        assert message.startswith(f"{gdc}: takes inputs of shape (2, 8, 8), which no image has")

    def test_a_path_or_an_open_file(self, tmp_path):
        model, buffer = to_onnx(small_net()), io.BytesIO()
        model.write(buffer)
        model.write(tmp_path / "a.onnx")
        model.write(str(tmp_path / "b.onnx"))
        assert buffer.getvalue() == (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
        with pytest.raises(OSError, match="nothing was written"):
            model.write(tmp_path / "absent" / "c.onnx")
