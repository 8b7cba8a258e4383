import json
import runpy
from pathlib import Path

import pytest

pytest.importorskip("mxnet")
main = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "training_step.py"))["main"]


def test_a_tiny_run_measures_every_kind(tmp_path, capsys):
    path = tmp_path / "rows.json"
    assert main(["--networks", "lenet-300-100", "--steps", "1", "--batch-size", "4", "--json", str(path)]) == 0
    rows = json.loads(path.read_text())["rows"]
    assert [row["kind"] for row in rows] == ["plain", "masked", "lookup", "scatter", "dense gradient"]
    assert rows[0]["ratio"] == 1.0 and all(row["milliseconds"] > 0 for row in rows)
    assert "1 thread(s)" in capsys.readouterr().out
