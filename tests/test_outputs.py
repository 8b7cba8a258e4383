"""gluon_dc.report.outputs: what is to be written is looked at before the work."""

import os

import pytest

from gluon_dc.report.outputs import check_apart, check_folder, check_outputs

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.mark.parametrize("path", ["new", "file", "link", "./folder/new", "folder/../new"])
def test_what_can_be_written_is_left_as_it_was(here, path):
    before = sorted(here.rglob("*"))
    check_outputs([("-o", path), ("--json", None)], [("--gdc", "folder/absent"), ("--params", None)])
    assert sorted(here.rglob("*")) == before and (here / "file").read_text() == "old"


@pytest.mark.parametrize("path, message", [
    ("", "-o: expected the name of a file to write, got an empty one"),
    (".", ".: -o is a folder, expected a file to write"),
    ("folder", "folder: -o is a folder, expected a file to write"),
    ("new/", "new/: -o is a folder, expected a file to write"),
    ("/dev/null", "/dev/null: -o is a device or a pipe, expected a file to write"),
    ("pipe", "pipe: -o is a device or a pipe, expected a file to write"),
    ("no/such/new", "no/such/new: -o cannot be written, its folder does not exist: make it first"),
    ("file/new", "file/new: -o cannot be written, file is a file, not a folder"),
])
def test_a_file_that_cannot_be_written(path, message):
    with pytest.raises(ValueError) as found:
        check_outputs([("-o", path)])
    assert str(found.value) == message


def test_a_name_that_is_too_long(here):
    path = "x" * 250  # `write_atomically` makes it a little longer
    with pytest.raises(ValueError) as found:
        check_outputs([("-o", path)])
    assert str(found.value) == f"{path}: -o cannot be written in {here}: File name too long"


@pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")
def test_a_folder_without_permission(here):
    (here / "folder").chmod(0o500)
    with pytest.raises(ValueError) as found:
        check_outputs([("-o", "folder/new")])
    assert str(found.value) == f"folder/new: -o cannot be written in {here}/folder: Permission denied"


def test_a_folder_that_takes_no_files(monkeypatch, here):
    def full(**_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    with pytest.raises(ValueError, match="^new: --output-dir cannot be written in .*: No space left on device$"):
        check_folder("--output-dir", "new")


@pytest.mark.parametrize("path", [None, "folder", "new", "new/in/new", "folder/new", "."])
def test_folders_that_can_be_made_are_not_made(here, path):
    before = sorted(here.rglob("*"))
    check_folder("--output-dir", path)
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("path, message", [
    ("", "--output-dir: expected the name of a folder, got an empty one"),
    ("file", "file: --output-dir is a file, expected a folder"),
    ("link", "link: --output-dir is a file, expected a folder"),
    ("file/in/it", "file/in/it: --output-dir cannot be made, {here}/file is a file"),
])
def test_a_folder_that_cannot_be_made(here, path, message):
    with pytest.raises(ValueError) as found:
        check_folder("--output-dir", path)
    assert str(found.value) == message.format(here=here)


@pytest.mark.parametrize("one, other", [("a", "a"), ("a", "sub/../a"), ("a", "link"), ("link", "a"), ("a", "hard"),
                                        ("absent", "sub/../absent"), ("dangling", "absent")])
def test_the_same_file_under_any_name(tmp_path, one, other):
    (tmp_path / "link").unlink()
    (tmp_path / "a").write_text("a")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "dangling").symlink_to("absent")
    os.link(tmp_path / "a", tmp_path / "hard")
    for outputs, inputs in (([("-o", tmp_path / one)], [("--gdc", tmp_path / other)]),
                            ([("--gdc", tmp_path / other), ("-o", tmp_path / one)], [])):
        with pytest.raises(ValueError, match=f"{one}: -o is the same file as --gdc: give another name"):
            check_apart(outputs, inputs)
        with pytest.raises(ValueError, match="is the same file as --gdc: give another name"):
            check_outputs(outputs, inputs)
