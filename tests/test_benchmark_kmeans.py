import json
import runpy
from pathlib import Path

import pytest

main = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "kmeans.py"))["main"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What the run sets is set back."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_a_tiny_run_measures_ours_and_scikit_learn(tmp_path, capsys):
    pytest.importorskip("sklearn")
    path = tmp_path / "rows.json"
    assert main(["--size", "3000", "--centroids", "2", "4", "--scikit-size", "2000", "--threads", "1",
                 "--json", str(path)]) == 0
    rows = json.loads(path.read_text())["rows"]
    assert [row["what"] for row in rows[:4]] == ["cluster, optimal", "cluster, linear", "cluster, kmeans++",
                                                 "scikit-learn KMeans, first 2,000"]
    assert [row["k"] for row in rows] == [2] * 4 + [4] * 4
    assert rows[0]["inertia_ratio"] == 1 and all(row["inertia_ratio"] >= 1 and row["seconds"] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert "3,000 weights, 1 thread(s)" in printed and all(row["what"] in printed for row in rows)


def test_without_scikit_learn(capsys):
    main(["--size", "100", "--centroids", "3", "--scikit-size", "0", "--threads", "1", "--starts", "linear"])
    assert "scikit" not in capsys.readouterr().out


@pytest.mark.parametrize("words, message", [
    (["--json", "no/such/x.json"], "no/such/x.json: --json cannot be written, its folder does not exist: make it first"),
    (["--starts", "best"], "start")])
def test_bad_words_are_one_line(capsys, words, message):
    assert main(["--size", "100", "--scikit-size", "0", "--threads", "1", "--centroids", "3", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("kmeans.py: error: ") and message in error and error.count("\n") == 1


@pytest.mark.parametrize("words, message", [
    (["--size", "0"], "--size must be at least 1, got 0"),
    (["--centroids", "4", "0"], "--centroids must be at least 1, got [4, 0]"),
    (["--centroids", "257"], "--centroids must be at most 256, got [257]"),
    (["--threads", "0"], "--threads must be at least 1, got 0"),
    (["--seed", "-1"], "--seed must be at least 0, got -1"),
    (["--scikit-size", "-1"], "--scikit-size must be at least 0, got -1"),
])
def test_numbers_that_cannot_be(capsys, words, message):
    with pytest.raises(SystemExit, match="^2$"):
        main(words)
    assert message in capsys.readouterr().err
