"""Writes that are killed, interrupted or fail at any step leave the old file or the new one, whole."""

import ast
import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gluon_dc.coding import write_atomically
from gluon_dc.data import download
from killed_writers import LEFTOVER, NAME

ROOT = Path(__file__).resolve().parent.parent
OLD, NEW = b"old", b"new" * 100
STEPS = ("mkstemp", "fdopen", "write", "flush", "fsync", "close", "umask", "chmod", "replace", "unlink")


def in_pieces(path):
    def write(file):
        file.write(NEW[:99])
        file.flush()
        file.write(NEW[99:])
    write_atomically(path, write)


WRITERS = {"write_atomically": in_pieces, "download": lambda path: download._write_atomically(Path(path), NEW)}


class Interrupting:
    """Stands in for os and tempfile functions: the n-th call raises, before it does anything or after it has.

    for_ever: from then on every call raises, as when a disk is gone.
    """

    def __init__(self, monkeypatch, n, error, is_after, for_ever=False):
        self.left, self.error, self.is_after, self.for_ever, self.calls = n, error, is_after, for_ever, []
        for module, name in ((tempfile, "mkstemp"), *((os, name) for name in ("fsync", "umask", "chmod", "replace",
                                                                              "unlink"))):
            monkeypatch.setattr(module, name, self.around(name, getattr(module, name)))
        fdopen = self.around("fdopen", os.fdopen)
        monkeypatch.setattr(os, "fdopen", lambda *arguments: _File(self, fdopen(*arguments)))

    def around(self, name, function):
        def call(*arguments, **options):
            self.calls.append(name)
            self.left -= 1
            is_due = self.left == 0 or (self.for_ever and self.left < 0)
            if is_due and not self.is_after:
                raise self.error
            result = function(*arguments, **options)
            if is_due:
                raise self.error
            return result
        return call


class _File:
    """A file whose steps can be interrupted, too."""

    def __init__(self, interrupting, file):
        self.file = file
        self.write, self.flush, self.close = (interrupting.around(name, getattr(file, name))
                                              for name in ("write", "flush", "close"))
        self.fileno = file.fileno

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.close()
        finally:
            self.file.close()


def each_step(tmp_path, writer, error, is_after, for_ever=False):
    """Yield (step, what was raised or None, content, other files) for an interruption at each step of a writer."""
    path, mask = tmp_path / NAME, os.umask(0o022)
    for n in range(1, 30):
        path.write_bytes(OLD)
        with pytest.MonkeyPatch.context() as monkeypatch:
            interrupting = Interrupting(monkeypatch, n, error, is_after, for_ever)
            raised = None
            try:
                WRITERS[writer](path)
            except BaseException as caught:
                raised = caught
        os.umask(mask)
        others = sorted(set(os.listdir(tmp_path)) - {NAME})
        if interrupting.left > 0:
            assert raised is None and path.read_bytes() == NEW and not others
            return
        yield interrupting.calls[n - 1], raised, path.read_bytes(), others
        for other in others:
            (tmp_path / other).unlink()
    pytest.fail("more steps than expected")


def test_the_steps_are_those_of_the_writer(tmp_path):
    steps = [step for step, *_ in each_step(tmp_path, "write_atomically", OSError(errno.EIO, "gone"), False)]
    assert steps == ["mkstemp", "fdopen", "write", "flush", "write", "flush", "fsync", "close", "umask", "umask",
                     "chmod", "replace"]
    assert set(steps) < set(STEPS)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EINTR, errno.EIO, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("writer", WRITERS)
def test_an_error_at_any_step_leaves_the_old_file_and_nothing_else(tmp_path, writer, number):
    error = OSError(number, os.strerror(number))
    for step, raised, content, others in each_step(tmp_path, writer, error, False):
        assert isinstance(raised, OSError) and os.strerror(number) in str(raised), step
        assert content == OLD, step
        assert others == [], step


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_ctrl_c_at_any_step_leaves_the_old_file_or_the_new_one_and_stays_ctrl_c(tmp_path, writer, is_after):
    for step, raised, content, others in each_step(tmp_path, writer, KeyboardInterrupt(), is_after):
        assert type(raised) is KeyboardInterrupt, step
        assert content == (NEW if step == "replace" and is_after else OLD), step
        # Between the making of the file and the first line that can remove it, a name may stay behind.
        assert others == [] or (step == "mkstemp" and LEFTOVER.fullmatch(*others)), step


@pytest.mark.parametrize("writer", WRITERS)
def test_a_disk_that_is_gone_from_some_step_on(tmp_path, writer):
    error = OSError(errno.EIO, "the disk is gone")
    for step, raised, content, others in each_step(tmp_path, writer, error, False, for_ever=True):
        assert isinstance(raised, OSError) and "the disk is gone" in str(raised) and content == OLD, step
        assert all(LEFTOVER.fullmatch(other) for other in others) and len(others) <= 1, step


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ptrace as on Linux")
def test_killed_or_failing_at_every_system_call(tmp_path):
    """Also between the bytes of one Python call: at each entry into and return from the kernel."""
    done = subprocess.run([sys.executable, Path(__file__).parent / "killed_writers.py", tmp_path], text=True,
                          capture_output=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if "refused" in found:
        pytest.skip(found["refused"])
    assert {name for name in found if name.endswith("killed")} == {f"{writer}, killed" for writer in ("save", *WRITERS)}
    for name, result in found.items():
        assert set(result["outcomes"]) == {"old", "new"} and result["last"] == "new", (name, result)
        assert result["strange"] == [] and result["untrue"] == [], (name, result)
        if name.endswith("killed"):
            # open, write, fsync, close, rename at least, each entered and left; once new, the file stays so.
            assert result["first_new"] == result["outcomes"]["old"] >= 10 and result["leftovers"] >= 6, name


def opens_for_writing(source):
    """Line numbers of what writes a file other than through a file object: open with a writing mode, write_text, ..."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        mode = node.args[1] if len(node.args) > 1 else next((k.value for k in node.keywords if k.arg == "mode"), None)
        is_open = isinstance(node.func, ast.Name) and node.func.id == "open"
        writes = is_open and mode is not None and not (isinstance(mode, ast.Constant) and mode.value in ("r", "rb"))
        attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if writes or attribute in ("write_text", "write_bytes", "fdopen"):
            found.append(node.lineno)
    return found


def test_opens_for_writing_by_hand():
    source = "open(a)\nopen(a, 'rb')\nopen(a, 'wb')\nopen(a, mode=m)\np.write_text(b)\narchive.open(n, 'w')"
    assert opens_for_writing(source) == [3, 4, 5]


def test_all_files_are_written_by_the_two_writers_tested_here():
    writing = [path.relative_to(ROOT).as_posix() for folder in ("gluon_dc", "train", "tools")
               for path in sorted((ROOT / folder).rglob("*.py")) if opens_for_writing(path.read_text())]
    # The last writes a digest: without it, or with a wrong one, kernels are compiled anew.
    assert writing == ["gluon_dc/coding/files.py", "gluon_dc/data/download.py", "gluon_dc/kernel_cache.py"]
