import numpy as np
import pytest

from gluon_dc.coding import (CodedTensor, CompressedModel, ContextGroup, ContextTensor, FormatError, loads, pack,
                             pack_all, pack_group, unpack)
from gluon_dc.coding.context_tensor import apportion, groups_of


def tensors():
    rng = np.random.default_rng(0)
    return {name: CodedTensor(np.array([0, -0.5, 0.5], np.float32), rng.integers(0, 3, shape).astype(np.uint8))
            for name, shape in {"a": (8, 5), "b": (3,), "c": (0, 4), "d": ()}.items()}


def test_a_group():
    packed = pack_group(tensors(), "fast")
    assert list(packed) == ["a", "b", "c", "d"]
    group = packed["a"].group
    assert all(tensor.group is group for tensor in packed.values())
    assert [tensor.place for tensor in packed.values()] == [0, 1, 2, 3]
    a = packed["a"]
    assert (a.shape, a.size, a.coder, a.effort, a.code_bits) == ((8, 5), 40, "context", "fast", 2)
    assert a.codebook.tolist() == [0, -0.5, 0.5] and a.is_decoded
    assert {name: unpack(tensor) for name, tensor in packed.items()} == tensors()
    assert a.decode().tobytes() == tensors()["a"].decode().tobytes()
    assert sum(group.shares) == len(group.stream)
    assert a.part_nbytes() == {"codes": group.shares[0], "codebook": 4} and a.nbytes == group.shares[0] + 4
    assert repr(a) == (f"ContextTensor(shape=(8, 5), 3 codebook entries, 'fast', 1 of 4 in a stream of "
                       f"{len(group.stream)} bytes)")


def test_a_group_from_its_bytes():
    made = pack_group(tensors(), "fast")["a"].group
    group = ContextGroup("fast", made.specs, made.stream)
    assert group == made and not group.is_decoded
    codes = group.codes()
    assert [array.shape for array in codes] == [(8, 5), (3,), (0, 4), ()] and not codes[0].flags.writeable
    assert group.is_decoded and group.codes() is codes
    assert ContextTensor(group, 1) == ContextTensor(made, 1) != ContextTensor(made, 0)


def test_one_tensor_alone():
    coded = tensors()["a"]
    packed = pack(coded, "context", effort="fast")
    assert packed == pack_group({"x": coded}, "fast")["x"] and unpack(packed) == coded
    assert packed.part_nbytes()["codes"] == len(packed.group.stream)


def test_the_first_tensor_is_empty():
    coded = {"a": CodedTensor([0, 1], np.zeros((0, 3), np.uint8)), "b": tensors()["a"]}
    assert groups_of(coded) == [["a", "b"]]
    assert {name: unpack(tensor) for name, tensor in pack_all(coded, "context").items()} == coded
    assert unpack(pack(coded["a"], "context")) == coded["a"]
    part = CompressedModel({name: one for name, one in pack_group(tensors(), "fast").items() if name in "cd"})
    assert {name: unpack(tensor) for name, tensor in loads(part.dumps()).items()} == {
        name: tensors()[name] for name in "cd"}


def test_no_tensors():
    assert pack_group({}, "fast") == {} == pack_all({}, "context")
    assert ContextGroup("best", (), b"").is_decoded and groups_of({}) == []


@pytest.mark.parametrize("arguments, message", [
    (("slow", (), b""), "unknown effort 'slow', expected one of fast, best"),
    (("fast", (((1,) * 9, [0]),), b""), "a shape has up to 8 dimensions"),
    (("fast", (((-1,), [0]),), b""), "a shape has up to 8 dimensions >= 0"),
    (("fast", (((1,), [1]),), b""), r"codebook\[0\] must be \+0.0"),
])
def test_bad_groups(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContextGroup(*arguments)


def test_other_mistakes():
    group = pack_group(tensors(), "fast")["a"].group
    for place in (-1, 4):
        with pytest.raises(ValueError, match=f"place {place} in a group of 4 tensors"):
            ContextTensor(group, place)
    with pytest.raises(ValueError, match="the context coder stores no gaps, so there is no width to choose"):
        pack(tensors()["a"], "context", rel_bits=4)


def test_a_damaged_stream_names_the_tensor():
    group = pack_group(tensors(), "fast")["a"].group
    damaged = ContextTensor(ContextGroup("fast", group.specs, group.stream + b"\1\2\3\4\5"), 1)
    with pytest.raises(FormatError, match="tensor 'b', stream of its group: "):
        unpack(damaged, "b")


@pytest.mark.parametrize("total, weights, expected", [
    (10, [1, 1], [5, 5]), (10, [0, 1, 0], [0, 10, 0]), (3, [0, 0, 0], [1, 1, 1]), (0, [1, 2], [0, 0]), (7, [1], [7])])
def test_apportion(total, weights, expected):
    assert apportion(total, weights) == expected


def test_apportion_adds_up():
    rng = np.random.default_rng(0)
    for total in (0, 1, 17, 12345):
        weights = rng.random(13) * 1e6
        shares = apportion(total, weights)
        assert sum(shares) == total and min(shares) >= 0
        assert np.abs(np.array(shares) - total * weights / weights.sum()).max() <= 1
