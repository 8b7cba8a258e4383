import threading

import numpy as np
import pytest

from gluon_dc.coding import threads
from gluon_dc.coding.arrays import count_nonzero, count_not_finite
from gluon_dc.coding.threads import PIECE, in_threads, pieces, shares, thread_count


@pytest.fixture
def cores(monkeypatch):
    """Pretend to have 16 cores."""
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize("openmp, numba, expected", [
    (None, None, threads.MAX_THREADS), ("3", None, 3), ("5", "2", 2), ("0", None, 1), ("3,2", None, 3), ("all", None, 8),
    ("100", "100", 8),
])
def test_thread_count_is_the_least_limit(cores, monkeypatch, openmp, numba, expected):
    for name, limit in (("OMP_NUM_THREADS", openmp), ("NUMBA_NUM_THREADS", numba)):
        if limit is not None:
            monkeypatch.setenv(name, limit)
    assert thread_count() == expected


@pytest.mark.parametrize("size, lengths", [(0, []), (1, [1]), (PIECE, [PIECE]), (2 * PIECE + 5, [PIECE, PIECE, 5])])
def test_pieces_cover_everything_once(size, lengths):
    found = pieces(size)
    assert [piece.stop - piece.start for piece in found] == lengths
    assert [piece.start for piece in found] == [PIECE * i for i in range(len(lengths))]


def test_results_come_in_order_from_several_threads(cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    barrier = threading.Barrier(3, timeout=30)

    def wait_for_the_others(number):
        barrier.wait()  # passes only where three run at a time
        return number * number
    assert in_threads(wait_for_the_others, range(6)) == [0, 1, 4, 9, 16, 25]
    assert in_threads(str, []) == []
    assert shares(range(7)) == [[0, 3, 6], [1, 4], [2, 5]] and shares([1]) == [[1]] and shares([]) == []


@pytest.mark.parametrize("limit", ["1", "2"])
def test_the_first_exception_is_raised(cores, monkeypatch, limit):
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda number: 1 // number, [1, 0, 2])


def test_counts():
    array = np.array([[0, np.nan, -0.0], [np.inf, 1, -np.inf]], np.float32)
    assert count_not_finite(array) == 3 and count_nonzero(array) == 4
    assert count_not_finite(np.zeros((0, 3))) == 0 and count_nonzero(np.zeros(0)) == 0
    assert count_nonzero(np.ones(PIECE + 3, np.uint8)) == PIECE + 3
