"""Files and folders that a command is to write: looked at before the work, not after it."""

import os
import stat
import tempfile
from pathlib import Path


def check_outputs(outputs, inputs=()) -> None:
    """Raise ValueError where a file could not be written, is another one to write as well, or one to read.

    outputs, inputs: pairs (what it is, path), path None for none; for each output an empty file with another name is
    made in its folder and removed again, as `write_atomically` will make it.
    """
    for what, path in outputs:
        if path is not None:
            _check_file(what, os.fspath(path))
    check_apart(outputs, inputs)


def check_folder(what: str, path) -> None:
    """Raise ValueError where a folder could be neither made nor written to; path None is no folder. Nothing is made."""
    if path is None:
        return
    path = os.fspath(path)
    if not path:
        raise ValueError(f"{what}: expected the name of a folder, got an empty one")
    if os.path.lexists(path) and not os.path.isdir(path):
        raise ValueError(f"{path}: {what} is a file, expected a folder")
    there = next(parent for parent in (Path(path).absolute(), *Path(path).absolute().parents)
                 if os.path.lexists(parent))
    if not there.is_dir():
        raise ValueError(f"{path}: {what} cannot be made, {there} is a file")
    _try(what, path, there, "gluon-dc-")


def check_apart(outputs, inputs=()) -> None:
    """Raise ValueError where a file to write is also another one to write, or one to read.

    outputs, inputs: pairs (what it is, path), path None for none; links are followed, and nothing need exist.
    """
    seen = [(what, path) for what, path in inputs if path is not None]
    for what, path in outputs:
        if path is None:
            continue
        other = next((known for known, found in seen if _is_same(path, found)), None)
        if other:
            raise ValueError(f"{path}: {what} is the same file as {other}: give another name")
        seen.append((what, path))


def _is_same(one, other):
    one, other = Path(one), Path(other)
    # Hard links and file systems that ignore case have one file under two names.
    return one.resolve() == other.resolve() or one.exists() and other.exists() and one.samefile(other)


def _check_file(what, path):
    if not path:
        raise ValueError(f"{what}: expected the name of a file to write, got an empty one")
    if os.path.isdir(path) or path.endswith(("/", os.sep)):
        raise ValueError(f"{path}: {what} is a folder, expected a file to write")
    # A complete file takes the place of what is there: of /dev/null, too, for those who may.
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{path}: {what} is a device or a pipe, expected a file to write")
    folder = Path(path).absolute().parent
    if not folder.exists():
        raise ValueError(f"{path}: {what} cannot be written, its folder does not exist: make it first")
    if not folder.is_dir():
        raise ValueError(f"{path}: {what} cannot be written, {os.path.dirname(path)} is a file, not a folder")
    _try(what, path, folder, os.path.basename(path) + ".")


def _try(what, path, folder, prefix):
    try:
        with tempfile.NamedTemporaryFile(prefix=prefix, dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{path}: {what} cannot be written in {folder}: {error.strerror or error}") from None
