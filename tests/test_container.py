import os
import re
import stat
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from gluon_dc.coding import CodedTensor, CompressedModel, FormatError, PackedTensor, dumps, load, loads, pack, save
from gluon_dc.coding.lossless import AS_FLOAT16, DTYPES, WITHOUT_ZEROS, pack_array, unpack_array

FORMAT_PAGE = Path(__file__).parent.parent / "docs" / "format.md"


def example():
    """The file that docs/format.md takes apart byte by byte."""
    codes = np.array([[0, 2, 0, 0], [0, 1, 2, 0]], np.uint8)
    weight = pack(CodedTensor(np.array([0, -0.25, 0.5], np.float32), codes), "fixed", rel_bits=2)
    return CompressedModel({"fc.weight": weight, "fc.bias": np.array([0.1, 0], np.float32)})


def lenet_300_100(density=0.08):
    rng = np.random.default_rng(0)
    tensors = {}
    for i, shape in enumerate([(300, 784), (100, 300), (10, 100)]):
        codes = np.where(rng.random(shape) < density, rng.integers(1, 32, shape), 0).astype(np.uint8)
        book = np.concatenate([[0], np.sort(rng.normal(size=31))]).astype(np.float32)
        tensors[f"{i}.weight"] = pack(CodedTensor(book, codes))
        tensors[f"{i}.bias"] = rng.normal(size=shape[0]).astype(np.float32)
    return CompressedModel(tensors)


def assert_same(model, other):
    assert model.names == other.names and model.graph == other.graph and model.metadata == other.metadata
    for name, tensor in model.items():
        if isinstance(tensor, PackedTensor):
            assert tensor == other[name]
        else:
            assert tensor.dtype == other[name].dtype and tensor.shape == other[name].shape
            assert tensor.tobytes() == other[name].tobytes()


def test_example_is_the_one_in_the_format_page():
    dump = re.search(r"```hex\n(.*?)```", FORMAT_PAGE.read_text(), re.S).group(1)
    rows = [line.split("|")[0].split(maxsplit=1) for line in dump.strip().splitlines()]
    assert bytes.fromhex("".join(digits for _, digits in rows)) == example().dumps()
    lengths = [len(bytes.fromhex(digits)) for _, digits in rows]
    assert [int(offset) for offset, _ in rows] == [sum(lengths[:i]) for i in range(len(rows))]


def test_example_loads():
    model = loads(example().dumps())
    assert_same(model, example())
    assert model.names == ("fc.weight", "fc.bias") and len(model) == 2 and "fc.bias" in model
    decoded = model.decode()
    assert decoded["fc.weight"].tolist() == [[0, 0.5, 0, 0], [0, -0.25, 0.5, 0]]
    assert decoded["fc.bias"].tolist() == [np.float32(0.1), 0]


def test_empty_model_takes_twelve_bytes():
    data = CompressedModel({}).dumps()
    assert data[:8] == b"\x89GDC\x01\x02\x00\x00" and len(data) == 12
    assert len(loads(data)) == 0


names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8)
tails = st.sampled_from(["", ".weight", ".bias", ".gamma", ".beta", ".running_mean", ".running_var", "weight"])
arrays = st.sampled_from(["f4", "f2", "f8", "i1", "u1", "i4", "i8", ">f4"]).flatmap(
    lambda dtype: stnp.arrays(dtype, stnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)))
packed = st.builds(
    lambda codes, coder, rel_bits: pack(CodedTensor(np.arange(5, dtype=np.float32) / 3, codes), coder, rel_bits),
    stnp.arrays(np.uint8, stnp.array_shapes(max_dims=3, max_side=8), elements=st.integers(0, 4), fill=st.just(0)),
    st.sampled_from(["huffman", "fixed"]), st.none() | st.integers(0, 8))
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                           | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
                           | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=6)
models = st.builds(
    CompressedModel, st.dictionaries(st.builds("{}{}".format, names, tails), arrays | packed, max_size=5),
    st.none() | st.text(st.characters(blacklist_categories=["Cs"]), max_size=200),
    st.dictionaries(st.text(max_size=5), json_values, max_size=3))


@settings(deadline=None, max_examples=120)
@given(models)
def test_round_trip(model):
    data = model.dumps()
    again = loads(data)
    assert_same(again, model)
    assert again.dumps() == data
    assert sum(sum(parts.values()) for parts in model.part_nbytes().values()) == model.nbytes == len(data)


def test_loads_any_buffer():
    data = example().dumps()
    for buffer in (bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        assert_same(loads(buffer), example())


def test_equal_models_give_equal_bytes():
    one = CompressedModel({"a": np.zeros(3)}, "{}", {"x": 1, "y": 2})
    other = CompressedModel({"a": np.zeros(3)}, "{}", {"y": 2, "x": 1})
    assert one.dumps() == other.dumps() == dumps(one)


def test_overhead_of_lenet_300_100():
    model = lenet_300_100()
    parts = model.part_nbytes()
    assert parts[""] == {"header": 73, "checksums": 28, "graph": 0, "metadata": 0}
    assert set(parts["0.weight"]) == {"codes", "gaps", "codebook", "tables"}
    assert parts["2.bias"] == {"arrays": 40}


def test_graph_and_metadata():
    graph = '{"nodes": [' + '{"op": "Convolution"}, ' * 200 + "]}"
    model = CompressedModel({}, graph, {"note": "größer", "epochs": [1, 2, {"x": None}]})
    again = loads(model.dumps())
    assert again.graph == graph and again.metadata == model.metadata
    assert model.part_nbytes()[""]["graph"] < 100 < len(graph)
    assert loads(CompressedModel({}, "").dumps()).graph == ""
    assert loads(CompressedModel({}, None).dumps()).graph is None


@pytest.mark.parametrize("array, form, data", [
    (np.array([0.1, 0.2], "f4"), 0, "cdcccc3d cdcc4c3e"),
    (np.array([0.5, -0.0], "f4"), AS_FLOAT16, "0038 0080"),
    (np.array([[0.5], [np.inf]], "f4"), AS_FLOAT16, "0038 007c"),
    (np.array([0.1] + [0] * 7, "f4"), WITHOUT_ZEROS, "80 cdcccc3d"),
    (np.array([0, -0.0, 0, 0], "f4"), AS_FLOAT16 + WITHOUT_ZEROS, "40 0080"),
    (np.array([65520.0], "f4"), 0, "00f07f47"),     # the least that float16 rounds to infinity
    (np.array([1e-8], "f4"), 0, "77cc2b32"),        # float16 underflows to 0
    (np.array([1, 2], "f2"), 1, "003c 0040"),
    (np.array([1.0], "f8"), 2, "000000000000f03f"),
    (np.array([-1, 1], "i1"), 3, "ff01"),
    (np.array([7], ">i4"), 5, "07000000"),
    (np.array([0, 0, 7], "i8"), 6 + WITHOUT_ZEROS, "20 0700000000000000"),
    (np.zeros(9, "f4"), AS_FLOAT16 + WITHOUT_ZEROS, "0000"),
    (np.zeros((0, 3), "f4"), 0, ""),
])
def test_lossless_forms(array, form, data):
    assert pack_array(array) == (form, bytes.fromhex(data))
    again = unpack_array(form, bytes.fromhex(data), array.shape)
    assert again.tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()


def test_every_float_pattern_survives():
    patterns = np.arange(0, 2**32, 65521, dtype=np.uint64).astype(np.uint32)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    for array in (patterns.view(np.float32), halves, halves.astype(np.float32), patterns.view(np.float32)[:1]):
        form, data = pack_array(array)
        assert unpack_array(form, data, array.shape).tobytes() == array.tobytes()


def test_all_dtypes_keep_their_byte_order():
    for code in DTYPES:
        array = np.arange(5).astype(code)
        again = loads(CompressedModel({"a": array.astype(np.dtype(code).newbyteorder(">"))}).dumps())["a"]
        assert again.dtype == np.dtype(code) and again.dtype.isnative and again.tolist() == list(range(5))


def test_half_codebook_only_where_exact():
    codes = np.array([1, 2], np.uint8)
    for values, nbytes in (([0, 0.5, 1024], 4), ([0, 0.5, 0.1], 8)):
        tensor = pack(CodedTensor(np.array(values, np.float32), codes))
        assert tensor.part_nbytes()["codebook"] == nbytes
        assert loads(CompressedModel({"w": tensor}).dumps())["w"].codebook.tobytes() == tensor.codebook.tobytes()


def test_arrays_are_read_only_copies():
    array = np.ones(3)
    model = CompressedModel({"a": array})
    array[:] = 2
    for tensor in (model["a"], loads(model.dumps())["a"]):
        assert tensor.tolist() == [1, 1, 1] and not tensor.flags.writeable
    with pytest.raises(TypeError):
        model.tensors["b"] = array


def nested(depth):
    return [nested(depth - 1)] if depth else []


def test_metadata_may_nest_64_deep():
    assert loads(CompressedModel({}, None, {"x": nested(62)}).dumps()).metadata == {"x": nested(62)}


@pytest.mark.parametrize("arguments, error, message", [
    (({"": np.zeros(1)},), ValueError, "a tensor name is a non-empty string, got ''"),
    (({3: np.zeros(1)},), ValueError, "a tensor name is a non-empty string, got 3"),
    (({"\ud800": np.zeros(1)},), ValueError, "surrogates not allowed"),
    (({"a": [1.0]},), TypeError, "tensor 'a': expected a PackedTensor or a NumPy array, got list"),
    (({"a": np.zeros(1, complex)},), ValueError, "'a': dtype complex128 cannot be stored, expected one of float32"),
    (({"a": np.array(["x"])},), ValueError, "tensor 'a': dtype <U1"),
    (({"a": np.zeros((1,) * 9)},), ValueError, "tensor 'a': 9 dimensions, expected at most 8"),
    (({}, None, {"x": float("nan")}), ValueError, "not JSON compliant"),
    (({}, None, {"x": [[[]] * 3], "y": nested(64)}), ValueError, "metadata is nested more than 64 deep"),
    (({}, None, {1: 2}), TypeError, "metadata keys must be strings"),
    (({}, None, {"x": np.zeros(2)}), TypeError, "not JSON serializable"),
])
def test_what_a_file_cannot_hold(arguments, error, message):
    with pytest.raises(error, match=message):
        CompressedModel(*arguments)


def test_save_and_load(tmp_path):
    path = tmp_path / "net.gdc"
    example().save(path)
    assert path.read_bytes() == example().dumps()
    assert_same(load(path), example())
    assert_same(load(str(path)), example())
    assert os.listdir(tmp_path) == ["net.gdc"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.gdc"
    example().save(path)
    for function in ("fsync", "replace"):
        def fail(*_):
            raise OSError("disk full")
        with monkeypatch.context() as patch:
            patch.setattr(os, function, fail)
            with pytest.raises(OSError, match="disk full"):
                save(CompressedModel({}), path)
        assert os.listdir(tmp_path) == ["net.gdc"] and path.read_bytes() == example().dumps()


def test_load_names_the_file(tmp_path):
    path = tmp_path / "bad.gdc"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(FormatError, match=r"bad.gdc: not a .gdc file: it begins with b'PK"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.gdc")


def coded_model(density):
    codes = np.where(np.random.default_rng(0).random((1000, 1000)) < density, 7, 0).astype(np.uint8)
    codes[::3] //= 2
    return CompressedModel({"w": pack(CodedTensor(np.arange(8, dtype=np.float32), codes))})


def array_model(values):
    return CompressedModel({"b": values.astype(np.float32)})


@pytest.mark.parametrize("model", [
    coded_model(0.02), coded_model(0.3), coded_model(1.0),
    array_model(np.random.default_rng(0).normal(size=10**6)),
    array_model(np.random.default_rng(0).normal(size=10**6) * (np.arange(10**6) % 2)),
    array_model(np.arange(10**6) % 5 / 2),
], ids=["2 %", "30 %", "dense mode", "float32", "half zeros", "float16"])
def test_memory_stays_below_twice_the_decoded_size(model):
    data = model.dumps()
    loads(data).decode()  # compiles
    tracemalloc.start()
    decoded = loads(data).decode()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    declared = sum(array.nbytes for array in decoded.values())
    assert declared == 4_000_000
    assert declared <= peak < 2 * declared + 100_000
