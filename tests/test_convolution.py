import threading

import numpy as np
import pytest
from conv_cases import CASES, check, coded_filters, plain_convolution, planes
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime import convolution, tile_plan
from gluon_dc.runtime.convolution import DirectConv
from gluon_dc.runtime.forms import CONV_FORMS, Geometry

SAME = Geometry(pad=(1, 1))


@pytest.fixture(autouse=True)
def small_work_is_shared_out(monkeypatch):
    monkeypatch.setattr(tile_plan, "ALONE_CYCLES", 0)


def inputs_of(shape, geometry, size, n=1, seed=1):
    return planes((n, shape[1] * geometry.groups, *size), seed)


@pytest.fixture(params=["registers of 512 bits", "portable"])
def path(request, monkeypatch):
    if request.param == "portable":
        monkeypatch.setattr(convolution, "HAS_AVX512", False)
    return request.param


def test_by_hand():
    # One filter of taps 2 (left) and -1 (right) over the row 1, 2, 3, padded by a column of zeros on both sides.
    coded = CodedTensor(np.array([0, 2, -1], np.float32), np.array([[[[1, 2]]]], np.uint8))
    form = DirectConv.build(coded, Geometry(pad=(0, 1)))
    x = np.array([[[[1, 2, 3]]]], np.float32)
    assert form.apply(x).tolist() == [[[[-1, 0, 1, 6]]]]
    assert form.apply(x, np.array([-1], np.float32), relu=True).tolist() == [[[[0, 0, 0, 5]]]]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("density", [0.35, 1.0])
def test_against_a_plain_convolution(name, density, path):
    shape, geometry, size = CASES[name]
    coded = coded_filters(shape, density)
    form = DirectConv.build(coded, geometry)
    bias = planes((shape[0],))
    check(form, coded, geometry, inputs_of(shape, geometry, size), bias)
    check(form, coded, geometry, inputs_of(shape, geometry, size, n=3), bias, relu=True, threads=2)


@pytest.mark.parametrize("name", ["1x1 of many channels", "3x3", "5x3, groups", "one of everything"])
@pytest.mark.parametrize("density", [0.35, 0])
def test_scaled_and_clipped(name, density, path):
    shape, geometry, size = CASES[name]
    coded = coded_filters(shape, density)
    form, x = DirectConv.build(coded, geometry), inputs_of(shape, geometry, size, n=2)
    bias, scale = planes(shape[:1]), planes(shape[:1], 7)
    scale[0] = 0
    summed = plain_convolution(x, coded.decode(), geometry)
    terms = plain_convolution(np.abs(x), np.abs(coded.decode()), geometry) * np.abs(scale)[:, None, None] + 1
    for shift in (None, bias):
        expected = summed * scale[:, None, None] + (0 if shift is None else shift[:, None, None])
        for bounds in ({}, {"relu": True, "most": 0.5}, {"most": np.float32(-0.25)}):
            found = form.apply(x, shift, scale=scale, **bounds)
            clipped = np.clip(expected, 0 if "relu" in bounds else -np.inf, bounds.get("most", np.inf))
            assert (np.abs(found - clipped) <= 1e-5 * terms).all()
    assert np.array_equal(form.apply(x, bias, most=0.5), np.minimum(form.apply(x, bias), 0.5))


@pytest.mark.parametrize("name", ["1x1", "3x3", "7x7, stride 2", "5x3, groups"])
def test_every_plan_gives_the_same(name, monkeypatch):
    shape, geometry, size = CASES[name]
    coded = coded_filters(shape, 0.4)
    form = DirectConv.build(coded, geometry)
    work = tile_plan.Work(shape[1], form.panel_channels, shape[0] // geometry.groups, 0.4, shape[2] * shape[3], 1, 1)
    tried = list(tile_plan.possible_plans(geometry, shape[2:], size, work, 16))
    assert len(tried) > 10 and {plan.flat for plan in tried} == {False, True}
    for plan in tried:
        monkeypatch.setattr(DirectConv, "plan", lambda self, shape, threads=1, plan=plan: plan)
        check(form, coded, geometry, inputs_of(shape, geometry, size))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_random_shapes(data):
    kernel, stride, dilate, pad = (tuple(data.draw(st.integers(least, most)) for _ in range(2))
                                   for least, most in ((1, 7), (1, 4), (1, 3), (0, 4)))
    groups = data.draw(st.sampled_from([1, 1, 2, 3]))
    n, threads = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilate, pad)]
    size = tuple(data.draw(st.integers(low, low + 40)) for low in least)
    geometry = Geometry(stride, pad, dilate, groups)
    shape = (groups * data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40)), *kernel)
    density, k = data.draw(st.sampled_from([0, 0.02, 0.3, 0.7, 1])), data.draw(st.sampled_from([1, 2, 16, 256]))
    coded = coded_filters(shape, density, k)
    bias = planes((shape[0],)) if data.draw(st.booleans()) else None
    check(DirectConv.build(coded, geometry), coded, geometry, inputs_of(shape, geometry, size, n), bias,
          data.draw(st.booleans()), threads)


def test_empty_filters_and_channels():
    coded = coded_filters((6, 9, 3, 3), 0.5)
    codes = coded.codes.copy()
    codes[[0, 3, 5]], codes[:, [1, 8]] = 0, 0
    coded = CodedTensor(coded.codebook, codes)
    bias = planes((6,))
    found = check(DirectConv.build(coded, SAME), coded, SAME, planes((2, 9, 10, 11)), bias)
    assert (found[:, 3] == bias[3]).all()


@pytest.mark.parametrize("n", [2, 17, 64])
def test_batches_are_images_one_by_one(n):
    coded = coded_filters((8, 5, 3, 3), 0.3)
    form, x = DirectConv.build(coded, SAME), planes((n, 5, 6, 7))
    assert np.array_equal(form.apply(x, threads=2), np.concatenate([form.apply(x[i:i + 1]) for i in range(n)]))


def test_no_images():
    assert DirectConv.build(coded_filters((8, 5, 3, 3), 0.3), SAME).apply(planes((0, 5, 6, 7))).shape == (0, 8, 6, 7)


def test_out_is_written_and_nothing_else_is():
    coded = coded_filters((8, 5, 3, 3), 0.3)
    around = np.full(8 * 13 * 13 + 64, 7, np.float32)
    out = around[32:-32].reshape(1, 8, 13, 13)
    x = planes((1, 5, 13, 13))
    form = DirectConv.build(coded, SAME)
    assert form.apply(x, out=out) is out
    assert np.array_equal(out, form.apply(x))
    assert (around[:32] == 7).all() and (around[-32:] == 7).all()


def test_nan_and_infinity_go_where_dense_lets_them():
    coded = coded_filters((4, 3, 3, 3), 1.0)
    x = planes((1, 3, 9, 9))
    x[0, 1, 4, 4], x[0, 2, 0, 0] = np.nan, np.inf
    expected = plain_convolution(x, coded.decode(), SAME)
    for relu in (False, True):
        found = DirectConv.build(coded, SAME).apply(x, relu=relu)
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        if not relu:
            assert np.array_equal(found[np.isinf(expected)], expected[np.isinf(expected)])


def test_a_pruned_weight_takes_no_part():
    coded = CodedTensor(np.array([0, 1], np.float32), np.array([[1, 0]], np.uint8).reshape(1, 2, 1, 1))
    x = np.array([1, np.inf], np.float32).reshape(1, 2, 1, 1)
    assert DirectConv.build(coded, Geometry()).apply(x).item() == 1


def test_several_threads_at_once():
    coded = coded_filters((16, 8, 3, 3), 0.4)
    form, xs = DirectConv.build(coded, SAME), [planes((1, 8, 20, 20 + i), i) for i in range(4)]
    expected, found = [form.apply(x) for x in xs], [None] * 4

    def work(i):
        found[i] = [form.apply(xs[i], threads=2) for _ in range(5)]
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert all(np.array_equal(each, expected[i]) for i in range(4) for each in found[i])


def test_two_bytes_a_kept_weight():
    coded = coded_filters((64, 64, 3, 3), 0.35)
    form = DirectConv.build(coded, SAME)
    assert 2 * coded.nnz <= form.nbytes <= 2.2 * coded.nnz


@pytest.mark.parametrize("shape, groups, message", [
    ((4, 4), 1, "a convolution's weight has shape (out, in / groups, kh, kw), none 0, got (4, 4)"),
    ((4, 0, 3, 3), 1, "a convolution's weight has shape (out, in / groups, kh, kw), none 0, got (4, 0, 3, 3)"),
    ((4, 2, 3, 3), 3, "4 filters do not come out even in 3 groups"),
    ((4, 2, 16, 16), 1, "a weight of shape (4, 2, 16, 16) in 1 groups does not fit this form: it takes at most 255 "
                        "taps and fewer than 65536 filters a group"),
])
def test_what_does_not_fit(shape, groups, message):
    coded, geometry = coded_filters(shape, 0.5), Geometry(groups=groups)
    assert not DirectConv.fits(coded, geometry, (1, 4, 20, 20))
    with pytest.raises(ValueError) as error:
        DirectConv.build(coded, geometry)
    assert str(error.value) == message


def test_wrong_inputs():
    form = DirectConv.build(coded_filters((8, 5, 3, 3), 0.3), SAME)
    with pytest.raises(ValueError, match=r"x must have shape \(1, 5, 6, 7\), got \(1, 4, 6, 7\)"):
        form.apply(planes((1, 4, 6, 7)))


def test_the_name():
    assert CONV_FORMS["direct"] is DirectConv and DirectConv.name == "direct"


def test_little_work_stays_on_one_thread(monkeypatch):
    monkeypatch.undo()
    assert [tile_plan.worth_threads(cycles, 4) for cycles in (0, 99_999, 100_000, 1e7)] == [1, 1, 2, 4]
