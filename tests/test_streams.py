import dataclasses

import numpy as np
import pytest
from report_inputs import odd_model, small_model

from gluon_dc.coding import CodedTensor, FormatError, huffman, pack
from gluon_dc.report import streams as streams_module
from gluon_dc.report.streams import check_reference, model_streams, packed_tensors, recode, tensor_streams

CODEBOOK = np.array([0, 1, 2], np.float32)


def packed_by_hand(coder="huffman"):
    # Entries: gap 2 code 1, gap 1 code 2, gap 0 code 1.
    return pack(CodedTensor(CODEBOOK, np.array([0, 0, 1, 0, 2, 1, 0, 0], np.uint8)), coder, rel_bits=2)


class TestStream:
    def test_by_hand(self):
        codes, gaps = tensor_streams("w", packed_by_hand("fixed"))
        assert (codes.kind, gaps.kind, codes.tensor) == ("codes", "gaps", "w")
        assert codes.counts.tolist() == [0, 2, 1, 0] and gaps.counts.tolist() == [1, 1, 1, 0]
        assert (codes.symbols, codes.used, codes.fixed_bits, codes.fixed_nbytes, codes.nbytes) == (3, 2, 2, 1, 1)
        assert (codes.coded_bits, codes.huffman_bits) == (6, 3)
        assert (gaps.coded_bits, gaps.huffman_bits) == (6, 5)
        assert gaps.entropy_bits == pytest.approx(3 * np.log2(3))
        assert gaps.percent_above_bound == pytest.approx(100 * (8 / (3 * np.log2(3)) - 1))

    def test_to_dict_gives_means(self):
        record = tensor_streams("w", packed_by_hand("fixed"))[1].to_dict()
        assert record["entropy_bits_per_symbol"] == pytest.approx(np.log2(3)) and record["mean_code_bits"] == 2
        assert record["table_nbytes"] == 0 and record["alphabet"] == 4

    def test_bound_of_one_symbol_is_zero(self):
        (codes,) = tensor_streams("w", pack(CodedTensor(CODEBOOK, np.ones(9, np.uint8)), rel_bits=0))
        assert codes.bound_nbytes == 0 and codes.percent_above_bound is None and codes.huffman_bits == 0

    def test_no_stream_is_below_its_bound(self):
        for stream in model_streams(small_model()) + model_streams(odd_model()):
            assert stream.entropy_bits <= stream.coded_bits + 1e-9 and stream.nbytes >= stream.bound_nbytes - 1e-9

    def test_damaged_stream_names_the_tensor(self):
        packed = packed_by_hand("fixed")
        damaged = dataclasses.replace(packed, code_stream=b"\xff")
        with pytest.raises(FormatError, match="'w', code"):
            tensor_streams("w", damaged)


class TestModel:
    def test_only_coded_tensors(self):
        assert [name for name, _ in packed_tensors(small_model())] == ["0.weight", "1.weight", "2.weight"]
        assert [(s.tensor, s.kind) for s in model_streams(odd_model())][:3] == [
            ("kernel", "codes"), ("kernel", "gaps"), ("all kept", "codes")
        ]

    @pytest.mark.parametrize("model", [small_model(), odd_model()], ids=["small", "odd"])
    @pytest.mark.parametrize("keep_rel_bits", [True, False])
    def test_recode_keeps_every_bit(self, model, keep_rel_bits):
        fixed = recode(model, "fixed", keep_rel_bits)
        assert all(packed.coder == "fixed" for _, packed in packed_tensors(fixed))
        for name, array in recode(fixed, "huffman", keep_rel_bits).decode().items():
            assert array.tobytes() == model.decode()[name].tobytes()
        if keep_rel_bits:
            assert recode(fixed, "huffman").dumps() == recode(model, "huffman").dumps()

    def test_recode_keeps_graph_and_metadata(self):
        model = recode(small_model(graph="{}", metadata={"a": 1}), "fixed")
        assert model.graph == "{}" and model.metadata == {"a": 1}


class TestReference:
    def test_agrees(self):
        assert all(check_reference(name, packed) for name, packed in packed_tensors(odd_model()))

    def test_leaves_long_streams_out(self):
        assert check_reference("w", packed_by_hand(), limit=2) is False
        assert check_reference("w", packed_by_hand(), limit=3) is True

    def test_finds_a_decoder_that_disagrees(self, monkeypatch):
        wrong = lambda data, lengths, count: huffman.decode(data, lengths, count)[::-1]  # noqa: E731
        monkeypatch.setattr(streams_module.huffman, "decode_reference", wrong)
        with pytest.raises(FormatError, match="'w', gaps: symbol 0 is 2 to the fast decoder and 0 to the reference"):
            check_reference("w", packed_by_hand())
