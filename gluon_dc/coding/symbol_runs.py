"""The kernels of Huffman coding: several symbols a table lookup, eight bytes a load or store, four streams at a time.

Runs of symbols are coded highest bit first, as `huffman` and `chunked` describe their streams. Two tables replace the
code: `pair_table` to encode and `lookup_table` to decode. The kernels assume a complete code of at least two symbols.

Bounds. A decoder's fast part works in rounds of LOOKUPS lookups. A round takes at most ROUND_BITS bits and gives at
most ROUND_SYMBOLS symbols, so `_rounds` can tell how many rounds stay inside the stream and inside the output before
any of them runs; what is left is decoded symbol by symbol, every byte checked. Each stream is confined to its own bytes
and each run to its own part of the output, so that nothing in the bytes can lead out of either.
"""

import numpy as np
from numba import njit, uint64

from .prefix_code import MAX_CODE_LENGTH, MAX_SYMBOLS, codewords
from .unaligned import load_big_endian, store_big_endian, store_little_endian

STREAMS = 4
COUNT_ROWS = 8

# A store writes WORD bytes, more than it has symbols or bits for: what is too much is written over by the next one.
WORD = 8
_LOOKUPS = 4
_SYMBOLS_A_LOOKUP = 6
_ROUND_BITS = _LOOKUPS * MAX_CODE_LENGTH
_ROUND_SYMBOLS = _LOOKUPS * _SYMBOLS_A_LOOKUP
_PAIR_BITS = 2 * MAX_CODE_LENGTH
_PAIR_MASK = 2**_PAIR_BITS - 1


def pair_table(lengths: np.ndarray) -> np.ndarray:
    """uint32 (257 * 256,): codewords of two symbols in the low 24 bits, their length in bits in the high 8.

    Entry first + 256 * second is that of the two one after the other; entry 256 * 256 + symbol is that of one. Only
    entries of symbols that have a codeword are filled in.
    """
    table = np.empty((MAX_SYMBOLS + 1) * MAX_SYMBOLS, np.uint32)
    _fill_pair_table(lengths, codewords(lengths), table)
    return table


def lookup_table(lengths: np.ndarray) -> np.ndarray:
    """uint64 (4096,): the symbols that the 12 bits of the index begin with, as many as are whole, up to 6.

    From the low byte on: the bits of these symbols' codewords together, the symbols in their order, and in the high
    byte their number, 1..6. Assumes Kraft equality: canonical order then fills the table.
    """
    table = np.empty(2**MAX_CODE_LENGTH, np.uint64)
    _fill_lookup_table(lengths, table)
    return table


@njit(cache=True, nogil=True)
def _fill_pair_table(lengths, words, table):
    for second in range(lengths.size):
        bits, word = np.uint32(lengths[second]), np.uint32(words[second])
        if bits == 0:
            continue
        table[MAX_SYMBOLS * MAX_SYMBOLS + second] = bits << np.uint32(_PAIR_BITS) | word
        for first in range(lengths.size):
            both = bits + np.uint32(lengths[first])
            table[MAX_SYMBOLS * second + first] = both << np.uint32(_PAIR_BITS) | np.uint32(words[first]) << bits | word


@njit(cache=True, nogil=True)
def _fill_lookup_table(lengths, table):
    first = np.empty(table.size, np.uint8)
    filled = 0
    for length in range(1, MAX_CODE_LENGTH + 1):
        for symbol in range(lengths.size):
            if lengths[symbol] == length:
                first[filled:filled + (1 << (MAX_CODE_LENGTH - length))] = symbol
                filled += 1 << (MAX_CODE_LENGTH - length)
    for index in range(table.size):
        used, count, entry = 0, 0, uint64(0)
        while count < _SYMBOLS_A_LOOKUP:
            symbol = first[(index << used) & (table.size - 1)]
            if used + lengths[symbol] > MAX_CODE_LENGTH:
                break
            used += lengths[symbol]
            count += 1
            entry |= uint64(symbol) << uint64(8 * count)
        table[index] = entry | uint64(count) << uint64(56) | uint64(used)


@njit(cache=True, nogil=True)
def add_counts(symbols, counts):
    """Add a histogram of symbols uint8 (n,) to counts int64 (COUNT_ROWS, 256): the sum over the rows counts.

    Neighbours go to different rows: a number raised twice in a row would wait for its own last store.
    """
    whole = symbols.size // COUNT_ROWS * COUNT_ROWS
    for begin in range(0, whole, COUNT_ROWS):
        for row in range(COUNT_ROWS):
            counts[row, symbols[begin + row]] += 1
    for i in range(whole, symbols.size):
        counts[0, symbols[i]] += 1


@njit(cache=True, nogil=True)
def encode_runs(symbols, bounds, pairs, stream, nbytes):
    """Encode symbols[bounds[i]:bounds[i + 1]] for every i, one run after the other, each from a whole byte on.

    symbols: uint8. bounds: int64 (runs + 1,). pairs: `pair_table`. stream: uint8, with room for all runs and WORD
    bytes. nbytes: int64 (runs,), receives the bytes of each run.
    """
    byte = uint64(0)
    for run in range(nbytes.size):
        begin = byte
        byte = _encode_run(symbols[bounds[run]:bounds[run + 1]], pairs, stream, byte)
        nbytes[run] = byte - begin


@njit(cache=True, nogil=True)
def _encode_run(symbols, pairs, stream, byte):
    # `pending` holds the bits since the last whole byte, at the top of a word with zeros below; fewer than 8 between
    # two calls of _flush, so that 48 more fit. Every store writes all of them: the last one leaves the padding.
    pending, bits = uint64(0), uint64(0)
    quads = symbols.size // 4
    for i in range(quads):
        first = uint64(pairs[np.uint32(symbols[4 * i]) | np.uint32(symbols[4 * i + 1]) << np.uint32(8)])
        second = uint64(pairs[np.uint32(symbols[4 * i + 2]) | np.uint32(symbols[4 * i + 3]) << np.uint32(8)])
        more = second >> uint64(_PAIR_BITS)
        word = (first & uint64(_PAIR_MASK)) << more | second & uint64(_PAIR_MASK)
        pending, bits, byte = _flush(stream, byte, pending, bits, word, more + (first >> uint64(_PAIR_BITS)))
    for i in range(4 * quads, symbols.size):
        entry = uint64(pairs[MAX_SYMBOLS * MAX_SYMBOLS + symbols[i]])
        pending, bits, byte = _flush(stream, byte, pending, bits, entry & uint64(_PAIR_MASK),
                                     entry >> uint64(_PAIR_BITS))
    return byte + (bits + uint64(7)) // uint64(8)


@njit(cache=True, nogil=True)
def _flush(stream, byte, pending, bits, word, word_bits):
    # Assumes 1..48 bits in the word and fewer than 8 pending.
    bits += word_bits
    pending |= word << (uint64(64) - bits)
    store_big_endian(stream, byte, pending)
    whole = bits & uint64(56)
    return pending << whole, bits - whole, byte + (bits >> uint64(3))


@njit(cache=True, nogil=True)
def decode_run(data, begin, end, table, lengths, symbols, done, stop):
    """Decode data[begin:end] into symbols[done:stop].

    All four are uint64, with begin <= end <= data.size and done <= stop <= symbols.size. data, symbols: uint8. table:
    `lookup_table` of lengths. Returns the symbols' end, at most `stop`, and the bit in data where decoding ended: more
    than 8 * end if the stream's end cut the last symbol off.
    """
    return _finish(data, uint64(8) * begin, end, table, lengths, symbols, done, stop)


@njit(cache=True, nogil=True)
def decode_fours(data, bytes_at, table, lengths, symbols, symbols_at, first, last):
    """Decode the streams first..last - 1, four at a time: stream i is data[bytes_at[i]:bytes_at[i + 1]], its symbols
    go to symbols[symbols_at[i]:symbols_at[i + 1]].

    bytes_at, symbols_at: uint64 (streams + 1,), ascending, none above data.size and symbols.size. last - first is a
    multiple of four. Returns the first stream that is too short, too long or not padded with zero bits, or -1.
    """
    for stream in range(first, last, STREAMS):
        places = _decode_four(data, bytes_at, table, symbols, symbols_at, stream)
        for i in range(STREAMS):
            end, stop = bytes_at[stream + i + 1], symbols_at[stream + i + 1]
            done, bit = _finish(data, places[2 * i], end, table, lengths, symbols, places[2 * i + 1], stop)
            if done < stop or not _ends_well(data, bit, end):
                return stream + i
    return -1


@njit(cache=True, nogil=True)
def _rounds(bit, end, done, stop):
    # How many rounds may follow without a look at the bounds. Before round r, counted from 0, at most 48 r bits were
    # taken since `bit` and 24 r symbols written since `done`.
    #   Loads: `_run` loads 8 bytes no later than from byte (bit + 48 r + 63) // 8 on, `_decode_four` from an earlier
    #   one; for r = rounds - 1 that is within `end` if bit + 48 (rounds - 1) + 63 + 64 <= 8 * end.
    #   Stores: the last lookup of a round begins at most 18 symbols after the round's first, and its store ends 8
    #   bytes later; for r = rounds - 1 that is done + 24 rounds + 2 <= stop.
    if uint64(8) * end < bit + uint64(127) or stop < done + uint64(_ROUND_SYMBOLS + 2):
        return uint64(0)
    return min((uint64(8) * end - bit - uint64(127)) // uint64(_ROUND_BITS) + uint64(1),
               (stop - done - uint64(2)) // uint64(_ROUND_SYMBOLS))


@njit(cache=True, nogil=True)
def _look_up(table, symbols, word, done):
    # The symbols that the word begins with, written; the word without them, their end, and an entry whose low byte
    # says how many bits they took (up to 12, so that only the low 6 bits of it count as a shift).
    entry = table[word >> uint64(64 - MAX_CODE_LENGTH)]
    store_little_endian(symbols, done, entry >> uint64(8))
    return word << (entry & uint64(63)), done + (entry >> uint64(56)), entry & uint64(255)


@njit(cache=True, nogil=True)
def _decode_four(data, at, table, symbols, symbols_at, stream):
    # Four streams in step, so that one's lookups run while those of the others wait for memory. Returns where each is:
    # its bit in data and its place in symbols.
    bit0, bit1 = uint64(8) * at[stream], uint64(8) * at[stream + 1]
    bit2, bit3 = uint64(8) * at[stream + 2], uint64(8) * at[stream + 3]
    end0, end1, end2, end3 = at[stream + 1], at[stream + 2], at[stream + 3], at[stream + 4]
    done0, done1 = symbols_at[stream], symbols_at[stream + 1]
    done2, done3 = symbols_at[stream + 2], symbols_at[stream + 3]
    stop0, stop1, stop2, stop3 = done1, done2, done3, symbols_at[stream + 4]
    while True:
        rounds = min(min(_rounds(bit0, end0, done0, stop0), _rounds(bit1, end1, done1, stop1)),
                     min(_rounds(bit2, end2, done2, stop2), _rounds(bit3, end3, done3, stop3)))
        if rounds == uint64(0):
            return bit0, done0, bit1, done1, bit2, done2, bit3, done3
        for _ in range(rounds):
            word0 = load_big_endian(data, bit0 >> uint64(3)) << (bit0 & uint64(7))
            word1 = load_big_endian(data, bit1 >> uint64(3)) << (bit1 & uint64(7))
            word2 = load_big_endian(data, bit2 >> uint64(3)) << (bit2 & uint64(7))
            word3 = load_big_endian(data, bit3 >> uint64(3)) << (bit3 & uint64(7))
            for _ in range(_LOOKUPS):
                word0, done0, bits = _look_up(table, symbols, word0, done0)
                bit0 += bits
                word1, done1, bits = _look_up(table, symbols, word1, done1)
                bit1 += bits
                word2, done2, bits = _look_up(table, symbols, word2, done2)
                bit2 += bits
                word3, done3, bits = _look_up(table, symbols, word3, done3)
                bit3 += bits


@njit(cache=True, nogil=True)
def _finish(data, bit, end, table, lengths, symbols, done, stop):
    # One stream from `bit` to its end: in rounds while there is room for them, then symbol by symbol.
    rounds = _rounds(bit, end, done, stop)
    while rounds > uint64(0):
        bit, done = _run(data, bit, table, symbols, done, rounds)
        rounds = _rounds(bit, end, done, stop)
    while done < stop and bit < uint64(8) * end:
        byte, window = bit >> uint64(3), uint64(0)
        for i in range(3):  # 12 bits and the up to 7 before them; zeros past the end
            place = byte + uint64(i)
            window = window << uint64(8) | (uint64(data[place]) if place < end else uint64(0))
        entry = table[(window >> (uint64(24 - MAX_CODE_LENGTH) - (bit & uint64(7)))) & uint64(2**MAX_CODE_LENGTH - 1)]
        symbol = (entry >> uint64(8)) & uint64(255)
        symbols[done] = symbol
        done += uint64(1)
        bit += uint64(lengths[symbol])
    return done, bit


@njit(cache=True, nogil=True)
def _run(data, bit, table, symbols, done, rounds):
    # Rounds of a single stream. What counts here is the way from one lookup to the next, so the next bytes are loaded
    # before it is known how many of them are needed: `word` holds 8 * byte - bit valid bits, `have` of them counted,
    # and what it holds below those is right too, so that or-ing the same bits in again does no harm.
    # have <= 63 throughout, hence byte <= (bit + 63) // 8. Source: F. Giesen, "Reading bits in far too many ways",
    # part 2, variant 4.
    byte = bit >> uint64(3)
    word = load_big_endian(data, byte) << (bit & uint64(7))
    have = uint64(56) - (bit & uint64(7))
    byte += uint64(7)
    for _ in range(rounds):
        word |= load_big_endian(data, byte) >> have
        byte += (uint64(63) - have) >> uint64(3)
        have |= uint64(56)
        for _ in range(_LOOKUPS):
            word, done, bits = _look_up(table, symbols, word, done)
            have -= bits
    return uint64(8) * byte - have, done


@njit(cache=True, nogil=True)
def _ends_well(data, bit, end):
    # Whether a stream whose symbols end at `bit` ends in the same byte, the bits after them zero.
    if (bit + uint64(7)) >> uint64(3) != end:
        return False
    return bit & uint64(7) == uint64(0) or data[end - uint64(1)] & (uint64(255) >> (bit & uint64(7))) == uint64(0)
