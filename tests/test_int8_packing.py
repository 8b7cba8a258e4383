"""Weights as bytes, the scale of an image, and a tile's input as words."""

import numpy as np
import pytest
from conv_cases import planes
from int8_reference import byte_filters, byte_image

from gluon_dc.runtime.forms import Geometry
from gluon_dc.runtime.int8_kernel import find_extremes
from gluon_dc.runtime.int8_packing import byte_weights, pack_bytes, quantization
from gluon_dc.runtime.int8_plan import plan_bytes


def quantized(numbers):
    """(inverse, zero, scale) of float32 numbers, by way of their extremes."""
    x = np.float32(numbers).reshape(1, -1)
    extremes, factors, starts = np.zeros((1, 2, 16), np.int32), np.zeros((1, 2), np.float32), np.zeros((1, 2), np.int32)
    find_extremes(x, extremes, 0, x.size)
    inverse, zero = quantization(extremes[0], np.ones((1, 2)), np.int32([[3, -4]]), factors, starts)
    assert factors[0, 0] == factors[0, 1] or np.isnan(factors).all()
    assert starts.tolist() == [[-3 * int(zero), 4 * int(zero)]]
    return inverse, zero, factors[0, 0]


def test_weights_by_hand():
    # One filter of two channels and two taps: steps of 2; a word is a tap of four channels, of which two are none.
    weight = np.float32([[254, -1], [3.1, 0]]).reshape(1, 1, 2, 1, 2)
    packed, scales, sums = byte_weights(weight, 2)
    assert packed.shape == (1, 1, 2, 2, 4) and packed.dtype == np.int8
    assert packed[0, 0, :, 0].tolist() == [[127, 2, 0, 0], [0, 0, 0, 0]] and not packed[0, 0, :, 1].any()
    assert scales.tolist() == [[2, 0]] and sums.tolist() == [[129, 0]] and sums.dtype == np.int32


@pytest.mark.parametrize("factor", [1, 1e-44, 1e38])
def test_weights_of_any_size(factor):
    with np.errstate(over="ignore", under="ignore"):
        weight = (planes((2 * 5, 6, 3, 2)) * np.float32(factor)).clip(-3.4e38, 3.4e38)
    packed, scales, sums = byte_weights(weight.reshape(2, 5, 6, 3, 2), 8)
    numbers, steps = byte_filters(weight)
    assert packed.shape == (2, 1, 2 * 6, 8, 4) and np.array_equal(scales[:, :5].reshape(-1), steps)
    found = packed.reshape(2, 2, 3, 2, 8, 4).transpose(0, 4, 1, 5, 2, 3).reshape(2, 8, 8, 3, 2)
    assert np.array_equal(found[:, :5, :6].reshape(numbers.shape), numbers)
    assert np.array_equal(sums, found.sum(axis=(2, 3, 4))) and not found[:, 5:].any() and not found[:, :, 6:].any()


def test_ranges_by_hand():
    assert quantized([0, 51, 25.5]) == (5, 0, np.float32(0.2))
    assert quantized([-55, 200]) == (1, 55, 1)
    assert quantized([-2.5, -5]) == (51, 255, np.float32(5 / 255))
    assert quantized([0, -0.0]) == quantized([1e-38, -1e-38]) == (0, 0, 0)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 63, 64, 65, 200])
@pytest.mark.parametrize("sign", [1, -1])
def test_extremes_wherever_they_are(count, sign):
    x = np.float32(sign) * np.ones(count, np.float32)
    for place in range(count):
        x[place] = sign * 2
        expected = byte_image(x)
        assert quantized(x)[1:] == (expected[1], np.float32(expected[2]))
        x[place] = sign


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_finite_has_no_scale(bad):
    for place in (0, 5, 16, 39):
        x = planes((40,))
        x[place] = bad
        inverse, zero, scale = quantized(x)
        assert inverse == zero == 0 and np.isnan(scale)


@pytest.mark.parametrize("channels", [1, 3, 4, 7])
@pytest.mark.parametrize("geometry", [Geometry(), Geometry(pad=(1, 2)), Geometry((2, 3), (2, 1), (1, 2))])
@pytest.mark.parametrize("width", [5, 40])
def test_packed_words(channels, geometry, width):
    x = planes((2, channels + 2, 9, width))
    plan = plan_bytes(geometry, (3, 3), (9, width), channels, 8, 2, 1)
    pixels, zero, _ = byte_image(x[1, 1:1 + channels])
    inverse, _, _ = quantized(x[1, 1:1 + channels])
    words = -(-channels // 4)
    buffer = np.zeros(words * plan.copies * plan.copy_words + 16, np.int32)
    row = np.zeros(plan.row_words + 16, np.int32)
    first, length = 3, min(plan.copy_words, plan.positions + plan.reach - 3)
    pack_bytes(plan, x, 1, 1, channels, first, length, inverse, np.float32(zero), row.ctypes.data, buffer.ctypes.data)
    found = buffer[:-16].view(np.uint8).reshape(words, len(plan.row_shifts), len(plan.col_shifts), -1, 4)
    for i, row_shift in enumerate(plan.row_shifts):
        for j, col_shift in enumerate(plan.col_shifts):
            for place in range(length):
                y = (first + place) // plan.pitch * geometry.stride[0] + row_shift
                at = (first + place) % plan.pitch * geometry.stride[1] + col_shift
                inside = 0 <= y < 9 and 0 <= at < width
                expected = pixels[:, y, at] if inside else np.full(channels, zero)
                assert np.array_equal(found[:, i, j, place].reshape(-1)[:channels], expected)


