import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from gluon_dc.coding.lanes import LANES, learn_lanes, weighted_sum

LIMIT = 1 << 20


@njit(cache=True)
def summed(weights, row, places, inputs, chosen, at):
    return weighted_sum(weights, row, places, inputs, chosen, at)


@njit(cache=True)
def learn(weights, row, places, inputs, chosen, at, error):
    learn_lanes(weights, row, places, inputs, chosen, at, error, LIMIT)


def table():
    # Three rows of 2 * LANES weights; those at hand are the second row's, the odd ones.
    weights = np.arange(3 * 2 * LANES, dtype=np.int32).reshape(3, 2 * LANES)
    return weights, 2 * LANES, 2 * np.arange(LANES) + 1


def test_by_hand():
    weights, row, places = table()
    inputs, chosen = np.zeros(LANES, np.int32), np.full((2, LANES), 7, np.int32)
    inputs[[0, 2, 15]] = 10, -1, 100
    # Weights 32 + 1, 32 + 5, 32 + 31.
    assert summed(weights, row, places, inputs, chosen, LANES) == 33 * 10 - 37 + 63 * 100
    assert chosen[1].tolist() == list(range(33, 65, 2)) and (chosen[0] == 7).all()
    # A step is inputs * error / 2^24, to the nearest, halves up: 10 / 2, -1 / 2, 100 / 2.
    learn(weights, row, places, inputs, chosen, LANES, 1 << 23)
    assert weights[1, places[[0, 2, 15]]].tolist() == [33 + 5, 37, 63 + 50]
    untouched, _, _ = table()
    untouched[1, places[[0, 15]]] += 5, 50
    assert np.array_equal(weights, untouched)


def test_weights_stay_within_the_limit():
    weights, row, places = table()
    weights[1] = LIMIT - 1
    inputs, chosen = np.full(LANES, 2839, np.int32), np.zeros(LANES, np.int32)
    inputs[1::2] = -2839
    assert summed(weights, row, places, inputs, chosen, 0) == 0
    learn(weights, row, places, inputs, chosen, 0, 1560 * 65536)
    assert (weights[1, places[::2]] == LIMIT).all() and (weights[1, places[1::2]] < LIMIT - 17000).all()
    weights[1] = -LIMIT
    summed(weights, row, places, inputs, chosen, 0)
    learn(weights, row, places, inputs, chosen, 0, -1560 * 65536)
    assert (weights[1, places[::2]] == -LIMIT).all() and (weights[1, places[1::2]] > -LIMIT + 17000).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), error=st.integers(-1560 * 65536, 1560 * 65536))
def test_like_numpy_one_lane_at_a_time(seed, error):
    random = np.random.default_rng(seed)
    weights = random.integers(-LIMIT, LIMIT + 1, (2, LANES, 8)).astype(np.int32)
    inputs, chosen = random.integers(-2839, 2840, LANES).astype(np.int32), np.zeros(LANES, np.int32)
    places = 8 * np.arange(LANES) + random.integers(0, 8, LANES)
    expected = weights.copy()
    row = expected[1].reshape(-1)
    assert summed(weights, 8 * LANES, places, inputs, chosen, 0) == sum(
        int(row[place]) * int(x) for place, x in zip(places, inputs))
    for place, x in zip(places, inputs):
        row[place] = min(max(int(row[place]) + ((int(x) * error + (1 << 23)) >> 24), -LIMIT), LIMIT)
    learn(weights, 8 * LANES, places, inputs, chosen, 0, error)
    assert np.array_equal(weights, expected)
