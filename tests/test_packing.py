"""gluon_dc.export.packing: whole numbers as arrays that division, remainder and running sums unpack."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.export.packing import (BYTE_RADIX, PER_WORD, RADICES, _rice, digits, numbers_nbytes, pack_gaps,
                                     pack_numbers, powers, unpack)


class TestByHand:
    def test_digits(self):
        words = digits(np.array([1, 2, 0, 1]), 3)
        assert words.dtype == np.int64 and words.tolist() == [1 + 2 * 3 + 0 * 9 + 1 * 27]
        assert powers(3)[:4].tolist() == [1, 3, 9, 27]

    def test_a_word_holds_as_many_digits_as_63_bits_do(self):
        assert digits(np.ones(63, np.uint8), 2).tolist() == [2**63 - 1]
        assert digits(np.ones(64, np.uint8), 2).tolist() == [2**63 - 1, 1]

    def test_bytes(self):
        numbers = np.arange(256, dtype=np.uint8)
        packed = pack_numbers(numbers)
        assert packed.radix == BYTE_RADIX and packed.nbytes == 256 and packed.words is not numbers

    def test_rice(self):
        # m = 2: 5 = 2 * 2 + 1 -> 001, 0 -> 1, 2 = 2 * 1 + 0 -> 01; rests 1, 0, 0
        packed = _rice(np.array([5, 0, 2]), 2)
        assert packed.bits.tolist() == [0b00110100] and packed.words.tolist() == [1]
        assert unpack(packed).tolist() == [5, 0, 2]

    def test_unary_is_the_bitmap(self):
        packed = pack_gaps(np.array([0, 2, 0, 1]))  # kept weights at 0, 3, 4, 6
        assert packed.m == 1 and packed.radix is None and packed.words.size == 0
        assert packed.bits.tolist() == [0b10011010] and packed.nbytes == 1


def test_radices_are_the_largest_for_their_number_of_digits():
    assert RADICES[:5] == (2, 3, 4, 5, 6) and PER_WORD[2] == 63 and PER_WORD[RADICES[-1]] == 2
    for radix, per_word in PER_WORD.items():
        assert radix**per_word <= 2**63 < (radix + 1)**per_word or radix == 2
        assert (radix - 1) * int(powers(radix).sum()) < 2**63


@pytest.mark.parametrize("radix", RADICES)
def test_the_largest_digits_fit(radix):
    numbers = np.full(2 * PER_WORD[radix] + 1, radix - 1, np.int64)
    words = digits(numbers, radix)
    assert words.size == 3 and words.min() >= 0
    found = (words[:, None] // powers(radix) % radix).reshape(-1)[:numbers.size]
    np.testing.assert_array_equal(found, numbers)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**31), max_size=300), st.integers(0, 31))
def test_round_trips(numbers, shift):
    array = np.array(numbers, np.int64) >> shift
    for pack in (pack_numbers, pack_gaps):
        packed = pack(array)
        np.testing.assert_array_equal(unpack(packed), array)
        assert packed.count == array.size
    assert pack_numbers(array).nbytes == numbers_nbytes(array)


@pytest.mark.parametrize("numbers", [
    np.zeros(0, np.uint8), np.zeros(1, np.uint8), np.full(1, 255, np.uint8), np.full(1000, 255, np.uint8),
    np.arange(256, dtype=np.uint8), np.zeros(1000, np.uint8), np.array([2**30], np.int64)])
def test_edges(numbers):
    for pack in (pack_numbers, pack_gaps):
        np.testing.assert_array_equal(unpack(pack(numbers)), numbers)


@pytest.mark.parametrize("density", [0.01, 0.09, 0.35, 0.6])
def test_gaps_of_even_spread_come_near_their_entropy(density):
    kept = np.flatnonzero(np.random.default_rng(0).random(200_000) < density)
    packed = pack_gaps(np.diff(kept, prepend=-1) - 1)
    entropy_bits = -(density * np.log2(density) + (1 - density) * np.log2(1 - density)) * 200_000
    assert entropy_bits / 8 * 0.98 < packed.nbytes < entropy_bits / 8 * 1.05
