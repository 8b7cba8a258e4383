"""Search for a layer's numbers on its grid with many ways kept open."""
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.nn import lattice
from gluon_dc.nn.lattice import _smallest, feed_back, improve, order_of

LIMIT = 3


def positive(rng, n, damping=0.05):
    x = rng.normal(size=(n + 1, n))
    return x.T @ x / n + damping * np.eye(n)


def factor(matrix):
    """Upper triangular U with U^T U the inverse."""
    return np.linalg.cholesky(np.linalg.inv(matrix)).T.copy()


def problem(seed, out, d):
    """(target, A, G, arguments behind `rows`): columns and rows in their own order, bits that differ from each other."""
    rng = np.random.default_rng(seed)
    target, lengths = rng.normal(size=(out, d + 1)), rng.uniform(0, 4, (2, out, d))
    return target, positive(rng, d + 1), positive(rng, out, 1), [
        0.5, 0.25, 0.01, lengths[0], lengths[1], rng.uniform(1, 5, 2 * LIMIT + 1)]


def cost(numbers, biases, target, A, G, arguments):
    """Loss and price of the bits, in nats."""
    step, bias_step, price, zero, other, code = arguments
    wrong = np.concatenate([numbers * step, biases[:, None] * bias_step], axis=1) - target
    bits = np.where(numbers == 0, zero, other + code[numbers + LIMIT]).sum()
    return 0.5 * np.sum((G @ wrong @ A) * wrong) + price * bits


def decided(target, A, G, arguments, width, sweeps=0):
    out, d = len(target), len(A) - 1
    numbers, biases, ways = np.zeros((out, d), np.int64), np.zeros(out), (np.arange(d), np.arange(out))
    feed_back(target.copy(), factor(A), factor(G), *ways, *arguments, width, numbers, biases)
    for _ in range(sweeps):
        improve(target.copy(), factor(A), G, *ways, *arguments, width, numbers, biases)
    return numbers, biases


class TestOrder:
    def test_by_hand(self):
        # The first two are nearly the same: either makes up for the other, so one of them is decided last.
        A = np.array([[4.0, 3.9, 0], [3.9, 4, 0], [0, 0, 1]])
        assert order_of(A).tolist() == [1, 0, 2]  # 0.1975 is less than 1 only after the other of them
        A[2, 2] = 5
        assert order_of(A).tolist() == [2, 1, 0]

    @given(st.integers(0, 2**32 - 1), st.integers(1, 12))
    @settings(max_examples=20, deadline=None)
    def test_the_last_would_cost_least_where_it_is(self, seed, d):
        A = positive(np.random.default_rng(seed), d)
        order = order_of(A).tolist()
        assert sorted(order) == list(range(d))
        for place in range(d):
            later = order[place + 1:]
            there = [A[c, c] - A[c, later] @ np.linalg.solve(A[np.ix_(later, later)], A[later, c])
                     for c in order[:place + 1]]
            assert there[-1] == pytest.approx(min(there), rel=1e-6)

    def test_of_large_layers_by_the_diagonal(self, monkeypatch):
        monkeypatch.setattr(lattice, "MAX_SORTED", 2)
        assert order_of(np.diag([1.0, 3.0, 2.0])).tolist() == [1, 2, 0]

    def test_inputs_that_are_always_zero(self):
        assert sorted(order_of(np.zeros((3, 3))).tolist()) == [0, 1, 2]


class TestSearch:
    def test_two_inputs_by_hand(self):
        # w0 + w1 matters 100 times as much as each: 0.26 is a half of 0.5 upwards, and yet 0 and 0 are better than 0.5
        # and 0: the greedy way begins with the dearer of the two.
        A, G = np.array([[1.01, 1, 0], [1, 1.01, 0], [0, 0, 1]]), np.eye(1)
        target = np.array([[0.26, -0.24, 0.5]])
        free = np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(2 * LIMIT + 1)
        numbers, biases = decided(target, A, G, [0.5, 0.25, 1.0, *free], 16)
        assert numbers.tolist() in ([[1, -1]], [[0, 0]]) and biases.tolist() == [2]
        assert cost(numbers, biases, target, A, G, [0.5, 0.25, 1.0, *free]) == pytest.approx(
            min(cost(np.array([[a, b]]), biases, target, A, G, [0.5, 0.25, 1.0, *free])
                for a in range(-3, 4) for b in range(-3, 4)))

    @pytest.mark.parametrize("seed", range(12))
    def test_with_all_ways_open_nothing_is_better(self, seed):
        # Each way goes on with a number on either side or 0; of those that do, the least is found.
        target, A, G, arguments = problem(seed, 1, 4)
        numbers, biases = decided(target, A, G, arguments, 3**4)
        found = cost(numbers, biases, target, A, G, arguments)
        U, least = factor(A), np.inf
        for picks in itertools.product(range(3), repeat=4):
            left, chosen = target[0].copy(), []
            for j, pick in enumerate(picks):
                lower = min(max(int(np.floor(left[j] / 0.5)), -LIMIT), LIMIT - 1)
                chosen.append((0, lower, lower + 1)[pick])
                left[j + 1:] -= (left[j] - chosen[-1] * 0.5) / U[j, j] * U[j, j + 1:]
            bias = np.rint(left[4:] / 0.25)
            least = min(least, cost(np.array([chosen]), bias, target, A, G, arguments))
        assert found == pytest.approx(least, rel=1e-5)

    def test_more_ways_are_better(self):
        costs = np.zeros(4)
        for seed in range(20):
            given_ = problem(100 + seed, 3, 12)
            costs += [cost(*decided(*given_, width), *given_) for width in (1, 4, 16, 64)]
        assert (np.diff(costs) < 0).all() and costs[3] < 0.95 * costs[0]

    def test_sweeps_are_better_still(self):
        costs = np.zeros(3)
        for seed in range(20):
            given_ = problem(200 + seed, 8, 6)
            costs += [cost(*decided(*given_, 16, sweeps), *given_) for sweeps in range(3)]
        assert (np.diff(costs) < 0).all()

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 6), st.integers(1, 9), st.integers(0, 2))
    def test_within_the_grid(self, seed, out, d, width, sweeps):
        target, *others = problem(seed, out, d)
        numbers, biases = decided(10 * target, *others, width, sweeps)
        assert np.abs(numbers).max() <= LIMIT and np.abs(biases).max() <= 127
        again = decided(10 * target, *others, width, sweeps)
        assert np.array_equal(numbers, again[0]) and np.array_equal(biases, again[1])

    def test_without_a_bias(self):
        target, A, G, arguments = problem(0, 2, 3)
        arguments[1] = 0.0
        assert not decided(target, A, G, arguments, 8, 1)[1].any()

    def test_nothing_to_decide_again(self):
        # Outputs that count apart: a second look at each finds what the first one found.
        target, A, _, arguments = problem(1, 3, 5)
        one, two = (decided(target, A, np.eye(3), arguments, 16, sweeps) for sweeps in (0, 1))
        assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60), st.data())
@settings(max_examples=50, deadline=None)
def test_the_smallest(values, data):
    k = data.draw(st.integers(0, len(values) - 1))
    assert _smallest(np.array(values, np.float64), len(values), k) == sorted(values)[k]
