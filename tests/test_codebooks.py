import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding.bits import BitReader, BitWriter
from gluon_dc.coding.codebooks import HALF, ON_GRID, REPEATED, SINGLE, planned_codebook, read_codebook, write_codebook
from gluon_dc.coding.pools import PoolReader, PoolWriter


def book(*values):
    return np.array([0, *values], np.float32)


def stored(*codebooks):
    """Bits of the header, and the pools' sections, of codebooks written one after the other."""
    writer, pools, previous = BitWriter(), PoolWriter(), None
    for number, codebook in enumerate(codebooks):
        write_codebook(writer, pools, codebook, previous, f"tensor {number}")
        previous = codebook if codebook.size > 1 else previous
    return writer, pools.sections(is_coded=True)


def read_back(writer, sections, count):
    data = writer.to_bytes()
    reader, pools, plans, size = BitReader(memoryview(data), 0, len(data)), PoolReader(), [], 0
    for _ in range(count):
        plans.append(read_codebook(reader, pools, size))
        size = plans[-1].size or size
    assert reader.finish("codebooks") == len(data)
    for (key, _), (is_coded, content, *_) in zip(pools.used(), sections, strict=True):
        pools.fill(key, content, is_coded)
    found, previous = [], None
    for plan in plans:
        found.append(planned_codebook(plan, pools, previous))
        previous = found[-1] if found[-1].size > 1 else previous
    return found


def form_of(codebook):
    data = stored(codebook)[0].to_bytes()
    reader = BitReader(memoryview(data), 0, len(data))
    return reader.number(3, "size"), reader.bits(2, "form")


def test_forms_by_hand():
    assert form_of(book(-0.5, 0.5, 1)) == (3, ON_GRID)
    assert form_of(book(0.5, -0.5)) == (2, HALF)          # not ascending
    assert form_of(book(0.5, 0.5)) == (2, HALF)           # twice the same
    assert form_of(book(*np.float16([0.1234, 0.777]))) == (2, HALF)
    assert form_of(book(0.1234567, 0.777777)) == (2, SINGLE)
    assert form_of(book(-0.1, 0.1, 0.2)) == (3, ON_GRID)  # float32 step, 31 bits instead of 96
    writer, sections = stored(book(), book(-0.5, 0.5, 1))
    # size 0: 1000. Then size 3: 1011, form 00, step 0.5 = float16 0x3800: kind 00, 0111000000, consecutive 111,
    # negative 1, magnitude - 1 = 0 in order 3: 1000.
    assert sections == [] and writer.to_bytes() == bytes([0b1000_1011, 0b00_00_0111, 0b000000_11, 0b1_1_1000_00])


def test_sixteen_values_of_a_grid_take_four_bytes():
    writer, sections = stored(book(*(n / 16 for n in range(-8, 8) if n)))
    assert writer.size <= 32 and sections == []


def test_a_codebook_like_the_one_before_takes_its_size_and_two_bits():
    one = book(0.1234567, 0.2345671, 0.777777)
    alone, (section,) = stored(one)
    twice, (again,) = stored(one, book(), one)
    assert twice.size == alone.size + 4 + 4 + 2 and again[1] == section[1] and again[3] == [("tensor 0", 12)]
    assert [codebook.tobytes() for codebook in read_back(twice, [again], 3)] == [
        one.tobytes(), book().tobytes(), one.tobytes()]


values = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-40, 40).map(lambda n: n / 8)
codebooks = st.lists(values, max_size=20).map(lambda found: book(*found)) | st.lists(
    st.integers(-30, 30).filter(bool), max_size=12, unique=True).map(
        lambda found: book(*(0.3 * n for n in sorted(found))))


@settings(deadline=None, max_examples=60)
@given(st.lists(codebooks, max_size=4))
def test_round_trip(given_books):
    writer, sections = stored(*given_books)
    found = read_back(writer, sections, len(given_books))
    assert [codebook.tobytes() for codebook in found] == [codebook.tobytes() for codebook in given_books]
    assert not any(codebook.flags.writeable for codebook in found)


def test_largest_codebook():
    full = book(*np.random.default_rng(0).normal(size=255))
    writer, sections = stored(full)
    assert read_back(writer, sections, 1)[0].tobytes() == full.tobytes()
    assert sections[0][0] and len(sections[0][1]) < 4 * 255  # byte-coded


@pytest.mark.parametrize("size, form, previous_size, message", [
    (256, 0, 0, "codebook of 257 entries, expected 1..256"),
    (3, REPEATED, 0, "codebook of 4 entries repeats one of 1"),
    (3, REPEATED, 2, "codebook of 4 entries repeats one of 3")])
def test_bad_headers(size, form, previous_size, message):
    writer = BitWriter()
    writer.number(size, 3)
    writer.bits(form, 2)
    data = writer.to_bytes()
    with pytest.raises(FormatError, match=message):
        read_codebook(BitReader(memoryview(data), 0, len(data)), PoolReader(), previous_size)


def test_values_that_are_not_finite():
    pools = PoolReader()
    writer = BitWriter()
    writer.number(1, 3)
    writer.bits(SINGLE, 2)
    data = writer.to_bytes()
    plan = read_codebook(BitReader(memoryview(data), 0, len(data)), pools, 0)
    pools.fill(("codebook", 4), np.array([np.nan], "<f4").tobytes(), False)
    with pytest.raises(ValueError, match="codebook entry 1 is nan"):
        planned_codebook(plan, pools, None)


def test_pools_of_the_wrong_size():
    pools = PoolReader()
    pools.ask("codebook", 3, 4)
    with pytest.raises(FormatError, match="pool of 11 bytes, its values take 12"):
        pools.fill(("codebook", 4), bytes(11), False)
    pools.ask("arrays", 2**40, 4)
    with pytest.raises(FormatError, match="4398046511104 byte-coded bytes, expected at most 16777216"):
        pools.fill(("arrays", 4), bytes(3), True)
