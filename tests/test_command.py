import argparse

import numpy as np
import pytest

from gluon_dc.report.command import NEEDS_MXNET, UsageError, check_json, run_command, run_training, what_is_missing


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


class TestJsonFile:
    def error(self, path, inputs, capsys):
        with pytest.raises(SystemExit):
            check_json(argparse.ArgumentParser("tool"), path, inputs)
        return capsys.readouterr().err.splitlines()[-1]

    def test_a_file_that_is_read_is_not_written(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "net.gdc").touch()
        line = self.error("net.gdc", [None, str(tmp_path / "net.gdc")], capsys)
        assert line == "tool: error: --json net.gdc: is the file to read; give another name"

    def test_a_folder(self, tmp_path, capsys):
        line = self.error(str(tmp_path), [], capsys)
        assert line == f"tool: error: --json {tmp_path}: is a folder, expected a file to write"

    def test_no_such_folder(self, tmp_path, capsys):
        assert "its folder does not exist" in self.error(str(tmp_path / "a" / "b.json"), [], capsys)

    def test_what_can_be_written(self, tmp_path):
        check_json(argparse.ArgumentParser(), str(tmp_path / "a.json"), [str(tmp_path / "net.gdc")])
        check_json(argparse.ArgumentParser(), None)
