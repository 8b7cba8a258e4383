"""Where numba keeps compiled kernels, and when it must forget them.

`@njit(cache=True)` raises RuntimeError as soon as a module is imported where it finds no place to write (a package
installed by root, run by a service without a home). Compiling without a cache is the slower path that works.

numba compiles a kernel anew when its own file has changed, and not when a function or constant has that it takes from
another one: after an update in place, old and new halves of a decoder would run together.
"""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parent
STAMP = "kernels.sha256"


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


def forget_stale(package: Path = PACKAGE) -> int:
    """Remove the compiled kernels beside the package's sources if any source with kernels has changed since they were
    made; how many files went. Nothing is done where the folder cannot be written, or another one was asked for."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return 0
    stamp, now = package / "__pycache__" / STAMP, _digest(package)
    try:
        if stamp.exists() and stamp.read_text() == now:
            return 0
        stale = [path for folder in package.rglob("__pycache__") for path in folder.glob("*.nb[ic]")]
        for path in stale:
            path.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        fresh = stamp.with_name(f"{STAMP}.{os.getpid()}")
        fresh.write_text(now)
        fresh.replace(stamp)
    except OSError:
        return 0
    return len(stale)


def _digest(package: Path) -> str:
    # Of all sources that mention numba, in a fixed order.
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if b"numba" in (source := path.read_bytes()):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + source)
    return digest.hexdigest()


def _usual_places() -> list[Path]:
    # Those that numba tries: beside the sources, and the user's cache.
    if sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA", "~")
    elif sys.platform == "darwin":
        cache = "~/Library/Caches"
    else:
        cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return [PACKAGE / "coding" / "__pycache__", Path(os.path.expanduser(cache)) / "numba"]


def _is_writable(folder: Path) -> bool:
    # As numba finds out.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
