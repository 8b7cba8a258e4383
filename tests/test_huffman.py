import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding import huffman

counts_lists = st.lists(st.integers(0, 50) | st.integers(0, 10**9), min_size=1, max_size=256)
symbol_arrays = st.binary(max_size=400) | st.lists(st.sampled_from([0, 0, 0, 1, 2, 200]), max_size=400).map(bytes)
BY_HAND = [2, 1, 3, 3]


def huffman_bits(counts):
    """Bits of an optimal code without a limit: the sum of all merged weights of Huffman's own algorithm."""
    heap = [count for count in counts if count]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, merged)
        total += merged
    return total


def lengths_of(symbols):
    return huffman.code_lengths(np.bincount(np.frombuffer(symbols, np.uint8), minlength=256))


def test_canonical_code_by_hand():
    # Counts 3, 5, 1, 1: merge 1 + 1 = 2, 2 + 3 = 5, 5 + 5. Lengths 2, 1, 3, 3. Canonical: symbol 1 is 0, symbol 0
    # the next of one bit more, 10, symbols 2 and 3 are 110 and 111.
    lengths = huffman.code_lengths([3, 5, 1, 1])
    assert lengths.tolist() == BY_HAND and lengths.dtype == np.uint8
    assert huffman.codewords(lengths).tolist() == [0b10, 0b0, 0b110, 0b111]
    # 0 10 110 111 0, then six zero bits
    stream = huffman.encode(np.array([1, 0, 2, 3, 1], np.uint8), lengths)
    assert stream == bytes([0b01011011, 0b10000000])
    for decode in (huffman.decode, huffman.decode_reference):
        assert decode(stream, lengths, 5).tolist() == [1, 0, 2, 3, 1]


def test_ties_give_the_shorter_codes_to_the_lower_symbols():
    assert huffman.code_lengths([1, 1, 1]).tolist() == [1, 2, 2]
    assert huffman.code_lengths([2, 1, 1, 1, 1]).tolist() == [2, 2, 2, 3, 3]


def test_one_symbol_takes_no_bits():
    lengths = huffman.code_lengths([0, 0, 9])
    assert lengths.tolist() == [0, 0, 1]
    assert huffman.encode(np.full(9, 2, np.uint8), lengths) == b""
    for decode in (huffman.decode, huffman.decode_reference):
        assert decode(b"", lengths, 9).tolist() == [2] * 9
        with pytest.raises(FormatError, match="stream too long: 1 bytes, expected 0"):
            decode(b"\0", lengths, 9)


def test_no_symbols():
    lengths = huffman.code_lengths([0, 0])
    assert lengths.tolist() == [0, 0]
    assert huffman.encode(np.zeros(0, np.uint8), lengths) == b""
    assert huffman.decode(b"", lengths, 0).size == 0
    assert huffman.decode(b"", BY_HAND, 0).size == 0
    with pytest.raises(FormatError, match="expected 1 symbols, but the code has none"):
        huffman.decode(b"", lengths, 1)


def test_limit_is_kept_and_optimal():
    fibonacci = [1, 1]
    while len(fibonacci) < 30:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = huffman.code_lengths(fibonacci)
    assert lengths.max() == 12 and huffman.check_lengths(lengths) is not None
    assert huffman.encoded_bits(fibonacci, lengths) > huffman_bits(fibonacci)


@pytest.mark.parametrize("counts", [[1, 1, 2, 3, 5, 8], [1, 10, 100, 1000, 1000], [7, 7, 7, 7, 1], [1, 2, 4, 8, 16]])
def test_limited_code_is_the_best_of_all(counts):
    complete = (lengths for lengths in itertools.product([1, 2, 3], repeat=len(counts))
                if sum(8 >> length for length in lengths) == 8)
    best = min(int(np.dot(counts, lengths)) for lengths in complete)
    assert huffman.encoded_bits(counts, huffman.code_lengths(counts, max_length=3)) == best


@settings(deadline=None, max_examples=80)
@given(counts_lists)
def test_code_is_complete_and_optimal(counts):
    lengths = huffman.code_lengths(counts)
    huffman.check_lengths(lengths)
    assert ((lengths > 0) == (np.array(counts) > 0)).all()
    bits = huffman.encoded_bits(counts, lengths)
    unlimited = huffman_bits(counts)
    assert bits >= unlimited
    if lengths.max() < 12:
        assert bits == unlimited
    assert huffman.entropy_bits(counts) <= bits * (1 + 1e-12) + 1e-6


@settings(deadline=None, max_examples=80)
@given(counts_lists)
def test_codewords_are_prefix_free_and_in_order(counts):
    lengths = huffman.code_lengths(counts)
    words = [f"{word:0{length}b}" for word, length in zip(huffman.codewords(lengths), lengths) if length]
    ordered = sorted(words)
    assert sorted(words, key=len) == ordered  # by (length, symbol): sorted() keeps the order of equal lengths
    assert not any(after.startswith(before) for before, after in zip(ordered, ordered[1:]))


@settings(deadline=None, max_examples=100)
@given(symbol_arrays)
def test_round_trip(symbols):
    lengths = lengths_of(symbols)
    array = np.frombuffer(symbols, np.uint8)
    stream = huffman.encode(array, lengths)
    assert len(stream) == -(-huffman.encoded_bits(np.bincount(array, minlength=256), lengths) // 8)
    assert huffman.decode(stream, lengths, len(symbols)).tobytes() == symbols
    assert huffman.decode_reference(stream, lengths, len(symbols)).tobytes() == symbols


def test_longest_codewords_of_a_long_stream():
    lengths = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12], np.uint8)
    symbols = np.random.default_rng(0).integers(0, 13, 5000).astype(np.uint8)
    stream = huffman.encode(symbols, lengths)
    for n in (0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 5000):
        part = huffman.encode(symbols[:n], lengths)
        np.testing.assert_array_equal(huffman.decode(part, lengths, n), symbols[:n])
    np.testing.assert_array_equal(huffman.decode_reference(stream, lengths, 5000), symbols)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=40), symbol_arrays, st.integers(0, 120))
def test_random_streams_decode_as_the_reference_or_raise_alike(stream, symbols, count):
    lengths = lengths_of(symbols)
    try:
        expected = huffman.decode_reference(stream, lengths, count)
    except FormatError:
        with pytest.raises(FormatError):
            huffman.decode(stream, lengths, count)
    else:
        np.testing.assert_array_equal(huffman.decode(stream, lengths, count), expected)


@pytest.mark.parametrize("stream, count, message", [
    (b"", 1, "stream too short: 0 bytes for 1 symbols of at least 1 bits"),
    (b"\xff", 9, "stream too short: 1 bytes for 9 symbols of at least 1 bits"),
    (b"\xff", 3, "stream too short: 1 bytes end inside symbol 2 of 3"),
    (bytes([0b11011010]), 4, "stream too short: 1 bytes end inside symbol 3 of 4"),
    (b"\x00\x00", 8, "stream too long: 2 bytes, its symbols end in byte 1"),
    (b"\x01", 7, "padding bits after bit 7 of the stream are not zero: last byte is 0x01"),
    (b"", 2**60, "stream too short: 0 bytes for"),
])
def test_faulty_streams(stream, count, message):
    with pytest.raises(FormatError, match=message):
        huffman.decode(stream, BY_HAND, count)


@pytest.mark.parametrize("lengths, message", [
    ([1, 1, 1], "over-subscribed Huffman code: Kraft sum 6144/4096 of 3 symbols"),
    ([1, 2], "incomplete Huffman code: Kraft sum 3072/4096 of 2 symbols"),
    ([2], "incomplete"),
    ([13], r"code lengths must be 0..12, got 13..13"),
    ([], "1..256 in one dimension"),
    (np.ones((2, 1)), "1..256 in one dimension"),
    ([1] * 257, "1..256 in one dimension"),
])
def test_faulty_codes(lengths, message):
    for call in (lambda: huffman.decode(b"", lengths, 0), lambda: huffman.decode_reference(b"", lengths, 0),
                 lambda: huffman.encode(np.zeros(0, np.uint8), lengths), lambda: huffman.pack_lengths(lengths)):
        with pytest.raises(FormatError, match=message):
            call()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="symbol 2 occurs 3 times but has code length 0"):
        huffman.encode(np.full(3, 2, np.uint8), [1, 1, 0])
    with pytest.raises(ValueError, match=r"symbol 9 is outside the alphabet 0..3"):
        huffman.encode(np.array([9], np.uint8), BY_HAND)
    with pytest.raises(TypeError, match="got int64"):
        huffman.encode(np.array([1]), BY_HAND)
    with pytest.raises(ValueError, match="counts must be 0 or more, got -1"):
        huffman.code_lengths([1, -1])
    with pytest.raises(ValueError, match="max_length"):
        huffman.code_lengths([1] * 5, max_length=2)


def test_flat_lengths_are_a_complete_code_of_fixed_width():
    for n_symbols, bits in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (32, 5), (33, 6), (256, 8)):
        lengths = huffman.flat_lengths(n_symbols)
        assert lengths.tolist() == [bits] * 2**bits
        np.testing.assert_array_equal(huffman.codewords(huffman.check_lengths(lengths)), np.arange(2**bits))
    assert huffman.encode(np.array([0, 5, 7], np.uint8), huffman.flat_lengths(8)) == bytes([0b00010111, 0b10000000])


def test_entropy_by_hand():
    assert huffman.entropy_bits([1, 1, 2]) == 2 + 2 + 2
    assert huffman.entropy_bits([9]) == huffman.entropy_bits([0]) == 0


def test_table_by_hand():
    # Lengths 2, 1, 3, 3 after 4: differences -2, -1, +2, 0 are the numbers 4, 2, 5, 1: 00100 010 00101 1, two zeros.
    assert huffman.pack_lengths(BY_HAND) == bytes([0b00100010, 0b00101100])
    # The code is complete after the last 3: unused symbols after it take no bits.
    assert huffman.pack_lengths(BY_HAND + [0] * 200) == huffman.pack_lengths(BY_HAND)
    assert huffman.unpack_lengths(bytes([0x22, 0x2C]), 6).tolist() == BY_HAND + [0, 0]


@settings(deadline=None, max_examples=60)
@given(counts_lists)
def test_tables_round_trip(counts):
    lengths = huffman.code_lengths(counts)
    packed = huffman.pack_lengths(lengths)
    np.testing.assert_array_equal(huffman.unpack_lengths(packed, lengths.size), lengths)
    for follower in (b"\xff\x00", b"\x00"):
        again, nbytes = huffman.read_lengths(packed + follower, lengths.size)
        assert nbytes == len(packed)
        np.testing.assert_array_equal(again, lengths)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=30), st.integers(1, 256))
def test_random_tables_are_codes_or_format_errors(data, n_symbols):
    try:
        lengths = huffman.unpack_lengths(data, n_symbols)
    except FormatError:
        return
    assert lengths.size == n_symbols
    np.testing.assert_array_equal(lengths, huffman.check_lengths(lengths))


@pytest.mark.parametrize("data, n_symbols, message", [
    (b"", 4, "table ends or breaks off at bit 0, symbol 0"),
    (b"\x00", 4, "table ends or breaks off at bit 0, symbol 0"),
    (b"\x22", 4, "table ends or breaks off at bit 8, symbol 2"),
    (b"\x22\x2d", 4, "padding bits after bit 14 are not zero"),
    (b"\x22\x2c\x00", 4, "too long: 3 bytes, its code is complete after 2"),
    (bytes([0b00010100]), 4, "code length -1 of symbol 0, expected 0..12"),                  # difference -5
    (bytes([0b00001001, 0b10000000]), 4, "code length 13 of symbol 0, expected 0..12"),      # difference +9
    (bytes([0b00100110, 0b10000000]), 4, "over-subscribed Huffman code: Kraft sum 5120/4096 of 4 symbols"),
    (bytes([0b00100100]), 2, "incomplete Huffman code: Kraft sum 2048/4096 of 2 symbols"),   # lengths 2, 2
])
def test_faulty_tables(data, n_symbols, message):
    with pytest.raises(FormatError, match=message):
        huffman.unpack_lengths(data, n_symbols)
