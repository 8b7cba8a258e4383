"""report/os_errors.py: what the system says of files, in words."""

import errno
import os
from pathlib import Path

import pytest

from gluon_dc.coding.files import write_atomically
from gluon_dc.report.os_errors import os_error_text


def told(call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    return os_error_text(caught.value)


def test_files_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    assert told(open, "a.gdc") == f"a.gdc: expected a file, there is none of this name in {tmp_path}: check the name"
    assert told(open, tmp_path / "b" / "a.gdc") == (
        f"{tmp_path}/b/a.gdc: expected a file, there is not even a folder {tmp_path}/b: check the path")
    assert told(open, "link") == (
        "link: expected a file, this is a link to nowhere, which does not exist: check the link")
    assert told(open, "") == "expected the name of a file, got an empty one"


def test_files_and_folders_that_are_the_other(tmp_path):
    assert told(open, tmp_path) == f"{tmp_path}: expected a file, this is a folder: name a file in it"
    (tmp_path / "a").touch()
    assert told(open, tmp_path / "a" / "b") == (
        f"{tmp_path}/a/b: expected a folder, {tmp_path}/a is a file: check the path")
    assert told(os.listdir, tmp_path / "a") == f"{tmp_path}/a: expected a folder, this is a file: check the path"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_permissions(number):
    text = os_error_text(OSError(number, os.strerror(number), "a.gdc"))
    assert text.startswith("a.gdc: permission denied: expected one that this user may use; change its permissions")


@pytest.mark.parametrize("error, text", [
    (OSError("the output could not be written: No space left"), "the output could not be written: No space left"),
    (OSError(errno.EIO, "Input/output error"),
     "a file could not be read or written to its end (input/output error): check the disk it is on"),
    (OSError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
    (OSError(errno.ENOSPC, "No space left on device", "a"), "a: No space left on device"),
    (OSError(errno.ENOENT, "No such model", Path("a")), "a: No such model"),
    (OSError(errno.ENOENT, "No such file or directory", b"/no/where"),
     "/no/where: expected a file, there is not even a folder /no: check the path"),
    (OSError(errno.EBADF, "Bad file descriptor", 7), "file 7: Bad file descriptor"),
    (OSError(), ""),
])
def test_other_errors(error, text):
    assert os_error_text(error) == text


def test_what_we_say_ourselves_stays(tmp_path):
    text = told(write_atomically, tmp_path / "b" / "c.gdc", None)
    assert text == (f"{tmp_path}/b/c.gdc: No such file or directory: nothing was written, an earlier file is as it "
                    "was; check the folder, its permissions and the space on its disk")
