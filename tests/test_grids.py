import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding.bits import BitReader, BitWriter
from gluon_dc.coding.grids import (MAX_NUMBER, Grid, find_grid, read_ascending, read_signed, read_step, write_ascending,
                                   write_signed, write_step)


def written(write, *arguments):
    writer = BitWriter()
    write(writer, *arguments)
    return writer


def reader(writer):
    data = writer.to_bytes()
    return BitReader(memoryview(data), 0, len(data))


def f32(*values):
    return np.array(values, np.float32)


def test_found_by_hand():
    grid = find_grid(f32(-0.75, 0, 0.25, 1.5))
    assert grid.step == 0.25 and grid.numbers.tolist() == [-3, 0, 1, 6]
    assert find_grid(f32(-0.6, 0.4)).numbers.tolist() == [-3, 2]  # the nearest to zero is twice the step
    assert find_grid(f32(0.1, 0.2, 0.30001)) is None
    for values in (f32(), f32(0, 0), f32(0.5, -0.0), f32(0.5, np.nan), f32(0.5, np.inf), f32(1, 2**15 + 1),
                   f32(1e-40, 2e-40)):
        assert find_grid(values) is None


numbers = st.lists(st.integers(-300, 300), min_size=1, max_size=40).filter(any)


@settings(deadline=None)
@given(numbers, st.floats(2.0**-60, 2.0**60, width=32))
def test_values_on_a_grid_are_found(numbers, step):
    values = Grid(np.float32(step), np.array(numbers)).values()
    found = find_grid(values)
    if min(abs(number) for number in numbers if number) <= 64:
        assert found is not None and np.abs(found.numbers).max() <= max(map(abs, numbers))
    if found is not None:
        assert found.values().tobytes() == values.tobytes()


@settings(deadline=None)
@given(st.lists(st.floats(width=32), max_size=12))
def test_a_grid_that_is_found_gives_back_every_bit(values):
    grid = find_grid(f32(*values))
    assert grid is None or grid.values().tobytes() == f32(*values).tobytes()


@pytest.mark.parametrize("step, width", [
    (0.25, 10), (2.0**-24, 15), (2.0**-14, 10), (65504, 15), (0.1, 31), (1 + 2**-10, 15), (1 + 2**-5, 10),
    (3.4e38, 31), (2.0**-126, 31)])
def test_step_takes_the_fewest_bits(step, width):
    writer = written(write_step, np.float32(step))
    assert writer.size == 2 + width
    assert read_step(reader(writer)) == np.float32(step)


@pytest.mark.parametrize("kind, width, pattern, message", [
    (3, 0, 0, "unknown kind of step 3"), (0, 10, 0, "step 0.0 of a grid"), (1, 15, 0x7C00, "step inf of a grid"),
    (2, 31, 0x7FC00000, "step nan of a grid"), (2, 31, 1, r"expected a finite one of at least 2\*\*-126")])
def test_bad_steps(kind, width, pattern, message):
    writer = BitWriter()
    writer.bits(kind, 2)
    writer.bits(pattern, width)
    with pytest.raises(FormatError, match=message):
        read_step(reader(writer))


def test_ascending_numbers_by_hand():
    # -2, -1, 1, 2 are consecutive: order 7, negative, magnitude - 1 = 1 in order 3.
    writer = written(write_ascending, np.array([-2, -1, 1, 2]))
    assert writer.size == 3 + 1 + 4 and writer.to_bytes() == bytes([0b111_1_1_001])
    # 1, 3, 4: leaves out 1 and 0, order 0: 010 and 1.
    writer = written(write_ascending, np.array([1, 3, 4]))
    assert writer.to_bytes() == bytes([0b000_0_1_000, 0b010_1_0000])


ascending = st.sets(st.integers(-400, 400).filter(bool), min_size=1, max_size=255).map(sorted)


@given(ascending)
def test_ascending_round_trip(values):
    writer = written(write_ascending, np.array(values))
    assert read_ascending(reader(writer), len(values)).tolist() == values


@given(st.lists(st.integers(-MAX_NUMBER, MAX_NUMBER), max_size=60))
def test_signed_round_trip(values):
    writer = written(write_signed, np.array(values, np.int64))
    assert read_signed(reader(writer), len(values)).tolist() == values


def test_hostile_numbers():
    with pytest.raises(FormatError, match="1000000000000 numbers of a grid, 5 bits are left"):
        read_signed(reader(written(BitWriter.bits, 0, 8)), 10**12)
    writer = BitWriter()
    writer.bits(0, 3)
    writer.number(2 * MAX_NUMBER + 1, 0)
    with pytest.raises(FormatError, match="number 65537 of a grid, expected at most 65536"):
        read_signed(reader(writer), 1)
    writer = BitWriter()
    writer.bits(7, 3)
    writer.bits(0, 1)
    writer.number(2**40, 3)
    with pytest.raises(FormatError, match="numbers of a grid reach from place"):
        read_ascending(reader(writer), 3)


@given(st.binary(max_size=40), st.integers(1, 255))
def test_random_bytes(data, count):
    for read in (lambda r: read_ascending(r, count), lambda r: read_signed(r, count), read_step):
        try:
            found = read(BitReader(memoryview(data), 0, len(data)))
        except FormatError:
            continue
        if read is not read_step:
            assert found.size == count and np.abs(found).max() <= MAX_NUMBER
