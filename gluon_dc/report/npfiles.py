"""NumPy's files read with one kind of error: no pickle, and a ValueError that names the file for all damage."""

import numpy as np

_NPY, _ZIP = b"\x93NUMPY", b"PK"  # what such files begin with

def read_npy(path) -> np.ndarray:
    """Return the array of a .npy file. Raises OSError where it cannot be read, ValueError for any other content."""
    array = _read(path, lambda file: np.load(file, allow_pickle=False), ".npy of a plain array")
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected a .npy of a plain array, found an .npz: give one of its arrays")
    return array


def read_npz(path) -> dict[str, np.ndarray]:
    """Return {name: array} of an .npz file. Raises OSError where it cannot be read, ValueError for other content."""

    def read(file):
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    return _read(path, read, ".npz of plain arrays")


def _read(path, read, what):
    with open(path, "rb") as file:
        begin = file.read(len(_NPY))
        if not begin.startswith((_NPY, _ZIP)):
            raise ValueError(f"{path}: expected a {what}, it begins with {begin!r}")
        file.seek(0)
        try:
            return read(file)
        # A damaged file leads NumPy, zipfile and zlib to many kinds of error; all of them mean this one thing.
        except Exception as error:
            raise ValueError(f"{path}: expected a {what}: {type(error).__name__}: {error}") from None
