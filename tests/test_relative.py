import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding.relative import (count_entries, decode_gaps, decode_gaps_reference, encode_gaps,
                                      encode_gaps_reference, gap_histograms)

codes_lists = st.lists(st.sampled_from([0] * 12 + [1, 2, 255]), max_size=700).map(lambda x: np.array(x, np.uint8))


def place(positions, codes, size):
    flat = np.zeros(size, np.uint8)
    flat[positions] = codes
    return flat


def test_figure_2_of_the_paper():
    # Weights 3.4, 0.9, 1.7 (codes 1, 2, 3) at positions 1, 4, 15, with 3 bits. The figure counts steps from the
    # previous position: 1, 3, 8, 3, where the step 8 is the longest and ends on a filler at 12. We count the zeros
    # skipped, one less than the step (the first entry starts from before position 0): 1, 2, 7, 2.
    codes = place([1, 4, 15], [1, 2, 3], 16)
    entry_codes, gaps = encode_gaps(codes, 3)
    assert entry_codes.tolist() == [1, 2, 0, 3]
    assert gaps.tolist() == [1, 2, 7, 2]
    assert (np.cumsum(gaps + 1) - 1).tolist() == [1, 4, 12, 15]
    np.testing.assert_array_equal(decode_gaps(entry_codes, gaps, 16), codes)


@pytest.mark.parametrize("codes, rel_bits, entry_codes, gaps", [
    ([], 3, [], []),
    ([], 0, [], []),
    ([0, 0, 0], 3, [], []),
    ([0, 5, 0], 0, [0, 5, 0], [0, 0, 0]),
    ([5], 1, [5], [0]),
    ([0, 5], 1, [5], [1]),
    ([0, 0, 5], 1, [0, 5], [1, 0]),           # two zeros: one is skipped, the filler stands on the other
    ([0, 0, 0, 5], 1, [0, 5], [1, 1]),
    ([0, 0, 0, 0, 5], 1, [0, 0, 5], [1, 1, 0]),
    ([0] * 3 + [9], 2, [9], [3]),
    ([0] * 4 + [9], 2, [0, 9], [3, 0]),
    ([1, 2, 3, 0, 0], 2, [1, 2, 3], [0, 0, 0]),   # zeros at the end need no entry
    ([0] * 255 + [9], 8, [9], [255]),
    ([0] * 256 + [9], 8, [0, 9], [255, 0]),
    ([0] * 512 + [9], 8, [0, 0, 9], [255, 255, 0]),
])
def test_by_hand(codes, rel_bits, entry_codes, gaps):
    for encode in (encode_gaps, encode_gaps_reference):
        got = encode(np.array(codes, np.uint8), rel_bits)
        assert (got[0].tolist(), got[1].tolist()) == (entry_codes, gaps)
        assert got[0].dtype == got[1].dtype == np.uint8
    assert count_entries(np.array(codes, np.uint8), rel_bits) == len(gaps)
    for decode in (decode_gaps, decode_gaps_reference):
        assert decode(*got, len(codes)).tolist() == codes


@settings(deadline=None, max_examples=80)
@given(codes_lists, st.integers(0, 8))
def test_round_trip_equals_the_reference(codes, rel_bits):
    entry_codes, gaps = encode_gaps(codes, rel_bits)
    expected = encode_gaps_reference(codes, rel_bits)
    np.testing.assert_array_equal(entry_codes, expected[0])
    np.testing.assert_array_equal(gaps, expected[1])
    assert gaps.size == count_entries(codes, rel_bits)
    np.testing.assert_array_equal(decode_gaps(entry_codes, gaps, codes.size), codes)


@pytest.mark.parametrize("size", [1023, 1024, 1025, 2048, 5000])
@pytest.mark.parametrize("density", [0.0005, 0.01, 0.3, 1.0])
def test_more_weights_than_a_block_of_the_kernels(size, density):
    # At the lowest density runs of zeros span whole blocks.
    rng = np.random.default_rng(size)
    codes = np.where(rng.random(size) < density, rng.integers(1, 32, size), 0).astype(np.uint8)
    gap_counts, fillers = gap_histograms(codes)
    for rel_bits in (1, 3, 8):
        expected = encode_gaps_reference(codes, rel_bits)
        for got, wanted in zip(encode_gaps(codes, rel_bits), expected):
            np.testing.assert_array_equal(got, wanted)
        np.testing.assert_array_equal(gap_counts[rel_bits], np.bincount(expected[1], minlength=256))
        assert fillers[rel_bits] == np.count_nonzero(expected[0] == 0)


@settings(deadline=None, max_examples=40)
@given(codes_lists)
def test_histograms_are_those_of_every_encoding(codes):
    gap_counts, fillers = gap_histograms(codes)
    for rel_bits in range(9):
        entry_codes, gaps = encode_gaps(codes, rel_bits)
        np.testing.assert_array_equal(gap_counts[rel_bits], np.bincount(gaps, minlength=256))
        if rel_bits:
            assert fillers[rel_bits] == np.count_nonzero(entry_codes == 0)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 600))
def test_any_entries_decode_as_the_reference_or_raise_alike(codes, gaps, size):
    n = min(len(codes), len(gaps))
    entries = np.frombuffer(codes[:n], np.uint8), np.frombuffer(gaps[:n], np.uint8)
    try:
        expected = decode_gaps_reference(*entries, size)
    except FormatError as error:
        with pytest.raises(FormatError) as caught:
            decode_gaps(*entries, size)
        assert str(caught.value) == str(error)
    else:
        np.testing.assert_array_equal(decode_gaps(*entries, size), expected)


def test_an_entry_past_the_end():
    entries = np.array([1, 2], np.uint8), np.array([3, 4], np.uint8)
    assert decode_gaps(*entries, 9).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 2]
    with pytest.raises(FormatError, match="entry 1 of 2 stands at position 8, past the size 8"):
        decode_gaps(*entries, 8)


def test_wrong_arguments():
    codes = np.zeros(4, np.uint8)
    for rel_bits in (-1, 9):
        with pytest.raises(ValueError, match=f"rel_bits must be 0..8, got {rel_bits}"):
            encode_gaps(codes, rel_bits)
        with pytest.raises(ValueError, match="rel_bits"):
            count_entries(codes, rel_bits)
    with pytest.raises(TypeError, match="expected an array of uint8 symbols, got int64"):
        encode_gaps(np.array([300]), 3)
    with pytest.raises(ValueError, match="got 1 gaps and 4 codes"):
        decode_gaps(codes, codes[:1], 4)
