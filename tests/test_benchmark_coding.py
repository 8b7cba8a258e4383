import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from gluon_dc.coding import CodedTensor, CompressedModel, huffman, pack, save
from gluon_dc.report import coder_bench, other_coders
from gluon_dc.report.coder_bench import data_coders, drawn_layer, first_items, measured
from gluon_dc.report.other_coders import Coder, signed_ranks

main = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "coding.py"))["main"]
OURS = {"entries": ["Huffman, one stream", "Huffman, chunks"], "gaps": ["Huffman, one stream", "Huffman, chunks"],
        "weights": ["gaps and Huffman (pack)", "context, fast", "context, best"]}


@pytest.fixture(autouse=True)
def nothing_optional(monkeypatch):
    """As on a machine without the optional packages, whatever this one has."""
    monkeypatch.setattr(other_coders, "optional", lambda name: None)


def coded(codes, codebook):
    return CodedTensor(np.array(codebook, np.float32), np.array(codes, np.uint8))


def test_a_tiny_run_measures_every_coder_and_names_those_that_are_not_there(tmp_path, capsys):
    path = tmp_path / "rows.json"
    assert main(["--size", "3000", "--repeats", "1", "--json", str(path)]) == 0
    result = json.loads(path.read_text())
    assert result["setting"]["threads"] == 1 and result["setting"]["weights"] == 3000
    measured_rows = {(row["data"], row["coder"]): row for row in result["rows"]}
    for kind, names in OURS.items():
        for name in [*names, "zlib -6", "bzip2 -9", "xz -6"]:
            row = measured_rows[kind, name]
            assert row["encode_m_items_s"] == row["items"] / row["encode_seconds"] / 1e6 > 0
            assert row["bits_per_item"] == 8 * row["nbytes"] / row["items"]
        assert measured_rows[kind, "zstd -19"]["not_installed"] == "zstandard"
        bound = measured_rows[kind, "(zero-order entropy)"]["nbytes"]
        if kind != "weights":
            assert all(measured_rows[kind, name]["nbytes"] >= bound for name in names)
    assert measured_rows["weights", "NNCodec, codes as integers"]["not_installed"] == "nncodec"
    printed = capsys.readouterr().out
    assert "1 tensor(s), 3,000 weights" in printed and "not installed (pip install constriction)" in printed


def test_the_tensors_of_a_file(tmp_path, capsys):
    tensors = [coded([[0, 1, 2, 0]] * 50, [0, 1, -1]), coded([0, 1] * 20, [0, 3])]
    packed = {f"{i}.weight": pack(tensor) for i, tensor in enumerate(tensors)}
    save(CompressedModel({**packed, "bias": np.zeros(3, np.float32)}), tmp_path / "net.gdc")
    assert main(["--gdc", str(tmp_path / "net.gdc"), "--repeats", "1"]) == 0
    assert "2 tensor(s), 240 weights, 120 kept" in capsys.readouterr().out
    save(CompressedModel({"bias": np.zeros(3, np.float32)}), tmp_path / "none.gdc")
    assert main(["--gdc", str(tmp_path / "none.gdc")]) == 1
    assert "none.gdc holds no coded tensor" in capsys.readouterr().err


def test_sizes_are_those_of_the_streams():
    # Six kept weights of eight: dense mode, so the codes are the entries and there are no gaps.
    tensor = coded([1, 2, 1, 1, 0, 1, 2, 0], [0, 5, -5])
    entries, gaps, weights = (data_coders(kind, [tensor]) for kind in ("entries", "gaps", "weights"))
    assert pack(tensor).rel_bits == 0 and gaps.symbols == []
    assert entries.symbols[0].tolist() == weights.symbols[0].tolist() == tensor.codes.tolist()
    lengths = huffman.code_lengths([2, 4, 2])
    one_stream, chunks = entries.coders[:2]
    assert measured(one_stream, 8, 1)["nbytes"] == len(huffman.encode(tensor.codes, lengths)) == 2
    assert measured(chunks, 8, 1)["nbytes"] == 4 * 4 + 4  # two symbols in each of four streams
    packing = weights.coders[0]
    assert measured(packing, 8, 1)["nbytes"] == pack(tensor).nbytes - 2 * 2  # without two float16 values


def test_slow_coders_are_given_the_first_items():
    tensors = [coded(np.ones((4, 5)), [0, 1]), coded(np.ones((10, 10)), [0, 1]), coded([1], [0, 1])]
    assert [t.shape for t in first_items(tensors, 20)] == [(4, 5)]
    assert [t.shape for t in first_items(tensors, 35)] == [(4, 5), (2, 10)]
    assert [t.shape for t in first_items(tensors, 1000)] == [(4, 5), (10, 10), (1,)]
    rows = coder_bench.coder_rows([drawn_layer(40_000, 0.5, 3, 0)[0]], 9216, 1)
    items = {row["coder"]: row["items"] for row in rows if row["data"] == "weights" and "items" in row}
    assert items["context, best"] == 9216 and items["context, fast"] == 4 * 9216


def test_integers_for_nncodec_by_hand():
    # Sorted: -3, -1, 0, 2: ranks -2, -1, 0, 1 of the codes 2, 3, 0, 1.
    tensor = coded([[0, 1], [2, 3]], [0, 2, -3, -1])
    assert signed_ranks(tensor).tolist() == [[0, 1], [-2, -1]] and signed_ranks(tensor).dtype == np.int32


def test_a_coder_that_gives_back_something_else_is_caught():
    wrong = Coder("wrong", lambda: b"abc", lambda stream: stream[:2], b"abc".__eq__)
    with pytest.raises(AssertionError, match="wrong did not give back what it was given"):
        measured(wrong, 3, 1)


@pytest.mark.parametrize("arguments, message", [
    (["--size", "0"], "--size must be at least 1, got 0"),
    (["--centroids", "256"], "--centroids must be at most 255, got 256"),
    (["--density", "0"], "--density must be above 0 and at most 1, got 0.0"),
    (["--json", "/nowhere/at/all.json"], "its folder does not exist"),
])
def test_wrong_arguments_end_before_any_work(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_help_names_the_defaults(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0 and "default: 0.09" in capsys.readouterr().out
