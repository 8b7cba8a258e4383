import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_inputs import odd_model, small_model

from gluon_dc.coding import CodedTensor, CompressedModel, FormatError, count_entries, pack, share
from gluon_dc.report import layer_rows

CODEBOOK = np.array([0, 1, 2], np.float32)


def model_of(codes, rel_bits, coder="fixed", codebook=CODEBOOK):
    return CompressedModel({"w": pack(CodedTensor(codebook, np.array(codes, np.uint8)), coder, rel_bits)})


class TestByHand:
    @pytest.mark.parametrize("coder", ["fixed", "huffman"])
    def test_one_layer(self, coder):
        # Three entries: codes 1, 2, 1 (Huffman: 3 bits), gaps 2, 1, 0 (Huffman: 5 bits); codebook 4 * 32 bits.
        row, total = layer_rows(model_of([0, 0, 1, 0, 2, 1, 0, 0], 2, coder))
        assert (row.name, row.layer, row.weights, row.kept, row.entries) == ("w", "w", 8, 3, 3)
        assert (row.weight_bits, row.index_bits, row.total_bits) == (2, 2, 3 * (2 + 2) + 128)
        assert (row.weight_bits_huffman, row.index_bits_huffman) == (1, pytest.approx(5 / 3))
        assert row.total_bits_huffman == 3 + 5 + 128
        assert (row.kept_percent, row.rate_percent) == (37.5, 100 * 140 / 256)
        assert row.rate_percent_huffman == 100 * 136 / 256
        assert dataclasses.replace(total, name="w", layer="w") == row and (total.name, total.layer) == ("", "Total")

    def test_fillers_are_entries_but_not_kept(self):
        # Five zeros before the weight: a filler skips three and stands on one, then a gap of one.
        row = layer_rows(model_of([0, 0, 0, 0, 0, 1], 2))[0]
        assert (row.kept, row.entries, row.total_bits) == (1, 2, 2 * (2 + 2) + 128)

    def test_dense_mode_has_no_index(self):
        row = layer_rows(model_of([0, 1, 2, 1], 0))[0]
        assert (row.kept, row.entries, row.index_bits, row.index_bits_huffman) == (3, 4, 0, 0)
        assert row.total_bits == 4 * 2 + 128 and row.total_bits_huffman == 2 + 2 * 2 + 128

    def test_total_weighs_by_entries(self):
        model = CompressedModel({**model_of([1, 1, 1], 1).tensors, "v": share_pack(np.arange(1, 16.0), 4)})
        first, second, total = layer_rows(model)
        assert (first.weight_bits, second.weight_bits) == (2, 4)
        assert total.weight_bits == (3 * 2 + 15 * 4) / 18
        assert total.weights == 18 and total.total_bits == first.total_bits + second.total_bits

    def test_huffman_bits_are_the_code_even_where_the_file_stays_at_fixed_width(self):
        # A table would cost more than it saves here, so the file has none.
        model = model_of([1, 1, 1, 2], 0, "huffman")
        assert model["w"].coder == "fixed"
        assert layer_rows(model)[0].weight_bits_huffman == 1


def share_pack(values, bits):
    return pack(share(np.asarray(values, np.float32), bits))


class TestEdges:
    def test_nothing_coded(self):
        assert layer_rows(CompressedModel({"bias": np.ones(3, np.float32)})) == []

    def test_odd_tensors(self):
        rows = {row.name: row for row in layer_rows(odd_model())}
        assert rows["none"].rate_percent is None and rows["none"].kept_percent == 0
        assert rows["zeros"].entries == 0 and rows["zeros"].total_bits == 32 * 2
        assert rows["all kept"].weight_bits_huffman == 0

    def test_layer_names(self):
        rows = layer_rows(small_model(), {"0.weight": "ip1", "other": "x"})
        assert [row.layer for row in rows] == ["ip1", "1.weight", "2.weight", "Total"]
        assert [row.name for row in rows] == ["0.weight", "1.weight", "2.weight", ""]

    def test_biases_are_not_counted(self):
        model = small_model()
        coded = CompressedModel({name: model[name] for name in model if name.endswith("weight")})
        assert layer_rows(model) == layer_rows(coded)

    def test_to_dict_is_json(self):
        record = json.loads(json.dumps(layer_rows(model_of([1, 0], 1))[0].to_dict()))
        assert record["kept_percent"] == 50 and record["rate_percent"] == 100 * (3 + 128) / 64

    def test_damaged_stream(self):
        packed = model_of([0, 0, 1, 0, 2, 1, 0, 0], 2)["w"]
        with pytest.raises(FormatError, match="'w'"):
            layer_rows(CompressedModel({"w": dataclasses.replace(packed, gap_stream=b"\xfc")}))


@given(st.lists(st.integers(0, 2), max_size=300), st.integers(0, 8), st.sampled_from(["fixed", "huffman"]))
@settings(max_examples=40, deadline=None)
def test_invariants(codes, rel_bits, coder):
    row, total = layer_rows(model_of(codes, rel_bits, coder))
    flat = np.array(codes, np.uint8)
    assert row.kept == np.count_nonzero(flat) and row.entries == count_entries(flat, rel_bits)
    assert row.total_bits_huffman <= row.total_bits == total.total_bits
    assert row.weight_bits_huffman <= row.weight_bits and row.index_bits_huffman <= row.index_bits
