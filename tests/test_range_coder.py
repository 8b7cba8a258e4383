import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding.range_coder import ROOM, _carry, check_end, code_bit, finish, new_decoder, new_encoder, with_room

decision_lists = st.lists(st.tuples(st.integers(1, 65535) | st.sampled_from([1, 32768, 65535]), st.integers(0, 1)),
                          max_size=300)


def encode(decisions):
    buffer, state = new_encoder(16)
    for chance, bit in decisions:
        buffer = with_room(buffer, state, ROOM)
        code_bit(False, buffer, state, chance, bit)
    return finish(buffer, state)


def decode(stream, chances):
    data, state = new_decoder(stream)
    bits = [code_bit(True, data, state, chance, 0) for chance in chances]
    check_end(data, state)
    return bits


def encode_reference(decisions):
    """The same with one exact integer for the low end of the interval: no carries, no buffer."""
    low, width, nbytes = 0, 2**32, 4
    for chance, bit in decisions:
        bound = (width >> 16) * chance
        low, width = (low, bound) if bit else (low + bound, width - bound)
        while width < 2**24:
            low, width, nbytes = low << 8, width << 8, nbytes + 1
    number = next(number for zeros in range(32, -1, -1)
                  if (number := -(-low >> zeros) << zeros) < low + width)
    stream = number.to_bytes(nbytes, "big")
    return stream[:-4] + stream[-4:].rstrip(b"\0")


def test_by_hand():
    # Width 2^32, chance of a 1 one half: a 1 keeps the lower half, a 0 the upper one. 0: [2^31, 2^32) holds 2^31, 0x80.
    assert encode([(32768, 0)]) == b"\x80"
    # 1, then 0: [2^30, 2^31) holds 2^30. 1, 1: holds 0, and zero bytes at the end are not stored.
    assert encode([(32768, 1), (32768, 0)]) == b"\x40"
    assert encode([(32768, 1), (32768, 1)]) == b""
    # A 0 where a 1 had all but 1/65536: [65535 * 2^16, 2^32), 2^16 wide: the byte ff goes out and 2^24 are left.
    assert encode([(65535, 0)]) == b"\xff\xff"
    assert encode([]) == b""


def test_a_carry_runs_through_bytes_of_255():
    # 1/2 less a sliver begins the interval; decisions of 0 with chance 65535 move it up until it passes 1/2.
    decisions = [(32767, 0), (65535, 1), (65535, 1), (32768, 1), (65000, 0), (65535, 0), (65535, 0), (32768, 0)]
    assert encode(decisions) == encode_reference(decisions)
    for seed in range(60):
        random = np.random.default_rng(seed)
        chances = random.integers(1, 65536, 400)
        decisions = [(int(chance), int(random.random() * 65536 < chance)) for chance in chances]
        assert encode(decisions) == encode_reference(decisions)


def test_carries_happen():
    # Directly: 01 ff ff and a carry give 02 00 00.
    buffer = np.array([1, 255, 255, 9], np.uint8)
    _carry(buffer, 3)
    assert buffer.tolist() == [2, 0, 0, 9]


@settings(max_examples=200, deadline=None)
@given(decision_lists)
def test_round_trip_and_reference(decisions):
    stream = encode(decisions)
    assert stream == encode_reference(decisions)
    assert decode(stream, [chance for chance, _ in decisions]) == [bit for _, bit in decisions]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40), st.lists(st.integers(1, 65535), max_size=100))
def test_a_stream_is_accepted_only_if_the_encoder_would_write_it(stream, chances):
    data, state = new_decoder(stream)
    decisions = [(chance, code_bit(True, data, state, chance, 0)) for chance in chances]
    if encode(decisions) == stream:
        check_end(data, state)
    else:
        with pytest.raises(FormatError, match="context-coded stream"):
            check_end(data, state)


def test_longer_and_shorter_streams_are_refused():
    random = np.random.default_rng(5)
    chances = [int(chance) for chance in random.integers(1, 65536, 200)]
    stream = encode([(chance, int(random.random() < 0.5)) for chance in chances])
    for longer in (stream + b"\0", stream + b"\x01", stream + b"\0" * 9):
        with pytest.raises(FormatError):
            decode(longer, chances)
    for nbytes in range(len(stream) - 5):
        with pytest.raises(FormatError, match=f"has {nbytes} bytes, its decisions take"):
            decode(stream[:nbytes], chances)


def test_size_is_the_information_content():
    random = np.random.default_rng(0)
    bits = (random.random(20000) < 0.03).astype(int)
    expected = -np.log2(np.where(bits, 0.03, 0.97)).sum() / 8
    assert expected <= len(encode([(1966, int(bit)) for bit in bits])) <= expected * 1.001 + 4


def test_room_is_kept_with_what_was_written():
    buffer, state = np.arange(100, dtype=np.uint8), np.array([0, 2**32, 40], np.int64)
    assert with_room(buffer, state, 60) is buffer
    larger = with_room(buffer, state, 61)
    assert larger.size == 261 and np.array_equal(larger[:100], buffer)
