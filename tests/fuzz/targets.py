"""The readers under test: each target takes any bytes, calls one reader, and checks what it accepts.

A check returns where the reader accepted and what came out is right, raises the target's documented error where it
refused, and Fault (or anything else) where it did what it must not do.
"""

import json
import os
import tempfile
from contextlib import contextmanager
from typing import Callable, NamedTuple

import numpy as np

from gluon_dc.coding import CompressedModel, FormatError, dumps, loads, wire
from gluon_dc.data import ImageError, read_idx
from gluon_dc.data.amat import read_amat
from gluon_dc.data.idx import GZIP_MAGIC, IdxError
from gluon_dc.data.recordio import RecordFile, read_record_list
from gluon_dc.models.net_format import read_net, write_net

from .coder_targets import check_bytes, check_chunked, check_context, check_gaps, check_huffman
from .faults import expect
from .graph_targets import check_choices, check_graph

# Small, so that a wrong allocation stands out, and so that kernels run in pure Python are done soon.
MAX_DECODED_NBYTES = 2**14
MAX_IDX_NBYTES = 2**14

# The network of the .net files: a convolution (8-bit codes), dense layers (4-bit codes), odd sizes.
NET_SHAPES = {"c.weight": (2, 1, 3, 3), "d.weight": (3, 7), "e.weight": (2, 20)}


class Target(NamedTuple):
    """A reader under test. refusal: the documented errors, and no others."""

    name: str
    check: Callable[[bytes], None]
    refusal: tuple[type[Exception], ...]
    about: str


@contextmanager
def sealing():
    """Within the block readers write the right checksums into the (mutable) bytes they read, in place of comparing.

    So mutated files get past their checksums, whatever the layout; after it the bytes are a file with right ones.
    """
    def seal(cursor, start, what):
        right = wire.checksum(cursor.data[start:cursor.position])
        cursor.take(wire.CHECKSUM_NBYTES, f"checksum of {what}")[:] = right

    compare, wire.Cursor.check = wire.Cursor.check, seal
    try:
        yield
    finally:
        wire.Cursor.check = compare


def sealed(data: bytes) -> bytes:
    """The .gdc file with every checksum that its reader gets to put right."""
    data = bytearray(data)
    with sealing():
        try:
            loads(data, MAX_DECODED_NBYTES)
        except FormatError:
            pass
    return bytes(data)


def check_loads(data: bytes) -> None:
    """loads and decode; what they accept comes out twice the same, and dumps gives the same content back."""
    data = bytearray(data)
    with sealing():
        model = loads(data, MAX_DECODED_NBYTES)
    arrays = model.decode()
    expect(sum(array.nbytes for array in arrays.values()) <= MAX_DECODED_NBYTES, "decodes to more than was allowed")
    _expect_same_model(loads(bytes(data), MAX_DECODED_NBYTES), model, arrays, "read once more")
    written = dumps(model)
    again = loads(written, MAX_DECODED_NBYTES)
    _expect_same_model(again, model, arrays, "written and read")
    expect(dumps(again) == written, "the bytes of equal models differ")
    parts = sum(sum(parts.values()) for parts in model.part_nbytes().values())
    expect(parts == len(written), f"parts of {parts} bytes, the file has {len(written)}")


def check_net(data: bytes) -> None:
    """read_net; what it accepts has the network's shapes, and write_net gives it back."""
    coded, biases = read_net(data, NET_SHAPES)
    expect({name: tensor.shape for name, tensor in coded.items()} == NET_SHAPES, "weights of other shapes")
    again, biases_again = read_net(write_net(coded, biases), NET_SHAPES)
    for name in NET_SHAPES:
        expect(again[name].decode().tobytes() == coded[name].decode().tobytes(), f"{name} changes when written")
        expect(biases_again[name].tobytes() == biases[name].tobytes(), f"bias of {name} changes when written")


def check_idx(data: bytes) -> None:
    """read_idx, plain or gzipped; what it accepts is within the limit, and of plain files holds every byte."""
    array = read_idx(data, MAX_IDX_NBYTES)
    expect(array.nbytes <= MAX_IDX_NBYTES, "more bytes than were allowed")
    if data[:2] != GZIP_MAGIC:
        big_endian = array.astype(array.dtype.newbyteorder(">")).tobytes()
        expect(big_endian == data[4 + 4 * array.ndim:], "elements are not the bytes of the file")


def check_amat(data: bytes) -> None:
    """read_amat; what it accepts are digits with their labels."""
    with _as_file(data) as path:
        images, labels = read_amat(path, max_rows=100)
    expect(images.shape == (labels.size, 1, 28, 28) and images.dtype == np.uint8, "images of another shape")
    expect(labels.size and labels.max() < 10, "labels outside 0..9")


def check_records(data: bytes) -> None:
    """RecordFile and read_record_list of a .rec; the records it lists lie in the file."""
    with _as_file(data) as path:
        records = RecordFile(path)
        try:
            offsets, labels, _, _ = read_record_list(records)
            for offset in offsets.tolist():
                expect(len(records.image_bytes(offset)) <= len(data), "an image larger than its file")
        finally:
            records._file.close()
    expect(offsets.size == labels.size, "as many labels as records")


@contextmanager
def _as_file(data: bytes):
    # The path of a file in memory: these readers take no bytes.
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as file:
        file.write(data)
        file.flush()
        yield file.name


def _expect_same_model(found: CompressedModel, model: CompressedModel, arrays: dict, how: str) -> None:
    expect(found.names == model.names, f"names differ when {how}")
    for name, array in found.decode().items():
        expect(_bits(array) == _bits(arrays[name]), f"{name!r} decodes to something else when {how}")
    # As text, in which 1 is not 1.0; the order of keys does not travel.
    expect(_texts(found) == _texts(model), f"texts differ when {how}")


def _texts(model: CompressedModel) -> tuple:
    return model.graph, json.dumps(model.metadata, sort_keys=True)


def _bits(array: np.ndarray) -> tuple:
    return array.dtype.str, array.shape, array.tobytes()


TARGETS = {target.name: target for target in (
    Target("loads", check_loads, (FormatError,), "the .gdc file, both versions, and its decoders; checksums put right"),
    Target("huffman", check_huffman, (FormatError,), "code length tables and Huffman streams, against the reference"),
    Target("chunked", check_chunked, (FormatError,), "Huffman streams in chunks, against the reference"),
    Target("context", check_context, (FormatError,), "streams of the context coder, both efforts"),
    Target("bytes", check_bytes, (FormatError,), "streams of the coder for numbers and text"),
    Target("gaps", check_gaps, (FormatError,), "relative index to positions, against the reference"),
    Target("net", check_net, (FormatError,), "the authors' .net files"),
    Target("idx", check_idx, (IdxError,), "IDX files, plain and gzipped"),
    Target("amat", check_amat, (ValueError,), "MNIST-basic's text files"),
    Target("records", check_records, (ImageError, ValueError), "RecordIO files"),
    Target("graph", check_graph, (ValueError,), "graphs, from their text to a run beside a plain reference"),
    Target("choices", check_choices, (FormatError,), "the cache of measured forms"),
)}
