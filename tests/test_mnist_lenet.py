"""train/mnist_lenet.py, run as a user runs it."""
import contextlib
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("mxnet")
pytest.importorskip("sklearn")

SCRIPT = Path(__file__).resolve().parents[1] / "train" / "mnist_lenet.py"
sys.path.insert(0, str(SCRIPT.parent))
import mnist_lenet  # noqa: E402

from signalled import run_until  # noqa: E402

QUICK = ["--batch-size", "64", "--dense-epochs", "2", "--prune-epochs", "3", "--share-epochs", "1",
         "--sparsity", "0.9", "--prune-rate", "2e-3"]


def hide_mnist(monkeypatch, folder):
    """No MNIST in any of the places it is looked for, and no network."""
    monkeypatch.delenv("GLUON_DC_DATA", raising=False)
    monkeypatch.setenv("MXNET_HOME", str(folder / "mxnet"))
    monkeypatch.setattr("gluon_dc.data.mnist.MIRRORS", ())
    return folder


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    return hide_mnist(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run from beginning to end: its folder, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("run"), io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.redirect_stdout(printed):
        hide_mnist(monkeypatch, folder)
        assert mnist_lenet.main(["--output-dir", str(folder / "out"), *QUICK]) == 0
    return folder / "out", printed.getvalue()


def test_without_mnist_it_runs_on_the_embedded_digits_and_says_so_everywhere(finished):
    out, printed = finished
    assert printed.startswith("NOT MNIST:") and "digits-8x8 (not MNIST)" in printed
    assert "this is another data set, not comparable" in printed
    result = json.loads((out / "result.json").read_text())
    assert result["dataset"]["name"] == "digits-8x8" and result["dataset"]["train"] == 1297
    assert (out / "model.gdc").stat().st_size == result["file"]["nbytes"]
    report = (out / "report" / "report.txt").read_text()
    assert report.strip() in printed
    figures = {path.name for path in (out / "report").glob("*.png")}
    assert {"storage.png", "histograms.png", "weights.png", "training.png"} <= figures


def test_the_last_line_is_what_one_wants_to_know(finished):
    out, printed = finished
    result = json.loads((out / "result.json").read_text())
    assert printed.splitlines()[-1] == (
        f"{out}/model.gdc: {result['file']['nbytes']:,} bytes, {result['file']['ratio']:.1f}x smaller than dense, test "
        f"error {result['stages'][-1]['test_error_percent']:.2f} % "
        f"(dense {result['stages'][0]['test_error_percent']:.2f} %)")


def test_the_same_command_again_prints_the_finished_run(finished, nowhere, capsys):
    out, printed = finished
    assert mnist_lenet.main(["--output-dir", str(out), "--no-figures", *QUICK]) == 0
    told = capsys.readouterr().out.splitlines()
    # The data's first line names the folder that was looked in.
    assert told[1:] == printed.splitlines()[1:]


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


def test_stopped_in_the_middle_it_goes_on(nowhere):
    """A real process, stopped by Ctrl-C during pruning; again, and killed; then run to its end."""
    out = nowhere / "out"
    command = ["--output-dir", str(out), "--no-figures", *QUICK, "--prune-epochs", "6"]
    environment = {**os.environ, "MXNET_HOME": str(nowhere / "mxnet"), "https_proxy": "http://127.0.0.1:9"}
    progress = out / "checkpoints" / "pruned.progress.npz"
    for kind, saves, status in ((signal.SIGINT, 4, 130), (signal.SIGKILL, 2, -signal.SIGKILL)):
        found, errors = run_until(kind, SCRIPT, command, saves, environment)
        assert found == status and progress.exists() and not (out / "model.gdc").exists(), errors[-2000:]
        assert "Traceback" not in errors
        assert ("interrupted; the same command goes on" in errors) == (kind == signal.SIGINT)
    assert mnist_lenet.main(command) == 0
    stages = json.loads((out / "result.json").read_text())["stages"]
    assert [len(stage["epochs"]) for stage in stages] == [2, 6, 1, 0]
    assert not list(out.rglob("*.progress.npz"))
