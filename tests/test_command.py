import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gluon_dc.report.command import (
    NEEDS_MXNET, NOTHING_WRITTEN, UsageError, check_json, count, folder_name, input_shape, number_between, path_name,
    run_command, run_training, seed, what_is_missing)


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
    (FileNotFoundError(2, os.strerror(2), "/no/x"), 1,
     "x.py: error: /no/x: expected a file, there is not even a folder /no: check the path\n"),
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


@pytest.mark.parametrize("text, line", [
    ('Traceback (most recent call last):\n  File "a.h", line 3\nMXNetError: Check failed: a < b (5 vs. 2) : too many',
     "x.py: error: MXNet: Check failed: a < b (5 vs. 2) : too many\n"),
    ("", "x.py: error: MXNet: an error without a message\n")])
def test_what_mxnet_refuses(capsys, text, line):
    error = type("MXNetError", (RuntimeError,), {})(text)
    assert run_command("x.py", raising(error), None) == run_training("x.py", raising(error), None, "from here") == 1
    assert capsys.readouterr().err == 2 * line


def test_mxnet_beside_a_numpy_that_is_too_new_is_told_too(monkeypatch):
    monkeypatch.setattr(np, "__version__", "1.26.4")
    error = AttributeError("module 'numpy' has no attribute 'bool'", name="bool", obj=np)
    assert what_is_missing(error) == (
        f"{NEEDS_MXNET} (MXNet is there, but it needs NumPy below 1.24, and this is 1.26.4)")


@pytest.mark.parametrize("error", [
    TypeError(), AttributeError("x"), AttributeError("x", name="boll", obj=np),
    ModuleNotFoundError("No module named 'gluon_dc.x'", name="gluon_dc.x")])
def test_bugs_are_passed_on(error):
    with pytest.raises(type(error)):
        run_command("x.py", raising(error), None)


@pytest.mark.parametrize("error, code, line", [
    (FloatingPointError("the loss is nan"), 1, "x.py: error: the loss is nan\n"),
    (RuntimeError("does not decode"), 1, "x.py: error: does not decode\n"),
    (KeyboardInterrupt(), 130, "x.py: interrupted; the same command goes on from the last epoch\n"),
])
def test_training_says_more_in_a_line(capsys, error, code, line):
    assert run_training("x.py", lambda number: number, 3, "from the last epoch") == 3
    assert run_training("x.py", raising(error), None, "from the last epoch") == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("error", [FloatingPointError("x"), RuntimeError("x")])
def test_errors_of_training_are_bugs_elsewhere(error):
    with pytest.raises(type(error)):
        run_command("x.py", raising(error), None)


@pytest.mark.parametrize("what, line", [
    ("", "x.py: interrupted\n"), (NOTHING_WRITTEN, "x.py: interrupted; nothing was written, an earlier file is as it "
                                                   "was\n")])
def test_ctrl_c_is_a_line(capsys, what, line):
    assert run_command("x.py", raising(KeyboardInterrupt()), None, interrupted=what) == 130
    assert capsys.readouterr().err == line


def test_on_a_terminal_ctrl_c_is_a_line_of_its_own(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run_command("x.py", raising(KeyboardInterrupt()), None)
    assert capsys.readouterr().err == "\nx.py: interrupted\n"


class TestOutput:
    """What is printed goes nowhere: a process, since its end is what matters."""

    CODE = ("import sys; from gluon_dc.report.command import run_command; "
            "sys.exit(run_command('x.py', lambda _: print('x' * {n}), None))")

    def run(self, n, **options):
        environment = {key: text for key, text in os.environ.items() if key != "PYTHONUNBUFFERED"}
        return subprocess.run([sys.executable, "-c", self.CODE.format(n=n)], stderr=subprocess.PIPE, text=True,
                              env=environment, **options)

    @pytest.mark.parametrize("n", [1, 10**6])
    def test_a_pipe_that_nobody_reads(self, n):
        read, write = os.pipe()
        os.close(read)
        done = self.run(n, stdout=write)
        os.close(write)
        assert (done.returncode, done.stderr) == (141, "")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
    def test_a_full_disk(self):
        with open("/dev/full", "w") as full:
            done = self.run(1, stdout=full)
        assert done.returncode == 1
        assert done.stderr == "x.py: error: the output could not be written: No space left on device\n"

    def test_closed(self):
        done = self.run(1, preexec_fn=lambda: os.close(1))
        assert (done.returncode, done.stderr) == (0, "")


def fails(kind, text):
    with pytest.raises(argparse.ArgumentTypeError) as found:
        kind(text)
    return str(found.value)


class TestNumbers:
    @pytest.mark.parametrize("text, sizes", [
        ("3,224,224", (3, 224, 224)), ("784", (784,)), ("1, 28, 28", (1, 28, 28)), ("1,2,3,4", (1, 2, 3, 4))])
    def test_shapes(self, text, sizes):
        assert input_shape(text) == sizes

    @pytest.mark.parametrize("text", ["", "3,0,4", "3x4", "3,,4", "1,2,3,4,5", "-1", "2 2 4", "3,224,", "12345678",
                                      "\u0663,4"])
    def test_no_shapes(self, text):
        assert fails(input_shape, text) == f"expected sizes such as 3,224,224; got {text!r}"

    def test_counts(self):
        assert [count("1"), count("007"), count("9" * 18)] == [1, 7, 10**18 - 1]
        for text in ("0", "-1", "1.5", "", "1e3", "9" * 19, "x"):
            assert fails(count, text) == f"expected a whole number from 1 on; got {text!r}"

    def test_names(self):
        assert path_name("a") == "a" and folder_name("a") == Path("a")
        for kind in (path_name, folder_name):
            assert fails(kind, "") == "expected the name of a file or folder, got an empty one"

    def test_numbers_between(self):
        number = number_between(0.5, 1e9)
        assert [number("0.5"), number("1e9"), number(" 3 ")] == [0.5, 1e9, 3]
        for text in ("0.4", "inf", "nan", "", "x", "-1"):
            assert fails(number, text) == f"expected a number 0.5..1e+09; got {text!r}"

    def test_seeds(self):
        assert [seed("0"), seed("4294967295")] == [0, 2**32 - 1]
        for text in ("-1", "4294967296", "x", "", "9" * 30):
            assert fails(seed, text) == f"expected a whole number from 0 to 4294967295; got {text!r}"


class TestJsonFile:
    def error(self, path, inputs, capsys):
        with pytest.raises(SystemExit):
            check_json(argparse.ArgumentParser("tool"), path, inputs)
        return capsys.readouterr().err.splitlines()[-1]

    def test_a_file_that_is_read_is_not_written(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "net.gdc").touch()
        line = self.error("net.gdc", [None, str(tmp_path / "net.gdc")], capsys)
        assert line == "tool: error: net.gdc: --json is the same file as the file to read: give another name"

    def test_a_folder(self, tmp_path, capsys):
        line = self.error(str(tmp_path), [], capsys)
        assert line == f"tool: error: {tmp_path}: --json is a folder, expected a file to write"

    def test_no_such_folder(self, tmp_path, capsys):
        assert "its folder does not exist" in self.error(str(tmp_path / "a" / "b.json"), [], capsys)

    def test_what_can_be_written(self, tmp_path):
        check_json(argparse.ArgumentParser(), str(tmp_path / "a.json"), [str(tmp_path / "net.gdc")])
        check_json(argparse.ArgumentParser(), None)
