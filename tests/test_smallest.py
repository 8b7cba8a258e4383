"""train/smallest.py, run as a user runs it."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mxnet")
pytest.importorskip("sklearn")

SCRIPT = Path(__file__).resolve().parents[1] / "train" / "smallest.py"
sys.path.insert(0, str(SCRIPT.parent))
import smallest  # noqa: E402
from fresh_process import check_in_this_process  # noqa: E402
from gluon_dc.training.small import small_settings, stages  # noqa: E402
from small_data import QUICK  # noqa: E402

FASTER = {**QUICK, "pool_copies": 1, "teacher_epochs": 1, "dense_epochs": 1, "rough_kept": 0, "prune_epochs": 1,
          "prune_steps": 2, "share_epochs": 1, "centroid_epochs": 0, "batch_size": 50, "teacher_batch_size": 100}
QUICKLY = ["--set", *(f"{key}={value}" for key, value in FASTER.items())]


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No MNIST in any of the places it is looked for, no network, no fresh process."""
    monkeypatch.delenv("GLUON_DC_DATA", raising=False)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    monkeypatch.setattr("gluon_dc.data.mnist.MIRRORS", ())
    monkeypatch.setattr("gluon_dc.training.small.run._check_fresh_process", check_in_this_process)
    monkeypatch.chdir(tmp_path)


def test_two_seeds_on_the_digits_their_median_and_the_curve(tmp_path, capsys, monkeypatch):
    assert smallest.main(["--seeds", "3,4", *QUICKLY]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("NOT MNIST:")
    folders = [Path("runs") / f"smallest-lenet-300-100-seed{seed}-digits-8x8" for seed in (3, 4)]
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    for folder, result, line in zip(folders, results, printed.splitlines()[1:]):
        assert line.startswith(f"{folder}/model.gdc: {result['file']['nbytes']:,} bytes, ")
        assert (folder / "model.gdc").stat().st_size == result["file"]["nbytes"]
        assert result["dataset"]["name"] == "digits-8x8"
    assert printed.splitlines()[-1].startswith("median of seeds 3, 4: ")
    assert len(list(Path("runs/cache-smallest").iterdir())) == 2
    assert smallest.main(["curve", *map(str, folders)]) == 0
    assert "LeNet-300-100 on digits-8x8 (not MNIST)" in capsys.readouterr().out
    assert Path("runs/curve-smallest/curve.png").exists()

    # The same command again finds everything done; Ctrl-C says how to go on.
    monkeypatch.setattr(stages, "_train", None)
    assert smallest.main(["--seed", "3", *QUICKLY]) == 0
    def stop(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(stages, "_train", stop)
    assert smallest.main(["--seed", "5", *QUICKLY]) == 130
    assert "the same command goes on from the last state on file" in capsys.readouterr().err


def test_the_keys_are_a_recipe(capsys, tmp_path):
    assert smallest.main(["--recipe", "lenet-5-096", "--keys", "--set", "kept=1234"]) == 0
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out.replace("note: ", "note: '").replace("  # what the recipe", "' # what the"))
    assert small_settings(path) == small_settings("lenet-5-096", ["kept=1234"])


@pytest.mark.parametrize("arguments, status, message", [
    (["--recipe", "lenet"], 2, "no recipe is named 'lenet'; there are lenet-300-100, lenet-5-074, lenet-5-096"),
    (["--set", "kept=0"], 2, "kept: expected a whole number of at least 1, got 0"),
    (["--seed", "-1"], 2, "seed: expected a whole number of at least 0 and at most 4294967295, got -1"),
    (["--data-dir", "missing"], 1, "missing: no such folder"),
    (["curve", "missing"], 1, "missing: no result.json in it"),
    (["--fork", "missing"], 1, "missing: --fork: no checkpoints/run.json in it, expected the folder of a run"),
    (["--fork", "missing", "--seeds", "1,2"], 1, "missing/seed1: --fork: no checkpoints/run.json in it"),
])
def test_bad_arguments_are_one_line(capsys, arguments, status, message):
    assert smallest.main(arguments) == status
    error = capsys.readouterr().err
    assert message in error and error.startswith("smallest.py: ") and error.count("\n") == 1


@pytest.mark.parametrize("arguments, message", [
    (["--seeds", "1,x"], "expected whole numbers such as 0,1,2; got '1,x'"),
    (["--seeds", "1,1"], "a seed is there twice: 1,1"),
    (["--seeds", "1", "--seed", "2"], "not allowed with"),
    (["--output-dir", ""], "argument --output-dir: expected the name of a file or folder, got an empty one"),
])
def test_bad_usage(capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        smallest.main(arguments)
    assert message in capsys.readouterr().err


_THREADS = """
import runpy, sys, threadpoolctl
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code
import numpy
print([pool["num_threads"] for pool in threadpoolctl.threadpool_info() if "numpy" in pool["filepath"]])
"""


@pytest.mark.parametrize("script, arguments", [("smallest.py", ["--keys"]), ("mnist_lenet.py", ["--help"]),
                                               ("sweep.py", ["--help"])])
def test_the_blas_of_numpy_has_one_thread_whatever_the_environment_says(script, arguments):
    pytest.importorskip("threadpoolctl")
    program = f"import sys; sys.argv[:] = {[str(SCRIPT.with_name(script)), *arguments]!r}\n" + _THREADS
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] in ("[1]", "[]")  # no BLAS that tells


@pytest.mark.parametrize("arguments", [["--help"], ["curve", "--help"]])
def test_help(capsys, arguments):
    with pytest.raises(SystemExit, match="0"):
        smallest.main(arguments)
    assert "default: runs/" in " ".join(capsys.readouterr().out.split())
