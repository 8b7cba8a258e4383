"""Arrays as bytes without loss, down to the bits of NaNs. Forms and sizes: test_container.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import CompressedModel, loads
from gluon_dc.coding.lossless import AS_FLOAT16, WITHOUT_ZEROS, exact_half, pack_array, unpack_array, widened


def floats(*bits):
    return np.array(bits, np.uint32).view(np.float32)


@pytest.mark.parametrize("bits, half", [
    (0x00000000, 0x0000), (0x80000000, 0x8000),  # 0.0, -0.0
    (0x3F800000, 0x3C00), (0xC77FE000, 0xFBFF),  # 1, -65504
    (0x7F800000, 0x7C00), (0xFF800000, 0xFC00),  # infinities
    (0x33800000, 0x0001), (0xB8000000, 0x8200), (0x387FC000, 0x03FF),  # 2^-24, -2^-15, 1023 * 2^-24: subnormal halves
    (0x7FC00000, 0x7E00), (0xFFC02000, 0xFE01), (0x7FFFE000, 0x7FFF),  # quiet NaNs
])
def test_exact_halves(bits, half):
    assert exact_half(floats(bits)).view(np.uint16).tolist() == [half]


@pytest.mark.parametrize("bits", [
    0x7FA00000, 0x7F802000, 0xFFBFE000, 0x7F800001,  # signalling NaNs, most of them with a half of the same fraction
    0xFFC12345, 0x7FC00001,  # quiet ones with more bits than a half has
    0x00000001, 0x807FFFFF, 0x33000000, 0x33C00000,  # too small, or between two subnormal halves
    0x477FF000, 0x3F801000,  # too large, too fine
])
def test_inexact_halves(bits):
    assert exact_half(floats(bits)) is None and exact_half(floats(0x3F800000, bits)) is None


def test_nothing_to_save():
    assert exact_half(np.zeros(0, np.float32)) is None and exact_half(np.ones(2, np.float64)) is None


def test_widening_keeps_every_bit():
    halves = np.arange(2**16, dtype=np.uint16)
    bits = widened(halves.view(np.float16), np.dtype(np.float32)).view(np.uint32).astype(np.int64)
    # By hand: sign, exponent, fraction.
    sign, exponent, fraction = halves.astype(np.int64) >> 15, halves.astype(np.int64) >> 10 & 31, halves & 1023
    special = exponent == 31
    assert (bits[special] == (sign << 31 | 0x7F800000 | fraction.astype(np.int64) << 13)[special]).all()
    value = np.where(exponent == 0, fraction * 2.0**-24, (1024 + fraction) * 2.0**(exponent - 25.0))
    assert (bits[~special] == (np.float32(1 - 2 * sign) * value.astype(np.float32)).view(np.uint32)[~special]).all()
    assert bits[0x8000] == 0x80000000


def test_other_dtypes_are_not_touched():
    array = np.array([0x7D00, 0xFD01], np.uint16).view(np.float16)
    assert widened(array, np.dtype(np.float16)) is array
    shorts = np.array([1, 2], np.float16)
    assert widened(shorts, np.dtype(np.float16)) is shorts


SPECIAL = floats(0x7FA00000, 0xFFC12345, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x807FFFFF, 0x33800000, 0, 0x7FC00000)


@pytest.mark.parametrize("effort", [None, "fast", "best"])
@pytest.mark.parametrize("value", [*SPECIAL.view(np.uint32).tolist(), None], ids=lambda value: f"{value or 0:08x}")
def test_files_give_back_every_bit(value, effort):
    alone = floats(*SPECIAL.view(np.uint32)) if value is None else floats(value)
    sparse = np.zeros(400, np.float32)
    sparse[::40] = np.resize(alone, 10)
    arrays = {"alone": alone, "among halves": np.append(np.arange(50, dtype=np.float32), alone), "sparse": sparse}
    found = loads(CompressedModel(arrays, effort=effort).dumps())
    for name, array in arrays.items():
        assert found[name].tobytes() == array.tobytes(), name


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 2**16 - 1).map(lambda half: half << 13) |
                st.integers(0, 2**19 - 1).map(lambda high: high << 13), max_size=20))
def test_round_trip(bits):
    array = floats(*bits)
    form, data = pack_array(array)
    again = unpack_array(form, data, array.shape)
    assert again.tobytes() == array.tobytes() and not again.flags.writeable
    signalling = [(one & 0x7FFFFFFF) in range(0x7F800001, 0x7FC00000) for one in bits]
    assert not (any(signalling) and form & AS_FLOAT16)


def test_a_file_of_signalling_halves_is_read_alike_everywhere():
    """Our writer makes none, another may."""
    data = np.array([0x7D00, 0xFC01, 0x7E00, 0x3C00], "<u2").tobytes()
    expected = [0x7FA00000, 0xFF802000, 0x7FC00000, 0x3F800000]
    assert unpack_array(AS_FLOAT16, data, (4,)).view(np.uint32).tolist() == expected
    assert unpack_array(AS_FLOAT16 + WITHOUT_ZEROS, b"\xf0" + data, (4,)).view(np.uint32).tolist() == expected
