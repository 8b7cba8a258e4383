import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding.codebook_tree import codebook_tree
from gluon_dc.coding.context_fast import LIMIT, SIGN, TREES, decode_tensor, encode_tensor, new_states, rates
from gluon_dc.coding.range_coder import check_end, code_bit, finish, new_decoder, new_encoder, with_room

CODEBOOK = np.array([0, -2, -1, 1, 2, 3], np.float32)


def encode(codes, row_size, codebook=CODEBOOK):
    buffer, state = new_encoder()
    buffer = encode_tensor(np.array(codes, np.uint8), row_size, codebook_tree(codebook), new_states(), buffer, state)
    return finish(buffer, state)


def decode(stream, size, row_size, codebook=CODEBOOK):
    codes = np.zeros(size, np.uint8)
    data, state = new_decoder(stream)
    decode_tensor(codes, row_size, codebook_tree(codebook), new_states(), data, state)
    check_end(data, state)
    return codes


def encode_reference(codes, row_size, codebook):
    """The same, written to be read: a probability and a count for every context, in a dict."""
    chances, tree = {}, codebook_tree(codebook)
    buffer, state = new_encoder()

    def put(context, bit):
        nonlocal buffer
        chance, seen = chances.get(context, (1 << 21, 0))
        buffer = with_room(buffer, state, 8)
        code_bit(False, buffer, state, chance >> 6 | 1, bit)
        step = 2 * 65536 // (2 * seen + 3)
        chance += ((1 << 22) - chance) * step >> 16 if bit else -(chance * step >> 16)
        chances[context] = chance, min(seen + 1, LIMIT)

    def kept(i):
        return int(i >= 0 and codes[i] != 0)

    for i, code in enumerate(codes):
        put(("flag", kept(i - 1), kept(i - 2), kept(i - row_size), kept(i - 2 * row_size)), int(code != 0))
        if code:
            sign, magnitude = int(tree.signs[code]), int(tree.magnitudes[code])
            if tree.sizes.all():
                put("sign", sign)
            depth, size = int(tree.depths[sign]), int(tree.sizes[sign])
            for level in range(depth):
                before = magnitude >> (depth - level)
                bit = magnitude >> (depth - level - 1) & 1
                if (2 * before + 1) << (depth - level - 1) < size:
                    put((sign, level, before), bit)
    return finish(buffer, state)


def test_by_hand():
    # One weight, kept (1: the lower half), of sign 1 (the lower quarter), magnitude 0 of 3 as bits 0, 0 (the upper
    # half of the rest, twice): from 3/16 to 1/4 and a little more, since 32769/65536 is the chance of a fresh context
    # (its lowest bit is always set). 1/4 is the roundest number in there.
    assert encode([3], 1) == b"\x40"
    assert encode([0], 1) == b"\xc0" and encode([], 1) == b""


def test_contexts_do_not_overlap():
    assert SIGN == 16 and TREES == 17 and new_states().size == TREES + 2 * 256
    assert rates()[0] == 2 * 65536 // 3 and rates().size == LIMIT + 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5]), max_size=300), st.integers(1, 40))
def test_round_trip_and_reference(codes, row_size):
    stream = encode(codes, row_size)
    assert stream == encode_reference(codes, row_size, CODEBOOK)
    assert decode(stream, len(codes), row_size).tolist() == codes


@pytest.mark.parametrize("codebook", [[0, 1], [0, -1], [0, -2, -1], [0, 1, 2, 3], list(range(256))])
def test_codebooks_of_every_size(codebook):
    codebook = np.array(codebook, np.float32)
    codes = np.random.default_rng(0).integers(0, codebook.size, 3000).astype(np.uint8)
    stream = encode(codes, 7, codebook)
    assert stream == encode_reference(codes, 7, codebook)
    assert np.array_equal(decode(stream, codes.size, 7, codebook), codes)


def test_a_stream_that_ends_too_early_is_not_read_for_ever():
    codes = np.zeros(2**22, np.uint8)
    codes[::5] = 1
    stream = encode(codes, 64)
    data, state = new_decoder(stream[:50])
    decode_tensor(codes, 64, codebook_tree(CODEBOOK), new_states(), data, state)
    assert state[2] < 2000
    with pytest.raises(FormatError):
        check_end(data, state)
