"""Buffers that a thread keeps from one layer to the next: new ones for each call would cost small layers a third."""

import threading

import numpy as np

from .simd import aligned

# Larger ones are given back at once.
_MOST_FLOATS = 2**22
_kept = threading.local()


def scratch(name: str, floats: int) -> np.ndarray:
    """An uninitialised float32 array of at least so many floats, 64-byte aligned, this thread's own.

    It is the caller's until the same thread asks for the same name again.
    """
    buffers = _kept.__dict__
    buffer = buffers.get(name)
    if buffer is None or buffer.size < floats:
        buffer = aligned(floats)
        if floats <= _MOST_FLOATS:
            buffers[name] = buffer
    return buffer
