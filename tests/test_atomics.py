"""Words that threads share."""

import os
import threading

import numpy as np
from numba import njit

from gluon_dc.runtime import atomics
from gluon_dc.runtime.atomics import add, call_plain, exchange, get, pause, put, yield_address


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


@njit
def _call(address):
    call_plain(address)
    return True


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
    assert _call(yield_address()) and _call(0)
    assert yield_address() > 0 or not hasattr(os, "sched_yield")
    monkeypatch.delattr(atomics.ctypes, "CDLL")
    assert yield_address() == 0
