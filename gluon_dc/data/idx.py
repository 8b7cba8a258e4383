"""Reader of IDX files, the format of MNIST, plain or gzipped.

An IDX file is: two zero bytes, one byte for the element type, one for the number of dimensions,
each dimension as a big-endian uint32, then the elements, big-endian, last dimension fastest
(Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits").
"""

import math
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WBITS = 31
MAX_DIMENSIONS = 8
MAX_NBYTES = 2**30


class IdxError(ValueError):
    """A file is not the IDX file it should be; the message says which file, what is wrong and what to do."""


def read_idx(source, max_nbytes=MAX_NBYTES):
    """Read an IDX file into an array of the shape and element type that it declares.

    source: a path, or the file's bytes; gzip is recognised by its first two bytes, not by the name.
    max_nbytes: the most decompressed bytes to accept, header included.
    Returns a read-only array in native byte order.
    Raises IdxError when the file is damaged, truncated, too long, or no IDX file; OSError when it cannot be read.
    """
    where = "<bytes>" if isinstance(source, (bytes, bytearray, memoryview)) else os.fspath(source)
    return parse_idx(read_bytes(source, max_nbytes), where)


def read_bytes(source, max_nbytes=MAX_NBYTES):
    """Return the decompressed bytes of a path or of bytes, at most max_nbytes; IdxError if damaged or longer."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        where, data = "<bytes>", bytes(source)
    else:
        where = os.fspath(source)
        # Room for what gzip adds to bytes that it cannot shrink.
        limit_nbytes = max_nbytes + max_nbytes // 1024 + 1024
        with Path(source).open("rb") as file:
            data = file.read(limit_nbytes)
    if data[:2] == GZIP_MAGIC:
        data = _gunzip(data, max_nbytes, where)
    if len(data) > max_nbytes:
        raise IdxError(f"{where}: more than {max_nbytes:,} bytes: raise max_nbytes if the file is really that large")
    return data


def parse_idx(data, where="<bytes>"):
    """Return the read-only array that decompressed IDX bytes hold; IdxError names `where`."""
    shape, dtype, start = _parse_header(data, where)
    expected_nbytes = math.prod(shape) * dtype.itemsize
    found_nbytes = len(data) - start
    if found_nbytes != expected_nbytes:
        state = "is truncated" if found_nbytes < expected_nbytes else "has bytes left over"
        raise IdxError(
            f"{where}: {state}: shape {shape} of {dtype.name} needs {expected_nbytes:,} bytes after the header, "
            f"found {found_nbytes:,}: fetch the file again"
        )
    array = np.frombuffer(data, dtype, offset=start) if expected_nbytes else np.empty(0, dtype)
    array = array.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


def _parse_header(data, where):
    """Return (shape, dtype, offset of the first element)."""
    if len(data) < 4:
        raise IdxError(
            f"{where}: is truncated: an IDX file starts with 4 bytes, found {len(data)}: fetch the file again"
        )
    zeros, code, n_dimensions = struct.unpack_from(">HBB", data)
    if zeros != 0 or code not in DTYPES:
        raise IdxError(
            f"{where}: not an IDX file: starts with 0x{data[:4].hex()}, expected 0x0000TTDD with a known "
            "element type TT (0x00000803 for images, 0x00000801 for labels): check that this is the right file"
        )
    start = 4 + 4 * n_dimensions
    if n_dimensions > MAX_DIMENSIONS or len(data) < start:
        raise IdxError(
            f"{where}: the header declares {n_dimensions} dimensions (at most {MAX_DIMENSIONS} are read) and so needs "
            f"{start} bytes, found {len(data)}: fetch the file again"
        )
    shape, dtype = struct.unpack_from(f">{n_dimensions}I", data, 4), np.dtype(DTYPES[code])
    # An empty file may declare any other dimension, and NumPy counts strides over them all.
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > sys.maxsize:
        raise IdxError(f"{where}: impossible shape {shape} of {dtype.name}: fetch the file again")
    return shape, dtype, start


def _gunzip(data, max_nbytes, where):
    stream = zlib.decompressobj(GZIP_WBITS)
    try:
        plain = stream.decompress(data, max_nbytes + 1)
    except zlib.error as error:
        raise IdxError(f"{where}: damaged gzip data ({error}): delete the file and fetch it again") from None
    if len(plain) > max_nbytes:
        raise IdxError(
            f"{where}: decompresses to more than {max_nbytes:,} bytes: "
            "raise max_nbytes if the file is really that large"
        )
    if not stream.eof:
        raise IdxError(
            f"{where}: gzip data ends early, after {len(data):,} bytes ({len(plain):,} decompressed): "
            "delete the file and fetch it again"
        )
    if stream.unused_data:
        raise IdxError(
            f"{where}: {len(stream.unused_data):,} bytes left over after the gzip data: "
            "delete the file and fetch it again"
        )
    return plain
