"""Huffman coding in chunks that decode apart from one another, for large tensors: several threads, several streams.

The symbols are cut into chunks of CHUNK, the last one shorter, and each chunk into 4 runs of ceil(n / 4) symbols, the
last ones shorter or empty. Each run is a stream as `huffman` describes it, padded to a whole byte. First come the
streams' sizes in bytes, 4 for each chunk, as little-endian uint32, then the streams. Where the code has a single
symbol, or there are no symbols, there are no bytes at all: the count says everything.

That takes 18 bytes or so for a chunk, about one in 7,000. The 4 streams of a chunk are decoded in step.
"""

import numpy as np

from . import huffman
from .arrays import flat_input, symbol_input
from .errors import FormatError, located
from .prefix_code import check_lengths
from .symbol_runs import STREAMS, WORD, decode_fours, encode_runs, lookup_table, pair_table
from .threads import in_threads, thread_count

CHUNK = 2**18
_SIZE_NBYTES = 4
# Shares of the chunks for each thread: a thread that is held up leaves the others work to take over.
_SHARES_A_THREAD = 4


def encode_chunks(symbols, lengths) -> bytes:
    """Chunks of symbols uint8 (count,) under the code of these lengths (n,). ValueError for a symbol without a code."""
    symbols, lengths = symbol_input(symbols), check_lengths(lengths)
    chunks = -(-symbols.size // CHUNK)
    parts = _shares(chunks)
    counts = sum(in_threads(lambda part: huffman.count_symbols(symbols[_symbols_of(part)], lengths.size), parts))
    if chunks == 0:
        return b""
    huffman.check_coded(counts, lengths)
    if np.count_nonzero(lengths) <= 1:
        return b""
    pairs, bounds = pair_table(lengths), _symbol_bounds(symbols.size)
    encoded = in_threads(lambda part: _encode_part(symbols, bounds, pairs, int(lengths.max()), part), parts)
    sizes = np.concatenate([nbytes for nbytes, _ in encoded]).astype("<u4")
    return b"".join([sizes.data, *(stream.data for _, stream in encoded)])


def decode_chunks(stream, lengths, count: int) -> np.ndarray:
    """The `count` symbols, uint8 (count,), of what `encode_chunks` made with these lengths (n,).

    Raises FormatError when the lengths are no complete prefix code, the sizes do not fit the streams' symbols and the
    bytes that are there, or a stream is too short, too long, or ends in padding bits other than zero. Nothing is
    allocated for a count that the bytes cannot hold.
    """
    data, lengths = flat_input(np.frombuffer(stream, np.uint8), np.uint8), check_lengths(lengths)
    if np.count_nonzero(lengths) <= 1:
        return huffman.decode(data, lengths, count)
    bytes_at, symbols_at = _checked_bounds(data, lengths, count)
    symbols, table = np.empty(count, np.uint8), lookup_table(lengths)

    def decode_part(part):
        return decode_fours(data, bytes_at, table, lengths, symbols, symbols_at, *(STREAMS * chunk for chunk in part))
    damaged = [found for found in in_threads(decode_part, _shares(-(-count // CHUNK))) if found >= 0]
    if damaged:
        _raise_for(data, bytes_at, lengths, symbols_at, min(damaged))
    return symbols


def decode_chunks_reference(stream, lengths, count: int) -> np.ndarray:
    """`decode_chunks`, slow and readable; the same result or a FormatError wherever `decode_chunks` raises one."""
    lengths = check_lengths(lengths)
    if np.count_nonzero(lengths) <= 1:
        return huffman.decode_reference(stream, lengths, count)
    runs = []
    for begin in range(0, count, CHUNK):
        left = min(CHUNK, count - begin)
        quarter = -(-left // STREAMS)
        runs += [max(0, min(quarter, left - i * quarter)) for i in range(STREAMS)]
    position, symbols = _SIZE_NBYTES * len(runs), [np.zeros(0, np.uint8)]
    for run, n in enumerate(runs):
        size = int.from_bytes(stream[_SIZE_NBYTES * run:_SIZE_NBYTES * (run + 1)], "little")
        with located(_name(run)):
            symbols.append(huffman.decode_reference(stream[position:position + size], lengths, n))
        position += size
    if position != len(stream):
        raise FormatError(f"sizes and streams take {position} bytes, there are {len(stream)}")
    return np.concatenate(symbols)


def _encode_part(symbols, bounds, pairs, longest: int, part) -> tuple[np.ndarray, np.ndarray]:
    # Bytes of the streams of chunks part[0]..part[1] - 1, and the streams one after the other.
    bounds = bounds[STREAMS * part[0]:STREAMS * part[1] + 1]
    nbytes = np.empty(bounds.size - 1, np.int64)
    # Every stream may end in padding. What is not written to is never taken from the system.
    most = int(bounds[-1] - bounds[0]) * longest // 8 + nbytes.size + WORD
    stream = np.empty(most, np.uint8)
    encode_runs(symbols, bounds, pairs, stream, nbytes)
    return nbytes, stream[:nbytes.sum()]


def _checked_bounds(data: np.ndarray, lengths: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    # Where the streams and their symbols begin and end, uint64 (streams + 1,) each; FormatError for sizes that cannot
    # be. The first check bounds what is allocated for the count.
    shortest, longest = int(lengths[lengths > 0].min()), int(lengths.max())
    header_nbytes = _SIZE_NBYTES * STREAMS * -(-count // CHUNK)
    if header_nbytes + -(-count * shortest // 8) > data.size:
        raise FormatError(f"stream too short: {data.size} bytes for the sizes of {header_nbytes // _SIZE_NBYTES} "
                          f"streams and {count} symbols of at least {shortest} bits")
    sizes = data[:header_nbytes].view("<u4").astype(np.int64)
    if header_nbytes + int(sizes.sum()) != data.size:
        raise FormatError(f"sizes and streams take {header_nbytes + int(sizes.sum())} bytes, there are {data.size}")
    symbols_at = _symbol_bounds(count)
    runs = np.diff(symbols_at)
    bad = np.flatnonzero((sizes < -(-runs * shortest // 8)) | (sizes > -(-runs * longest // 8)))
    if bad.size:
        n = int(runs[bad[0]])
        raise FormatError(f"{_name(bad[0])} has {sizes[bad[0]]} bytes, its {n} symbols take "
                          f"{-(-n * shortest // 8)}..{-(-n * longest // 8)}")
    bytes_at = header_nbytes + np.concatenate([[0], np.cumsum(sizes)])
    return bytes_at.astype(np.uint64), symbols_at.astype(np.uint64)


def _symbol_bounds(count: int) -> np.ndarray:
    # int64 (streams + 1,): stream i holds the symbols bounds[i]..bounds[i + 1] - 1.
    begins = np.arange(0, count, CHUNK)
    left = np.minimum(count - begins, CHUNK)
    ends = begins[:, None] + np.minimum(-(-left // STREAMS)[:, None] * np.arange(1, STREAMS + 1), left[:, None])
    return np.concatenate([[0], ends.reshape(-1)])


def _shares(chunks: int) -> list[tuple[int, int]]:
    # Chunks dealt out in order: (first, end) of each share.
    bounds = np.linspace(0, chunks, min(chunks, _SHARES_A_THREAD * thread_count()) + 1).astype(int).tolist()
    return list(zip(bounds, bounds[1:]))


def _symbols_of(part) -> slice:
    return slice(part[0] * CHUNK, part[1] * CHUNK)


def _name(stream: int) -> str:
    return f"chunk {stream // STREAMS}, stream {stream % STREAMS}"


def _raise_for(data, bytes_at, lengths, symbols_at, stream: int) -> None:
    # The kernel knows only that this stream is at fault: `huffman.decode` says why.
    begin, end = int(bytes_at[stream]), int(bytes_at[stream + 1])
    with located(_name(stream)):
        huffman.decode(data[begin:end], lengths, int(symbols_at[stream + 1] - symbols_at[stream]))
    raise AssertionError(f"{_name(stream)} decodes alone, but not in step with its neighbours: please report it")
