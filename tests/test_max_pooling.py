import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.runtime import kernels, simd
from gluon_dc.runtime.max_pooling import max_pool_strips, pools_in_strips

pytestmark = pytest.mark.skipif(not simd.HAS_AVX512, reason="the kernel needs AVX-512")


def pooled(x, stride, pad, size):
    """The maxima of x (n, c, h, w), within an array that nothing else is written to."""
    n, c = x.shape[:2]
    around = np.full(n * c * size[0] * size[1] + 64, 7, np.float32)
    out = around[32:-32].reshape(n, c, *size)
    max_pool_strips(x, stride, pad, out, 0, n * c)
    assert (around[:32] == 7).all() and (around[-32:] == 7).all()
    return out


def test_by_hand():
    x = np.float32([[[[1, 2, 3, 4], [5, 9, 7, 8], [-1, -2, -3, -4]]]])
    assert pooled(x, 2, (0, 0), (1, 1)).tolist() == [[[[9]]]]
    assert pooled(x, 2, (1, 1), (2, 2)).tolist() == [[[[9, 9], [9, 9]]]]
    assert pooled(x - 10, 1, (1, 1), (3, 4)).tolist() == [[[[-1, -1, -1, -2]] * 3]]
    # Windows reach over the end, where a net says "full"; the last one is empty.
    assert pooled(x, 2, (0, 0), (2, 3)).tolist() == [[[[9, 8, kernels.LOWEST], [-1, -3, kernels.LOWEST]]]]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_as_the_plain_loop(data):
    stride, pad = data.draw(st.integers(1, 2)), tuple(data.draw(st.integers(0, 2)) for _ in range(2))
    size = [data.draw(st.integers(max(1, 3 - 2 * p), 70)) for p in pad]
    outputs = [(extent + 2 * p - 3) // stride + 1 + data.draw(st.integers(0, 1)) for extent, p in zip(size, pad)]
    x = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(np.float32)
    expected = np.empty((6, *outputs), np.float32)
    kernels.max_pool(x.reshape(6, *size), 3, 3, stride, stride, *pad, expected, 0, 6)
    assert np.array_equal(pooled(x, stride, pad, outputs).reshape(expected.shape), expected)


def test_infinities():
    x = np.full((1, 1, 5, 40), -np.inf, np.float32)
    assert (pooled(x, 2, (0, 0), (2, 19)) == kernels.LOWEST).all()
    x[0, 0, 2, 20] = np.inf
    assert np.isinf(pooled(x, 1, (0, 0), (3, 38))).sum() == 9


@pytest.mark.parametrize("stride", [1, 2])
def test_nan_is_passed_over(stride):
    rng = np.random.default_rng(0)
    x = rng.choice(np.float32([np.nan, -np.inf, -1, 2, np.inf]), (3, 2, 20, 40), p=[0.5, 0.3, 0.1, 0.05, 0.05])
    size = tuple((extent - 1) // stride + 1 for extent in x.shape[2:])
    around = np.pad(np.where(x > kernels.LOWEST, x, kernels.LOWEST), ((0, 0), (0, 0), (1, 1), (1, 1)),
                    constant_values=kernels.LOWEST)
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), (2, 3))[:, :, ::stride, ::stride]
    expected = windows.max((4, 5))
    assert np.array_equal(pooled(x, stride, (1, 1), size), expected)
    plain = np.empty_like(expected).reshape(6, *size)
    kernels.max_pool(x.reshape(6, *x.shape[2:]), 3, 3, stride, stride, 1, 1, plain, 0, 6)
    assert np.array_equal(plain.reshape(expected.shape), expected)


def test_which_windows():
    assert pools_in_strips((3, 3), (2, 2)) and pools_in_strips((3, 3), (1, 1))
    assert not pools_in_strips((2, 2), (2, 2)) and not pools_in_strips((3, 3), (2, 1))


def test_a_step_far_beyond_the_input_takes_no_memory():
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    out = np.zeros((1, 1, 2), np.float32)
    kernels.max_pool(x, 3, 3, 2, 10**15, 0, 1, out, 0, 1)
    np.testing.assert_array_equal(out, np.float32([[[9, np.finfo(np.float32).min]]]))  # columns -1 to 1
