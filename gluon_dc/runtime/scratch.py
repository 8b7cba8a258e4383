"""Buffers that layers compute in, kept from one to the next: new ones for each call would cost small layers a third."""

import threading

import numpy as np

from .simd import aligned

# Larger ones are given back at once, where a thread keeps them.
_MOST_FLOATS = 2**22
_kept = threading.local()


class Scratch:
    """Buffers by name and number of a share, for layers that run one after another.

    most: floats of those that stay. limit: bytes of all that were made, of those too that larger ones have taken the
    place of, as layers bound before still use them.
    """

    def __init__(self, most: float = float("inf"), limit: float = float("inf")):
        self._most, self._limit, self._buffers, self.nbytes = most, limit, {}, 0

    def __call__(self, name: str, floats: int, share: int = 0) -> np.ndarray:
        """An uninitialised float32 array of at least so many floats, 64-byte aligned.

        It is the caller's until somebody asks for the same name and share again. ValueError where it goes beyond the
        limit; nothing is allocated then.
        """
        buffer = self._buffers.get((name, share))
        if buffer is None or buffer.size < floats:
            if floats > self._most:
                return aligned(floats)
            # Powers of two: those made before, for smaller layers, are fewer bytes than the largest.
            size = 1 << max(0, floats - 1).bit_length()
            self._count(4 * size)
            buffer = self._buffers[name, share] = aligned(size)
        return buffer

    def _count(self, nbytes):
        if self.nbytes + nbytes > self._limit:
            raise ValueError(f"layers work in buffers of {self.nbytes + nbytes:,} bytes, beside the activations there "
                             f"is room for {self._limit:,}: run fewer inputs at a time, or raise max_nbytes")
        self.nbytes += nbytes


def own_scratch() -> Scratch:
    """The Scratch of this thread."""
    if not hasattr(_kept, "scratch"):
        _kept.scratch = Scratch(_MOST_FLOATS)
    return _kept.scratch
