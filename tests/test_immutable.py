"""Copies and pickles of the records: the same content, read-only, nothing cached; and written to the same bytes."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gluon_dc.coding import CodedTensor, CompressedModel, PackedTensor, loads, pack, pack_group, unpack

WEIGHT = CodedTensor(np.array([0, -0.5, 0.5], np.float32), np.array([[0, 1, 2], [2, 0, 0]], np.uint8))
GROUP = pack_group({"a": WEIGHT, "b": WEIGHT, "c": CodedTensor([0, 1], np.ones(3, np.uint8))}, "fast")


def model():
    return CompressedModel({"a": GROUP["a"], "x": np.arange(3, dtype=np.float32), "b": GROUP["b"], "c": GROUP["c"],
                            "d": pack(WEIGHT)}, "{}", {"notes": [1, 2]}, "fast")


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda record: pickle.loads(pickle.dumps(record))}
every_copy = pytest.mark.parametrize("how", COPIES.values(), ids=COPIES)


@every_copy
@pytest.mark.parametrize("record", [WEIGHT, pack(WEIGHT), pack(WEIGHT, rel_bits=0), GROUP["b"], GROUP["a"].group],
                         ids=lambda record: type(record).__name__)
def test_records(how, record):
    copied = how(record)
    assert type(copied) is type(record) and copied == record and repr(copied) == repr(record)
    for name, value in vars(copied).items():
        assert not isinstance(value, np.ndarray) or not value.flags.writeable, name
    if record not in (WEIGHT, GROUP["a"].group):
        assert unpack(copied) == WEIGHT


def test_what_does_not_change_is_its_own_copy():
    for record in (WEIGHT, pack(WEIGHT), GROUP["a"], GROUP["a"].group):
        assert copy.copy(record) is record is copy.deepcopy([record])[0]


def test_a_pickle_holds_no_decoded_codes():
    codes = CodedTensor([0, 1], np.zeros((300, 300), np.uint8))
    packed = pack_group({"a": codes}, "fast")["a"]
    assert packed.is_decoded and len(pickle.dumps(packed)) < 1000
    again = pickle.loads(pickle.dumps(packed))
    assert not again.is_decoded and again.unpack() == codes


def test_a_pickle_is_checked():
    broken = pickle.dumps(pack(WEIGHT, "fixed", 0)).replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86")
    with pytest.raises(ValueError, match=r"6 entries in shape \(2, 4\), expected 8 in dense mode"):
        pickle.loads(broken)


@every_copy
def test_models(how):
    original = model()
    copied = how(original)
    assert copied.names == original.names and copied.dumps() == original.dumps()
    assert (copied.graph, copied.metadata, copied.effort) == (original.graph, original.metadata, original.effort)
    assert copied["a"].group is copied["c"].group
    assert not copied["x"].flags.writeable and isinstance(copied["d"], PackedTensor)
    assert {name: array.tobytes() for name, array in copied.decode().items()} == {
        name: array.tobytes() for name, array in original.decode().items()}
    with pytest.raises(TypeError):
        copied.tensors["new"] = WEIGHT
    if how is not copy.copy:
        copied.metadata["notes"].append(3)
        assert original.metadata == {"notes": [1, 2]}


def test_a_decoding_thread_does_not_stop_a_pickle():
    whole = loads(model().dumps())
    with ThreadPoolExecutor(4) as threads:
        decoded = [threads.submit(whole["b"].decode) for _ in range(8)]
        copies = [pickle.loads(pickle.dumps(whole)) for _ in range(8)]
    assert all(copied.dumps() == whole.dumps() for copied in copies)
    assert all(one.result().tolist() == WEIGHT.decode().tolist() for one in decoded)


def test_groups_of_copies_are_written_as_one():
    data = model().dumps()
    one, other = loads(data), loads(data)
    mixed = CompressedModel({name: (one if place % 2 else other)[name] for place, name in enumerate(one.names)},
                            "{}", {"notes": [1, 2]}, "fast")
    assert mixed["a"].group is mixed["b"].group is not mixed["c"].group
    assert mixed.dumps() == data and mixed.part_nbytes() == one.part_nbytes()


def test_groups_of_other_content_stay_apart():
    other = pack_group({"a": WEIGHT, "b": WEIGHT, "c": CodedTensor([0, 2], np.ones(3, np.uint8))}, "fast")
    again = loads(CompressedModel({"a": GROUP["a"], "b": other["b"], "c": GROUP["c"]}).dumps())
    assert {name: unpack(again[name]) for name in "abc"} == {
        "a": WEIGHT, "b": WEIGHT, "c": CodedTensor([0, 1], np.ones(3, np.uint8))}
