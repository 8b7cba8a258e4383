"""IDX files made on the spot: the writer that tests hold the reader against."""

import gzip
import struct

import numpy as np

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
N_TRAIN, N_TEST = 5_003, 4


def idx_bytes(array):
    """The IDX file of an array."""
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def small_mnist():
    """MNIST's four files with few images, stem -> bytes; image i is filled with i % 251, its label is i % 10."""
    files = {}
    for prefix, count in (("train", N_TRAIN), ("t10k", N_TEST)):
        order = np.arange(count)
        images = np.broadcast_to((order % 251).astype(np.uint8)[:, None, None], (count, 28, 28))
        files[f"{prefix}-images-idx3-ubyte"] = idx_bytes(images)
        files[f"{prefix}-labels-idx1-ubyte"] = idx_bytes((order % 10).astype(np.uint8))
    return files


FILES = small_mnist()
PACKED = {stem: gzip.compress(data, 1, mtime=0) for stem, data in FILES.items()}


def write_small_mnist(folder, changed=None, packed=True):
    """Write the small files and return folder; changed: stem -> other bytes, or None to leave that file out."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, data in {**(PACKED if packed else FILES), **(changed or {})}.items():
        if data is not None:
            (folder / (stem + ".gz" * packed)).write_bytes(data)
    return folder
