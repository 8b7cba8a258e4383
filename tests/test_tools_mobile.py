"""tools/mobile.py: from files to tables and JSON, without MXNet."""

import json

import pytest
from report_inputs import exit_code, load_tool, one_error_line, small_model

from gluon_dc.report.inputs import read_inputs
from test_runtime_work import small_net

tool = load_tool("mobile")


@pytest.fixture
def path(tmp_path):
    small_net().save(tmp_path / "net.gdc")
    return tmp_path / "net.gdc"


def test_tables_and_json_that_a_report_takes(path, tmp_path, capsys):
    out = tmp_path / "m.json"
    assert tool.main([str(path), "--fixed-width", "--json", str(out), "--memory", "1K", "2M", "--dram-pj", "100"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Is mobile processing viable?\n") and "net.gdc" in printed and "fixed width" in printed
    (item,) = read_inputs([out])
    assert item.kind == "mobile" and item.costs.dram == 100 and item.device.memory_nbytes == (1024, 2**21)
    assert item.nets[0].file_nbytes == path.stat().st_size and item.nets[0].layers[0].dense_macs == 288
    assert json.loads(out.read_text())["mobile"]["nets"][0]["file"] == str(path)


def test_two_files_of_one_net_can_be_told_apart(path, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    for name in ("a.gdc", "other/a.gdc"):
        (tmp_path / name).write_bytes(path.read_bytes())
    assert tool.main([str(path), str(tmp_path / "a.gdc"), str(tmp_path / "other/a.gdc"), "--fixed-width"]) == 0
    rows = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines() if "  dense  " in line]
    assert rows == 2 * ["net.gdc", str(tmp_path / "a.gdc"), str(tmp_path / "other/a.gdc")]


def test_the_forms_of_a_session_by_default(path, capsys):
    assert tool.main([str(path)]) == 0
    printed = capsys.readouterr().out
    assert "compressed (d" in printed  # dense, direct: names of forms


def test_a_file_without_a_graph_is_one_line(tmp_path, capsys):
    small_model().save(tmp_path / "net.gdc")
    for words in ([], ["--fixed-width"]):
        assert tool.main([str(tmp_path / "net.gdc"), *words]) == 1
        message = one_error_line(capsys.readouterr().err, "mobile.py")
        assert message.startswith(f"{tmp_path / 'net.gdc'}: this file has no graph") and "add_graph.py" in message


def test_an_image_that_does_not_go_through(path, capsys):
    assert tool.main([str(path), "--input-shape", "3,9,9", "--fixed-width"]) == 1
    assert "net.gdc: graph: Convolution '0'" in one_error_line(capsys.readouterr().err, "mobile.py")


@pytest.mark.parametrize("words, message", [
    (["--memory", "2G"], "expected a size such as 256K, 2M or 65536; got '2G'"),
    (["--input-shape", "3,x"], "expected sizes such as 3,224,224; got '3,x'"),
    (["--memory", "999999999M"], "argument --memory: expected a size such as 256K, 2M or 65536; got '999999999M'"),
    (["--memory", *["1K"] * 9], "argument --memory: expected 1 to 8 sizes, got 9"),
    (["--bandwidth", "0"], "argument --bandwidth: expected a number 1e-06..1e+09; got '0'"),
    (["--sparse-share", "1.5"], "argument --sparse-share: expected a number 1e-06..1; got '1.5'"),
    (["--dense-gops", "nan"], "argument --dense-gops: expected a number 1e-06..1e+09; got 'nan'"),
    (["--add-pj", "-1"], "argument --add-pj: expected a number 0..1e+09; got '-1'"),
    (["--dram-pj", "much"], "argument --dram-pj: expected a number 0..1e+09; got 'much'"),
    (["--json", "absent/x.json"], "absent/x.json: --json cannot be written, its folder does not exist"),
])
def test_usage(path, capsys, words, message):
    assert exit_code(tool, str(path), *words) == 2 and message in capsys.readouterr().err


def test_help_has_the_defaults(capsys):
    assert exit_code(tool, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "LPDDR4-3200" in text and "(default: 640.0)" in text
