"""Where numba keeps compiled kernels when neither the package's folder nor the user's cache can be written.

`@njit(cache=True)` raises RuntimeError as soon as a module is imported where it finds no place to write (a package
installed by root, run by a service without a home). Compiling without a cache is the slower path that works.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path


def ensure_place() -> str | None:
    """Give numba a temporary folder of this process's own where it would find none; its path, None where not needed.

    A shared folder would be no safer place: cached kernels are loaded as code. Nothing is done where no folder can be
    made at all; numba then says so itself.
    """
    if os.environ.get("NUMBA_CACHE_DIR") or any(map(_is_writable, _usual_places())):
        return None
    try:
        path = tempfile.mkdtemp(prefix="gluon-dc-numba-")
    except OSError:
        return None
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = path  # for child processes too
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = path
    return path


def _usual_places() -> list[Path]:
    # Those that numba tries: beside the sources, and the user's cache.
    package = Path(__file__).parent
    if sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA", "~")
    elif sys.platform == "darwin":
        cache = "~/Library/Caches"
    else:
        cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return [package / "coding" / "__pycache__", Path(os.path.expanduser(cache)) / "numba"]


def _is_writable(folder: Path) -> bool:
    # As numba finds out.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
