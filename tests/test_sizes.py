import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from report_inputs import odd_model, small_model

import gluon_dc
from gluon_dc.coding import CodedTensor, CompressedModel, pack
from gluon_dc.report import size_report


def by_hand():
    codes = np.array([[0, 0, 1, 0], [2, 1, 0, 0]], np.uint8)
    packed = pack(CodedTensor(np.array([0, 1, 2], np.float32), codes), "fixed", rel_bits=2)
    return CompressedModel({"0.weight": packed, "0.bias": np.array([0.1, 0.2], np.float32)})


class TestByHand:
    def test_parts(self):
        # Codes and gaps: 6 bits each. Codebook: two values that float16 holds. Bias: two that it does not.
        report = size_report(by_hand())
        assert report.part_nbytes == {
            "codes": 1, "gaps": 1, "codebook": 4, "tables": 0, "arrays": 8, "graph": 0, "metadata": 0,
            "header": report.part_nbytes["header"], "checksums": 12,
        }
        assert report.dense_nbytes == 4 * 8 + 4 * 2 and report.ratio == 40 / report.nbytes

    def test_tensors(self):
        weight, bias = size_report(by_hand()).tensors
        assert (weight.kind, weight.shape, weight.kept) == ("coded", (2, 4), 3)
        assert (weight.nbytes, weight.dense_nbytes) == (6, 32)
        assert (bias.kind, bias.kept, bias.part_nbytes, bias.nbytes) == ("lossless", None, {"arrays": 8}, 8)

    def test_text(self):
        report = size_report(by_hand())
        lines = str(report).splitlines()
        assert lines[0] == f"{report.nbytes} bytes for 40 dense ones: {report.ratio:.1f}x, every byte counted"
        assert lines[3].split() == ["codes", "1", f"{100 / report.nbytes:.1f}"]
        assert ["the", "file", str(report.nbytes), "100.0"] in [line.split() for line in lines]
        assert lines[-2].split() == ["0.weight", "coded", "2x4", "37.5", "1", "1", "4", "0", "-", "6", "5.3x"]
        assert lines[-1].split() == ["0.bias", "lossless", "2", "-", "-", "-", "-", "-", "8", "8", "1.0x"]

    def test_it_is_the_public_name(self):
        assert gluon_dc.size_report is size_report


@pytest.mark.parametrize("model", [
    small_model(), odd_model(), small_model(graph='{"nodes": []}', metadata={"a": "b" * 50}), CompressedModel({}),
], ids=["small", "odd", "graph", "empty"])
def test_parts_sum_to_the_file(model):
    report = size_report(model)
    assert sum(report.part_nbytes.values()) == report.nbytes == len(model.dumps())
    assert sum(tensor.nbytes for tensor in report.tensors) == sum(
        report.part_nbytes[part] for part in ("codes", "gaps", "codebook", "tables", "arrays")
    )
    assert str(report)


def test_lossless_arrays_count_in_their_own_dtype():
    report = size_report(CompressedModel({"a": np.zeros(10, np.int64), "b": np.zeros(10, np.float16)}))
    assert [tensor.dense_nbytes for tensor in report.tensors] == [80, 20]


def test_to_dict_is_json_and_holds_the_paper_accounting():
    record = json.loads(json.dumps(size_report(small_model()).to_dict()))
    assert record["tensors"][0]["shape"] == [30, 40] and record["tensors"][0]["kind"] == "coded"
    assert record["paper_accounting"][-1]["layer"] == "Total"
    assert record["ratio"] == record["dense_nbytes"] / record["nbytes"]


@given(stnp.arrays(np.uint8, stnp.array_shapes(max_dims=3, max_side=9), elements=st.integers(0, 3)),
       st.sampled_from(["huffman", "fixed"]))
@settings(max_examples=30, deadline=None)
def test_any_tensor(codes, coder):
    model = CompressedModel({"w": pack(CodedTensor(np.array([0, 1, 2, 0.3], np.float32), codes), coder)})
    report = size_report(model)
    assert report.nbytes == len(model.dumps()) and report.tensors[0].kept == np.count_nonzero(codes)
