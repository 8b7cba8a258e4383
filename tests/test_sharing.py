import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import STARTS, cluster, share, share_as


def test_worked_example():
    # Two bits: the zero and three centroids. Kept weights -4, -2, 1, 2, 9; linear starts -4, 2.5, 9 take
    # {-4, -2}, {1, 2}, {9}: means -3, 1.5, 9.
    weight = np.array([[0, -4, 2], [9, -0.0, 1], [-2, 0, 0]])
    coded = share(weight, 2)
    assert coded.codebook.tolist() == [0, -3, 1.5, 9]
    assert coded.codes.tolist() == [[0, 1, 2], [3, 0, 2], [1, 0, 0]]
    assert coded.decode().tolist() == [[0, -3, 1.5], [9, 0, 1.5], [-3, 0, 0]]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.just(0.0) | st.floats(-8, 8, width=32), max_size=50), st.integers(1, 8), st.sampled_from(STARTS))
def test_invariants(values, bits, start):
    weight = np.array(values, np.float32)
    coded = share(weight, bits, start, seed=3)
    decoded, kept = coded.decode(), weight != 0
    # Kept weights whose centroid is 0.0 (the mean of -1 and 1) lose their place in the mask, and no other does.
    np.testing.assert_array_equal(coded.mask, decoded != 0)
    assert not decoded[~kept].any()
    assert coded.codebook.size <= 2**bits and np.all(np.diff(coded.codebook[1:]) > 0)
    if kept.any():
        errors = np.abs(coded.codebook[1:].astype(np.float64)[:, None] - weight[kept].astype(np.float64))
        np.testing.assert_array_equal(np.abs(decoded[kept].astype(np.float64) - weight[kept]), errors.min(axis=0))


def test_kept_weights_around_a_centroid_of_zero_are_pruned():
    coded = share([1.0, -1.0], 1)
    assert coded.codebook.tolist() == [0, 0] and not coded.mask.any() and coded.decode().tolist() == [0, 0]


def test_shape_and_dtype():
    weight = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    coded = share(weight, 8, "optimal")
    assert coded.shape == (4, 3, 5, 5) and coded.codebook.size == 256
    assert coded.codes.dtype == np.uint8 and coded.codebook.dtype == np.float32


@pytest.mark.parametrize("shape", [(0,), (3, 0), (5,), ()])
def test_nothing_kept(shape):
    coded = share(np.zeros(shape, np.float32), 5)
    assert coded.codebook.tolist() == [0.0] and coded.nnz == 0 and coded.shape == shape


def test_one_element():
    assert share(np.float32(2.5), 1).decode() == np.float32(2.5)


def test_weights_pull_the_centroid():
    weight = np.array([[1.0, 0], [2.0, 4.0]])
    assert share(weight, 1, weights=[[3.0, np.nan], [1.0, 0.0]]).codebook.tolist() == [0, 1.25]


def test_seed_decides_drawn_starts():
    weight = np.random.default_rng(1).normal(size=300)
    assert share(weight, 3, "random", seed=1) == share(weight, 3, "random", seed=1)
    assert share(weight, 3, "random", seed=1) != share(weight, 3, "random", seed=2)


def test_share_as_takes_the_nearest_of_given_centroids():
    coded = share_as([0, 0.1, -7, 2, 3], [-1, 1, 3])
    assert coded.codes.tolist() == [0, 2, 1, 2, 3]
    assert coded.codebook.tolist() == [0, -1, 1, 3]


def test_share_is_share_as_with_its_clusters():
    weight = np.random.default_rng(2).normal(size=(30, 30)).astype(np.float32)
    weight[::2] = 0
    assert share(weight, 4) == share_as(weight, cluster(weight[weight != 0], 15))


def test_share_as_with_255_centroids():
    coded = share_as([300.0, 1.0], np.arange(1, 256))
    assert coded.codes.tolist() == [255, 1]


@pytest.mark.parametrize("call, message", [
    (lambda: share([1.0], 0), "bits must be 1..8, got 0"),
    (lambda: share([1.0], 9), "bits must be 1..8, got 9"),
    (lambda: share([1.0, np.nan, -np.inf], 4), "2 of 3 weights are NaN or infinite"),
    (lambda: share([1.0, 2.0], 4, weights=[1.0]), r"shape \(2,\), got shape \(1,\)"),
    (lambda: share([1.0, 2.0], 4, "best"), "unknown start 'best'"),
    (lambda: share_as([np.nan], [1.0]), "1 of 1 weights are NaN"),
    (lambda: share_as([1.0], []), "1..255 centroids beside the zero, got 0"),
    (lambda: share_as([1.0], np.arange(256)), "1..255 centroids beside the zero, got 256"),
    (lambda: share_as([1.0], [2.0, 1.0]), "ascending and distinct"),
    (lambda: share_as([1.0], [1.0, np.inf]), "codebook entry 2 is inf"),
])
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_weight_whose_centroid_is_zero_is_pruned():
    coded = share([-1.0, 1.0, 0.0], 1)
    assert coded.nnz == 0 and not coded.decode().any()
