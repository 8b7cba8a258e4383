import json
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("mxnet")

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "whole_nets.py"
sys.path.insert(0, str(SCRIPT.parent))
module = runpy.run_path(str(SCRIPT))


def test_a_net_measured(tmp_path, capfd):
    path = tmp_path / "rows.json"
    assert not module["main"](["--nets", "lenet-5", "--batch", "1", "--threads", "1", "--rounds", "1", "--layers",
                               "--contenders", "ours, session", "ours, sparsify", "MXNet", "torch",
                               "--json", str(path)])
    rows = json.loads(path.read_text())["rows"]
    assert [(row["net"], row["weights"]) for row in rows] == [("lenet-5", "drawn")] * 4
    for row in rows:
        assert ("left_out" in row) or (row["ms"] > 0 and row["off"] < 1e-3)
    assert all("ms" in row for row in rows if row["contender"] != "torch")
    text = capfd.readouterr().out
    assert "us of a call" in text and "times the session's" in text and "0.weight" in text


def test_a_table_by_hand():
    row = {"net": "n", "weights": "drawn", "batch": 1, "threads": 2}
    text = module["table"]([{**row, "contender": "ours, session", "ms": 2.0, "off": 0},
                            {**row, "contender": "MXNet int8", "ms": 3.0, "off": 0.05},
                            {**row, "contender": "torch", "left_out": "torch not installed"}])
    assert text.splitlines()[2].split() == ["n", "drawn", "1", "2", "2", "3", "(1.50x)", "-"]
    assert "n: MXNet int8 is off by 5.0e-02 of the largest output" in text
    assert "n: torch left out: torch not installed" in text


def test_a_wrong_result_ends_the_run():
    calls = {"MXNet": lambda: [1.0, 2.0], "torch": lambda: [1.0, 2.1], "MXNet int8": lambda: [1.0, 3.0]}
    with pytest.raises(ArithmeticError, match="x.gdc, torch: differs from the dense net by 5.0e-02 of its"):
        module["differences"]("x.gdc", calls, None)
    del calls["torch"]
    assert module["differences"]("x.gdc", calls, None) == {"MXNet": 0, "MXNet int8": 0.5}


@pytest.mark.parametrize("arguments, message", [
    (["--rounds", "0"], "--rounds must be at least 1, got 0"),
    (["--cpu-time"], "--cpu-time is for --threads 1, got [1, 2]"),
    (["--json", "no/such/folder/rows.json"], "its folder does not exist")])
def test_bad_options(arguments, message, capsys):
    with pytest.raises(SystemExit):
        module["main"](arguments)
    assert message in capsys.readouterr().err
