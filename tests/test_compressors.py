import bz2
import gzip
import io
import lzma
import math
import tarfile
import zipfile

import numpy as np
import pytest
from report_inputs import odd_model, pruned_weights, small_model

from gluon_dc.coding import CodedTensor, CompressedModel, pack
from gluon_dc.report.compressors import (
    COMPRESSORS, ENTROPY, FIXED, HUFFMAN, RAW, compressed_nbytes, compressor_rows, entropy_nbytes, input_nbytes,
    tar_chunks, zip_bytes,
)
from gluon_dc.report.streams import model_streams, recode

ARRAYS = {
    "0.weight": np.arange(300, dtype=np.float32).reshape(20, 15), "0.bias": np.array([1.5, -0.0], ">f8"),
    "empty": np.zeros((0, 3), np.float32), "scalar": np.array(7, np.int64), "x" * 150: np.ones(3, np.uint8),
}


def tar_of(arrays):
    return b"".join(bytes(chunk) for chunk in tar_chunks(arrays))


class TestArchives:
    def test_tar_holds_the_values(self):
        with tarfile.open(fileobj=io.BytesIO(tar_of(ARRAYS))) as archive:
            members = {member.name: member for member in archive}
            assert list(members) == [f"{name}.bin" for name in ARRAYS]
            assert archive.extractfile(members["0.weight.bin"]).read() == ARRAYS["0.weight"].astype("<f4").tobytes()
            assert archive.extractfile(members["0.bias.bin"]).read() == ARRAYS["0.bias"].astype("<f8").tobytes()
            assert {member.mtime for member in members.values()} == {0}

    def test_zip_holds_the_values_deflated_at_the_strongest_level(self):
        with zipfile.ZipFile(io.BytesIO(zip_bytes(ARRAYS))) as archive:
            assert archive.testzip() is None
            assert archive.read("scalar.bin") == (7).to_bytes(8, "little")
            assert {member.date_time[0] for member in archive.infolist()} == {1980}
            assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_DEFLATED}

    @pytest.mark.parametrize("method, compress", [
        ("tar+gzip -9", lambda data: gzip.compress(data, 9, mtime=0)),
        ("tar+bzip2 -9", lambda data: bz2.compress(data, 9)),
        ("tar+xz -9e", lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
    ])
    def test_sizes_are_those_of_whole_files(self, method, compress):
        arrays = {**ARRAYS, "large": np.arange(500_000, dtype=np.int32) % 1000}
        assert compressed_nbytes(arrays, method) == len(compress(tar_of(arrays)))

    def test_unknown_method(self):
        with pytest.raises(ValueError, match="unknown compressor 'rar', expected one of tar.gzip -9, .*zip -9"):
            compressed_nbytes(ARRAYS, "rar")

    def test_nothing_to_compress(self):
        assert all(compressed_nbytes({}, method) > 0 for method in COMPRESSORS)


class TestRows:
    def test_all_stages(self):
        model, pruned = small_model(), pruned_weights()
        dense = {name: array + np.float32(0.01) for name, array in pruned.items()}
        rows = {row.method: row for row in compressor_rows(model, dense, pruned)}
        assert list(rows) == [RAW, *COMPRESSORS, FIXED, HUFFMAN, ENTROPY]
        raw = sum(array.nbytes for array in pruned.values())
        assert (rows[RAW].dense, rows[RAW].pruned, rows[RAW].shared) == (raw, raw, raw)
        for method in COMPRESSORS:
            assert rows[method].dense == compressed_nbytes(dense, method)
            assert rows[method].dense > rows[method].pruned > rows[method].shared
        assert rows[HUFFMAN].shared == model.nbytes and rows[HUFFMAN].dense is None
        assert rows[FIXED].shared == recode(model, "fixed", keep_rel_bits=False).nbytes
        assert rows[FIXED].shared > rows[HUFFMAN].shared > rows[ENTROPY].shared

    def test_stages_that_are_not_known(self):
        rows = compressor_rows(small_model())
        assert all(row.dense is None and row.pruned is None and row.shared for row in rows)

    def test_graph_and_metadata_are_left_out(self):
        assert compressor_rows(small_model(graph="{}" * 99, metadata={"a": 1})) == compressor_rows(small_model())

    def test_a_fixed_width_model_gets_the_same_rows(self):
        assert compressor_rows(recode(small_model(), "fixed")) == compressor_rows(small_model())

    def test_odd_model(self):
        assert len(compressor_rows(odd_model())) == 8

    def test_progress_reaches_what_was_announced(self):
        steps = []
        model, pruned = small_model(), pruned_weights()
        compressor_rows(model, None, pruned, steps.append)
        assert sum(steps) == input_nbytes(None, pruned, model.decode())


def test_entropy_by_hand():
    # A quarter of 200 codes is a 2, the others are 1, in dense mode.
    codes = np.tile(np.array([1, 1, 1, 2], np.uint8), 50)
    packed = pack(CodedTensor(np.array([0, 1, 2], np.float32), codes), rel_bits=0)
    model = CompressedModel({"w": packed})
    (stream,) = model_streams(model)
    bound = 200 * (0.75 * math.log2(4 / 3) + 0.25 * 2) / 8
    assert entropy_nbytes(model) == model.nbytes - stream.nbytes - stream.table_nbytes + math.ceil(bound)
