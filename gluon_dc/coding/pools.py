"""Pools: the small arrays of a version 2 file, of one kind and width together, so that one stream learns of all."""

import numpy as np

from .byte_coder import decode_bytes, encode_bytes
from .errors import FormatError
from .squeezed import MAX_BYTE_CODED_NBYTES
from .work import WorkLimit, byte_units

# What is in a pool, and how many bytes its values take. In the file's order.
POOLS = (("codebook", 4), ("codebook", 2), ("arrays", 8), ("arrays", 4), ("arrays", 2), ("arrays", 1))


class PoolWriter:
    """Collects values; `sections` gives the bytes of each pool that has some.

    work: what decoding the file may cost, its sections included; a pool that would cost more is not coded.
    """

    def __init__(self):
        self.work = WorkLimit()
        self._values = {key: [] for key in POOLS}

    def add(self, part: str, values: np.ndarray, owner: str) -> None:
        """Put values (n,) into the pool of `part` and their width; they belong to the tensor `owner`."""
        if values.size:
            self._values[part, values.itemsize].append((owner, values.tobytes()))

    def sections(self, is_coded: bool) -> list[tuple[bool, bytes, str, list[tuple[str, int]]]]:
        """For each pool with values: whether it is byte-coded, its bytes, its part, and (owner, plain bytes) of each.

        is_coded: whether the byte coder may be used, where that is smaller.
        """
        sections = []
        for (part, width), values in self._values.items():
            data = b"".join(content for _, content in values)
            if data:
                units = byte_units(len(data), width)
                coded = byte_coded(data, width) if is_coded and units <= self.work.left else data
                if len(coded) < len(data):
                    self.work.spend(units, "a pool")
                sections.append((len(coded) < len(data), min(data, coded, key=len), part,
                                 [(owner, len(content)) for owner, content in values]))
        return sections


def byte_coded(data: bytes, width: int) -> bytes:
    """The byte coder's stream, or `data` itself where it is too long for that."""
    return encode_bytes(data, width) if len(data) <= MAX_BYTE_CODED_NBYTES else data


def decode_byte_coded(stream, nbytes: int, width: int, work: WorkLimit) -> bytes:
    """The `nbytes` bytes of a stream of the byte coder. FormatError for more than the coder is used for, or more work
    than is left."""
    if nbytes > MAX_BYTE_CODED_NBYTES:
        raise FormatError(f"{nbytes} byte-coded bytes, expected at most {MAX_BYTE_CODED_NBYTES}")
    work.spend(byte_units(nbytes, width), f"{nbytes} byte-coded bytes")
    return decode_bytes(stream, nbytes, width)


class PoolReader:
    """Counts first what the records ask for, then hands out the values in the same order.

    work: what decoding the file may cost, its sections included; that of an empty file unless told.
    """

    def __init__(self, work: WorkLimit | None = None):
        self.work = work or WorkLimit()
        self._nbytes = dict.fromkeys(POOLS, 0)
        self._data = {}
        self._taken = dict.fromkeys(POOLS, 0)

    def ask(self, part: str, count: int, width: int) -> None:
        """A record has `count` values of `width` bytes in the pool of `part`."""
        self._nbytes[part, width] += count * width

    def used(self) -> list[tuple[tuple[str, int], int]]:
        """((part, width), plain bytes) of each pool that was asked for values."""
        return [(key, nbytes) for key, nbytes in self._nbytes.items() if nbytes]

    def fill(self, key: tuple[str, int], stored, is_coded: bool) -> None:
        """The bytes of a pool, as stored. FormatError where they are not as many as were asked for."""
        nbytes = self._nbytes[key]
        self._data[key] = memoryview(decode_byte_coded(stored, nbytes, key[1], self.work) if is_coded else stored)
        if len(self._data[key]) != nbytes:
            raise FormatError(f"pool of {len(self._data[key])} bytes, its values take {nbytes}")

    def take(self, part: str, count: int, dtype: np.dtype) -> np.ndarray:
        """The next `count` values of a dtype; they were asked for."""
        key, nbytes = (part, dtype.itemsize), count * dtype.itemsize
        if not nbytes:
            return np.zeros(0, dtype)
        first = self._taken[key]
        self._taken[key] += nbytes
        return np.frombuffer(self._data[key][first:first + nbytes], dtype)
