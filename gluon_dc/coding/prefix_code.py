"""Prefix codes by their code lengths: the best lengths for given counts, canonical codewords, and packed tables.

A code is known by its lengths alone, uint8 (n,), one per symbol, 0 for a symbol without a codeword. Codewords are
canonical: shorter first, equal lengths by symbol, each the previous one plus 1. Where a single symbol is used its
length is 1.
"""

import numpy as np

from .errors import FormatError

MAX_CODE_LENGTH = 12
MAX_SYMBOLS = 256

# Of packed tables: the length that the first one is compared with, and the longest run of zeros before a number.
_FIRST_LENGTH = 4
_MAX_GAMMA_ZEROS = 4
_MAX_TABLE_NBYTES = MAX_SYMBOLS * (2 * _MAX_GAMMA_ZEROS + 1) // 8


def code_lengths(counts, max_length: int = MAX_CODE_LENGTH) -> np.ndarray:
    """Lengths uint8 (n,) in bits of the code that is optimal among those of at most `max_length` bits.

    `counts` are occurrences, int64 (n,), n <= 256; a count of 0 gets length 0. Equal counts: the higher symbol is
    never the shorter one. Raises ValueError for negative counts, too many symbols or a limit that cannot hold them.
    Source: package-merge, Larmore and Hirschberg, J. ACM 37(3), 1990.
    """
    counts = checked_counts(counts)
    used = np.flatnonzero(counts)
    lengths = np.zeros(counts.size, np.uint8)
    if not 1 <= max_length <= MAX_CODE_LENGTH or used.size > 2**max_length:
        raise ValueError(f"max_length must be 1..{MAX_CODE_LENGTH} and hold {used.size} symbols, got {max_length}")
    if used.size == 1:
        lengths[used] = 1
    elif used.size > 1:
        rarest_first = used[np.lexsort((-used, counts[used]))]
        lengths[rarest_first] = _package_merge(counts[rarest_first], max_length)
    return lengths


def _package_merge(leaves: np.ndarray, max_length: int) -> np.ndarray:
    # Assumes 2 <= leaves.size <= 2**max_length counts, ascending. Equal weights: a leaf goes before a package.
    rows = [leaves]
    is_leaf = [np.ones(leaves.size, bool)]
    for _ in range(max_length - 1):
        pairs = rows[-1][:rows[-1].size // 2 * 2].reshape(-1, 2).sum(axis=1)
        merged = np.concatenate([leaves, pairs])
        order = np.argsort(merged, kind="stable")
        rows.append(merged[order])
        is_leaf.append(order < leaves.size)
    lengths = np.zeros(leaves.size, np.uint8)
    taken = 2 * leaves.size - 2
    for row in reversed(is_leaf):
        n_leaves = int(row[:taken].sum())
        lengths[:n_leaves] += 1
        taken = 2 * (taken - n_leaves)
    return lengths


def codewords(lengths) -> np.ndarray:
    """Canonical codewords uint16 (n,) in the low bits, for lengths (n,); 0 where the length is 0."""
    lengths = np.asarray(lengths)
    words = np.zeros(lengths.size, np.uint16)
    word = 0
    for length in range(1, MAX_CODE_LENGTH + 1):
        symbols = np.flatnonzero(lengths == length)
        word <<= 1
        words[symbols] = word + np.arange(symbols.size)
        word += symbols.size
    return words


def flat_lengths(n_symbols: int) -> np.ndarray:
    """Lengths of fixed-width coding: max(1, ceil(log2 n)) bits for each of 2**bits symbols, so Kraft equality holds."""
    if not 1 <= n_symbols <= MAX_SYMBOLS:
        raise ValueError(f"an alphabet has 1..{MAX_SYMBOLS} symbols, got {n_symbols}")
    bits = max(1, (n_symbols - 1).bit_length())
    return np.full(2**bits, bits, np.uint8)


def check_lengths(lengths) -> np.ndarray:
    """Lengths as uint8 (n,) if they are a complete prefix code: the Kraft sum is 1, or one symbol is used and its
    length is 1, or none is used. FormatError otherwise."""
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or not 1 <= lengths.size <= MAX_SYMBOLS:
        raise FormatError(f"code lengths must be 1..{MAX_SYMBOLS} in one dimension, got shape {lengths.shape}")
    if lengths.min() < 0 or lengths.max() > MAX_CODE_LENGTH:
        raise FormatError(f"code lengths must be 0..{MAX_CODE_LENGTH}, got {lengths.min()}..{lengths.max()}")
    used = lengths[lengths > 0].astype(np.int64)
    full = 2**MAX_CODE_LENGTH
    kraft = int(np.sum(full >> used))
    if kraft != full and not (used.size == 0 or (used.size == 1 and used[0] == 1)):
        fault = "over-subscribed" if kraft > full else "incomplete"
        raise FormatError(f"{fault} Huffman code: Kraft sum {kraft}/{full} of {used.size} symbols, expected 1")
    return lengths.astype(np.uint8)


def checked_counts(counts) -> np.ndarray:
    """Counts as int64 (n,); ValueError unless 1 <= n <= 256 and none is negative."""
    counts = np.asarray(counts, np.int64)
    if counts.ndim != 1 or not 1 <= counts.size <= MAX_SYMBOLS:
        raise ValueError(f"counts must be 1..{MAX_SYMBOLS} numbers in one dimension, got shape {counts.shape}")
    if counts.min() < 0:
        raise ValueError(f"counts must be 0 or more, got {counts.min()}")
    return counts


def pack_lengths(lengths) -> bytes:
    """Code lengths (n,) in few bytes: each as its difference to the one before (4 before the first), zigzag-mapped
    to 1, 2, 3, ... and written in Elias gamma code, highest bit first, up to the symbol that completes the code (all
    after it are unused), then zero bits up to a whole byte."""
    lengths = check_lengths(lengths)
    bits, previous, kraft = [], _FIRST_LENGTH, 0
    for length in lengths.tolist():
        difference = length - previous
        number = 2 * difference + 1 if difference >= 0 else -2 * difference
        bits.append("0" * (number.bit_length() - 1) + f"{number:b}")
        kraft += _kraft_share(length)
        previous = length
        if kraft == 2**MAX_CODE_LENGTH:
            break
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def unpack_lengths(data, n_symbols: int) -> np.ndarray:
    """Lengths uint8 (n_symbols,) that `pack_lengths` packed into exactly these bytes; FormatError for any others."""
    lengths, nbytes = read_lengths(data, n_symbols)
    if nbytes != len(data):
        raise FormatError(f"code length table too long: {len(data)} bytes, its code is complete after {nbytes}")
    return lengths


def read_lengths(data, n_symbols: int) -> tuple[np.ndarray, int]:
    """Like `unpack_lengths`, from the front of `data`: the lengths uint8 (n_symbols,) and the bytes they took."""
    bits = "".join(f"{byte:08b}" for byte in bytes(data[:_MAX_TABLE_NBYTES]))
    lengths = np.zeros(n_symbols, np.uint8)
    bit, previous, kraft = 0, _FIRST_LENGTH, 0
    for symbol in range(n_symbols):
        number, bit = _read_gamma(bits, bit, symbol)
        previous += -(number // 2) if number % 2 == 0 else number // 2
        if not 0 <= previous <= MAX_CODE_LENGTH:
            raise FormatError(f"code length {previous} of symbol {symbol}, expected 0..{MAX_CODE_LENGTH}")
        lengths[symbol] = previous
        kraft += _kraft_share(previous)
        if kraft >= 2**MAX_CODE_LENGTH:
            break
    nbytes = -(-bit // 8)
    if "1" in bits[bit:8 * nbytes]:
        raise FormatError(f"code length table: padding bits after bit {bit} are not zero")
    return check_lengths(lengths), nbytes


def _read_gamma(bits: str, bit: int, symbol: int) -> tuple[int, int]:
    one = bits.find("1", bit, bit + _MAX_GAMMA_ZEROS + 1)
    end = 2 * one - bit + 1
    if one < 0 or end > len(bits):
        raise FormatError(f"code length table ends or breaks off at bit {bit}, symbol {symbol}")
    return int(bits[one:end], 2), end


def _kraft_share(length: int) -> int:
    return 2**(MAX_CODE_LENGTH - length) if length else 0
