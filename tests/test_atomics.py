"""Words that threads share."""

import os
import threading

import numpy as np
import pytest
from numba import njit

from gluon_dc.runtime import atomics
from gluon_dc.runtime.atomics import add, address_of, call_c, exchange, get, new_semaphore, pause, put


@njit(nogil=True)
def _by_hand(place):
    put(place, 5)
    before = add(place, 3)
    done, refused = exchange(place, 8, -2), exchange(place, 8, 1)
    pause()
    return before, done, refused, get(place)


@njit(nogil=True)
def _count(place, times):
    for _ in range(times):
        add(place, 1)
        while True:  # the same by the other way
            found = get(place + 8)
            if exchange(place + 8, found, found + 1):
                break


@njit(nogil=True)
def _wait_and_add(wait, semaphore, place):
    call_c(wait, semaphore)
    add(place, 1)


@njit
def _call(address, argument):
    call_c(address, argument)


def test_by_hand():
    words = np.zeros(1, np.int64)
    assert _by_hand(words.ctypes.data) == (5, True, False, -2) and words[0] == -2


def test_threads_lose_no_count():
    words = np.zeros(2, np.int64)
    _count(words.ctypes.data, 0)
    threads = [threading.Thread(target=_count, args=(words.ctypes.data, 100_000)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words.tolist() == [300_000, 300_000]


def test_another_thread_may_have_the_core(monkeypatch):
    found = address_of("sched_yield")
    assert found > 0 or not hasattr(os, "sched_yield")
    _call(found, 0)
    _call(0, 0)
    assert address_of("there_is_no_such_function") == 0
    monkeypatch.delattr(atomics.ctypes, "CDLL")
    assert address_of.__wrapped__("sched_yield") == 0 and new_semaphore() is None


@pytest.mark.skipif(new_semaphore() is None, reason="no semaphores here")
def test_a_thread_sleeps_until_it_is_woken():
    words, semaphore = np.zeros(1, np.int64), new_semaphore()
    thread = threading.Thread(target=_wait_and_add, args=(address_of("sem_wait"), semaphore.ctypes.data,
                                                          words.ctypes.data))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive() and words[0] == 0
    _call(address_of("sem_post"), semaphore.ctypes.data)
    thread.join(20)
    assert words[0] == 1
