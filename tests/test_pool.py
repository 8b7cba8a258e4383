"""Calls that may run on several threads: all of them, whoever comes."""

import threading
import time

import pytest

from gluon_dc.runtime import pool
from gluon_dc.runtime.pool import run_all


def test_all_are_called_once():
    seen = []
    for count in (0, 1, 2, 9):
        run_all([lambda number=number: seen.append(number) for number in range(count)])
    assert sorted(seen) == sorted([*range(1), *range(2), *range(9)])


def test_calls_that_wait_for_one_another():
    meet = threading.Barrier(2, timeout=20)
    run_all([meet.wait, meet.wait])


def test_a_thread_that_does_not_come_is_not_waited_for(monkeypatch):
    # All others are busy: this one calls all.
    held, threads = threading.Event(), []
    busy = pool.ThreadPoolExecutor(1)
    monkeypatch.setattr(pool, "_pool", lambda: busy)
    occupied = busy.submit(held.wait, 20)
    run_all([lambda: threads.append(threading.current_thread())] * 3)
    held.set()
    assert threads == [threading.current_thread()] * 3 and occupied.result()
    busy.shutdown()


def test_the_first_error_in_order_is_raised_when_all_have_ended():
    seen = []

    def fail(seconds, name):
        time.sleep(seconds)
        seen.append(name)
        raise ArithmeticError(name)
    with pytest.raises(ArithmeticError, match="early"):
        run_all([lambda: seen.append("first"), lambda: fail(0.05, "early"), lambda: fail(0, "late")])
    assert sorted(seen) == ["early", "first", "late"]


def test_where_no_thread_can_be_started_this_one_calls_all(monkeypatch):
    ended = pool.ThreadPoolExecutor(1)
    ended.shutdown()
    monkeypatch.setattr(pool, "_pool", lambda: ended)
    seen = []
    run_all([lambda: seen.append(1)] * 3)
    assert seen == [1, 1, 1]
