import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding.byte_coder import PLAIN, PREFIX, STEPS, TEXT, _encode, decode_bytes, encode_bytes


def assert_round_trip(data, width):
    stream = encode_bytes(data, width)
    assert decode_bytes(stream, len(data), width) == data
    return stream


def test_by_hand():
    # Model PLAIN is the decisions 0, 0 of one half, then the bits, 1 the lower half: a0 is 1010 0000. The stream is the
    # complement of all that, 00 10100000 -> 11 01011111 and then the roundest number: 11010111 11......
    assert _encode(b"\xa0", 1, PLAIN) == bytes([0b11010111, 0b11000000])
    assert decode_bytes(bytes([0b11010111, 0b11000000]), 1, 1) == b"\xa0"
    assert encode_bytes(b"", 4) == b"" and decode_bytes(b"", 0, 4) == b""


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_zeros_ones_and_noise(width, count):
    noise = np.random.default_rng(0).bytes(width * count)
    assert len(assert_round_trip(noise, width)) <= len(noise) + 1
    for data in (bytes(width * count), b"\xff" * (width * count)):
        assert len(assert_round_trip(data, width)) <= len(data) + 1


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
def test_floats_ascending_and_not(dtype):
    values = np.random.default_rng(0).standard_normal(400).astype(dtype)
    loose = assert_round_trip(values.tobytes(), values.itemsize)
    ascending = assert_round_trip(np.sort(values).tobytes(), values.itemsize)
    # Sign and exponent have 12 values or so; in order, log2(400!) / 400 = 7.2 bits are saved.
    assert len(loose) < values.nbytes * 0.96 and len(ascending) < len(loose) - 400 * 6 // 8
    special = np.array([-np.inf, -1, -0.0, 0, 1e-7, 1, np.inf, np.nan], dtype)
    assert_round_trip(special.tobytes(), special.itemsize)


def test_text_is_smaller_than_its_letters():
    text = ("the quick brown fox jumps over the lazy dog, " * 20).encode()
    assert len(assert_round_trip(text, 1)) < 120


def test_every_model_gives_back_everything():
    data = np.random.default_rng(1).standard_normal(50).astype("<f4").tobytes()
    for model, width in ((PLAIN, 4), (PREFIX, 4), (STEPS, 4), (PREFIX, 1), (TEXT, 1), (STEPS, 2), (STEPS, 8)):
        assert decode_bytes(_encode(data, width, model), len(data), width) == data


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1, 2, 4, 8]).flatmap(lambda width: st.tuples(
    st.just(width), st.lists(st.integers(0, 256**width - 1), max_size=60))))
def test_round_trip_of_anything(numbers):
    width, numbers = numbers
    assert_round_trip(b"".join(number.to_bytes(width, "little") for number in numbers), width)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 40), st.sampled_from([1, 2, 4, 8]))
def test_random_bytes(stream, count, width):
    try:
        data = decode_bytes(stream, count * width, width)
    except FormatError:
        return
    assert len(data) == count * width


def test_errors():
    with pytest.raises(ValueError, match="5 bytes are no whole count of numbers of 4 bytes"):
        encode_bytes(b"12345", 4)
    with pytest.raises(ValueError, match="numbers of 3 bytes"):
        encode_bytes(b"123", 3)
    with pytest.raises(FormatError, match="2 bytes of stream for no data"):
        decode_bytes(b"ab", 0, 1)
    # Model TEXT does not go with numbers of 4 bytes: its decisions are 1, 1, the lowest quarter.
    with pytest.raises(FormatError, match="model 3 does not go with numbers of 4 bytes"):
        decode_bytes(b"\1\1\1", 8, 4)
    good = encode_bytes(bytes(range(40)), 1)
    for other in (good + b"\0", good + b"\1", good[:-6], b""):
        with pytest.raises(FormatError):
            decode_bytes(other, 40, 1)


def test_a_short_stream_for_much_data_ends_soon():
    for width in (1, 4):
        with pytest.raises(FormatError):
            decode_bytes(b"\1\2\3", 1 << 26, width)
