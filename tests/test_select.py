import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import threads
from gluon_dc.coding.select import is_zero_where_left_out, keep_at_least, keep_largest, zero_left_out

magnitudes = st.sampled_from([0.0, 1e-45, 0.25, 1.0, 1.0000001, 3.4e38]) | st.floats(0, 2.0**99, width=32)


def keep_largest_reference(scores, pruned, kept):
    """By a full sort: those not kept first, then by magnitude, then by position."""
    flat = np.concatenate([np.abs(score).ravel() for score in scores])
    alive = np.concatenate([np.ones(score.size, bool) if mask is None else mask.ravel() != 0
                            for score, mask in zip(scores, kept)])
    order = np.lexsort((np.arange(flat.size), flat, alive))
    alive[order[:pruned]] = False
    return alive


def partition_reference(score, sparsity, mask):
    """The masks that `prune` gave before there was a radix select."""
    rank = np.where(mask, np.abs(score), -1.0)
    pruned = int(round(sparsity * rank.size))
    kept = rank >= 0
    if pruned:
        limit = np.partition(rank, pruned - 1)[pruned - 1]
        kept &= rank >= limit
        ties = np.flatnonzero(rank == limit)
        kept[ties[:pruned - np.count_nonzero(rank < limit)]] = False
    return kept


def test_worked_example():
    # Magnitudes .1 .5 .3 0 .2 .9: three go, 0, .1 and .2.
    weight = np.float32([[0.1, -0.5, 0.3], [-0.0, -0.2, 0.9]])
    mask, = keep_largest([weight], 3)
    assert mask.dtype == bool and mask.tolist() == [[False, True, True], [False, False, True]]


def test_of_equal_scores_the_first_go_first_across_arrays():
    one, two = np.float32([2, 1, -1]), np.float32([[1], [0]])
    first, second = keep_largest([one, two], 3)
    assert first.tolist() == [True, False, False] and second.tolist() == [[True], [False]]


def test_what_is_not_kept_goes_before_everything_else():
    weight = np.float32([9, 1, 8, 0])
    mask, = keep_largest([weight], 2, [np.array([0, 1, 1, 1], np.uint8)])
    assert mask.tolist() == [False, True, True, False]
    # Fewer asked for than are out already: those stay out, and no other goes.
    assert keep_largest([weight], 1, [np.array([False, True, True, False])])[0].tolist() == [False, True, True, False]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.tuples(magnitudes, st.booleans(), st.booleans()), max_size=30), min_size=1, max_size=3),
       st.floats(0, 1), st.booleans(), st.sampled_from([np.float32, np.float64]))
def test_is_the_full_sort(rows, share, masked, dtype):
    scores = [np.array([-score if negative else score for score, negative, _ in row], dtype) for row in rows]
    kept = [np.array([alive for _, _, alive in row], bool) if masked else None for row in rows]
    pruned = round(share * sum(score.size for score in scores))
    masks = keep_largest(scores, pruned, kept)
    np.testing.assert_array_equal(np.concatenate(masks), keep_largest_reference(scores, pruned, kept))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-4, 4), max_size=40), st.floats(0, 0.99), st.integers(0, 2**40 - 1))
def test_is_the_partition_of_before(values, sparsity, alive):
    score = np.array(values, np.float32) / 3
    mask = np.array([alive >> i & 1 for i in range(score.size)], bool)
    found, = keep_largest([score], round(sparsity * score.size), [mask])
    np.testing.assert_array_equal(found, partition_reference(score, sparsity, mask))


@pytest.mark.parametrize("count", ["1", "3"])
def test_large_arrays_on_any_number_of_threads(monkeypatch, count):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    rng = np.random.default_rng(0)
    # Steps of 1/64: thousands of ties, over pieces and arrays.
    scores = [np.round(rng.laplace(size=size) * 64).astype(np.float32) / 64 for size in (2**21 + 7, 1000, 2**20)]
    kept = [rng.random(score.size) < 0.8 for score in scores]
    pruned = int(0.7 * sum(score.size for score in scores))
    np.testing.assert_array_equal(np.concatenate(keep_largest(scores, pruned, kept)),
                                  keep_largest_reference(scores, pruned, kept))


def test_at_least():
    score = np.float32([[0.3, -0.3], [0.2999999, np.finfo(np.float32).max]])
    assert keep_at_least(score, 0.3).tolist() == [[True, True], [False, True]]
    assert keep_at_least(score, 0.3, np.uint8([[0, 1], [1, 1]])).tolist() == [[False, True], [False, True]]
    assert keep_at_least(score, 0).all() and keep_at_least(score, 1e-60).all()
    assert keep_at_least(score, -0.0).all() and keep_at_least(score, np.float32(-0.0)).all()
    assert not keep_at_least(score, 1e39).any() and not keep_at_least(score, np.inf).any()
    assert keep_at_least(np.zeros((0, 2), np.float32), 1).shape == (0, 2)


def test_zeros_where_left_out():
    values, mask = np.float32([[1, -2], [np.nan, 4]]), np.array([[True, False], [False, True]])
    assert not is_zero_where_left_out(values, mask)
    zero_left_out(values, mask)
    assert values.tolist() == [[1, 0], [0, 4]] and not np.signbit(values).any()
    assert is_zero_where_left_out(values, mask.astype(np.uint8)) and is_zero_where_left_out(-values, mask)


@pytest.mark.parametrize("pruned", [-1, 3])
def test_another_number_is_refused(pruned):
    with pytest.raises(ValueError, match=f"pruned must be 0..2, the number of scores, got {pruned}"):
        keep_largest([np.ones(2, np.float32)], pruned)


def test_nothing_to_choose_from():
    assert keep_largest([], 0) == []
    assert keep_largest([np.zeros((0, 4), np.float32)], 0)[0].shape == (0, 4)
    assert keep_largest([np.float32([5])], 1)[0].tolist() == [False]
