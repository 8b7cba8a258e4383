"""gluon_dc.nn.entropy_sharing: by hand, then against a slow assignment."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

pytest.importorskip("mxnet")

from gluon_dc.coding.grids import find_grid  # noqa: E402
from gluon_dc.nn.entropy_sharing import (  # noqa: E402
    Sharing, code_lengths, on_grid, sharing_of, start_sharing, to_coded)


def sharing(centroids, bits=None, n=0):
    centroids = np.array(centroids, float)
    return Sharing(centroids, np.zeros(centroids.size) if bits is None else np.array(bits, float),
                   np.zeros(n, np.int64))


def test_without_a_price_the_nearest_centroid_is_taken():
    found = sharing([-1, 0.5, 2], n=4)
    found.assign(np.array([-3, 0, 1.2, 1.3]), np.ones(4))
    np.testing.assert_array_equal(found.codes, [0, 1, 1, 2])
    np.testing.assert_array_equal(found.values, [-1, 0.5, 0.5, 2])


def test_a_cheaper_centroid_is_taken_where_the_error_is_worth_less_than_its_bits():
    """0.6 is nearer to 1 (error 0.16) than to 0.1 (0.25), but 1 costs two bits more: at a price of 0.05 it is 0.1."""
    values, importance = np.array([0.6, 0.6]), np.array([1.0, 10.0])
    found = sharing([0.1, 1], bits=[1, 3], n=2)
    found.assign(values, importance, 0.05)
    np.testing.assert_array_equal(found.codes, [0, 1])  # the second one's error counts ten times
    found.assign(values, importance, 0.04)
    np.testing.assert_array_equal(found.codes, [1, 1])


def test_a_weight_is_dropped_where_its_bits_are_worth_more_than_it():
    """A weight of 0.3 costs 0.09 when it is dropped; kept as 0.2 it costs 0.01 and 5 bits of place and code."""
    values, found = np.array([0.3, 0.3]), sharing([0.2], bits=[1], n=2)
    found.assign(values, np.ones(2), 0.01, np.array([4.0, 8.0]))  # 0.06 and 0.10
    np.testing.assert_array_equal(found.codes, [0, -1])
    np.testing.assert_array_equal(found.values, [0.2, 0])
    found.update(values, np.ones(2))
    np.testing.assert_array_equal(found.centroids, [0.3])
    np.testing.assert_array_equal(found.codes, [0, -1])


def test_shared_values_are_found_again():
    values = np.float32([0.5, -1, 0.5, 2])
    found = sharing_of(values)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.centroids, [-1, 0.5, 2])
    assert sharing_of(np.arange(1.0, 300.0)).centroids.size == 255


def test_centroids_move_to_weighted_means_and_unused_ones_go():
    found = sharing([0, 5, 1], n=4)
    found.codes = np.array([0, 0, 2, 2])
    found.update(np.array([1.0, 2, 4, 6]), np.array([3.0, 1, 1, 1]))
    np.testing.assert_allclose(found.centroids, [1.25, 5])
    np.testing.assert_array_equal(found.codes, [0, 0, 1, 1])
    assert found.bits.size == 2 and found.bits[0] == found.bits[1]


def test_code_lengths_by_hand():
    lengths = code_lengths(np.array([50, 25, 25]))
    np.testing.assert_allclose(lengths, [1, 2, 2], atol=0.02)
    assert code_lengths(np.array([10**9, 0]))[1] == 12


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 8), st.floats(0, 2))
def test_assignment_is_the_least_cost(seed, n, k, price):
    rng = np.random.default_rng(seed)
    values, importance = rng.normal(size=n), rng.random(n)
    found = sharing(rng.normal(size=k), rng.random(k) * 5, n)
    found.assign(values, importance, price)
    costs = importance[:, None] * (values[:, None] - found.centroids) ** 2 + price * found.bits
    np.testing.assert_allclose(costs[np.arange(n), found.codes], costs.min(axis=1))


def test_a_price_makes_codes_cheaper_and_errors_larger():
    rng = np.random.default_rng(0)
    values, importance = rng.laplace(size=2000), rng.random(2000)
    def trained(price):
        found = start_sharing(values, importance, 12)
        for _ in range(20):
            found.assign(values, importance, price)
            found.update(values, importance)
        counts = np.bincount(found.codes)
        return (importance * (values - found.values) ** 2).mean(), -(counts * np.log2(counts / 2000)).sum() / 2000
    free, priced = trained(0), trained(0.2)
    assert free[0] < priced[0] and free[1] > priced[1] + 0.3


@pytest.mark.parametrize("values, k", [([3.0], 5), ([1.0, 1.0], 4), ([1.0, 2.0, 3.0], 8)])
def test_fewer_values_than_centroids(values, k):
    found = start_sharing(np.array(values), np.ones(len(values)), k)
    np.testing.assert_array_equal(found.values, values)
    assert found.centroids.size == len(set(values))


class TestGrid:
    @settings(max_examples=50, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.integers(2, 8), st.integers(-6, 6))
    def test_it_is_a_grid_that_the_file_stores_in_few_bits(self, seed, k, bits, power):
        centroids = np.random.default_rng(seed).normal(size=k) * 2.0**power
        found = on_grid(centroids, np.ones(k), bits)
        grid = find_grid(found[found != 0])
        assert found.dtype == np.float32 and grid is not None
        assert float(grid.step) == float(np.float16(grid.step))
        assert np.abs(grid.numbers).max() <= 2 ** (bits - 1)
        assert np.abs(found - centroids).max() <= 0.55 * np.abs(centroids).max() / (2 ** (bits - 2) - 0.5)

    def test_zeros(self):
        np.testing.assert_array_equal(on_grid(np.zeros(3), np.ones(3), 8), np.zeros(3, np.float32))
        assert on_grid(np.zeros(0), np.zeros(0), 8).size == 0

    def test_frequent_centroids_are_met_better(self):
        centroids = np.array([0.37, 1.0])
        often, seldom = (on_grid(centroids, np.array([count, 1]), 3)[0] for count in (10_000, 1e-6))
        assert abs(often - 0.37) <= abs(seldom - 0.37)


class TestCoded:
    def test_by_hand(self):
        coded = to_coded((2, 3), np.array([0, 2, 5]), np.array([0.5, -1, 7]), np.array([0, 1, 0]))
        np.testing.assert_array_equal(coded.codebook, np.float32([0, -1, 0.5]))
        np.testing.assert_array_equal(coded.codes, [[2, 0, 1], [0, 0, 2]])

    def test_equal_centroids_become_one_and_a_zero_is_not_kept(self):
        coded = to_coded((4,), np.arange(4), np.array([2.0, 0.0, 2.0]), np.array([0, 1, 2, -1]))
        np.testing.assert_array_equal(coded.codebook, np.float32([0, 2]))
        np.testing.assert_array_equal(coded.decode(), np.float32([2, 0, 2, 0]))

    def test_nothing_kept(self):
        coded = to_coded((2, 2), np.zeros(0, np.int64), np.zeros(1), np.zeros(0, np.int64))
        assert coded.nnz == 0 and coded.codebook.size == 1
