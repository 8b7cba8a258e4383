import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding.bits import MAX_NUMBER_BITS, BitReader, BitWriter


def reader(data):
    return BitReader(memoryview(data), 0, len(data))


def test_by_hand():
    writer = BitWriter()
    writer.bits(5, 4)       # 0101
    writer.number(0, 0)     # 1
    writer.number(3, 0)     # 00100
    writer.number(9, 2)     # (9 >> 2) + 1 = 3: 011, and the low bits 01
    assert writer.size == 15
    data = writer.to_bytes()
    assert data == bytes([0b0101_1_001, 0b00_011_01_0])
    back = reader(data)
    assert [back.bits(4, "a"), back.number(0, "b"), back.number(0, "c"), back.number(2, "d")] == [5, 0, 3, 9]
    assert back.left == 1 and back.finish("the example") == 2


def test_nothing_is_no_byte():
    assert BitWriter().to_bytes() == b"" and reader(b"").finish("nothing") == 0
    writer = BitWriter()
    writer.bits(0, 0)
    assert writer.to_bytes() == b""


@given(st.lists(st.tuples(st.integers(0, 2**62 - 1), st.integers(0, 8), st.integers(0, 62))))
def test_round_trip(items):
    writer = BitWriter()
    for value, order, shift in items:
        writer.number(value >> shift, order)
        writer.bits(value & 7, 3)
    copied = writer.copy()
    copied.bits(1, 1)
    assert copied.size == writer.size + 1
    back = reader(writer.to_bytes())
    for value, order, shift in items:
        assert back.number(order, "number") == value >> shift and back.bits(3, "bits") == value & 7
    assert back.finish("all") == -(-writer.size // 8)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**62 - 1), st.integers(0, 62)), min_size=30, max_size=40),
       st.integers(0, 8), st.integers(0, 7), st.binary(max_size=5), st.integers(0, 400))
def test_many_numbers_at_once(items, order, shift, before, cut):
    """The kernel against one by one, also where the data is cut short or numbers are too large."""
    numbers = [value >> places for value, places in items]
    writer = BitWriter()
    writer.bits(0, shift)
    for number in numbers:
        writer.number(number, order)
    data = before + writer.to_bytes()
    for end in (len(data), max(len(before) + 1, len(data) - cut)):
        at_once, one_by_one = (BitReader(memoryview(data), len(before), end) for _ in range(2))
        at_once.bits(shift, "x"), one_by_one.bits(shift, "x")
        try:
            expected = [one_by_one.number(order, "number") for _ in numbers]
        except FormatError as error:
            with pytest.raises(FormatError, match=re.escape(str(error))):
                at_once.numbers(order, len(numbers), "number")
            continue
        assert at_once.numbers(order, len(numbers), "number").tolist() == expected == numbers
        assert at_once.left == one_by_one.left


def test_many_numbers_of_random_bits():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        data = np.packbits(rng.random(rng.integers(1, 3000)) < rng.choice([0.02, 0.1, 0.5, 0.9])).tobytes()
        at_once, one_by_one, order = reader(data), reader(data), int(rng.integers(0, 9))
        try:
            expected = [one_by_one.number(order, "n") for _ in range(40)]
        except FormatError as error:
            with pytest.raises(FormatError, match=re.escape(str(error))):
                at_once.numbers(order, 40, "n")
            continue
        assert at_once.numbers(order, 40, "n").tolist() == expected and at_once.left == one_by_one.left


def test_starts_at_any_byte():
    assert BitReader(memoryview(b"\xff\x40"), 1, 2).bits(2, "x") == 1


@pytest.mark.parametrize("data, read, message", [
    (b"", lambda r: r.bits(1, "kind"), "kind at bit 0 takes 1 bits, 0 are left"),
    (b"\x01", lambda r: r.bits(9, "kind"), "kind at bit 0 takes 9 bits, 8 are left"),
    (b"\x01", lambda r: r.number(0, "size"), "size at bit 8 takes 7 bits, 0 are left"),
    (b"\0\0", lambda r: r.number(0, "size"), "size at bit 16 takes 1 bits, 0 are left"),
    (bytes(9), lambda r: r.number(0, "size"), r"size at bit 63 is 2\*\*62 or more"),
    (bytes(9), lambda r: r.number(8, "size"), r"size at bit 55 is 2\*\*62 or more"),
    (b"\x81", lambda r: (r.bits(1, "x"), r.finish("the header")), "padding bits after the header are not zero, byte 0"),
])
def test_faults(data, read, message):
    with pytest.raises(FormatError, match=message):
        read(reader(data))


@pytest.mark.parametrize("write, message", [
    (lambda w: w.bits(4, 2), "4 does not fit in 2 bits"),
    (lambda w: w.bits(-1, 2), "-1 does not fit in 2 bits"),
    (lambda w: w.number(-1, 0), r"a number is 0..2\*\*62 - 1, got -1"),
    (lambda w: w.number(2**MAX_NUMBER_BITS, 3), "a number is"),
])
def test_what_cannot_be_written(write, message):
    with pytest.raises(ValueError, match=message):
        write(BitWriter())


@given(st.binary(max_size=30), st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=40))
def test_random_bytes(data, reads):
    back = reader(data)
    try:
        for is_number, width in reads:
            value = back.number(width, "x") if is_number else back.bits(width, "x")
            assert 0 <= value < 2**62
        assert back.finish("it") <= len(data)
    except FormatError:
        pass
