"""Sharing a layer on a grid by divergence and bits, with errors fed back."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.nn import error_feedback
from gluon_dc.nn.error_feedback import REACH, Curvature, bits_of_codes, share_on_grid
from gluon_dc.nn.lattice import order_of

FREE = 1e-12  # a price at which bits cost nothing beside the loss


def curvature(d, out, inputs=None, outputs=None):
    """Identities where nothing else is given; the bias is the last input."""
    inputs = np.eye(d + 1) if inputs is None else inputs
    return Curvature(np.asarray(inputs)[None], np.eye(out) if outputs is None else outputs)


def random_curvature(rng, d, out, groups=1):
    def positive(n):
        x = rng.normal(size=(2 * n, n))
        return x.T @ x / n + 0.1 * np.eye(n)
    return Curvature(np.stack([positive(d + 1) for _ in range(groups)]), positive(out))


def random_layer(rng, *shape):
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32)


def reference(target, A, G, step, bias_step, price, lengths, limit):
    """One group, one weight after the other: what is still to come is solved for anew after each decision."""
    out, n = target.shape
    columns = [*order_of(A[:-1, :-1]), n - 1]
    K, goal = np.kron(G, A), target.ravel()
    values, left = goal.copy(), [r * n + c for r in np.argsort(-np.diag(G), kind="stable") for c in columns]
    zero, other, code = lengths
    while left:
        here, left = left[0], left[1:]
        r, c = divmod(here, n)
        sharp = K[here, here]
        if left:
            sharp -= K[here, left] @ np.linalg.solve(K[np.ix_(left, left)], K[left, here])
        if c == n - 1:
            values[here] = np.rint(values[here] / bias_step) * bias_step
        else:
            low = min(max(int(np.floor(values[here] / step)), -limit), limit - 1)
            costs = {0: 0.5 * sharp * values[here] ** 2 + price * zero[r, c]}
            for k in {low, low + 1} - {0}:
                if abs(k) <= limit:
                    costs[k] = 0.5 * sharp * (values[here] - k * step) ** 2 + price * (other[r, c] + code[k + limit])
            values[here] = min(costs, key=costs.get) * step
        fixed = [i for i in range(len(goal)) if i not in left]
        if left:
            values[left] = goal[left] - np.linalg.solve(K[np.ix_(left, left)],
                                                        K[np.ix_(left, fixed)] @ (values[fixed] - goal[fixed]))
    return values.reshape(out, n)


@pytest.fixture
def near_grid(monkeypatch):
    """Grids reach no further than codes could number them."""
    monkeypatch.setattr(error_feedback, "REACH", 1)


class TestByHand:
    def test_without_feedback_it_rounds(self, near_grid):
        weight, bias = np.float32([[1.0, -0.26, 0.1, 0.0]]), np.float32([0.3])
        found = share_on_grid(weight, bias, curvature(4, 1), 0.5**2 / 20 / 1e3, bits=3)
        # 1.0 is to be 3 or fewer steps: the step cannot be below 1 / 3.5, whatever the price.
        assert found.step >= 1 / 3.5 and found.step == np.float16(found.step)
        numbers = found.coded.decode() / np.float32(found.step)
        assert np.array_equal(numbers, np.rint(numbers)) and abs(numbers[0, 0] - 1 / found.step) <= 0.5

    def test_two_inputs_that_are_always_equal(self):
        # Only the sum of the two weights matters: what the first one loses in rounding the second takes over.
        A = np.array([[1.0, 0.9999, 0], [0.9999, 1, 0], [0, 0, 1]])
        weight = np.float32([[0.23, 0.23]])
        found = share_on_grid(weight, np.float32([0.5]), curvature(2, 1, A), 1e-4, bits=3)
        error = found.coded.decode().sum() - weight.sum()
        assert abs(error) <= 0.51 * found.step < 0.24 and found.loss_nats < 0.5 * (0.51 * found.step) ** 2

    def test_a_weight_pushed_beyond_the_grid_stays_at_its_end(self, near_grid):
        # The second input is an eighth of the first: it would have to make up for the first weight eight times over.
        A = np.array([[1 + 1e-4, 1 / 8, 0], [1 / 8, 1 / 64 + 1e-4, 0], [0, 0, 1]])
        found = share_on_grid(np.float32([[0.55, 1], [0.45, 1]]), None, curvature(2, 2, A), 1e-9, bits=3,
                              width=1)
        assert found.coded.decode()[0, 1] == np.float32(3 * found.step)

    def test_a_constant_input_goes_into_the_bias(self):
        A = np.array([[4.0, 2.0], [2.0, 1.0]]) + 1e-6 * np.eye(2)  # the input is always 2
        found = share_on_grid(np.float32([[0.1]]), np.float32([0.0]), curvature(1, 1, A), 1.0)
        assert found.coded.nnz == 0 and found.bias[0] == pytest.approx(0.2, abs=found.loss_nats + 0.2)

    def test_two_outputs_that_the_net_adds_up(self):
        G = np.array([[1.0, 0.999], [0.999, 1.0]])
        weight, bias = np.float32([[0.31], [0.31]]), np.float32([0, 0])
        found = share_on_grid(weight, bias, curvature(1, 2, None, G), 1e-3, bits=2)
        assert abs(found.coded.decode().sum() - 0.62) <= 0.51 * found.step

    def test_dearer_bits_make_zeros_and_fewer_bits(self):
        rng = np.random.default_rng(0)
        weight, bias = random_layer(rng, 8, 4, 3, 3)
        shape = random_curvature(rng, 36, 8)
        found = [share_on_grid(weight, bias, shape, price) for price in (1e-4, 1e-2, 1e-1, 10)]
        assert all(a.bits > b.bits and a.loss_nats < b.loss_nats and a.coded.nnz >= b.coded.nnz
                   for a, b in zip(found, found[1:]))
        assert found[-1].coded.nnz < 0.05 * weight.size


class TestAgainstTheReference:
    @pytest.mark.parametrize("seed", range(6))
    def test_the_same_choices(self, seed, near_grid):
        rng = np.random.default_rng(seed)
        weight, bias = random_layer(rng, 3, 4)
        shape, price, limit = random_curvature(rng, 4, 3), 10.0 ** -rng.integers(1, 4), 7
        found = share_on_grid(weight, bias, shape, price, bits=4, width=1)
        target = np.concatenate([weight, bias[:, None]], axis=1).astype(np.float64)
        near = np.rint(np.maximum(np.abs(weight.astype(np.float64)) / found.step - 0.15, 0)) * np.sign(weight)
        numbers = np.clip(near, -limit, limit).astype(np.int64)
        steps = np.abs(found.bias[found.bias != 0])
        bias_step = steps.min() if steps.size else 1.0
        for _ in range(2):
            lengths = bits_of_codes(numbers, weight.shape, limit)
            values = reference(target, shape.inputs[0], shape.outputs, found.step, bias_step, price, lengths, limit)
            numbers = np.rint(values[:, :-1] / found.step).astype(np.int64)
        assert np.allclose(found.coded.decode(), values[:, :-1], atol=1e-6)

    def test_the_loss_is_that_of_the_quadratic_form(self):
        rng = np.random.default_rng(3)
        weight, bias = random_layer(rng, 4, 5)
        shape = random_curvature(rng, 5, 4)
        found = share_on_grid(weight, bias, shape, 0.05)
        change = np.concatenate([found.coded.decode() - weight, (found.bias - bias)[:, None]], axis=1).ravel()
        assert found.loss_nats == pytest.approx(
            0.5 * change @ np.kron(shape.outputs, shape.inputs[0]) @ change, rel=1e-4)

    def test_more_ways_beat_one(self):
        rng = np.random.default_rng(8)
        layers = [(random_layer(rng, 6, 8), random_curvature(rng, 8, 6)) for _ in range(6)]
        cost = [sum(one.loss_nats + 0.02 * one.bits for one in (
            share_on_grid(*layer, shape, 0.02, width=width) for layer, shape in layers)) for width in (1, 4, 32)]
        assert cost[0] > cost[1] > cost[2]

    def test_large_layers_have_fewer_ways(self, monkeypatch):
        rng = np.random.default_rng(9)
        (weight, bias), shape = random_layer(rng, 4, 6), random_curvature(rng, 6, 4)
        one, many = (share_on_grid(weight, bias, shape, 0.02, width=width).coded for width in (1, 32))
        monkeypatch.setattr(error_feedback, "MAX_WORK", 4 * 6 * 6)
        assert share_on_grid(weight, bias, shape, 0.02, width=32).coded == one != many

    def test_feedback_beats_rounding(self):
        rng = np.random.default_rng(4)
        weight, bias = random_layer(rng, 20, 30)
        shape = random_curvature(rng, 30, 20)
        found = share_on_grid(weight, bias, shape, 1e-3)
        rounded = np.rint(weight / found.step) * found.step - weight
        plain = shape.loss_nats(np.concatenate([rounded, np.zeros((20, 1))], axis=1))
        assert found.loss_nats < 0.6 * plain


class TestInvariants:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(2, 8),
           st.floats(1e-9, 1e3), st.booleans())
    def test_a_grid(self, seed, out, channels, bits, price, has_bias):
        rng = np.random.default_rng(seed)
        weight, bias = random_layer(rng, out, channels, 2, 1)
        weight *= rng.random(weight.shape) < 0.5
        found = share_on_grid(weight, bias if has_bias else None, random_curvature(rng, 2 * channels, out), price, bits)
        codebook = found.coded.codebook
        assert found.coded.shape == weight.shape and codebook.size <= 2**bits - 1
        if found.step:
            numbers = np.rint(codebook / np.float32(found.step)).astype(np.float32)
            assert np.array_equal(numbers * np.float32(found.step), codebook)
            assert (np.diff(codebook[1:]) > 0).all() and np.abs(numbers).max() <= REACH * (2 ** (bits - 1) - 1)
        assert found.loss_nats >= 0 and found.bits >= 0 and (found.bias is None) == (not has_bias)
        if has_bias:
            assert found.bias.dtype == np.float32 and np.unique(found.bias).size <= 255

    def test_groups_are_as_layers_of_their_own(self):
        rng = np.random.default_rng(5)
        one = random_curvature(rng, 6, 3)
        both = Curvature(np.concatenate([one.inputs, one.inputs]), np.kron(np.eye(2), one.outputs))
        weight, bias = random_layer(rng, 3, 6)
        found = share_on_grid(np.concatenate([weight, weight]), np.concatenate([bias, bias]), both, 1e-4)
        assert np.array_equal(found.coded.codes[:3], found.coded.codes[3:])
        assert np.array_equal(found.bias[:3], found.bias[3:])

    def test_the_same_every_time(self):
        rng = np.random.default_rng(6)
        weight, bias = random_layer(rng, 6, 9)
        shape = random_curvature(rng, 9, 6)
        a, b = (share_on_grid(weight, bias, shape, 1e-2) for _ in range(2))
        assert a.coded == b.coded and a.bias.tobytes() == b.bias.tobytes() and a.step == b.step

    @pytest.mark.parametrize("scale", [1e-20, 1e-6, 1e6, 1e20])
    def test_extreme_weights(self, scale):
        rng = np.random.default_rng(7)
        weight, bias = random_layer(rng, 3, 5)
        found = share_on_grid(scale * weight, scale * bias, random_curvature(rng, 5, 3), 1e-3 * scale**2)
        assert np.isfinite(found.coded.codebook).all() and np.isfinite(found.bias).all()
        assert np.abs(found.coded.decode() - scale * weight).max() < 2 * scale

    def test_one_large_weight_does_not_make_the_grid_coarse(self, monkeypatch):
        rng = np.random.default_rng(10)
        weight, bias = random_layer(rng, 8, 40)
        weight[3, 3] = 40
        wide = share_on_grid(weight, bias, curvature(40, 8), 1e-4)
        monkeypatch.setattr(error_feedback, "REACH", 1)
        narrow = share_on_grid(weight, bias, curvature(40, 8), 1e-4)
        assert wide.step < 0.5 * narrow.step and wide.coded.codebook.size <= 255
        assert wide.loss_nats + 1e-4 * wide.bits < narrow.loss_nats + 1e-4 * narrow.bits

    def test_a_grid_of_too_many_numbers_is_not_taken(self):
        rng = np.random.default_rng(11)
        weight, bias = random_layer(rng, 10, 60)
        found = share_on_grid(weight, bias, curvature(60, 10), FREE)
        # All 600 weights are different; at the finest step in reach more than 254 numbers would be used.
        finest = np.abs(weight).max() / (REACH * 127)
        assert found.coded.codebook.size <= 255 and found.step > 1.1 * finest

    def test_nothing_but_zeros(self):
        found = share_on_grid(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), curvature(3, 2), 1e-3)
        assert found.coded.nnz == 0 and not found.bias.any() and found.loss_nats == 0


class TestBits:
    def test_by_hand(self):
        zero, other, code = bits_of_codes(np.array([[1, 0], [0, -1]]), (2, 2), 1)
        assert zero == pytest.approx(np.ones((2, 2))) and other == pytest.approx(np.ones((2, 2)))
        assert code[0] == code[2] == pytest.approx(1.0) and code[1] > 20  # 0 is no code of a kept weight

    def test_a_full_row_expects_kept_weights(self):
        numbers = np.zeros((8, 32), np.int64)
        numbers[0] = 1
        zero, other, _ = bits_of_codes(numbers, (8, 32), 3)
        assert other[0].max() < 0.5 < 3 < other[1:].min() and zero[0].min() > 2

    @pytest.mark.parametrize("numbers", [np.zeros((2, 3), np.int64), np.full((2, 3), 2)])
    def test_edges(self, numbers):
        assert all(np.isfinite(array).all() for array in bits_of_codes(numbers, (2, 3), 2))


class TestErrors:
    @pytest.mark.parametrize("changes, message", [
        ({"bits": 1}, r"bits of a grid must be a whole number in 2\.\.8, got 1"),
        ({"bits": 9}, "got 9"), ({"bits": True}, "got True"),
        ({"price": 0.0}, r"price must be above 0 nats a bit, got 0\.0"), ({"price": float("nan")}, "got nan"),
        ({"width": 0}, r"width must be a whole number in 1\.\.1024, got 0"), ({"width": 1.5}, "got 1.5"),
        ({"curvature": curvature(4, 2)}, r"curvature is of 5 inputs and 2 outputs, expected 4 \(bias included\) and 2"),
    ])
    def test_share_on_grid(self, changes, message):
        given_ = {"curvature": curvature(3, 2), "price": 1e-3, "bits": 4, **changes}
        with pytest.raises(ValueError, match=message):
            share_on_grid(np.ones((2, 3), np.float32), np.ones(2, np.float32), **given_)

    def test_curvature(self):
        with pytest.raises(ValueError, match=r"inputs as finite square matrices in 3 dimensions, got shape \(3, 3\)"):
            Curvature(np.eye(3), np.eye(2))
        with pytest.raises(ValueError, match="3 outputs cannot be in 2 groups"):
            Curvature(np.stack([np.eye(3)] * 2), np.eye(3))
