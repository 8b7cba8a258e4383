import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import threads
from gluon_dc.coding.bins import fill_bins

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def test_worked_example():
    # A bin of 1..2 is 2**-12 wide: 1 and 1 + 2**-13 share one, 1 + 2**-12 has the next. -3 is below all, 0 between.
    step = 2.0**-13
    bins = fill_bins([1 + 2 * step, 1, -3, 0, 1 + step, 1], skip_zeros=False)
    assert bins.counts.tolist() == [1, 1, 3, 1]
    assert bins.sums.tolist() == [-3, 0, 3 + step, 1 + 2 * step]
    assert bins.means.dtype == np.float32
    np.testing.assert_allclose(bins.means, [-3, 0, 1 + step / 3, 1 + 2 * step], rtol=1e-7)
    assert bins.widths.tolist()[0] == 2.0**-11 and bins.widths.tolist()[2:] == [2.0**-12, 2.0**-12]
    assert bins.low == -3 and bins.high == np.float32(1 + 2 * step)


def test_zeros_are_skipped_whatever_their_sign():
    bins = fill_bins(np.float32([0.0, -0.0, 2, 0]), skip_zeros=True)
    assert bins.counts.tolist() == [1] and bins.means.tolist() == [2] and bins.low == bins.high == 2


@settings(deadline=None, max_examples=60)
@given(st.lists(floats, min_size=1, max_size=50))
def test_invariants(values):
    values = np.array(values, np.float32)
    bins = fill_bins(values, skip_zeros=False)
    assert bins.counts.sum() == values.size and np.all(np.diff(bins.means) > 0)
    assert bins.low == values.min() and bins.high == values.max()
    # Every value lies within its bin's width of the mean of one.
    nearest = np.abs(values.astype(np.float64)[:, None] - bins.means.astype(np.float64))
    assert np.all(nearest.min(axis=1) <= bins.widths[nearest.argmin(axis=1)])
    np.testing.assert_allclose(bins.sums.sum(), values.sum(dtype=np.float64),
                               rtol=1e-9, atol=1e-12 * np.abs(values, dtype=np.float64).sum())


@pytest.mark.parametrize("count", ["2", "3"])
def test_any_number_of_threads_gives_the_same_bits(monkeypatch, count):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    values = np.random.default_rng(0).standard_t(2, 3 * 2**20 + 11).astype(np.float32)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    expected = fill_bins(values, skip_zeros=True)
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    for found, one in zip(fill_bins(values, skip_zeros=True), expected):
        np.testing.assert_array_equal(found, one)
    assert expected.sums.sum() == pytest.approx(values.sum(dtype=np.float64), rel=1e-9)
