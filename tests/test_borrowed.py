from typing import NamedTuple

import numpy as np
from numba import njit

from gluon_dc.coding.borrowed import borrowed


class Pair(NamedTuple):
    scale: int
    values: np.ndarray
    more: tuple


@njit
def counted(pair, places):
    taken = pair.values
    for place in places:
        if place < 0:
            taken = pair.more[0] if place == -1 else pair.values
        else:
            taken[place] += pair.scale
    return pair.values.sum()


@njit
def uncounted(pair, places):
    pair, places = borrowed(pair), borrowed(places)
    taken = pair.values
    for place in places:
        if place < 0:
            taken = pair.more[0] if place == -1 else pair.values
        else:
            taken[place] += pair.scale
    return pair.values.sum()


def pair():
    return Pair(10, np.arange(4), (np.zeros(3, np.int64), np.ones(2)))


def test_the_same_arrays_and_numbers():
    # -1 and -2 choose the array that the places after them are of.
    ours, places = pair(), np.array([1, -1, 2, -2, 3, 1])
    assert uncounted(ours, places) == 0 + 21 + 2 + 13
    assert ours.values.tolist() == [0, 21, 2, 13] and ours.more[0].tolist() == [0, 0, 10]
    theirs = pair()
    assert counted(theirs, places) == 36 and np.array_equal(ours.values, theirs.values)


def test_no_reference_is_counted():
    calls = []
    for kernel in (counted, uncounted):
        kernel(pair(), np.array([0]))
        calls.append(kernel.inspect_llvm(kernel.signatures[0]).count("call void @NRT_incref"))
    assert calls[0] > calls[1] == 0


def test_arrays_live_on_in_their_owner():
    ours = pair()
    for _ in range(1000):
        uncounted(ours, np.array([1, -1, 2]))
    assert ours.values.tolist() == [0, 10001, 2, 3] and ours.more[0].tolist() == [0, 0, 10000]
