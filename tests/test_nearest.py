import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import nearest
from gluon_dc.coding.nearest import assign, cluster_sums, limit_table, nearest_codes, upper_limits

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.fixture(params=["few values", "many values"])
def kernel(request, monkeypatch):
    """Both ways: counting limits, and the table over the highest bits."""
    monkeypatch.setattr(nearest, "_MANY", 2**40 if request.param == "few values" else 0)


def test_codes_by_hand(kernel):
    # Limits lie at 0 and 2. The tie 2.0 goes to the lower centroid; zeros of either sign are code 0.
    codes = nearest_codes(np.float32([[0, 0.1, -7], [-0.0, 2.0, 2.1]]), np.float32([-1, 1, 3]))
    assert codes.dtype == np.uint8 and codes.tolist() == [[0, 2, 1], [0, 2, 3]]


def test_weights_at_a_centroid_of_zero_are_code_0(kernel):
    assert nearest_codes(np.float32([0.1, 5, -4, -0.3]), np.float32([-4, 0, 5])).tolist() == [0, 3, 1, 0]


@settings(deadline=None, max_examples=100)
@given(st.lists(floats, min_size=1, max_size=60), st.lists(floats, min_size=1, max_size=255, unique=True))
def test_both_kernels_agree(values, centroids):
    values, centroids = np.array(values, np.float32), np.unique(np.float32(centroids) + np.float32(0))
    # Values at, just below and just above the limits are the hard ones.
    limits = upper_limits(centroids.astype(np.float64))
    values = np.concatenate([values, limits, np.nextafter(limits, np.float32(np.inf))])
    values = values[np.isfinite(values)]
    found = []
    for many in (2**40, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nearest, "_MANY", many)
            found.append(assign(values, centroids))
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(found[0], np.searchsorted(limits, values, side="left"))


def test_limits_that_share_their_highest_bits():
    centroids = 1 + np.arange(200) * 2.0**-20
    values = np.random.default_rng(0).choice(centroids, 2**18).astype(np.float32)
    np.testing.assert_array_equal(centroids[assign(values, centroids)], values)
    assert limit_table(upper_limits(centroids)).shape == (2**16, 2)


def test_sums_by_hand():
    counts, sums = cluster_sums(np.float32([0, 1, 2, -5, 0, 7]), np.array([-4.0, 1, 8]), skip_zeros=True)
    assert counts.tolist() == [1, 2, 1] and sums.tolist() == [-5, 3, 7]
    assert cluster_sums(np.float32([0, 1]), np.array([0.5]), skip_zeros=False)[0].tolist() == [2]


def test_sums_of_many_values():
    values = np.random.default_rng(1).laplace(size=2**20 + 5).astype(np.float32)
    centroids = np.linspace(-3, 3, 7)
    counts, sums = cluster_sums(values, centroids, skip_zeros=False)
    codes = assign(values, centroids)
    np.testing.assert_array_equal(counts, np.bincount(codes, minlength=7))
    np.testing.assert_allclose(sums, np.bincount(codes, values.astype(np.float64), minlength=7), rtol=1e-10)
