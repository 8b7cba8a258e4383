"""One number for all the weights of a net, to compare them between processes and machines."""

import hashlib

import numpy as np


def weights_digest(arrays) -> str:
    """SHA-256 over names, dtypes, shapes and little-endian bytes of {name: array}, in their order, as 64 hex digits."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
