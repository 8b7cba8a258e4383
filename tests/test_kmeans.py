import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import kmeans, share, threads
from gluon_dc.coding.kmeans import STARTS, assign, cluster, inertia, starting_centroids

floats = st.floats(-1e6, 1e6, width=32)


def lloyd_reference(values, start, max_iterations=300):
    """Plain Lloyd, O(n k) an iteration: the nearest of all centroids for each value, then the means."""
    centroids, nearest = start.copy(), None
    for _ in range(max_iterations):
        previous, nearest = nearest, np.abs(values[:, None] - centroids[None, :]).argmin(axis=1)
        if np.array_equal(previous, nearest):
            break
        for i in np.unique(nearest):
            centroids[i] = values[nearest == i].mean(dtype=np.float64)
    return centroids[np.unique(nearest)]


def least_inertia(values, k):
    """The optimum by trying every partition of the sorted values into at most k ranges."""
    values = np.sort(values).astype(np.float64)
    inner = range(1, values.size)
    partitions = (cut for n in range(min(k, values.size)) for cut in itertools.combinations(inner, n))
    return min(sum(part.size * part.var() for part in np.split(values, cut)) for cut in partitions)


def test_worked_example():
    # From the linear start 1 and 11 the border lies at 6: the means are 1.5 and 10, and the border stays between.
    values = [1, 2, 9, 10, 11]
    np.testing.assert_array_equal(starting_centroids(values, 2), [1.0, 11.0])
    centroids = cluster(values, 2)
    assert centroids.dtype == np.float32
    np.testing.assert_array_equal(centroids, [1.5, 10.0])
    np.testing.assert_array_equal(assign(values, centroids), [0, 0, 1, 1, 1])
    assert inertia(values, centroids) == 0.25 + 0.25 + 1 + 0 + 1


@pytest.mark.parametrize("start, expected", [
    ("linear", [0, 4.5, 9]),
    # levels 1/6, 1/2, 5/6 of ten values: those at 1.67, 5 and 8.33, rounded down
    ("density", [1, 5, 8]),
])
def test_starts_by_hand(start, expected):
    np.testing.assert_allclose(starting_centroids(np.arange(10)[::-1], 3, start), expected)


def test_optimal_start_by_hand():
    np.testing.assert_allclose(starting_centroids([11, 0, 1, 10, 5, 6], 3, "optimal"), [0.5, 5.5, 10.5])


@pytest.mark.parametrize("start", ["random", "kmeans++"])
def test_drawn_starts_are_values_and_depend_on_the_seed_alone(start):
    values = np.random.default_rng(0).normal(size=500).astype(np.float32)
    drawn = [starting_centroids(values, 8, start, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert drawn[0].size == 8 and np.isin(drawn[0], values).all()


def test_plus_plus_takes_every_far_group():
    # Four groups a million apart: a second centroid in one group is all but impossible.
    values = np.concatenate([group * 1e6 + np.arange(100) * 1e-3 for group in range(4)])
    for seed in range(10):
        start = starting_centroids(values, 4, "kmeans++", seed)
        np.testing.assert_array_equal(np.round(start / 1e6), [0, 1, 2, 3])


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("seed, n, k", [(0, 200, 1), (1, 300, 5), (2, 400, 31), (3, 60, 50)])
def test_equals_the_plain_lloyd(start, seed, n, k):
    values = np.random.default_rng(seed).laplace(size=n).astype(np.float32)
    expected = lloyd_reference(values.astype(np.float64), starting_centroids(values, k, start, seed))
    np.testing.assert_allclose(cluster(values, k, start, seed), expected, rtol=1e-6, atol=1e-7)


@settings(deadline=None, max_examples=60)
@given(st.lists(floats, min_size=1, max_size=9), st.integers(1, 5))
def test_optimal_start_is_the_optimum(values, k):
    values = np.array(values, np.float32)
    found = inertia(values, starting_centroids(values, k, "optimal"))
    assert found <= least_inertia(values, k) * (1 + 1e-6) + 1e-9 * np.square(values, dtype=np.float64).max()


def test_optimal_start_on_grouped_values_beats_every_other():
    # More distinct values than groups, and outliers that would spoil equally wide ones.
    values = np.random.default_rng(4).standard_t(2, size=50_000).astype(np.float32)
    best = min(inertia(values, cluster(values, 16, start, seed))
               for start in ("linear", "density", "kmeans++") for seed in range(3))
    assert inertia(values, starting_centroids(values, 16, "optimal")) <= best


@settings(deadline=None, max_examples=60)
@given(st.lists(floats, min_size=1, max_size=40), st.integers(1, 20), st.sampled_from(STARTS), st.integers(0, 9))
def test_invariants(values, k, start, seed):
    values = np.array(values, np.float32)
    centroids = cluster(values, k, start, seed)
    assert 1 <= centroids.size <= k and np.all(np.diff(centroids) > 0)
    assert values.min() <= centroids[0] and centroids[-1] <= values.max()
    if np.unique(values).size <= k:
        np.testing.assert_array_equal(centroids, np.unique(values))
    else:
        assert np.unique(assign(values, centroids)).size == centroids.size  # none is empty
    np.testing.assert_array_equal(centroids, cluster(values[::-1], k, start, seed))


@pytest.mark.parametrize("start", STARTS)
def test_integer_weights_count_like_repetitions(start):
    rng = np.random.default_rng(5)
    values = np.unique(rng.integers(0, 10_000, 300)).astype(np.float32)
    weights = rng.integers(0, 4, values.size)
    repeated = np.repeat(values, weights)
    np.testing.assert_array_equal(cluster(values, 6, "linear", weights=weights), cluster(repeated, 6, "linear"))
    weighted = cluster(values, 6, start, weights=weights)
    assert inertia(values, weighted, weights) == pytest.approx(inertia(repeated, weighted))
    assert weighted.size == 6


def test_clusters_that_run_empty_are_dropped():
    # Linear starts 0, 2.5, 5, 7.5, 10 with a hole from 0.3 to 9.7: the three in the middle get nothing.
    values = np.array([0, 0.1, 0.2, 0.3, 9.7, 9.8, 9.9, 10])
    np.testing.assert_allclose(cluster(values, 5), [0.15, 9.85], rtol=1e-6)


def test_few_distinct_values_come_back_bit_for_bit():
    values = np.array([0.1, -3e38, 1e-45, 0.1, 3e38], np.float32)
    for k in (4, 5, 200):
        assert cluster(values, k, "kmeans++").tobytes() == np.unique(values).tobytes()
    assert cluster([7.5] * 100, 3).tolist() == [7.5]
    assert cluster(np.float32(2.0), 1).tolist() == [2.0]


def test_largest_values_do_not_overflow():
    largest = np.finfo(np.float32).max
    for start in STARTS:
        centroids = cluster([-largest, -largest / 2, 0, largest / 2, largest], 3, start)
        assert np.isfinite(centroids).all() and centroids.size >= 2


def test_values_of_weight_zero_have_no_say():
    assert cluster([1, 2, 1000], 1, weights=[1, 1, 0]).tolist() == [1.5]


def test_weights_lost_in_rounding_leave_no_nan():
    values, weights = np.arange(8), [1e-300, 1e300, 1e-300, 1, 1, 1, 1e300, 1e-300]
    for start in STARTS:
        assert np.isfinite(cluster(values, 4, start, weights=weights)).all()


def test_zero_iterations_keep_the_start():
    values = [0, 1, 2, 9, 10]
    np.testing.assert_array_equal(cluster(values, 2, max_iterations=0), [0, 10])


def test_assign_breaks_ties_to_the_lower_centroid():
    above = np.nextafter(np.float32(0.5), np.float32(1))
    codes = assign(np.array([[0.5, above], [-9, 9]], np.float32), [0.0, 1.0])
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, [[0, 1], [0, 1]])


def test_assign_beyond_256_centroids():
    codes = assign([0, 0.5, 299.6, 256.4], np.arange(301))
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(codes, [0, 0, 300, 256])
    assert assign([255.4], np.arange(256)).dtype == np.uint8


@settings(deadline=None, max_examples=60)
@given(st.lists(floats, max_size=30), st.lists(floats, min_size=1, max_size=12, unique=True))
def test_assign_finds_the_nearest(values, centroids):
    values, centroids = np.array(values, np.float32), np.sort(np.array(centroids, np.float32) + np.float32(0))
    distances = np.abs(values.astype(np.float64)[:, None] - centroids.astype(np.float64)[None, :])
    nearest = np.take_along_axis(distances, assign(values, centroids)[:, None].astype(int), 1)
    np.testing.assert_array_equal(nearest[:, 0], distances.min(axis=1, initial=np.inf))


def test_weighted_inertia():
    assert inertia([1, 3], [2.0], [1, 0.5]) == 1.5


@pytest.mark.parametrize("arguments, message", [
    (dict(values=[1, np.nan, np.inf], k=2), "2 of 3 values are NaN or infinite"),
    (dict(values=np.array([1e39]), k=2), "1 of 1 values are NaN or infinite in float32"),
    (dict(values=[1.0], k=0), "k must be at least 1, got 0"),
    (dict(values=[], k=1), "at least one value"),
    (dict(values=[1.0], k=1, weights=[0]), "at least one value"),
    (dict(values=[1, 2], k=1, weights=[1]), "got 1 weights for 2 values"),
    (dict(values=[1, 2], k=1, weights=[1, -1]), "1 of 2 weights are negative"),
    (dict(values=[1, 2, 3], k=2, start="best"), "unknown start 'best', expected one of linear, density"),
    (dict(values=[1, 2, 3], k=2, max_iterations=-1), "max_iterations must be >= 0, got -1"),
])
@pytest.mark.filterwarnings("ignore:overflow")
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        cluster(**arguments)


@pytest.mark.parametrize("centroids", [[], [1, 0], [1, 1], [[1]], [np.nan, 1]])
def test_assign_wants_ascending_centroids(centroids):
    with pytest.raises(ValueError, match="ascending and distinct"):
        assign([0.0], centroids)


@pytest.fixture(scope="module")
def many():
    """More values than are sorted, with tails, outliers and a hole around 0, as pruning leaves them."""
    values = np.random.default_rng(6).standard_t(3, 3 * 2**20 // 2).astype(np.float32)
    values[np.abs(values) < 0.3] = 0
    values[:2] = -400, 300
    return values


def sorted_cluster(values, *arguments, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmeans, "_MANY", values.size)
        return cluster(values, *arguments, **options)


@pytest.mark.parametrize("start, k", [("optimal", 15), ("optimal", 255), ("linear", 31), ("density", 31),
                                      ("kmeans++", 31), ("random", 31)])
def test_many_values_lose_nothing_by_their_bins(many, start, k):
    kept = many[many != 0]
    found = cluster(many, k, start, seed=1, skip_zeros=True)
    binned = inertia(kept, found)
    best = inertia(kept, sorted_cluster(kept, k, start, seed=1))
    if start in ("kmeans++", "random"):  # other draws, so another local optimum
        assert 0.3 < binned / best < 3 and found.size == k
    else:
        assert binned == pytest.approx(best, rel=1e-3)


def test_centroids_of_many_values_are_the_exact_means(many):
    centroids = starting_centroids(many, 9, "density")
    found = cluster(many, 9, "density", max_iterations=1)
    counts = np.bincount(assign(many, found), minlength=9)
    assert counts.min() > 0 and starting_centroids(many, 9, "linear")[[0, -1]].tolist() == [-400, 300]
    # After one iteration over bins the exact one goes by the borders between the means of those.
    once = [many[assign(many, centroids) == i].mean(dtype=np.float64) for i in range(9)]
    twice = [many[assign(many, once) == i].mean(dtype=np.float64) for i in range(9)]
    np.testing.assert_allclose(found, twice, rtol=1e-3)
    np.testing.assert_array_equal(cluster(many, 9, "density", max_iterations=0), centroids.astype(np.float32))


@pytest.mark.parametrize("start", STARTS)
def test_many_values_give_the_same_bits_on_any_number_of_threads(many, monkeypatch, start):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    found = []
    for count in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", count)
        found.append(share(many, 4, start, seed=2))
    assert found[0] == found[1]


def test_values_too_close_for_bins_are_sorted():
    # All within one or two bins, where only the values themselves can tell them apart; and few distinct ones.
    close = (1 + np.random.default_rng(0).random(2**20 + 1) * 2.0**-12).astype(np.float32)
    np.testing.assert_array_equal(cluster(close, 8, "optimal"), sorted_cluster(close, 8, "optimal"))
    few = np.resize(np.float32([0.1, -3, 7, 0]), 2**20 + 9)
    assert cluster(few, 5).tobytes() == np.unique(few).tobytes()
    assert cluster(few, 3, skip_zeros=True).tolist() == [-3, np.float32(0.1), 7]
    assert cluster(few, 2, skip_zeros=True).tobytes() == sorted_cluster(few, 2, skip_zeros=True).tobytes()


def test_skipping_zeros_is_leaving_them_out():
    values = np.float32([0, 3, -1, -0.0, 5, 2, 0])
    for start in STARTS:
        np.testing.assert_array_equal(cluster(values, 2, start, skip_zeros=True), cluster(values[values != 0], 2, start))
    assert cluster(values, 1, weights=[9, 1, 0, 9, 1, 0, 9], skip_zeros=True).tolist() == [4]
    with pytest.raises(ValueError, match="at least one value"):
        cluster([0.0, -0.0], 1, skip_zeros=True)
