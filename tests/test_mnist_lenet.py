"""train/mnist_lenet.py, run as a user runs it."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mxnet")
pytest.importorskip("sklearn")

SCRIPT = Path(__file__).resolve().parents[1] / "train" / "mnist_lenet.py"
sys.path.insert(0, str(SCRIPT.parent))
import mnist_lenet  # noqa: E402

QUICK = ["--batch-size", "64", "--dense-epochs", "2", "--prune-epochs", "3", "--share-epochs", "1",
         "--sparsity", "0.9", "--prune-rate", "2e-3"]


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No MNIST in any of the places it is looked for, and no network."""
    monkeypatch.delenv("GLUON_DC_DATA", raising=False)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    monkeypatch.setattr("gluon_dc.data.mnist.MIRRORS", ())
    return tmp_path


def test_without_mnist_it_runs_on_the_embedded_digits_and_says_so_everywhere(nowhere, capsys):
    out = nowhere / "out"
    assert mnist_lenet.main(["--output-dir", str(out), *QUICK]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("NOT MNIST:") and "digits-8x8 (not MNIST)" in printed
    assert "this is another data set, not comparable" in printed
    result = json.loads((out / "result.json").read_text())
    assert result["dataset"]["name"] == "digits-8x8" and result["dataset"]["train"] == 1297
    assert (out / "model.gdc").stat().st_size == result["file"]["nbytes"]
    report = (out / "report" / "report.txt").read_text()
    assert report.strip() in printed
    figures = {path.name for path in (out / "report").glob("*.png")}
    assert {"storage.png", "histograms.png", "weights.png", "training.png"} <= figures


def test_the_same_command_again_prints_the_finished_run(nowhere, capsys):
    command = ["--output-dir", str(nowhere / "out"), "--no-figures", *QUICK]
    assert mnist_lenet.main(command) == 0
    first = capsys.readouterr().out
    assert mnist_lenet.main(command) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("arguments, status, message", [
    (["--sparsity", "1.5"], 2, "sparsity must be at least 0 and below 1, got 1.5"),
    (["--sparsity", "fc*=0.5"], 1, "pattern 'fc*' matches no layer; the layers are 0.weight, 1.weight, 2.weight"),
    (["--data-dir", "nowhere"], 1, "nowhere: no such folder"),
    (["--dense", "nothing.npz"], 1, "nothing.npz"),
])
def test_bad_input_is_one_line(nowhere, capsys, arguments, status, message):
    assert mnist_lenet.main(["--output-dir", str(nowhere / "out"), *arguments]) == status
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error and error.startswith("mnist_lenet.py: ")


def test_unknown_options_and_values_are_for_argparse(capsys):
    for arguments in (["--speed", "3"], ["--sparsity", "many"], ["--network", "alexnet"]):
        with pytest.raises(SystemExit) as stop:
            mnist_lenet.main(arguments)
        assert stop.value.code == 2


def test_a_value_that_is_no_number_is_named(capsys):
    with pytest.raises(SystemExit):
        mnist_lenet.main(["--bits", "0=five"])
    assert "--bits: expected a number, or PATTERN=NUMBER,PATTERN=NUMBER; got '0=five'" in capsys.readouterr().err


def test_help_shows_the_defaults_of_both_networks(capsys):
    with pytest.raises(SystemExit) as stop:
        mnist_lenet.main(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "epochs of pruning and retraining (default: lenet-300-100 90, lenet-5 30)" in text


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_it_goes_on(nowhere, kind):
    """A real process, stopped by a signal during pruning, then run again."""
    out = nowhere / "out"
    command = [sys.executable, str(SCRIPT), "--output-dir", str(out), "--no-figures", *QUICK,
               "--prune-epochs", "40"]
    environment = {**os.environ, "MXNET_HOME": str(nowhere / "mxnet"), "https_proxy": "http://127.0.0.1:9"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    progress = out / "checkpoints" / "pruned.progress.npz"
    deadline = time.monotonic() + 120
    while not progress.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(kind)
    _, errors = process.communicate(timeout=60)
    assert not (out / "model.gdc").exists(), "the run was over before the signal came"
    if kind == signal.SIGINT:
        assert process.returncode == 130
        assert "stopped: the same command goes on" in errors and "Traceback" not in errors
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    stages = json.loads((out / "result.json").read_text())["stages"]
    assert [len(stage["epochs"]) for stage in stages] == [2, 40, 1, 0]
    assert not list(out.rglob("*.progress.npz"))
