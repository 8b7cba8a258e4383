import json

import numpy as np
import pytest

from gluon_dc.coding import CodedTensor, CompressedModel, pack_all
from report_inputs import load_tool

show = load_tool("show")


@pytest.fixture(params=["huffman", "context"])
def path(request, tmp_path):
    codes = (np.arange(600).reshape(20, 30) % 7 == 1).astype(np.uint8)
    made = pack_all({"w": CodedTensor(np.array([0, 0.5], np.float32), codes)}, request.param, effort="fast")
    CompressedModel({**made, "b": np.ones(20, np.float32)}).save(tmp_path / "net.gdc")
    return tmp_path / "net.gdc"


def test_table(path, capsys):
    assert show.main([str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{path}: {path.stat().st_size:,} bytes, version ") and "\nw " in printed


def test_json(path, capsys):
    assert show.main([str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["nbytes"] == path.stat().st_size and found["file"]["checksums"] in (4, 12)
    assert found["tensors"][0]["kept"] == 86 == found["kept"]
    total = sum(tensor["nbytes"]["total"] for tensor in found["tensors"]) + sum(found["file"].values())
    assert total == found["nbytes"]


def test_not_decoded(path, capsys):
    assert show.main([str(path), "--json", "--no-decode"]) == 0
    tensor = json.loads(capsys.readouterr().out)["tensors"][0]
    assert tensor["kept"] == (None if tensor["coder"] == "context" else 86)


@pytest.mark.parametrize("content, message", [
    (b"PK\3\4 something", "net.gdc: not a .gdc file: it begins with b'PK"),
    (b"\x89GDC\2\0\0\0\0\0\0", "net.gdc: file at bytes 0..6 is damaged")])
def test_bad_files(content, message, tmp_path, capsys):
    (tmp_path / "net.gdc").write_bytes(content)
    assert show.main([str(tmp_path / "net.gdc")]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_limit(path, capsys):
    assert show.main([str(path), "--max-decoded-nbytes", "2000"]) == 1
    assert "more than max_decoded_nbytes=2000: raise that limit" in capsys.readouterr().err
    assert show.main([str(path.parent / "none.gdc")]) == 1
