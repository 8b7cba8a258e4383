"""Folders that one process at a time works in, and files that must not be one and the same."""
import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

from ..report.outputs import check_folder


def mnist_folder(given, name, dataset):
    """The Path of a run's folder: the one that was given, else runs/NAME, with the data's name where it is not MNIST.

    ValueError where it cannot be written.
    """
    folder = given or Path("runs") / (name if dataset.name == "mnist" else f"{name}-{dataset.name}")
    check_folder("--output-dir", folder)
    return Path(folder)


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
