import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from gluon_dc.coding import FormatError
from gluon_dc.coding.array_forms import (ALL_ZERO, BEST_MASK, BITMAP, FAST_MASK, ON_GRID, POOLED, SECTION,
                                         planned_array, read_array_plan, write_array)
from gluon_dc.coding.bits import BitReader, BitWriter
from gluon_dc.coding.pools import PoolReader, PoolWriter


def stored(array, effort=None):
    writer, pools = BitWriter(), PoolWriter()
    section = write_array(writer, pools, array, effort, "a")
    return writer, pools.sections(effort is not None), section


def read_back(writer, sections, section, shape):
    data = writer.to_bytes()
    pools = PoolReader()
    plan = read_array_plan(BitReader(memoryview(data), 0, len(data)), pools, shape)
    for (key, _), (is_coded, content, *_) in zip(pools.used(), sections, strict=True):
        pools.fill(key, content, is_coded)
    return plan, planned_array(plan, shape, pools, None if section is None else memoryview(section))


def round_trip(array, effort=None):
    writer, sections, section = stored(array, effort)
    plan, found = read_back(writer, sections, section, array.shape)
    assert found.tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()
    assert found.shape == array.shape and found.dtype.isnative and found.dtype.name == array.dtype.name
    assert not found.flags.writeable
    return plan


RANDOM = np.random.default_rng(0).normal(size=300).astype(np.float32)
SPARSE = np.where(np.arange(40_000) % 40 == 3, np.random.default_rng(1).normal(size=40_000), 0).astype(
    np.float32).reshape(200, 200)


@pytest.mark.parametrize("array, effort, form", [
    (np.zeros(7, np.float32), None, ALL_ZERO),
    (np.zeros((0, 3), np.int8), "fast", ALL_ZERO),
    (np.array([0.25, -0.5, 0, 0.75] * 20, np.float32), "fast", ON_GRID),
    (RANDOM, None, POOLED),
    (RANDOM, "fast", POOLED),
    (RANDOM[:8].astype(np.float64), "best", POOLED),
    (np.array(3.5, np.float64), None, POOLED),
    (np.array([5], ">i4"), "fast", POOLED),
    (np.where(np.arange(300) % 3, 0, RANDOM), None, SECTION),
    (SPARSE, None, SECTION),
    (SPARSE, "fast", SECTION),
    (np.array([0.0, -0.0], np.float32), None, POOLED),
], ids=lambda value: str(getattr(value, "shape", value)))
def test_forms(array, effort, form):
    assert round_trip(array, effort).form == form


def test_what_is_left_out_of_a_section():
    assert round_trip(SPARSE).left_out == BITMAP
    assert round_trip(SPARSE, "fast").left_out == FAST_MASK
    assert round_trip(SPARSE, "best").left_out == BEST_MASK
    plain, coded = (stored(SPARSE, effort)[2] for effort in (None, "fast"))
    assert len(plain) == 5000 + 4000 and len(coded) < 5000


def test_zeros_of_a_small_array_take_five_bits_and_no_section():
    writer, sections, section = stored(np.zeros(500, np.float32), "best")
    assert writer.size == 5 and sections == [] and section is None


def test_large_arrays_have_a_section():
    array = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    plan = round_trip(array)
    assert plan.form == SECTION and not plan.is_coded and not plan.is_half
    halves = array.astype(np.float16).astype(np.float32)
    assert round_trip(np.tile(halves, 3), "fast").is_half


dtypes = st.sampled_from(["f4", "f2", "f8", "i1", "u1", "i4", "i8", ">f4"])
arrays = dtypes.flatmap(
    lambda dtype: stnp.arrays(dtype, stnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)))


@settings(deadline=None, max_examples=80)
@given(arrays, st.sampled_from([None, "fast"]))
def test_round_trip(array, effort):
    round_trip(array, effort)


def plan_of(bits, shape):
    writer = BitWriter()
    for value, width in bits:
        writer.bits(value, width)
    data = writer.to_bytes() + bytes(4)
    return read_array_plan(BitReader(memoryview(data), 0, len(data)), PoolReader(), shape)


@pytest.mark.parametrize("bits, shape, message", [
    ([(7, 3)], (1,), "unknown dtype 7, expected 0..6"),
    ([(3, 3), (ON_GRID, 2)], (1,), "an array of dtype .i1 on a grid, expected float32"),
    ([(0, 3), (SECTION, 2), (0, 1), (BEST_MASK, 2), (0, 1)], (2**21,), "a mask of 2097152 elements at effort best"),
    ([(0, 3), (ON_GRID, 2), (0, 2), (0x1C0, 10), (0, 3)], (10**9,),
     "an array of 1000000000 values on a grid, expected at most 4096"),
])
def test_bad_headers(bits, shape, message):
    with pytest.raises(FormatError, match=message):
        plan_of(bits, shape)


def section_plan(left_out=0, is_coded=0, mask_nbytes=None):
    writer = BitWriter()
    for value, width in ((3, 3), (SECTION, 2), (left_out, 2), (is_coded, 1)):
        writer.bits(value, width)
    if mask_nbytes is not None:
        writer.number(mask_nbytes, 8)
    return writer


@pytest.mark.parametrize("writer, section, message", [
    (section_plan(), b"\1\2\3", "array data has 3 bytes, 4 values take 4"),
    (section_plan(BITMAP), b"", "bitmap has 0 bytes, 4 values take 1"),
    (section_plan(BITMAP), b"\xc0\1", "array data has 1 bytes, 2 values take 2"),
    (section_plan(FAST_MASK, 0, 9), b"\1\2\3", "mask of 9 bytes in a section of 3"),
    (section_plan(FAST_MASK, 0, 3), b"\1\2\0", "context-coded stream"),
    (section_plan(is_coded=1), b"\1\2\3\4\5\6\7\x08\x09\x0a\x0b", "coded bytes|context-coded stream"),
])
def test_bad_sections(writer, section, message):
    with pytest.raises(ValueError, match=message):
        read_back(writer, [], section, (4,))


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=30), st.binary(max_size=30), st.sampled_from([(), (4,), (3, 5), (0,)]))
def test_random_bytes(header, section, shape):
    pools = PoolReader()
    try:
        plan = read_array_plan(BitReader(memoryview(header), 0, len(header)), pools, shape)
        for key, nbytes in pools.used():
            pools.fill(key, section[:nbytes], False)
        found = planned_array(plan, shape, pools, memoryview(section))
    except ValueError:
        return
    assert found.shape == shape


def test_a_small_section_that_declares_much_allocates_little():
    writer = section_plan(is_coded=1)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="1073741824 byte-coded bytes, expected at most"):
            read_back(writer, [], b"\1\2", (2**30,))
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
