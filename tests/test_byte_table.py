import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import CodedTensor, CompressedModel, loads, pack, pack_all, pack_groups
from gluon_dc.report import byte_table as module
from gluon_dc.report.byte_table import byte_table


def coded(shape, density=0.3, k=5, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.where(rng.random(shape) < density, rng.integers(1, k, shape), 0).astype(np.uint8)
    return CodedTensor(np.append(0, np.sort(rng.normal(size=k - 1))).astype(np.float32), codes)


def tensors():
    return {"0.weight": coded((20, 30)), "1.weight": coded((30, 40), 0.05, 9, 1), "1.bias": coded((30,), 0, 2)}


def test_version_1_by_hand():
    codes = np.array([[0, 2, 0, 0], [0, 1, 2, 0]], np.uint8)
    weight = pack(CodedTensor(np.array([0, -0.25, 0.5], np.float32), codes), "fixed", rel_bits=2)
    table = byte_table(CompressedModel({"fc.weight": weight, "fc.bias": np.array([0.1, 0], np.float32)}))
    first, second = table.rows
    assert first.nbytes == {"positions": 1, "codes": 1, "codebook": 4, "tables": 0, "arrays": 0}
    assert (first.coder, first.kept, first.total, first.bits_per_kept_weight) == ("fixed", 3, 6, 16.0)
    assert (second.coder, second.kept, second.total, second.bits_per_kept_weight) == ("lossless", None, 5, None)
    assert table.frame == {"header": 25, "checksums": 12, "graph": 0, "metadata": 0}
    assert (table.version, table.nbytes, table.kept) == (1, 48, 3)


def test_version_2_adds_up_and_tells_positions_from_codes():
    model = CompressedModel({**pack_groups(tensors(), "fast"), "b": np.ones(3, np.float32)}, "{}", {"a": 1}, "fast")
    table = byte_table(loads(model.dumps()))
    assert table.nbytes == model.nbytes == sum(row.total for row in table.rows) + sum(table.frame.values())
    assert table.version == 2 and [row.coder for row in table.rows] == ["context"] * 3 + ["lossless"]
    assert [row.kept for row in table.rows] == [tensor.nnz for tensor in tensors().values()] + [None]
    weight = table.rows[0]
    assert weight.nbytes["positions"] > 0 and weight.nbytes["codes"] > 0
    # 600 flags of density 0.3 take 0.88 bits, 180 codes of 4 values 2 bits.
    assert abs(weight.nbytes["positions"] - 66) < 20 and abs(weight.nbytes["codes"] - 45) < 20
    assert json.loads(json.dumps(table.to_dict()))["tensors"][0]["nbytes"]["total"] == weight.total


def test_not_decoded(monkeypatch):
    data = CompressedModel(pack_groups({"w": tensors()["0.weight"]}, "fast"), effort="fast").dumps()
    for model, options in ((loads(data), {"decode": False}), (loads(data), {})):
        monkeypatch.setattr("gluon_dc.report.streams.MAX_DECODED_SIZE", 100)
        table = byte_table(model, **options)
        row = table.rows[0]
        assert row.kept is row.nbytes["positions"] is table.kept is None and not model["w"].is_decoded
        assert table.nbytes == len(data) and "\nw " in str(table)
    assert byte_table(loads(data), decode=True).rows[0].kept == tensors()["0.weight"].nnz


def test_text():
    text = str(byte_table(CompressedModel(pack_groups(tensors(), "fast"), effort="fast")))
    lines = text.splitlines()
    assert lines[0].endswith(" bytes, version 2") and lines[-1] == module.NOTE
    assert any(line.split()[:3] == ["0.weight", "context", "20x30"] for line in lines)
    assert any(line.startswith("the file ") for line in lines)
    assert module.NOTE not in str(byte_table(CompressedModel({"w": pack(tensors()["0.weight"])})))
    assert "0 bytes" not in text and byte_table(CompressedModel({})).nbytes == 12


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.sampled_from(["huffman", "fixed", "context"]), st.sampled_from([0, 0.02, 0.5, 1]))
def test_any_model_adds_up(seed, coder, density):
    made = {str(i): coded(shape, density, 7, seed + i) for i, shape in enumerate([(5, 7), (), (0, 3), (4, 3, 2, 2)])}
    model = CompressedModel({**pack_all(made, coder, effort="fast"), "x": np.arange(4.0)}, effort=None)
    table = byte_table(model)
    assert table.nbytes == len(model.dumps()) and table.kept == sum(tensor.nnz for tensor in made.values())
    assert all(nbytes >= 0 for row in table.rows for nbytes in row.nbytes.values())
