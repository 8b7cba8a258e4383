import numpy as np
import pytest

from gluon_dc.report.command import NEEDS_MXNET, UsageError, run_command, run_training, what_is_missing


def raising(error):
    def action(_):
        raise error
    return action


@pytest.mark.parametrize("result, code", [(None, 0), (0, 0), (3, 3)])
def test_the_exit_code_is_the_actions(result, code):
    assert run_command("x.py", lambda _: result, None) == code


@pytest.mark.parametrize("error, code, line", [
    (ValueError("two\n lines"), 1, "x.py: error: two lines\n"),
    (OSError("gone"), 1, "x.py: error: gone\n"),
    (UsageError("no such option"), 2, "x.py: error: no such option\n"),
    (MemoryError(), 1, "x.py: error: MemoryError\n"),
    (ModuleNotFoundError("No module named 'mxnet.gluon'", name="mxnet.gluon"), 1, f"x.py: error: {NEEDS_MXNET}\n"),
    (ModuleNotFoundError("No module named 'yaml'", name="yaml"), 1,
     "x.py: error: needs PyYAML, which is not installed: pip install -r requirements.txt\n"),
    (ModuleNotFoundError("tqdm", name="tqdm"), 1,
     "x.py: error: needs tqdm, which is not installed: pip install -r requirements.txt\n"),
])
def test_what_goes_wrong_is_one_line(capsys, error, code, line):
    assert run_command("x.py", raising(error), None) == run_training("x.py", raising(error), None, "from here") == code
    assert capsys.readouterr().err == 2 * line


def test_mxnet_beside_a_numpy_that_is_too_new_is_told_too(monkeypatch):
    monkeypatch.setattr(np, "__version__", "1.26.4")
    error = AttributeError("module 'numpy' has no attribute 'bool'", name="bool", obj=np)
    assert what_is_missing(error) == (
        f"{NEEDS_MXNET} (MXNet is there, but it needs NumPy below 1.24, and this is 1.26.4)")


@pytest.mark.parametrize("error", [
    TypeError(), KeyboardInterrupt(), AttributeError("x"), AttributeError("x", name="boll", obj=np),
    ModuleNotFoundError("No module named 'gluon_dc.x'", name="gluon_dc.x")])
def test_bugs_and_ctrl_c_are_passed_on(error):
    with pytest.raises(type(error)):
        run_command("x.py", raising(error), None)


@pytest.mark.parametrize("error, code, line", [
    (FloatingPointError("the loss is nan"), 1, "x.py: error: the loss is nan\n"),
    (RuntimeError("does not decode"), 1, "x.py: error: does not decode\n"),
    (KeyboardInterrupt(), 130, "\nstopped: the same command goes on from the last epoch\n"),
])
def test_training_says_more_in_a_line(capsys, error, code, line):
    assert run_training("x.py", lambda number: number, 3, "from the last epoch") == 3
    assert run_training("x.py", raising(error), None, "from the last epoch") == code
    assert capsys.readouterr().err == line
    with pytest.raises(type(error)):
        run_command("x.py", raising(error), None)
