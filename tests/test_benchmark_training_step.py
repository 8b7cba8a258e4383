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


@pytest.mark.parametrize("words, message", [
    (["--steps", "0"], "--steps must be at least 1, got 0"),
    (["--threads", "0"], "--threads must be at least 1, got 0"),
    (["--density", "2"], "--density must be above 0 and at most 1, got 2.0"),
])
def test_numbers_that_cannot_be(capsys, words, message):
    with pytest.raises(SystemExit, match="^2$"):
        main(words)
    assert message in capsys.readouterr().err
