"""Buffers that layers compute in, kept from one to the next: new ones for each call would cost small layers a third."""

import threading

import numpy as np

from .simd import aligned

# Larger ones are given back at once, where a thread keeps them.
_MOST_FLOATS = 2**22
_kept = threading.local()


class Scratch:
    """Buffers by name and number of a share, for layers that run one after another. most: floats of those that stay."""

    def __init__(self, most: float = float("inf")):
        self._most, self._buffers = most, {}

    def __call__(self, name: str, floats: int, share: int = 0) -> np.ndarray:
        """An uninitialised float32 array of at least so many floats, 64-byte aligned.

        It is the caller's until somebody asks for the same name and share again.
        """
        buffer = self._buffers.get((name, share))
        if buffer is None or buffer.size < floats:
            if floats > self._most:
                return aligned(floats)
            # Powers of two: those made before, for smaller layers, are fewer bytes than the largest.
            buffer = self._buffers[name, share] = aligned(1 << max(0, floats - 1).bit_length())
        return buffer


def own_scratch() -> Scratch:
    """The Scratch of this thread."""
    if not hasattr(_kept, "scratch"):
        _kept.scratch = Scratch(_MOST_FLOATS)
    return _kept.scratch
