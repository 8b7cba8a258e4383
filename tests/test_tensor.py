import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from gluon_dc.coding import CodedTensor, FormatError, PackedTensor, encode_gaps, pack, unpack
from gluon_dc.coding import huffman


def codebook(k):
    return np.arange(k, dtype=np.float32) / 7


@st.composite
def coded_tensors(draw):
    k = draw(st.sampled_from([1, 2, 3, 16, 33, 256]))
    symbols = st.just(0) | st.integers(0, k - 1)
    codes = draw(stnp.arrays(np.uint8, stnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9),
                             elements=symbols, fill=st.just(0)))
    return CodedTensor(codebook(k), codes)


EXAMPLE = CodedTensor(np.array([0, -0.25, 0.5], np.float32), np.array([[0, 2, 0, 0], [0, 1, 2, 0]], np.uint8))


def test_coded_tensor_by_hand():
    assert EXAMPLE.decode().tolist() == [[0, 0.5, 0, 0], [0, -0.25, 0.5, 0]]
    assert (EXAMPLE.shape, EXAMPLE.size, EXAMPLE.nnz, EXAMPLE.density, EXAMPLE.code_bits) == ((2, 4), 8, 3, 0.375, 2)
    assert EXAMPLE.mask.tolist() == [[False, True, False, False], [False, True, True, False]]


def test_decoding_into_an_array_at_hand():
    out = np.full((2, 4), np.nan, np.float32)
    assert EXAMPLE.decode(out=out) is out
    np.testing.assert_array_equal(out, EXAMPLE.decode())


@pytest.mark.parametrize("out", [np.empty((4, 2), np.float32), np.empty((2, 4)), np.empty((4, 2), np.float32).T])
def test_decoding_into_an_unsuitable_array(out):
    with pytest.raises(ValueError, match=r"out must be a contiguous float32 array of shape \(2, 4\), got float"):
        EXAMPLE.decode(out=out)


def test_packed_tensor_by_hand():
    # Entries at 1, 5, 6 with codes 2, 1, 2 and gaps 1, 3, 0; two bits a gap, two bits a code: a byte each.
    packed = pack(EXAMPLE, "fixed", rel_bits=2)
    assert packed.entries == 3
    assert packed.code_stream == bytes([0b10_01_10_00]) and packed.gap_stream == bytes([0b01_11_00_00])
    assert packed.code_lengths.tolist() == packed.gap_lengths.tolist() == [2] * 4
    assert packed.part_nbytes() == {"codes": 1, "gaps": 1, "codebook": 2 * 2, "tables": 0}
    assert packed.nbytes == 6 and packed.coder == "fixed" and packed.code_bits == 2
    assert unpack(packed) == EXAMPLE


@settings(deadline=None, max_examples=80)
@given(coded_tensors(), st.sampled_from(["huffman", "fixed"]), st.none() | st.integers(0, 8))
def test_round_trip(coded, coder, rel_bits):
    packed = pack(coded, coder, rel_bits)
    again = unpack(packed)
    assert again == coded and again.codebook.tobytes() == coded.codebook.tobytes()
    np.testing.assert_array_equal(packed.decode(), coded.codebook[coded.codes])
    assert packed.decode().dtype == np.float32 and packed.shape == coded.shape
    assert packed.entries == encode_gaps(coded.codes.reshape(-1), packed.rel_bits)[0].size
    assert coder == "huffman" or packed.coder == "fixed"


@settings(deadline=None, max_examples=30)
@given(coded_tensors(), st.sampled_from(["huffman", "fixed"]))
def test_chosen_rel_bits_take_the_fewest_bytes(coded, coder):
    sizes = [pack(coded, coder, rel_bits).nbytes for rel_bits in range(9)]
    chosen = pack(coded, coder)
    assert chosen.nbytes == min(sizes) and chosen.rel_bits == sizes.index(min(sizes))
    assert pack(coded, "huffman").nbytes <= pack(coded, "fixed").nbytes


@pytest.mark.parametrize("density", [0.02, 0.09, 0.5, 1.0])
def test_large_tensor(density):
    rng = np.random.default_rng(0)
    codes = np.where(rng.random((300, 784)) < density, np.clip(rng.normal(16, 4, (300, 784)), 1, 31), 0)
    coded = CodedTensor(codebook(32), codes.astype(np.uint8))
    packed = pack(coded)
    assert unpack(packed) == coded and packed.coder == "huffman"
    entropy = huffman.entropy_bits(np.bincount(coded.codes.ravel()))
    assert entropy / 8 < packed.nbytes < 1.1 * entropy / 8 + 200
    assert (packed.rel_bits == 0) == (density == 1.0)


def test_codebook_travels_whole_and_bit_for_bit():
    odd = np.array([0, np.nextafter(np.float32(1), np.float32(2)), -0.0, 1e-45, 3e38], np.float32)
    packed = pack(CodedTensor(odd, np.ones(3, np.uint8)))
    assert packed.part_nbytes()["codebook"] == 4 * 4
    assert unpack(packed).codebook.tobytes() == odd.tobytes()


def test_all_zero_takes_no_stream():
    packed = pack(CodedTensor(codebook(4), np.zeros((100, 100), np.uint8)))
    assert (packed.entries, packed.rel_bits, packed.code_stream, packed.gap_stream) == (0, 1, b"", b"")
    assert packed.part_nbytes()["tables"] == 0
    assert not packed.decode().any()


def test_full_tensor_of_one_code_takes_a_table_alone():
    packed = pack(CodedTensor(codebook(2), np.ones(5000, np.uint8)))
    assert (packed.entries, packed.rel_bits, packed.code_stream) == (5000, 0, b"")
    assert packed.decode().tolist() == [codebook(2)[1]] * 5000


def test_records_are_frozen_copies():
    codes, book = np.ones((2, 2), np.uint8), codebook(2)
    coded = CodedTensor(book, codes)
    codes[:], book[:] = 0, 9
    assert coded.nnz == 4 and coded.codebook.tolist() == codebook(2).tolist()
    packed = pack(coded)
    for array in (coded.codes, coded.codebook, packed.codebook, packed.code_lengths, unpack(packed).codes):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        coded.codes = codes
    coded.decode()[...] = 1  # what is decoded belongs to the caller


def test_codes_in_any_layout():
    codes = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert unpack(pack(CodedTensor(codebook(16), codes))).codes.tolist() == codes.tolist()


def test_equality_is_by_content():
    assert EXAMPLE == CodedTensor(EXAMPLE.codebook.copy(), EXAMPLE.codes.copy())
    assert EXAMPLE != CodedTensor(EXAMPLE.codebook, EXAMPLE.codes.reshape(4, 2))
    assert EXAMPLE != CodedTensor(EXAMPLE.codebook * 2, EXAMPLE.codes) and EXAMPLE != 3
    assert pack(EXAMPLE) == pack(EXAMPLE) != pack(EXAMPLE, rel_bits=8)


@pytest.mark.parametrize("book, codes, error, message", [
    ([0.0, np.nan], [0], ValueError, "codebook entry 1 is nan: expected finite values"),
    ([0.0, 1, -np.inf], [0], ValueError, "codebook entry 2 is -inf"),
    ([1.0, 2.0], [0], ValueError, r"codebook\[0\] must be \+0.0, the value of code 0, got 1.0"),
    ([-0.0, 2.0], [0], ValueError, r"codebook\[0\] must be \+0.0, the value of code 0, got -0.0"),
    ([], [], ValueError, r"1..256 entries in one dimension, got shape \(0,\)"),
    ([[0.0]], [0], ValueError, r"got shape \(1, 1\)"),
    (np.zeros(257), [0], ValueError, r"got shape \(257,\)"),
    ([0.0, 1.0], [0, 2], ValueError, "largest code is 2, but the codebook has 2 entries"),
    ([0.0, 1.0], np.array([0, 1]), TypeError, "codes must be uint8, got int64"),
])
def test_faulty_coded_tensors(book, codes, error, message):
    codes = np.array(codes, np.uint8) if isinstance(codes, list) else codes
    with pytest.raises(error, match=message):
        CodedTensor(np.array(book, np.float32), codes)


PACKED = pack(EXAMPLE, "fixed", rel_bits=2)


@pytest.mark.parametrize("changes, message", [
    (dict(rel_bits=9), "rel_bits must be 0..8, got 9"),
    (dict(shape=(-2, -4)), "up to 8 dimensions >= 0"),
    (dict(shape=(1,) * 9), "up to 8 dimensions >= 0"),
    (dict(shape=(2,)), r"3 entries in shape \(2,\), expected 0..2"),
    (dict(rel_bits=0, gap_lengths=np.zeros(0), gap_stream=b""), r"3 entries in shape \(2, 4\), expected 8 in dense"),
    (dict(rel_bits=0, entries=8, code_stream=bytes(2)), "dense mode .rel_bits 0. has no gaps"),
    (dict(code_lengths=[1, 1, 1]), "over-subscribed"),
    (dict(code_lengths=[1, 1]), "code table has 2 lengths, expected 3 or a flat table"),
    (dict(gap_lengths=[3] * 8), "gap table has 8 lengths, expected 4 or a flat table"),
    (dict(gap_lengths=[]), "1..256 in one dimension"),
    (dict(code_stream=b""), "code stream has 0 bytes, 3 entries take at most 1"),
    (dict(gap_stream=bytes(2)), "gap stream has 2 bytes, 3 entries take at most 1"),
    (dict(codebook=np.array([1, 2], np.float32)), "codebook"),
])
def test_faulty_packed_tensors(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PACKED, **changes)


@pytest.mark.parametrize("changes, message", [
    (dict(code_stream=bytes([0b11_01_10_00])), "tensor 'w', code stream: largest code is 3, but the codebook has 3"),
    (dict(gap_stream=bytes([0b11_11_11_00])),
     "tensor 'w', gap stream: entry 2 of 3 stands at position 11, past the size 8"),
    (dict(code_stream=bytes([0b10_01_10_01])), "tensor 'w', code stream: padding bits"),
    (dict(gap_lengths=[1, 2, 3, 3], gap_stream=b""), "tensor 'w', gap stream: stream too short: 0 bytes for 3 symbols"),
])
def test_streams_that_do_not_decode(changes, message):
    with pytest.raises(FormatError, match=message):
        unpack(dataclasses.replace(PACKED, **changes), "w")


@settings(deadline=None, max_examples=150)
@given(coded_tensors(), st.data())
def test_random_streams_raise_format_errors_alone(coded, data):
    packed = pack(coded)
    streams = {field: data.draw(st.binary(min_size=len(stream), max_size=len(stream)))
               for field, stream in (("code_stream", packed.code_stream), ("gap_stream", packed.gap_stream))}
    try:
        again = unpack(dataclasses.replace(packed, **streams))
    except FormatError:
        return
    assert again.shape == coded.shape and (again.codes < coded.codebook.size).all()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="unknown coder 'zip', expected one of huffman, fixed, context"):
        pack(EXAMPLE, "zip")
    for rel_bits in (-1, 9):
        with pytest.raises(ValueError, match=f"rel_bits must be 0..8 or None, got {rel_bits}"):
            pack(EXAMPLE, rel_bits=rel_bits)
    assert isinstance(pack(EXAMPLE), PackedTensor)
