import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError, chunked, huffman
from gluon_dc.coding import threads as chunked_threads
from gluon_dc.coding.chunked import decode_chunks, decode_chunks_reference, encode_chunks

BY_HAND = [2, 1, 3, 3]
symbol_arrays = st.binary(max_size=300) | st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 200]), max_size=300).map(bytes)


def work_on(monkeypatch, threads):
    """Share the work out to so many threads."""
    for module in (chunked, chunked_threads):
        monkeypatch.setattr(module, "thread_count", lambda: threads)


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 64 symbols, so that short streams have several."""
    monkeypatch.setattr(chunked, "CHUNK", 64)


def lengths_of(symbols):
    return huffman.code_lengths(np.bincount(np.frombuffer(symbols, np.uint8), minlength=256))


def drawn(n, seed=0):
    """Symbols of very different frequency, and a code for them with the longest codewords there may be."""
    lengths = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12], np.uint8)
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.8, rng.geometric(0.5, n).clip(1, 13) - 1, 12).astype(np.uint8), lengths


def test_by_hand():
    # Codewords of symbols 0..3: 10, 0, 110, 111. Five symbols are cut into runs of 2, 2, 1 and 0.
    stream = encode_chunks(np.array([1, 0, 2, 3, 1], np.uint8), BY_HAND)
    assert stream == bytes([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,  # sizes
                            0b01000000, 0b11011100, 0b00000000])             # 0 10 | 110 111 | 0
    for decode in (decode_chunks, decode_chunks_reference):
        assert decode(stream, BY_HAND, 5).tolist() == [1, 0, 2, 3, 1]


@pytest.mark.parametrize("lengths, symbols", [([0, 0, 1], [2] * 9), ([0, 0], []), ([1, 1], [])])
def test_where_the_count_says_everything(lengths, symbols):
    assert encode_chunks(np.array(symbols, np.uint8), lengths) == b""
    for decode in (decode_chunks, decode_chunks_reference):
        assert decode(b"", lengths, len(symbols)).tolist() == symbols
        with pytest.raises(FormatError):
            decode(b"\0", lengths, len(symbols))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 63, 64, 65, 128, 129, 1000, 5000])
def test_every_length_around_the_chunks(small_chunks, monkeypatch, n, threads):
    work_on(monkeypatch, threads)
    symbols, lengths = drawn(n)
    stream = encode_chunks(symbols, lengths)
    np.testing.assert_array_equal(decode_chunks(stream, lengths, n), symbols)
    np.testing.assert_array_equal(decode_chunks_reference(stream, lengths, n), symbols)


def test_chunks_of_full_size_hold_the_streams_of_their_quarters():
    n = chunked.CHUNK + 6
    symbols, lengths = drawn(n)
    stream = encode_chunks(symbols, lengths)
    np.testing.assert_array_equal(decode_chunks(stream, lengths, n), symbols)
    quarter = chunked.CHUNK // 4
    bounds = [0, quarter, 2 * quarter, 3 * quarter, 4 * quarter, n - 4, n - 2, n, n]
    streams = [huffman.encode(symbols[begin:end], lengths) for begin, end in zip(bounds, bounds[1:])]
    sizes = np.array([len(part) for part in streams], "<u4").tobytes()
    assert stream == sizes + b"".join(streams)


@pytest.mark.parametrize("n_symbols", [2, 4, 32, 256])
def test_fixed_width_and_one_bit_codes(n_symbols):
    # The fewest bits a symbol: six symbols a lookup, and a run's symbols end long before its rounds of bytes do.
    symbols = np.random.default_rng(1).integers(0, n_symbols, 5000).astype(np.uint8)
    lengths = huffman.flat_lengths(n_symbols)
    stream = encode_chunks(symbols, lengths)
    assert len(stream) == 16 + 4 * -(-1250 * int(lengths[0]) // 8)
    np.testing.assert_array_equal(decode_chunks(memoryview(stream), lengths, 5000), symbols)


@settings(deadline=None, max_examples=60)
@given(symbol_arrays, st.sampled_from([1, 5, 64, 2**18]))
def test_round_trip(symbols, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunked, "CHUNK", chunk)
        lengths = lengths_of(symbols)
        stream = encode_chunks(np.frombuffer(symbols, np.uint8), lengths)
        assert decode_chunks(stream, lengths, len(symbols)).tobytes() == symbols
        assert decode_chunks_reference(stream, lengths, len(symbols)).tobytes() == symbols


def decoded_alike(stream, lengths, count):
    """Both decoders: the same symbols, or a FormatError each."""
    try:
        expected = decode_chunks_reference(stream, lengths, count)
    except FormatError:
        with pytest.raises(FormatError):
            decode_chunks(stream, lengths, count)
    else:
        np.testing.assert_array_equal(decode_chunks(stream, lengths, count), expected)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=80), symbol_arrays, st.integers(0, 150))
def test_random_bytes_decode_as_the_reference_or_raise_alike(stream, symbols, count):
    decoded_alike(stream, lengths_of(symbols), count)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=300), min_size=8, max_size=8), symbol_arrays, st.integers(65, 128))
def test_random_streams_of_fitting_sizes(streams, symbols, count):
    # Past the check of the sizes: these streams reach the kernels, which must stay inside them.
    sizes = np.array([len(stream) for stream in streams], "<u4").tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunked, "CHUNK", 64)
        decoded_alike(sizes + b"".join(streams), lengths_of(symbols), count)


def test_long_damaged_streams_stay_inside_their_part(small_chunks, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 4000)
    symbols, lengths = drawn(8000)
    stream = bytearray(encode_chunks(symbols, lengths))
    rng = np.random.default_rng(2)
    for place in rng.integers(0, len(stream), 60).tolist():
        kept, stream[place] = stream[place], int(rng.integers(256))
        decoded_alike(bytes(stream), lengths, 8000)
        stream[place] = kept
    for end in (0, 3, 31, 32, 33, len(stream) // 2, len(stream) - 1):
        decoded_alike(bytes(stream[:end]), lengths, 8000)


SIZES = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("stream, count, message", [
    (b"", 1, "stream too short: 0 bytes for the sizes of 4 streams and 1 symbols of at least 1 bits"),
    (b"", 2**60, "stream too short: 0 bytes for the sizes of"),
    (bytes(SIZES), 5, "stream too short: 16 bytes for the sizes of 4 streams and 5 symbols of at least 1 bits"),
    (bytes([*SIZES, 64, 220]), 5, "sizes and streams take 19 bytes, there are 18"),
    (bytes([*SIZES, 64, 220, 0, 0]), 5, "sizes and streams take 19 bytes, there are 20"),
    (bytes([255] * 16 + [64, 220, 0]), 5, "sizes and streams take 17179869196 bytes, there are 19"),
    (bytes([1, 0, 0, 0, 2, *SIZES[5:], 64, 220, 0, 0]), 5, "chunk 0, stream 1 has 2 bytes, its 2 symbols take 1..1"),
    (bytes([*SIZES[:12], 1, 0, 0, 0, 64, 220, 0, 0]), 5, "chunk 0, stream 3 has 1 bytes, its 0 symbols take 0..0"),
    (bytes([*SIZES, 64, 221, 0]), 5, "chunk 0, stream 1: padding bits after bit 6 of the stream are not zero: last "
                                     "byte is 0xdd"),
    (bytes([*[2, 0, 0, 0] * 4, 255, 255, 0, 0, 0, 0, 0, 0]), 24, "chunk 0, stream 0: stream too short: 2 bytes end "
                                                                 "inside symbol 5 of 6"),
    (bytes([*[2, 0, 0, 0] * 4, 0, 0, 0, 0, 0, 0, 0, 0]), 24, "chunk 0, stream 0: stream too long: 2 bytes, its symbols "
                                                             "end in byte 1"),
])
def test_faulty_streams(stream, count, message):
    with pytest.raises(FormatError) as caught:
        decode_chunks(stream, BY_HAND, count)
    assert message in str(caught.value)
    with pytest.raises(FormatError):
        decode_chunks_reference(stream, BY_HAND, count if count < 2**20 else 1)


def test_the_first_damaged_stream_is_named_whatever_the_threads(small_chunks, monkeypatch):
    work_on(monkeypatch, 2)
    symbols = np.ones(64 * 9, np.uint8)
    stream = bytearray(encode_chunks(symbols, BY_HAND))
    assert len(stream) == 36 * (4 + 2)
    for place in (-30, -3, -1):  # the streams 21, 34 and 35 of 36
        stream[place] |= 1
    with pytest.raises(FormatError, match="^chunk 5, stream 1: stream too short: 2 bytes end inside"):
        decode_chunks(bytes(stream), BY_HAND, symbols.size)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="symbol 2 occurs 3 times but has code length 0"):
        encode_chunks(np.full(3, 2, np.uint8), [1, 1, 0])
    with pytest.raises(ValueError, match=r"symbol 9 is outside the alphabet 0..3"):
        encode_chunks(np.array([9], np.uint8), BY_HAND)
    with pytest.raises(TypeError, match="got int64"):
        encode_chunks(np.array([1]), BY_HAND)
    for lengths in ([1, 1, 1], [2], []):
        with pytest.raises(FormatError):
            decode_chunks(b"", lengths, 0)
