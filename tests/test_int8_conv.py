"""Convolutions in bytes: both ways to run them against NumPy, bit for bit, and against float32 within the bound."""

import numpy as np
import pytest
from conv_cases import CASES, coded_filters, plain_convolution, planes
from hypothesis import given, settings
from hypothesis import strategies as st
from int8_reference import bound, int8_convolution

from gluon_dc.runtime import int8_code, int8_conv, int8_plan, tile_plan
from gluon_dc.runtime.forms import Geometry
from gluon_dc.runtime.int8_conv import Int8Conv
from gluon_dc.runtime.scratch import Scratch
from gluon_dc.runtime.tasks import run_stages
from gluon_dc.runtime.weights import Plain

SAME = Geometry(pad=(1, 1))


@pytest.fixture(autouse=True)
def small_work_is_shared_out(monkeypatch):
    monkeypatch.setattr(tile_plan, "ALONE_CYCLES", 0)
    monkeypatch.setattr(int8_conv, "_SHARE", 50)


@pytest.fixture(params=["vnni", "portable"])
def path(request, monkeypatch):
    if request.param == "portable":
        monkeypatch.setattr(int8_code, "HAS_VNNI", False)
    elif not int8_code.HAS_VNNI:
        pytest.skip("this processor has no AVX-512 VNNI")
    return request.param


def inputs(shape, geometry, size, n=2):
    """float32 (n, c, h, w), as they come from a ReLU and not, by turns."""
    x = planes((n, shape[1] * geometry.groups, *size), 3)
    x[::2] = np.maximum(x[::2], 0)
    return x


def layer(*weights, geometry=Geometry()):
    """The form of weights (filters, channels, 1, 1)."""
    return Int8Conv.build(Plain(np.float32(weights)[:, :, None, None]), geometry)


def pixels(*channels):
    """x (1, channels, 1, pixels)."""
    return np.float32(channels)[None, :, None]


def test_by_hand(path):
    # Steps of 2 and of 0.5 (127 and -63.5 ones, rounded to even); pixels in steps of 1: 255, 100 and 0.4 ones.
    form = layer([254, -127], [63.5, 0])
    found = form.apply(pixels([255, 0], [100, 0.4]), np.float32([1, -1]))
    assert found[0, :, 0].tolist() == [[127 * 2 * 255 - 64 * 2 * 100 + 1, 1], [127 * 0.5 * 255 - 1, -1]]
    # Below 0 too: steps of 1 from -55 to 200, 55 stands for 0.
    assert layer([127]).apply(pixels([200, -55, 0, -3.4]))[0, 0, 0].tolist() == [200 * 127, -55 * 127, 0, -3 * 127]


@pytest.mark.parametrize("name", CASES)
def test_against_numpy(name, path):
    shape, geometry, size = CASES[name]
    coded, bias = coded_filters(shape, 0.6), planes((shape[0],))
    form, x = Int8Conv.build(coded, geometry), inputs(shape, geometry, size)
    expected = int8_convolution(x, coded.decode(), geometry, bias, (0, np.inf))
    found = form.apply(x, bias, relu=True)
    assert found.dtype == np.float32 and np.array_equal(found, expected)
    assert np.array_equal(form.apply(x, bias, relu=True, threads=3), expected)


@pytest.mark.parametrize("name", CASES)
def test_against_float32(name):
    shape, geometry, size = CASES[name]
    coded = coded_filters(shape, 0.6)
    x = inputs(shape, geometry, size)
    off = np.abs(Int8Conv.build(coded, geometry).apply(x) - plain_convolution(x, coded.decode(), geometry))
    assert (off <= 1.0001 * bound(x, coded.decode(), geometry) + 1e-6).all()


@pytest.mark.parametrize("name", ["1x1", "3x3", "3x3, width of registers", "7x7, stride 2", "5x3, groups"])
def test_every_way_to_cut_tiles_gives_the_same(name, monkeypatch):
    shape, geometry, size = CASES[name]
    coded, x = coded_filters(shape, 0.6), inputs(shape, geometry, size)
    form, expected = Int8Conv.build(coded, geometry), int8_convolution(x, coded.decode(), geometry)
    plans = set()
    for panel in (2_000, 10_000, 30_000, 300_000):
        for most in (3, 6, 48):
            int8_plan.plan_bytes.cache_clear()
            monkeypatch.setattr(int8_plan, "PANEL_NBYTES", panel)
            monkeypatch.setattr(int8_plan, "POINTWISE_NBYTES", panel)
            monkeypatch.setattr(int8_plan, "MAX_REGISTERS", most)
            plans.add(form.plan(x.shape).tiles)
            assert np.array_equal(form.apply(x), expected)
    int8_plan.plan_bytes.cache_clear()
    assert len(plans) > 1


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_random_shapes(data):
    kernel, stride, dilate, pad = (tuple(data.draw(st.integers(least, most)) for _ in range(2))
                                   for least, most in ((1, 7), (1, 4), (1, 3), (0, 4)))
    groups, n = data.draw(st.sampled_from([1, 1, 2, 5])), data.draw(st.integers(1, 3))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilate, pad)]
    size = tuple(data.draw(st.integers(low, low + 40)) for low in least)
    geometry = Geometry(stride, pad, dilate, groups)
    shape = (groups * data.draw(st.integers(1, 20)), data.draw(st.integers(1, 30)), *kernel)
    coded, x = coded_filters(shape, 0.7), inputs(shape, geometry, size, n)
    expected = int8_convolution(x, coded.decode(), geometry)
    assert np.array_equal(Int8Conv.build(coded, geometry).apply(x, threads=data.draw(st.integers(1, 3))), expected)


def test_each_image_has_a_scale_of_its_own(path):
    coded = coded_filters((9, 5, 3, 3), 0.6)
    form, x = Int8Conv.build(coded, SAME), planes((4, 5, 8, 9)) * np.float32([1, 1e6, 1e-6, 0])[:, None, None, None]
    found = form.apply(x)
    assert np.array_equal(found, np.concatenate([form.apply(image[None]) for image in x]))
    assert not found[3].any() and all(image.any() for image in found[:3])


@pytest.mark.parametrize("value", [0.0, -0.0, 3.0, -3.0, 1e-38, 1e30, -3e38])
def test_constant_images(value, path):
    coded = coded_filters((8, 4, 3, 3), 1)
    x = np.full((1, 4, 6, 7), value, np.float32)
    x[0, 0, 0, 0] = 0
    with np.errstate(over="ignore"):
        expected = int8_convolution(x, coded.decode(), SAME)
    assert np.array_equal(Int8Conv.build(coded, SAME).apply(x), expected)


def test_the_largest_and_least_numbers(path):
    huge = np.float32(3.4e38)
    assert layer([1e-30]).apply(pixels([huge, -huge]))[0, 0, 0].tolist() == pytest.approx([3.4e8, -3.4e8], rel=0.01)
    # 3e38 * 127 and more is no float32.
    assert np.isinf(layer([1e38]).apply(pixels([1e38, 0]))[0, 0, 0]).tolist() == [True, False]
    assert layer([1e-44]).apply(pixels([1, 0]))[0, 0, 0, 1] == 0


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_finite_gives_nan_everywhere(bad, path):
    coded, x = coded_filters((9, 4, 3, 3), 0.6), planes((3, 4, 8, 9))
    form = Int8Conv.build(coded, SAME)
    expected = form.apply(x, relu=True)
    x[1, 2, 7, 8] = bad
    found = form.apply(x, relu=True)
    assert np.isnan(found[1]).all() and np.array_equal(found[[0, 2]], expected[[0, 2]])


def test_filters_of_zeros_and_of_nan(path):
    found = layer([0, 0], [1, 2], [np.nan, 1], [np.inf, 1]).apply(pixels([3, 0], [5, 0]), np.float32([7, 0, 0, 0]))
    assert (found[0, 0] == 7).all() and found[0, 1, 0, 1] == 0 and np.isnan(found[0, 2:]).all()


def test_extremes_of_the_output_serve_as_those_of_the_next_input(path):
    coded, x = coded_filters((12, 5, 3, 3), 0.6), inputs((12, 5), Geometry(), (9, 20))
    form, bias = Int8Conv.build(coded, SAME), planes((12,))
    for threads, clip in ((1, (-np.inf, np.inf)), (2, (0, np.inf)), (1, (0, 2.5)), (1, (-1, 1))):
        out = np.empty((2, 12, 9, 20), np.float32)
        stages, found = form.stages_between(x, bias, clip, out, threads, Scratch())
        for _ in range(2):  # what a run before has left does no harm
            run_stages(stages)
        assert np.array_equal(out, int8_convolution(x, coded.decode(), SAME, bias, clip))
        high = np.max([part[:, 0] for part in found], axis=(0, 2)).view(np.float32)
        low = np.max([part[:, 1].view(np.uint32) for part in found], axis=(0, 2)).view(np.float32)
        assert np.array_equal(high, np.maximum(out.max(axis=(1, 2, 3)), 0))
        assert np.array_equal(np.minimum(low, 0), np.minimum(out.min(axis=(1, 2, 3)), 0))
        after = Int8Conv.build(coded_filters((8, 12, 1, 1), 0.6), Geometry())
        made = np.empty((2, 8, 9, 20), np.float32)
        run_stages(after.stages_between(out, None, (0, np.inf), made, 1, Scratch(), found)[0])
        assert np.array_equal(made, after.apply(out, relu=True))


def test_extremes_of_another_number_of_images_are_not_taken():
    form, x = layer([1.0]), planes((2, 1, 4, 4))
    out, wrong = np.empty_like(x), [np.zeros((1, 2, 16), np.int32)]
    run_stages(form.stages_between(x, None, (0, np.inf), out, 1, Scratch(), wrong)[0])
    assert np.array_equal(out, form.apply(x, relu=True))


def test_out_is_written_and_nothing_else_is(path):
    coded = coded_filters((5, 3, 3, 3), 0.6)
    around = np.full((3, 5, 7, 9), 7, np.float32)
    out = around[1:2]
    found = Int8Conv.build(coded, SAME).apply(planes((1, 3, 7, 9)), out=out)
    assert found is out and (around[[0, 2]] == 7).all() and (out != 7).all()


def test_no_images_and_bytes():
    form = Int8Conv.build(coded_filters((8, 4, 3, 3), 0.6), SAME)
    assert form.apply(np.empty((0, 4, 5, 5), np.float32)).shape == (0, 8, 5, 5)
    assert form.nbytes == 8 * 4 * 9 + 8 * 8 + 8 * 4 and not form.filters.flags.writeable and form.name == "int8"


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"at most 66,311 weights a filter, got \(1, 66312, 1, 1\)"):
        Int8Conv.build(coded_filters((1, 66_312, 1, 1), 1), Geometry())
    with pytest.raises(ValueError, match="`out` even in 3 groups"):
        Int8Conv.build(coded_filters((4, 1, 1, 1), 1), Geometry(groups=3))
    far, coded = Geometry(pad=(0, 10**8), dilate=(1, 2 * 10**8)), coded_filters((8, 2, 1, 2), 1)
    assert Int8Conv.fits(coded, far, None) and not Int8Conv.fits(coded, far, (1, 2, 1, 3))
    with pytest.raises(ValueError, match="takes too large a buffer: run it in another form"):
        Int8Conv.build(coded, far).apply(planes((1, 2, 1, 3)))
    with pytest.raises(ValueError, match="x must be a float32 array"):
        Int8Conv.build(coded_filters((8, 2, 1, 2), 1), Geometry()).apply(np.zeros((1, 2, 1, 3)))


@pytest.mark.skipif(not int8_code.HAS_VNNI, reason="this processor has no AVX-512 VNNI")
def test_the_largest_sum(monkeypatch):
    # As many weights as a filter may have, all at their largest: the sum is just below 2**31.
    weight, x = np.ones((1, 66_308, 1, 1), np.float32), np.ones((1, 66_308, 1, 2), np.float32)
    assert Int8Conv.build(Plain(weight), Geometry()).apply(x)[0, 0, 0, 0] == pytest.approx(66_308, rel=1e-6)
