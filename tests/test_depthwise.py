import numpy as np
import pytest
from conv_cases import coded_filters, plain_convolution, planes
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.runtime import depthwise, simd, tile_plan
from gluon_dc.runtime.dense import DenseConv
from gluon_dc.runtime.forms import Geometry

needs_avx512 = pytest.mark.skipif(not simd.HAS_AVX512, reason="the kernel needs AVX-512")


@pytest.fixture(autouse=True)
def small_work_is_shared_out(monkeypatch):
    monkeypatch.setattr(tile_plan, "ALONE_CYCLES", 0)


@pytest.fixture(params=["strips", "planes"])
def path(request, monkeypatch):
    if request.param == "planes":
        monkeypatch.setattr(depthwise, "HAS_AVX512", False)
    return request.param


def layer(groups, kernel, each=1, **geometry):
    """(CodedTensor, Geometry) of filters with one channel."""
    return coded_filters((groups * each, 1, *kernel), 1), Geometry(groups=groups, **geometry)


def convolved(coded, geometry, x, **arguments):
    """What the form gives, once held against the plain convolution."""
    found = DenseConv.build(coded, geometry).apply(x, **arguments)
    weight = coded.decode()
    expected, scale = plain_convolution(x, weight, geometry), plain_convolution(np.abs(x), np.abs(weight), geometry)
    bias = arguments.get("bias")
    if bias is not None:
        expected, scale = expected + bias[:, None, None], scale + np.abs(bias)[:, None, None]
    expected = np.clip(expected, 0 if arguments.get("relu") else -np.inf, arguments.get("most", np.inf))
    assert found.shape == expected.shape and (np.abs(found - expected) <= 1e-5 * scale + 1e-30).all()
    return found


def test_by_hand(path):
    # One channel of 2x3 pixels, taps 1..9: the sum over what each pixel sees, within the plane.
    class Weights:
        shape = (1, 1, 3, 3)

        def decode(self):
            return np.arange(1, 10, dtype=np.float32).reshape(self.shape)
    x = np.float32([[[[1, 0, 0], [0, 0, 2]]]])
    form = DenseConv.build(Weights(), Geometry(pad=(1, 1)))
    assert form.apply(x).tolist() == [[[[5, 4 + 2 * 9, 2 * 8], [2, 1 + 2 * 6, 2 * 5]]]]
    assert form.apply(x, np.float32([-4]), True, most=9.0).tolist() == [[[[1, 9, 9], [0, 9, 6]]]]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (14, 13), (5, 16), (6, 17), (9, 33), (3, 50), (20, 66)])
def test_sizes(kernel, stride, size, path):
    coded, geometry = layer(3, (kernel, kernel), stride=(stride, stride), pad=(kernel // 2, kernel // 2))
    convolved(coded, geometry, planes((2, 3, *size)), bias=planes((3,)), relu=True, most=0.5, threads=2)


@pytest.mark.parametrize("pad", [(0, 0), (0, 2), (3, 1), (40, 90)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_pads(pad, stride, path):
    coded, geometry = layer(2, (3, 3), pad=pad, stride=stride)
    convolved(coded, geometry, planes((1, 2, 9, 21)))


@pytest.mark.parametrize("kernel, more", [
    ((7, 7), {}), ((3, 5), {}), ((1, 3), {}), ((3, 3), {"stride": (1, 2)}), ((3, 3), {"dilate": (2, 2)}),
    ((3, 3), {"stride": (3, 3)})])
def test_others(kernel, more, path):
    coded, geometry = layer(3, kernel, pad=(2, 2), **more)
    assert not depthwise.runs_in_strips(geometry, kernel)
    convolved(coded, geometry, planes((2, 3, 17, 30)), most=0.25)


def test_filters_that_share_a_channel(path):
    coded, geometry = layer(3, (3, 3), each=2, pad=(1, 1))
    form = DenseConv.build(coded, geometry)
    assert form.filters.shape == (3, 1, 9, 4) or form.filters.shape == (3, 2, 9, 1)
    convolved(coded, geometry, planes((2, 3, 8, 40)), bias=planes((6,)))


@needs_avx512
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_shape(data):
    kernel, stride = data.draw(st.sampled_from([3, 5])), data.draw(st.integers(1, 2))
    pad = tuple(data.draw(st.integers(0, 4)) for _ in range(2))
    size = tuple(data.draw(st.integers(max(1, kernel - 2 * p), 60)) for p in pad)
    coded, geometry = layer(data.draw(st.integers(1, 4)), (kernel, kernel), stride=(stride, stride), pad=pad)
    assert depthwise.runs_in_strips(geometry, (kernel, kernel))
    convolved(coded, geometry, planes((data.draw(st.integers(1, 2)), geometry.groups, *size)),
              threads=data.draw(st.integers(1, 3)))


def test_nan_and_infinity_stay_where_they_belong(path):
    coded, geometry = layer(1, (3, 3), pad=(1, 1))
    x = planes((1, 1, 12, 40))
    x[0, 0, 5, 15], x[0, 0, 0, 39], x[0, 0, 11, 0] = np.nan, np.inf, -np.inf
    expected = plain_convolution(x, coded.decode(), geometry)
    found = DenseConv.build(coded, geometry).apply(x, relu=True, most=6.0)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.array_equal(found[~np.isnan(found)] == 6, expected[~np.isnan(expected)] > 6)


def test_nothing_else_is_written(path):
    around = np.full(3 * 11 * 21 + 64, 7, np.float32)
    out = around[32:-32].reshape(1, 3, 11, 21)
    coded, geometry = layer(3, (3, 3), pad=(1, 1))
    convolved(coded, geometry, planes((1, 3, 11, 21)), out=out)
    assert (around[:32] == 7).all() and (around[-32:] == 7).all()


def test_no_images(path):
    coded, geometry = layer(3, (3, 3), pad=(1, 1))
    assert DenseConv.build(coded, geometry).apply(planes((0, 3, 6, 7))).shape == (0, 3, 6, 7)
