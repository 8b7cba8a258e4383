"""Canonical, length-limited Huffman coding of byte symbols (paper section 4).

A stream holds the codewords of its symbols one after the other, highest bit first, and ends with zero bits up to a
whole byte. Where the code has a single symbol the stream is empty: the count says everything. `prefix_code` says how
lengths make a code.
"""

import numpy as np
from numba import njit

from .arrays import flat_input, symbol_input
from .errors import FormatError
from .prefix_code import (MAX_CODE_LENGTH, MAX_SYMBOLS, check_lengths, checked_counts, code_lengths, codewords,
                          flat_lengths, pack_lengths, read_lengths, unpack_lengths)

__all__ = ["MAX_CODE_LENGTH", "MAX_SYMBOLS", "check_lengths", "code_lengths", "codewords", "count_symbols", "decode",
           "decode_reference", "encode", "encoded_bits", "entropy_bits", "flat_lengths", "pack_lengths",
           "read_lengths", "unpack_lengths"]


def count_symbols(symbols, n_symbols: int) -> np.ndarray:
    """Histogram int64 (n_symbols,) of symbols uint8 (n,). ValueError for a symbol outside the alphabet."""
    counts = np.zeros(MAX_SYMBOLS, np.int64)
    _count_symbols(symbol_input(symbols), counts)
    if counts[n_symbols:].any():
        largest = int(np.flatnonzero(counts)[-1])
        raise ValueError(f"symbol {largest} is outside the alphabet 0..{n_symbols - 1}")
    return counts[:n_symbols]


def encode(symbols, lengths) -> bytes:
    """Stream of symbols uint8 (count,) under the code of these lengths (n,). ValueError for a symbol without a code."""
    symbols, lengths = symbol_input(symbols), check_lengths(lengths)
    counts = count_symbols(symbols, lengths.size)
    missing = np.flatnonzero((counts > 0) & (lengths == 0))
    if missing.size:
        raise ValueError(f"symbol {missing[0]} occurs {counts[missing[0]]} times but has code length 0")
    stream_bits = encoded_bits(counts, lengths)
    if stream_bits == 0:
        return b""
    # Whole 32-bit words are written: room for the last one.
    stream = np.zeros(stream_bits // 32 * 4 + 4, np.uint8)
    _encode(symbols, flat_input(lengths, np.uint64), flat_input(codewords(lengths), np.uint64), stream)
    return stream[:-(-stream_bits // 8)].tobytes()


def decode(data, lengths, count: int) -> np.ndarray:
    """The `count` symbols, uint8 (count,), of a stream that `encode` made with these lengths (n,).

    Raises FormatError when the lengths are no complete prefix code, or the stream is too short, too long, or ends
    in padding bits other than zero. Nothing is allocated for a count that the stream cannot hold.
    """
    data, lengths = np.frombuffer(data, np.uint8), check_lengths(lengths)
    used = np.flatnonzero(lengths)
    if used.size <= 1:
        return _decode_constant(data, used, count)
    shortest, longest = int(lengths[used].min()), int(lengths.max())
    if count * shortest > 8 * data.size:
        raise FormatError(f"stream too short: {data.size} bytes for {count} symbols of at least {shortest} bits")
    symbols = np.empty(count, np.uint8)
    done, bit = _decode(data, _decoding_table(lengths, longest), np.uint64(longest), symbols)
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


def _decoding_table(lengths: np.ndarray, longest: int) -> np.ndarray:
    # Entry i is symbol + 256 * length of the codeword that the `longest` bits of i begin with. Assumes Kraft equality:
    # canonical order then fills the table from 0 to its end.
    order = np.lexsort((np.arange(lengths.size), lengths))
    order = order[lengths[order] > 0]
    entries = order + 256 * lengths[order].astype(np.int64)
    return flat_input(np.repeat(entries, 2**(longest - lengths[order].astype(np.int64))), np.uint16)


@njit(cache=True, nogil=True)
def _count_symbols(symbols, counts):
    for i in range(symbols.size):
        counts[symbols[i]] += 1


@njit(cache=True, nogil=True)
def _encode(symbols, lengths, words, stream):
    # Assumes a code for every symbol and a stream with room for a last whole word.
    pending = np.uint64(0)
    pending_bits = np.uint64(0)
    out = 0
    for i in range(symbols.size):
        symbol = symbols[i]
        pending = (pending << lengths[symbol]) | words[symbol]
        pending_bits += lengths[symbol]
        if pending_bits >= np.uint64(32):
            pending_bits -= np.uint64(32)
            word = pending >> pending_bits
            stream[out] = (word >> np.uint64(24)) & np.uint64(255)
            stream[out + 1] = (word >> np.uint64(16)) & np.uint64(255)
            stream[out + 2] = (word >> np.uint64(8)) & np.uint64(255)
            stream[out + 3] = word & np.uint64(255)
            out += 4
    word = pending << (np.uint64(32) - pending_bits)
    for shift in (24, 16, 8, 0):
        stream[out] = (word >> np.uint64(shift)) & np.uint64(255)
        out += 1


@njit(cache=True, nogil=True)
def _bits_at(data, bit):
    # The 57 or more bits from `bit` on, at the top of a word. Assumes 8 bytes from bit // 8 on.
    byte = bit >> np.uint64(3)
    word = np.uint64(0)
    for i in range(8):
        word = (word << np.uint64(8)) | np.uint64(data[byte + np.uint64(i)])
    return word << (bit & np.uint64(7))


@njit(cache=True, nogil=True)
def _decode(data, table, longest, symbols):
    # Returns the symbols decoded and the bits they took; these exceed the stream if its end cut a symbol off.
    shift = np.uint64(64) - longest
    bit = np.uint64(0)
    done = 0
    while done + 4 <= symbols.size and (bit >> np.uint64(3)) + np.uint64(8) <= np.uint64(data.size):
        word = _bits_at(data, bit)
        for _ in range(4):
            entry = np.uint64(table[word >> shift])
            symbols[done] = entry & np.uint64(255)
            done += 1
            word <<= entry >> np.uint64(8)
            bit += entry >> np.uint64(8)
    end = np.uint64(8 * data.size)
    tail = np.zeros(16, np.uint8)
    tail_start = max(0, data.size - 8)
    tail[:data.size - tail_start] = data[tail_start:]
    while done < symbols.size and bit < end:
        if bit < np.uint64(8 * tail_start):
            word = _bits_at(data, bit)
        else:
            word = _bits_at(tail, bit - np.uint64(8 * tail_start))
        entry = np.uint64(table[word >> shift])
        symbols[done] = entry & np.uint64(255)
        done += 1
        bit += entry >> np.uint64(8)
    return done, bit
