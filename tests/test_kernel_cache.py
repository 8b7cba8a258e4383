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


class TestStaleKernels:
    @pytest.fixture
    def package(self, tmp_path, monkeypatch):
        """A package of two modules with kernels and one without, and compiled kernels of the first."""
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
        package = tmp_path / "package"
        (package / "coding" / "__pycache__").mkdir(parents=True)
        (package / "coding" / "kernel.py").write_text("from numba import njit")
        (package / "coding" / "helper.py").write_text("from numba import njit\nRATE = 1")
        (package / "coding" / "plain.py").write_text("pass")
        kernel_cache.forget_stale(package)
        for suffix in ("nbi", "1.nbc"):
            (package / "coding" / "__pycache__" / f"kernel.run-1.py311.{suffix}").touch()
        (package / "coding" / "__pycache__" / "kernel.cpython-311.pyc").touch()
        return package

    def test_nothing_has_changed(self, package):
        assert kernel_cache.forget_stale(package) == 0
        assert len(list((package / "coding" / "__pycache__").iterdir())) == 3

    def test_a_helper_has_changed(self, package):
        (package / "coding" / "helper.py").write_text("from numba import njit\nRATE = 2")
        assert kernel_cache.forget_stale(package) == 2
        assert [path.name for path in (package / "coding" / "__pycache__").iterdir()] == ["kernel.cpython-311.pyc"]
        assert kernel_cache.forget_stale(package) == 0

    def test_what_has_no_kernels_does_not_matter(self, package):
        (package / "coding" / "plain.py").write_text("changed")
        assert kernel_cache.forget_stale(package) == 0

    def test_a_folder_that_was_asked_for_is_left(self, package, monkeypatch):
        monkeypatch.setenv("NUMBA_CACHE_DIR", "/asked/for")
        (package / "coding" / "helper.py").unlink()
        assert kernel_cache.forget_stale(package) == 0

    def test_where_nothing_can_be_written(self, package):
        shutil.rmtree(package / "__pycache__")
        (package / "__pycache__").touch()
        assert kernel_cache.forget_stale(package) == 0


def test_a_helper_of_a_kernel_that_changes_counts_at_once(tmp_path):
    package = tmp_path / "gluon_dc"
    package.mkdir()
    shutil.copy(ROOT / "gluon_dc" / "kernel_cache.py", package)
    (package / "__init__.py").write_text("from . import kernel_cache\nkernel_cache.forget_stale()\n")
    (package / "helper.py").write_text("from numba import njit\n@njit\ndef rate():\n    return 1\n")
    (package / "kernel.py").write_text("from numba import njit\nfrom .helper import rate\n"
                                       "@njit(cache=True)\ndef run():\n    return rate()\n")

    def run():
        environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        code = "from gluon_dc.kernel import run; print(run())"
        return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                              env=environment).stdout.strip()

    assert run() == "1"
    (package / "helper.py").write_text((package / "helper.py").read_text().replace("return 1", "return 22"))
    assert run() == "22"
