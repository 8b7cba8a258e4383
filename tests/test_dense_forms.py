import numpy as np
import pytest
from conv_cases import CASES, coded_filters, plain_convolution, planes
from conv_cases import check as check_conv
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_cases import SHAPES, check, coded_matrix, inputs

from gluon_dc.runtime import dense, depthwise, run_plan, tile_plan
from gluon_dc.runtime.dense import DenseConv, DenseMatrix
from gluon_dc.runtime.forms import CONV_FORMS, MATRIX_FORMS, Geometry

SAME = Geometry(pad=(1, 1))


@pytest.fixture(autouse=True)
def small_work_is_shared_out(monkeypatch):
    monkeypatch.setattr(tile_plan, "ALONE_CYCLES", 0)


def planes_for(shape, geometry, size, n=1):
    return planes((n, shape[1] * geometry.groups, *size), 1)


@pytest.fixture(params=["registers of 512 bits", "portable"])
def path(request, monkeypatch):
    if request.param == "portable":
        monkeypatch.setattr(dense, "HAS_AVX512", False)
        monkeypatch.setattr(dense, "AT_ONCE", {8: 1, 4: 1, 1: 4})
        monkeypatch.setattr(depthwise, "HAS_AVX512", False)
    return request.param


@pytest.mark.parametrize("rows, cols, density, k", SHAPES)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_matrices(rows, cols, density, k, n):
    coded = coded_matrix(rows, cols, density, k)
    form = DenseMatrix.build(coded)
    check(form, coded, inputs(n, cols))
    check(form, coded, inputs(n, cols), inputs(1, rows)[0], relu=True)
    assert (form.rows, form.cols, form.nbytes) == (rows, cols, 4 * rows * cols)


@pytest.mark.parametrize("name", CASES)
def test_against_a_plain_convolution(name, path):
    shape, geometry, size = CASES[name]
    coded = coded_filters(shape, 0.8)
    form = DenseConv.build(coded, geometry)
    bias = planes((shape[0],))
    check_conv(form, coded, geometry, planes_for(shape, geometry, size), bias)
    check_conv(form, coded, geometry, planes_for(shape, geometry, size, n=3), None, relu=True, threads=2)


@pytest.mark.parametrize("name", ["1x1 of many channels", "3x3", "groups of few"])
def test_results_are_clipped(name, path, monkeypatch):
    monkeypatch.setattr(run_plan, "PANEL_NBYTES", 2000)  # several panels
    shape, geometry, size = CASES[name]
    form = DenseConv.build(coded_filters(shape, 0.8), geometry)
    x, bias = planes_for(shape, geometry, size), planes(shape[:1])
    plain = form.apply(x, bias)
    assert np.array_equal(form.apply(x, bias, most=0.5), np.minimum(plain, 0.5))
    assert np.array_equal(form.apply(x, bias, relu=True, most=np.float32(1.5)), np.clip(plain, 0, 1.5))


def test_a_kernel_of_more_taps_than_a_panel_has_keys():
    geometry, coded = Geometry(pad=(3, 0)), coded_filters((5, 3, 17, 20), 1)
    check_conv(DenseConv.build(coded, geometry), coded, geometry, planes((2, 3, 18, 30)))


@pytest.mark.parametrize("name", ["1x1", "3x3", "7x7, stride 2", "5x3, groups"])
def test_every_plan_gives_the_same(name, path, monkeypatch):
    shape, geometry, size = CASES[name]
    coded = coded_filters(shape, 1)
    form, x = DenseConv.build(coded, geometry), planes_for(shape, geometry, size)
    monkeypatch.setattr(run_plan, "PANEL_NBYTES", 2000)  # several panels, of one channel for the larger plans
    plane = (1, size[0] * size[1]) if name == "1x1" else size  # as the form sees it: one run over all rows
    tried = list(run_plan.possible_runs(geometry, shape[2:], plane, shape[1], shape[0] // geometry.groups, 1, 1))
    assert len({(plan.pitch, len(plan.row_shifts), len(plan.col_shifts)) for plan in tried}) == (name == "1x1" or 4)
    for plan in tried:
        monkeypatch.setattr(DenseConv, "plan", lambda self, shape, threads=1, plan=plan: plan)
        check_conv(form, coded, geometry, x)


def test_a_plan_by_hand():
    # 3 taps, stride 2, of a row of 7: three outputs; taps 0 and 2 share the even columns, one step apart.
    plans = list(run_plan.possible_runs(Geometry(stride=(1, 2)), (1, 3), (1, 7), 2, 8, 1, 1))
    shared, own = plans[0], plans[-1]
    assert (shared.pitch, shared.positions, shared.col_shifts.tolist(), shared.copy_floats) == (4, 3, [0, 1], 32)
    assert shared.offsets.tolist() == [0, 4 * 32, 4, 4 * 64, 4 * 96, 4 * 65]
    assert (own.pitch, own.positions, own.col_shifts.tolist(), own.copy_floats) == (3, 3, [0, 1, 2], 16)
    assert own.offsets.tolist() == [0, 4 * 16, 4 * 32, 4 * 48, 4 * 64, 4 * 80]


def test_taps_far_apart_take_no_memory_between_them():
    far = Geometry(pad=(0, 10**8), dilate=(1, 2 * 10**8))
    form, x = DenseConv.build(coded_filters((8, 2, 1, 2), 1), far), planes((1, 2, 1, 3))
    assert form.plan(x.shape).copy_floats == 16
    assert (form.apply(x)[..., 1] == 0).all()  # both taps lie in the padding


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_random_shapes(data):
    kernel, stride, dilate, pad = (tuple(data.draw(st.integers(least, most)) for _ in range(2))
                                   for least, most in ((1, 7), (1, 4), (1, 3), (0, 4)))
    groups = data.draw(st.sampled_from([1, 1, 2, 5]))
    n, threads = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilate, pad)]
    size = tuple(data.draw(st.integers(low, low + 40)) for low in least)
    geometry = Geometry(stride, pad, dilate, groups)
    shape = (groups * data.draw(st.integers(1, 20)), data.draw(st.integers(1, 30)), *kernel)
    coded = coded_filters(shape, 1)
    check_conv(DenseConv.build(coded, geometry), coded, geometry, planes_for(shape, geometry, size, n),
               planes((shape[0],)), data.draw(st.booleans()), threads)


def test_weights_without_codes():
    class Plain:
        shape = (7, 2, 3, 3)

        def decode(self):
            return planes(self.shape)
    x = planes((1, 2, 9, 9), 1)
    expected = plain_convolution(x, planes((7, 2, 3, 3)), SAME)
    assert np.allclose(DenseConv.build(Plain(), SAME).apply(x), expected, rtol=0, atol=1e-5)


def test_nan_and_infinity():
    coded = coded_filters((9, 3, 3, 3), 1.0)
    x = planes((1, 3, 9, 9))
    x[0, 1, 4, 4], x[0, 2, 0, 0] = np.nan, np.inf
    expected = plain_convolution(x, coded.decode(), SAME)
    for relu in (False, True):
        assert np.array_equal(np.isnan(DenseConv.build(coded, SAME).apply(x, relu=relu)), np.isnan(expected))


def test_nothing_else_is_written():
    around = np.full(9 * 13 * 13 + 64, 7, np.float32)
    out = around[32:-32].reshape(1, 9, 13, 13)
    form, x = DenseConv.build(coded_filters((9, 5, 3, 3), 1), SAME), planes((1, 5, 13, 13))
    assert form.apply(x, out=out) is out
    assert np.array_equal(out, form.apply(x))
    assert (around[:32] == 7).all() and (around[-32:] == 7).all()


def test_no_images():
    assert DenseConv.build(coded_filters((8, 5, 3, 3), 1), SAME).apply(planes((0, 5, 6, 7))).shape == (0, 8, 6, 7)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"none 0 and `out` even in 3 groups, got \(4, 2, 3, 3\)"):
        DenseConv.build(coded_filters((4, 2, 3, 3), 1), Geometry(groups=3))
    with pytest.raises(ValueError, match=r"a matrix has shape \(rows, cols\), got \(4, 2, 3, 3\)"):
        DenseMatrix.build(coded_filters((4, 2, 3, 3), 1))


def test_the_names():
    assert MATRIX_FORMS["dense"] is DenseMatrix and CONV_FORMS["dense"] is DenseConv
