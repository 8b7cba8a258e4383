"""Canonical, length-limited Huffman coding of byte symbols (paper section 4).

A stream holds the codewords of its symbols one after the other, highest bit first, and ends with zero bits up to a
whole byte. Where the code has a single symbol the stream is empty: the count says everything. `prefix_code` says how
lengths make a code.
"""

import numpy as np

from .arrays import flat_input, symbol_input
from .errors import FormatError
from .prefix_code import (MAX_CODE_LENGTH, MAX_SYMBOLS, check_lengths, checked_counts, code_lengths, codewords,
                          flat_lengths, pack_lengths, read_lengths, unpack_lengths)
from .symbol_runs import COUNT_ROWS, WORD, add_counts, decode_run, encode_runs, lookup_table, pair_table

__all__ = ["MAX_CODE_LENGTH", "MAX_SYMBOLS", "check_lengths", "code_lengths", "codewords", "count_symbols", "decode",
           "decode_reference", "encode", "encoded_bits", "entropy_bits", "flat_lengths", "pack_lengths",
           "read_lengths", "unpack_lengths"]


def count_symbols(symbols, n_symbols: int) -> np.ndarray:
    """Histogram int64 (n_symbols,) of symbols uint8 (n,). ValueError for a symbol outside the alphabet."""
    rows = np.zeros((COUNT_ROWS, MAX_SYMBOLS), np.int64)
    add_counts(symbol_input(symbols), rows)
    counts = rows.sum(axis=0)
    if counts[n_symbols:].any():
        largest = int(np.flatnonzero(counts)[-1])
        raise ValueError(f"symbol {largest} is outside the alphabet 0..{n_symbols - 1}")
    return counts[:n_symbols]


def encode(symbols, lengths) -> bytes:
    """Stream of symbols uint8 (count,) under the code of these lengths (n,). ValueError for a symbol without a code."""
    symbols, lengths = symbol_input(symbols), check_lengths(lengths)
    counts = count_symbols(symbols, lengths.size)
    check_coded(counts, lengths)
    stream_nbytes = -(-encoded_bits(counts, lengths) // 8)
    if stream_nbytes == 0:
        return b""
    stream = np.empty(stream_nbytes + WORD, np.uint8)
    encode_runs(symbols, np.array([0, symbols.size]), pair_table(lengths), stream, np.empty(1, np.int64))
    return stream[:stream_nbytes].tobytes()


def check_coded(counts, lengths) -> None:
    """ValueError where a symbol that occurs, counts (n,), has no codeword, lengths (n,)."""
    missing = np.flatnonzero((counts > 0) & (lengths == 0))
    if missing.size:
        raise ValueError(f"symbol {missing[0]} occurs {counts[missing[0]]} times but has code length 0")


def decode(data, lengths, count: int) -> np.ndarray:
    """The `count` symbols, uint8 (count,), of a stream that `encode` made with these lengths (n,).

    Raises FormatError when the lengths are no complete prefix code, or the stream is too short, too long, or ends
    in padding bits other than zero. Nothing is allocated for a count that the stream cannot hold.
    """
    data, lengths = flat_input(np.frombuffer(data, np.uint8), np.uint8), check_lengths(lengths)
    used = np.flatnonzero(lengths)
    if used.size <= 1:
        return _decode_constant(data, used, count)
    shortest = int(lengths[used].min())
    if count * shortest > 8 * data.size:
        raise FormatError(f"stream too short: {data.size} bytes for {count} symbols of at least {shortest} bits")
    symbols = np.empty(count, np.uint8)
    start, size, stop = np.uint64(0), np.uint64(data.size), np.uint64(count)
    done, bit = decode_run(data, start, size, lookup_table(lengths), lengths, symbols, start, stop)
    if done < count or bit > 8 * data.size:
        cut_off = done - 1 if bit > 8 * data.size else done
        raise FormatError(f"stream too short: {data.size} bytes end inside symbol {cut_off} of {count}")
    _check_end(data, int(bit))
    return symbols


def decode_reference(data, lengths, count: int) -> np.ndarray:
    """`decode`, slow and readable, bit by bit; the same result or a FormatError wherever `decode` raises one."""
    lengths = check_lengths(lengths)
    if np.count_nonzero(lengths) <= 1:
        return _decode_constant(np.frombuffer(data, np.uint8), np.flatnonzero(lengths), count)
    book = {(int(length), int(word)): symbol
            for symbol, (length, word) in enumerate(zip(lengths, codewords(lengths))) if length}
    bits = "".join(f"{byte:08b}" for byte in bytes(data))
    symbols, bit = [], 0
    while len(symbols) < count:
        length, word = 0, 0
        while (length, word) not in book:
            if bit == len(bits):
                raise FormatError(f"stream too short: {len(data)} bytes end inside symbol {len(symbols)} of {count}")
            length, word, bit = length + 1, 2 * word + int(bits[bit]), bit + 1
        symbols.append(book[length, word])
    _check_end(data, bit)
    return np.array(symbols, np.uint8)


def encoded_bits(counts, lengths) -> int:
    """Bits of the stream of symbols that occur `counts` times, both (n,): the sum of count * length, padding not
    included; 0 where only one symbol has a code."""
    counts, lengths = np.asarray(counts, np.int64), np.asarray(lengths, np.int64)
    return int(counts @ lengths) if np.count_nonzero(lengths) > 1 else 0


def entropy_bits(counts) -> float:
    """Zero-order entropy in bits of all symbols together: the sum of count * log2(total / count)."""
    counts = checked_counts(counts).astype(np.float64)
    used = counts[counts > 0]
    return float(np.sum(used * np.log2(used.sum() / used)))


def _decode_constant(data: np.ndarray, used: np.ndarray, count: int) -> np.ndarray:
    if data.size:
        raise FormatError(f"stream too long: {data.size} bytes, expected 0 for a code with {used.size} symbols")
    if count and not used.size:
        raise FormatError(f"expected {count} symbols, but the code has none")
    return np.full(count, used[0] if used.size else 0, np.uint8)


def _check_end(data, bit: int) -> None:
    # Assumes bit <= 8 * len(data).
    if len(data) != -(-bit // 8):
        raise FormatError(f"stream too long: {len(data)} bytes, its symbols end in byte {-(-bit // 8)}")
    if bit % 8 and int(data[-1]) & (0xFF >> bit % 8):
        raise FormatError(f"padding bits after bit {bit} of the stream are not zero: last byte is {int(data[-1]):#04x}")
