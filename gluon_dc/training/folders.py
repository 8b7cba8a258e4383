"""Folders that one process at a time works in, and files that must not be one and the same."""
import fcntl
import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder):
    """Keep other processes out of an output folder; ValueError where one is at work in it already."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ValueError(f"{folder}: another process is at work in it; wait for it, or give another "
                         "--output-dir") from None
    finally:
        os.close(descriptor)


def check_apart(outputs, inputs=()):
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
