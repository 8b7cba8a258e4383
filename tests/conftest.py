"""Shared by all tests: one thread, and the real MNIST where it is on this machine."""

import gc
import os
import tempfile

# What layers are measured to be fastest in is kept for this run alone; the user's own cache is neither read nor written.
_CHOICES = tempfile.TemporaryDirectory(prefix="gluon-dc-choices-")
os.environ["GLUON_DC_CACHE"] = _CHOICES.name

# MXNet reads it once, at import, so it stands before any import that could bring MXNet in.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

from gluon_dc.data import find_mnist

# The same examples in every run, so that a gate that passed passes again; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("fixed", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def pytest_collection_finish(session):
    """What was imported stays until the end: the garbage collector need not go over it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def whole_page(tmp_path_factory):
    """A report.html of everything there is (test_page.everything): made once, as its figures take seconds."""
    return _page(tmp_path_factory, "everything")


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory):
    """Likewise, of files with markup in all their names (test_page.hostile)."""
    return _page(tmp_path_factory, "hostile")


def _page(tmp_path_factory, inputs):
    import test_page
    folder = tmp_path_factory.mktemp(inputs)
    test_page.written(folder / "out", getattr(test_page, inputs)(folder))
    return folder / "out" / "report.html"


@pytest.fixture(scope="session")
def mnist_dir():
    """The folder with MNIST's four files that GLUON_DC_DATA leads to; skips the test where there is none."""
    named = os.environ.get("GLUON_DC_DATA")
    if not named:
        pytest.skip("GLUON_DC_DATA is not set: the real MNIST is not at hand")
    folder = find_mnist(named)
    if folder is None:
        pytest.skip(f"GLUON_DC_DATA={named} holds no MNIST files")
    return folder
