"""train/sweep.py, run as a user runs it."""
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

SCRIPT = Path(__file__).resolve().parents[1] / "train" / "sweep.py"
sys.path.insert(0, str(SCRIPT.parent))
import sweep  # noqa: E402

QUICK = ["--batch-size", "64", "--dense-epochs", "1", "--prune-epochs", "1", "--share-epochs", "1"]


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No MNIST in any of the places it is looked for, and no network; the current folder is an empty one."""
    monkeypatch.delenv("GLUON_DC_DATA", raising=False)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    monkeypatch.setattr("gluon_dc.data.mnist.MIRRORS", ())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("arguments, points", [
    (["compression", "--points", "pruning=0.9", "svd=0.1", "sharing=2", "pruning+sharing=0.9:4"], 4),
    (["starts", "--network", "lenet-5", "--points", "linear=2", "optimal=2"], 4),
    (["sensitivity", "--points", "sparsity=0.5,0.9"], 6),
])
def test_without_mnist_it_runs_on_the_embedded_digits_and_says_so(nowhere, capsys, arguments, points):
    assert sweep.main([*arguments, *QUICK]) == 0
    printed = capsys.readouterr().out
    network = "lenet-5" if "lenet-5" in arguments else "lenet-300-100"
    path = Path("runs") / f"sweep-{arguments[0]}-{network}-seed0-digits-8x8" / "experiment.json"
    assert printed.startswith("NOT MNIST:") and f"{network} on digits-8x8" in printed
    assert printed.endswith(f"written to {path}\n")
    result = json.loads(path.read_text())
    assert result["dataset"]["name"] == "digits-8x8" and result["dataset"]["note"].startswith("NOT MNIST")
    assert len(result["points"]) == points


def test_the_same_command_again_prints_the_same(nowhere, capsys):
    command = ["sensitivity", "--points", "bits=8", *QUICK]
    assert sweep.main(command) == 0
    first = capsys.readouterr().out
    assert sweep.main(command) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("arguments, status, message", [
    (["--share-epochs", "0"], 2, "share_epochs must be at least 1 and finite, got 0"),
    (["--points", "pruning=2"], 2, "pruning: expected sparsity, got '2'"),
    (["--points", "bits=2"], 2, "'bits=2' is no point of the experiment compression"),
    (["--data-dir", "nowhere"], 1, "nowhere: no such folder"),
    (["--dense", "nothing.npz"], 1, "nothing.npz"),
])
def test_bad_input_is_one_line(nowhere, capsys, arguments, status, message):
    assert sweep.main(["compression", *arguments]) == status
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error and error.startswith("sweep.py: ")


def test_another_setting_in_the_same_folder_is_refused_and_fresh_starts_over(nowhere, capsys):
    command = ["sensitivity", "--output-dir", "out", "--points", "bits=8", *QUICK]
    assert sweep.main(command) == 0
    capsys.readouterr()
    assert sweep.main([*command, "--seed", "1"]) == 1
    assert "seed was 0, is 1): give another --output-dir, or --fresh to start over" in capsys.readouterr().err
    assert sweep.main([*command, "--seed", "1", "--fresh"]) == 0


def test_help_shows_defaults_and_points(capsys):
    with pytest.raises(SystemExit) as stop:
        sweep.main(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "epochs of dense training, without --dense (default: lenet-300-100 15, lenet-5 8)" in text
    assert "pruning+sharing: sparsity:bits; 0.5:4,0.8:4" in text and "svd: rank share; 0.01" in text


def interrupt_after_a_point(monkeypatch):
    from gluon_dc.training import sweeps
    real, seen = sweeps.measure_point, []

    def measure(bench, key):
        if seen:
            raise KeyboardInterrupt
        seen.append(key)
        return real(bench, key)

    monkeypatch.setattr(sweeps, "measure_point", measure)


def points_once_killed(command, path, home):
    """Run the script in a process of its own, kill it once another point is on disk; return the points."""
    environment = {**os.environ, "MXNET_HOME": str(home / "mxnet"), "https_proxy": "http://127.0.0.1:9"}
    environment.pop("GLUON_DC_DATA", None)
    known, deadline = len(points_of(path)), time.monotonic() + 120
    process = subprocess.Popen([sys.executable, str(SCRIPT), *command], env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    while len(points_of(path)) <= known and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    printed, errors = process.communicate(timeout=60)
    assert "written to" not in printed, "the sweep was over before the signal came"
    assert process.returncode == -signal.SIGKILL, errors
    return points_of(path)


def points_of(path):
    return json.loads(path.read_text())["points"] if path.exists() else []


def test_stopped_in_the_middle_it_goes_on(nowhere, monkeypatch, capsys):
    """Stopped by Ctrl-C after a point; then as a real process, killed once another is on disk; then run to its end."""
    path = nowhere / "out" / "experiment.json"
    command = ["sensitivity", "--output-dir", str(path.parent), *QUICK]
    with monkeypatch.context() as patch:
        interrupt_after_a_point(patch)
        assert sweep.main(command) == 130
    assert "interrupted; the same command goes on" in capsys.readouterr().err
    first = points_of(path)
    second = points_once_killed(command, path, nowhere)
    assert len(first) == 1 and len(second) > 1 and second[:1] == first
    assert sweep.main(command) == 0
    after = points_of(path)
    assert len(after) == 60 and after[:len(second)] == second
    assert not list(path.parent.rglob("*.json.*"))
