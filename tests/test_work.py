"""How much work opening a version 2 file may be: the writer keeps to it, and the reader refuses more."""

import numpy as np
import pytest

from gluon_dc.coding import CompressedModel, FormatError, array_forms, loads, work
from gluon_dc.coding.work import WorkLimit, byte_units, mask_units


def test_units_by_hand():
    assert mask_units(1000, "fast") == 5096 and mask_units(1000, "best") == 64 * 5096
    assert byte_units(1000, 1) == 16_000 and {byte_units(1000, width) for width in (2, 4, 8)} == {8000}
    assert mask_units(2**22 - 2**12, "best") == mask_units(2**28 - 2**12, "fast") == 2**28
    assert byte_units(2**25, 4) == byte_units(2**24, 1) == 2**28


def test_a_limit_by_hand():
    limit = WorkLimit(100)
    assert limit.left == 2**28 + 3200
    limit.spend(2**28, "a mask")
    limit.spend(3200, "more")
    limit.spend(0, "nothing")
    with pytest.raises(FormatError, match="^a pool: 1 units of work to decode, 0 are left of what a file of this size "
                                          "may cost$"):
        limit.spend(1, "a pool")
    limit.stored(1)
    assert limit.left == 32


def sparse(size, seed):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < 0.02, rng.normal(size=size), 0).astype(np.float32)


def forms(model):
    """What is left out of each array's section, and whether its values are byte-coded, as the file says."""
    found, read = [], array_forms.read_array_plan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gluon_dc.coding.version2.read_array_plan",
                      lambda *arguments: found.append(read(*arguments)) or found[-1])
        again = loads(model.dumps())
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in model.items()}
    assert again.dumps() == model.dumps()
    return [(plan.left_out, plan.is_coded) for plan in found]


ARRAYS = {str(seed): sparse(10_000, seed) for seed in range(4)}  # some 200 values in each
BYTES = 8 * 4 * 230


@pytest.mark.parametrize("effort, free, expected", [
    # Best masks take 902,144 units, fast ones 14,096, values some 6,400; a section of 1 KB brings 32,000.
    ("best", 2**28, ["best", "best", "best", "best"]),
    ("best", 1_850_000, ["best", "best", "fast", "fast"]),
    ("best", 920_000, ["best", "fast", "fast", "fast"]),
    ("fast", 25_000, ["fast", "fast", "fast", "fast"]),
    ("fast", 13_000, ["bitmap", "fast", "fast", "fast"]),
])
def test_the_writer_keeps_to_it(monkeypatch, effort, free, expected):
    monkeypatch.setattr(work, "FREE_UNITS", free)
    names = {1: "bitmap", 2: "fast", 3: "best"}
    assert [names[left_out] for left_out, _ in forms(CompressedModel(ARRAYS, effort=effort))] == expected


def test_no_work_at_all(monkeypatch):
    monkeypatch.setattr(work, "FREE_UNITS", 0)
    monkeypatch.setattr(work, "UNITS_A_STORED_BYTE", 0)
    ascending = np.sort(np.random.default_rng(0).normal(size=9000)).astype(np.float32)
    model = CompressedModel({**ARRAYS, "pooled": ascending[::10], "large": np.tile(ascending, 3)}, effort="best")
    assert forms(model) == [(1, False)] * 4 + [(0, False)] * 2
    small = CompressedModel({"pooled": ascending[::10]}, effort="best")
    assert small.nbytes > ascending[::10].nbytes
    monkeypatch.undo()
    assert CompressedModel({"pooled": ascending[::10]}, effort="best").nbytes < small.nbytes


def test_the_reader_refuses_more(monkeypatch):
    data = CompressedModel(ARRAYS, effort="fast").dumps()
    costs, spend = [], WorkLimit.spend
    monkeypatch.setattr(WorkLimit, "spend", lambda *arguments: costs.append(arguments[1]) or spend(*arguments))
    loads(data)
    assert costs[::2] == [14_096] * 4 and all(units % 32 == 0 for units in costs[1::2])
    monkeypatch.setattr(work, "UNITS_A_STORED_BYTE", 0)
    monkeypatch.setattr(work, "FREE_UNITS", sum(costs))
    loads(data)
    monkeypatch.setattr(work, "FREE_UNITS", sum(costs[:8]) - 1)
    with pytest.raises(FormatError, match=r"^tensor '3', section at byte \d+: \d+ byte-coded bytes: \d+ units of work"):
        loads(data)
    monkeypatch.setattr(work, "FREE_UNITS", sum(costs[:4]) + 14_095)
    with pytest.raises(FormatError, match=r"^tensor '2', section at byte \d+: mask of 10000 elements at effort fast: "
                                          "14096 units of work to decode, 14095 are left of what a file"):
        loads(data)


def test_the_size_of_the_file_counts(monkeypatch):
    data = CompressedModel(ARRAYS, effort="fast").dumps()
    monkeypatch.setattr(work, "FREE_UNITS", 0)
    assert 32 * len(data) > 4 * (14_096 + BYTES)
    loads(data)
