"""Version 2 of the .gdc file: what comes back, what it takes, and groups that are taken apart."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from gluon_dc.coding import (CodedTensor, CompressedModel, ContextTensor, PackedTensor, loads, pack, pack_group,
                             pack_groups, unpack)
from gluon_dc.coding import container, tensor, version2_writer


FORMAT_PAGE = Path(__file__).parent.parent / "docs" / "format.md"


def coded(shape, density=0.3, k=6, seed=0, step=None):
    rng = np.random.default_rng(seed)
    codes = np.where(rng.random(shape) < density, rng.integers(1, k, shape), 0).astype(np.uint8)
    values = np.sort(rng.normal(size=k - 1)) if step is None else step * (np.arange(k - 1) + 1)
    return CodedTensor(np.concatenate([[0], values]).astype(np.float32), codes)


def small_model(effort="fast"):
    tensors = {"0.weight": coded((6, 9)), "0.bias": coded((6,), seed=1, step=0.25), "1.weight": coded((3, 6), seed=2)}
    return CompressedModel({**pack_group(tensors, effort), "1.bias": np.array([0.1, 0, 7], np.float32)}, None,
                           {"network": "lenet-5"}, effort)


def assert_same(model, other):
    assert (model.names, model.graph, model.metadata, model.effort) == (
        other.names, other.graph, other.metadata, other.effort)
    for name, found in model.items():
        if isinstance(found, np.ndarray):
            assert found.dtype == other[name].dtype and found.shape == other[name].shape
            assert found.tobytes() == other[name].tobytes()
        else:
            assert found == other[name] and unpack(found, name) == unpack(other[name], name)


def test_small_model_is_compact():
    model = small_model()
    data = model.dumps()
    assert model.version == 2 and data[:5] == b"\x89GDC\x02"
    again = loads(data)
    assert_same(again, model)
    assert again.dumps() == data and again["0.weight"].group is again["1.weight"].group
    parts = model.part_nbytes()
    assert parts[""]["checksums"] == 4 and parts[""]["metadata"] < len('{"network":"lenet-5"}')
    assert parts["0.bias"]["codebook"] <= 5  # on a grid
    assert sum(sum(part.values()) for part in parts.values()) == model.nbytes == len(data)


def test_example_is_the_one_in_the_format_page():
    codes = np.array([[0, 2, 0, 0], [0, 1, 2, 0]], np.uint8)
    group = pack_group({"fc.weight": CodedTensor(np.array([0, -0.25, 0.5], np.float32), codes)}, "fast")
    data = CompressedModel({**group, "fc.bias": np.array([0.1, 0], np.float32)}, effort="fast").dumps()
    dump = re.findall(r"```hex\n(.*?)```", FORMAT_PAGE.read_text(), re.S)[1]
    rows = [line.split("|")[0].split(maxsplit=1) for line in dump.strip().splitlines()]
    assert bytes.fromhex("".join(digits for _, digits in rows)) == data
    lengths = [len(bytes.fromhex(digits)) for _, digits in rows]
    assert [int(offset) for offset, _ in rows] == [sum(lengths[:i]) for i in range(len(rows))]
    assert loads(data)["fc.weight"].unpack().codes.tolist() == codes.tolist()


def test_overhead_of_lenet_5():
    """Names, shapes, sizes, forms and codebooks on a grid, of the LeNet-5 that issue 4 asks for."""
    shapes = {"0.weight": (20, 1, 5, 5), "0.bias": (20,), "2.weight": (50, 20, 5, 5), "2.bias": (50,),
              "4.weight": (500, 800), "4.bias": (500,), "5.weight": (10, 500), "5.bias": (10,)}
    grid = np.concatenate([[0], [n / 32 for n in range(-7, 8) if n]]).astype(np.float32)
    rng = np.random.default_rng(0)
    tensors = {name: CodedTensor(grid * np.float32(number + 1), np.where(
        rng.random(shape) < 0.004, rng.integers(1, 15, shape), 0).astype(np.uint8))
        for number, (name, shape) in enumerate(shapes.items())}
    parts = CompressedModel(pack_groups(tensors, "fast"), effort="fast").part_nbytes()
    assert parts[""]["header"] <= 18 and parts[""]["checksums"] == 4
    assert parts[""]["header"] + sum(parts[name]["codebook"] for name in shapes) <= 60


def test_nothing_at_all():
    empty = CompressedModel({}, effort="fast")
    assert len(empty.dumps()) == 11 and len(loads(empty.dumps())) == 0 and loads(empty.dumps()).effort == "fast"
    assert CompressedModel({}).version == 1


arrays = st.sampled_from(["f4", "f2", "f8", "i1", "i8"]).flatmap(
    lambda dtype: stnp.arrays(dtype, stnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)))
coded_tensors = st.builds(
    lambda codes, k, seed: CodedTensor(
        np.append(0, np.random.default_rng(seed).integers(-9, 9, 4) / k).astype(np.float32), codes),
    stnp.arrays(np.uint8, stnp.array_shapes(min_dims=0, max_dims=3, max_side=6), elements=st.integers(0, 4)),
    st.sampled_from([1, 3]), st.integers(0, 3))


@st.composite
def models(draw):
    tensors = draw(st.dictionaries(st.sampled_from(["a.weight", "a.bias", "b", "c.gamma", "dd", "e", "ä"]),
                                   arrays | coded_tensors | st.tuples(coded_tensors, st.integers(0, 8)), max_size=6))
    in_groups = {name: found for name, found in tensors.items() if isinstance(found, CodedTensor)}
    groups = pack_groups(in_groups, draw(st.sampled_from(["fast"])))
    for name, found in tensors.items():
        tensors[name] = pack(found[0], "huffman", found[1]) if isinstance(found, tuple) else groups.get(name, found)
    return CompressedModel(tensors, draw(st.none() | st.text("{}ab", max_size=50)),
                           draw(st.sampled_from([{}, {"seed": 3}])), draw(st.sampled_from([None, "fast"])))


@settings(deadline=None, max_examples=80)
@given(models())
def test_round_trip(model):
    data = model.dumps()
    again = loads(data)
    assert_same(again, model)
    assert again.dumps() == data and again.version == model.version == data[4]
    assert sum(sum(parts.values()) for parts in model.part_nbytes().values()) == model.nbytes == len(data)


def test_large_models_have_sections(monkeypatch):
    monkeypatch.setattr(version2_writer, "MAX_COMPACT_NBYTES", 40)
    model = small_model()
    again = loads(model.dumps())
    assert_same(again, model)
    # The header, the pool of codebooks, the group; one codebook and the bias are on grids.
    assert model.part_nbytes()[""]["checksums"] == 12
    assert sum(sum(parts.values()) for parts in model.part_nbytes().values()) == model.nbytes == len(model.dumps())


def test_groups_end_at_the_limit(monkeypatch):
    monkeypatch.setattr("gluon_dc.coding.context_tensor.GROUP_SIZE", 60)
    tensors = {str(i): coded(shape, seed=i) for i, shape in enumerate([(5, 6), (5, 6), (1,), (99,), (2, 2), (3,)])}
    packed = pack_groups(tensors, "fast")
    assert [len(found.group.specs) for found in packed.values()] == [2, 2, 1, 1, 2, 2]
    model = CompressedModel(packed)
    assert_same(loads(model.dumps()), model)


def test_a_group_that_is_not_whole_is_coded_anew():
    model = small_model()
    for names in (["0.weight", "1.weight"], ["1.weight", "0.bias", "0.weight"], ["0.bias"]):
        part = CompressedModel({name: model[name] for name in names}, effort="fast")
        again = loads(part.dumps())
        assert [unpack(again[name]) for name in names] == [unpack(model[name]) for name in names]
        assert len(again[names[0]].group.specs) == len(names)
    renamed = CompressedModel({name + "x": found for name, found in model.items()}, effort="fast")
    assert renamed.part_nbytes()["0.weightx"] == model.part_nbytes()["0.weight"]


def test_groups_of_two_files_stay_apart_and_whole():
    one, other = pack_group({"a": coded((4, 4))}, "fast"), pack_group({"b": coded((3, 3)), "c": coded((2,))}, "fast")
    model = CompressedModel({**one, "x": np.ones(3), **other})
    again = loads(model.dumps())
    assert again["a"].group.stream == one["a"].group.stream and again["c"].group.stream == other["c"].group.stream


def test_a_whole_group_is_not_coded_again(monkeypatch):
    model = loads(small_model().dumps())
    calls = []
    monkeypatch.setattr("gluon_dc.coding.context.encode_codes", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr("gluon_dc.coding.context.decode_codes", lambda *arguments: calls.append(arguments))
    assert model.dumps() == SMALL
    assert calls == []


SMALL = small_model().dumps()


def test_a_group_is_decoded_once_for_all_threads(monkeypatch):
    from gluon_dc.coding import context
    model, calls, decode = loads(SMALL), [], context.decode_codes
    monkeypatch.setattr(context, "decode_codes", lambda *arguments: calls.append(1) or decode(*arguments))
    threads = [threading.Thread(target=model["0.bias"].decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and model["1.weight"].is_decoded
    model.decode()
    assert len(calls) == 1


def test_large_huffman_tensors_are_in_chunks(monkeypatch):
    weight = coded((40, 50))
    assert pack(weight).chunked is False
    monkeypatch.setattr(tensor, "CHUNKED_ENTRIES", 500)
    packed = pack(weight)
    model = CompressedModel({"w": packed, "b": np.ones(3, np.float32)})
    assert packed.chunked and not pack(weight, "fixed").chunked and model.version == 2
    again = loads(model.dumps())
    assert isinstance(again["w"], PackedTensor) and again["w"] == packed and unpack(again["w"]) == weight
    assert again.effort is None
    assert sum(sum(parts.values()) for parts in model.part_nbytes().values()) == model.nbytes


def test_version_1_has_no_efforts():
    model = CompressedModel({"w": pack(coded((4, 5)))})
    assert model.version == 1 and model.dumps()[4] == 1 and loads(model.dumps()).effort is None
    with pytest.raises(ValueError, match="effort is one of fast, best or None, got 'slow'"):
        CompressedModel({}, effort="slow")


def test_reading_needs_no_codes():
    model = loads(SMALL)
    assert isinstance(model["0.weight"], ContextTensor) and not model["0.weight"].is_decoded
    assert container.CompressedModel is type(model)
