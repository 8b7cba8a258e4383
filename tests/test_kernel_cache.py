import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_dc import kernel_cache

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """None of numba's places can be written: files stand where the folders would be."""
    (tmp_path / "file").touch()
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(kernel_cache, "_usual_places", lambda: [tmp_path / "file", tmp_path / "file" / "numba"])
    monkeypatch.setattr(kernel_cache.atexit, "register", lambda *args, **named: None)
    monkeypatch.setattr(sys.modules["numba"].config, "CACHE_DIR", "") if "numba" in sys.modules else None
    return tmp_path


def test_where_numba_has_a_place_nothing_is_done(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(kernel_cache, "_usual_places", lambda: [tmp_path / "new" / "numba"])
    assert kernel_cache.ensure_place() is None and "NUMBA_CACHE_DIR" not in os.environ


def test_a_folder_that_was_asked_for_is_left(nowhere, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/asked/for")
    assert kernel_cache.ensure_place() is None


def test_a_folder_of_its_own(nowhere):
    path = kernel_cache.ensure_place()
    assert os.environ.pop("NUMBA_CACHE_DIR") == path and Path(path).is_dir()
    assert sys.platform == "win32" or Path(path).stat().st_mode & 0o077 == 0
    shutil.rmtree(path)


def test_where_no_folder_can_be_made(nowhere, monkeypatch):
    monkeypatch.setattr(kernel_cache.tempfile, "mkdtemp", lambda **_: (_ for _ in ()).throw(OSError("full")))
    assert kernel_cache.ensure_place() is None


def test_the_usual_places():
    package, cache = kernel_cache._usual_places()
    assert package == ROOT / "gluon_dc" / "coding" / "__pycache__" and cache.name == "numba" and cache.is_absolute()


def test_the_package_is_imported_where_nothing_can_be_written(tmp_path):
    shutil.copytree(ROOT / "gluon_dc", tmp_path / "gluon_dc", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (tmp_path / "gluon_dc").rglob("*/"):
        (folder / "__pycache__").touch()  # a file: no such folder can be made, not even by root
    code = "import os, gluon_dc.coding, gluon_dc.runtime.sliced; print(os.environ['NUMBA_CACHE_DIR'])"
    home = str(tmp_path / "gluon_dc" / "__init__.py")
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    result = subprocess.run([sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True,
                            env={**environment, "HOME": home, "XDG_CACHE_HOME": home})
    assert result.returncode == 0, result.stderr
    assert not Path(result.stdout.strip()).exists()  # removed at exit
