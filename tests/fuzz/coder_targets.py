"""The coders under test: a few bytes of parameters, then a stream. See targets.py for what a check does."""

import zlib
from contextlib import contextmanager

import numpy as np
from numba import config

from gluon_dc.coding import CodedTensor, FormatError, byte_coder, chunked, context, decode_gaps, huffman, relative

from .faults import expect
from .pure import install

MAX_SYMBOLS = 2**12
MAX_TENSORS = 4
SPEC_NBYTES = 4
MAX_EXTENT = 14
SHORT_CHUNK = 2**8

install()


def check_huffman(data: bytes) -> None:
    """huffman.read_lengths and decode, against the slow reference; what they accept encodes to the same bytes.

    Layout: number of symbols - 1 (byte), count (2 bytes), code length table, stream.
    """
    _check_huffman(data, huffman.encode, huffman.decode, huffman.decode_reference)


def check_chunked(data: bytes) -> None:
    """chunked.decode_chunks likewise, with short chunks, so that a small stream has several of them."""
    with short_chunks():
        _check_huffman(data, chunked.encode_chunks, chunked.decode_chunks, chunked.decode_chunks_reference)


@contextmanager
def short_chunks():
    """Within the block chunks have SHORT_CHUNK symbols."""
    as_shipped, chunked.CHUNK = chunked.CHUNK, SHORT_CHUNK
    try:
        yield
    finally:
        chunked.CHUNK = as_shipped


def _check_huffman(data, encode, decode, reference) -> None:
    n_symbols, count, rest = _head(data)
    lengths, nbytes = huffman.read_lengths(rest, n_symbols)
    expect(huffman.pack_lengths(lengths) == bytes(rest[:nbytes]), "another table says the same")
    stream = rest[nbytes:]
    symbols, expected = (_outcome(function, stream, lengths, count) for function in (decode, reference))
    expect((symbols is None) == (expected is None), "the decoder and its reference do not both refuse")
    if symbols is None:
        raise FormatError("refused by both")
    expect(symbols.size == count and np.array_equal(symbols, expected), "the decoder and its reference differ")
    expect(encode(symbols, lengths) == bytes(stream), "another stream holds the same symbols")


def check_gaps(data: bytes) -> None:
    """relative.decode_gaps against the slow reference. Layout: unused, size (2 bytes), codes and gaps in turn."""
    _, size, rest = _head(data)
    pairs = np.frombuffer(rest[:len(rest) // 2 * 2], np.uint8).reshape(-1, 2)
    codes, gaps = pairs[:, 0].copy(), pairs[:, 1].copy()
    found, expected = (_outcome(decode, codes, gaps, size) for decode in (decode_gaps, relative.decode_gaps_reference))
    expect((found is None) == (expected is None), "one of decode_gaps and decode_gaps_reference refuses")
    if found is None:
        raise FormatError("refused by both")
    expect(np.array_equal(found, expected), "decode_gaps and decode_gaps_reference differ")


def check_context(data: bytes) -> None:
    """context.decode_codes; what it accepts are codes of the codebooks that encode and decode to themselves.

    Layout: number of tensors - 1 (bits 0, 1) and effort (bit 7), SPEC_NBYTES for each tensor, stream.
    """
    effort, specs, stream = context_parameters(data)
    found = context.decode_codes(stream, specs, effort)
    expect(len(found) == len(specs), "another number of tensors")
    for codes, (shape, codebook) in zip(found, specs):
        expect(codes.shape == shape and codes.dtype == np.uint8, "codes of another shape or type")
        expect(codes.size == 0 or codes.max() < codebook.size, "a code that the codebook does not have")
    if config.DISABLE_JIT and zlib.crc32(data) % 8:
        return  # a second in Python: only for some, so that more inputs get their turn
    _expect_same_codes(context.decode_codes(stream, specs, effort), found, "decoded twice")
    tensors = [CodedTensor(codebook, codes) for codes, (_, codebook) in zip(found, specs)]
    again = context.encode_codes(tensors, effort)
    _expect_same_codes(context.decode_codes(again, specs, effort), found, "encoded and decoded")


def check_bytes(data: bytes) -> None:
    """byte_coder.decode_bytes. Layout: width (bits 0, 1: its power of 2), bytes (2 bytes), stream."""
    width, nbytes, stream = 2 ** (data[0] & 3 if data else 0), *_head(data)[1:]
    nbytes -= nbytes % width
    found = byte_coder.decode_bytes(stream, nbytes, width)
    expect(type(found) is bytes and len(found) == nbytes, "another number of bytes")
    expect(byte_coder.decode_bytes(stream, nbytes, width) == found, "differs when decoded twice")
    expect(byte_coder.decode_bytes(byte_coder.encode_bytes(found, width), nbytes, width) == found,
           "differs when encoded and decoded")


def context_parameters(data: bytes):
    """(effort, [(shape, codebook)], stream) of an input of the context target. FormatError where it is too short."""
    n_tensors = (data[0] & 3) + 1 if data else 1
    start = 1 + SPEC_NBYTES * n_tensors
    if len(data) < start:
        raise FormatError("too short to say anything")
    specs = [_context_spec(data[begin:begin + SPEC_NBYTES]) for begin in range(1, start, SPEC_NBYTES)]
    return context.EFFORTS[data[0] >> 7], specs, bytes(data[start:])


def _context_spec(spec: bytes):
    # Rows, columns, entries of the codebook - 1, and: rank (bits 0, 1), equal values (bit 2), negative ones (the rest).
    rows, columns, kind = spec[0] % MAX_EXTENT, spec[1] % MAX_EXTENT, spec[3]
    shape = ((rows, columns), (rows * columns,), (rows, columns % 6, 2, 3), (rows, 1, columns))[kind & 3]
    values = np.arange(spec[2] + 1) * 7 % 257 - (kind >> 3) * 4
    if kind & 4:
        values = values // 3
    codebook = values.astype(np.float32) / 8
    codebook[0] = 0
    return shape, codebook


def _expect_same_codes(found, expected, how: str) -> None:
    expect(all(np.array_equal(one, other) for one, other in zip(found, expected)), f"codes differ when {how}")


def _head(data: bytes) -> tuple[int, int, memoryview]:
    # Parameters in front of a stream: a byte + 1, a number of 2 bytes below MAX_SYMBOLS, the rest.
    if len(data) < 3:
        raise FormatError("too short to say anything")
    return data[0] + 1, int.from_bytes(data[1:3], "little") % MAX_SYMBOLS, memoryview(data)[3:]


def _outcome(function, *arguments):
    # What it returns, or None where it refuses.
    try:
        return function(*arguments)
    except FormatError:
        return None
