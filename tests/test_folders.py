from pathlib import Path
from types import SimpleNamespace

import pytest

from gluon_dc.training.folders import locked, mnist_folder


def test_one_at_a_time(tmp_path):
    with locked(tmp_path):
        with pytest.raises(ValueError, match="another process is at work in it; wait for it, or give another --output"):
            with locked(tmp_path):
                pass
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("given, name, folder", [
    (None, "mnist", "runs/lenet"), (None, "digits", "runs/lenet-digits"), ("here", "mnist", "here")])
def test_the_folder_of_a_run(tmp_path, monkeypatch, given, name, folder):
    monkeypatch.chdir(tmp_path)
    assert mnist_folder(given, "lenet", SimpleNamespace(name=name)) == Path(folder)


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file: --output-dir is a file, expected a folder"):
        mnist_folder(tmp_path / "file", "lenet", SimpleNamespace(name="mnist"))
