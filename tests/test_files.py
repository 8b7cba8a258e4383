import errno
import os
import stat

import pytest

from gluon_dc.coding import write_atomically


def write(content):
    return lambda file: file.write(content)


def test_the_new_content_takes_the_name(tmp_path):
    path = tmp_path / "model.gdc"
    for content in (b"first", b"second, longer", b""):
        write_atomically(path, write(content))
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["model.gdc"]


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    write_atomically(tmp_path / "ours", write(b""))
    (tmp_path / "plain").write_bytes(b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain")}
    assert len(modes) == 1


def test_a_relative_name_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("model.gdc", write(b"here"))
    assert (tmp_path / "model.gdc").read_bytes() == b"here"


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupt_leaves_the_old_file_and_nothing_else(tmp_path, raised):
    path = tmp_path / "model.gdc"
    path.write_bytes(b"old")

    def half(file):
        file.write(b"half of the n")
        raise raised

    with pytest.raises(raised):
        write_atomically(path, half)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["model.gdc"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_full_disk_at_any_step_leaves_the_old_file_and_says_what_to_do(tmp_path, monkeypatch, step):
    path = tmp_path / "model.gdc"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left on device: nothing was written, an earlier file is as it "
                                      "was; check the folder.*model.gdc") as error:
        write_atomically(path, write(b"new"))
    assert error.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["model.gdc"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere/model.gdc"):
        write_atomically(tmp_path / "nowhere" / "model.gdc", write(b""))


def test_a_device_or_a_pipe_stays_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match=r"A device or a pipe, expected a file: nothing was written.*: '.*" + name):
            write_atomically(tmp_path / name, lambda file: file.write(b"new"))
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink() and len(list(tmp_path.iterdir())) == 2
