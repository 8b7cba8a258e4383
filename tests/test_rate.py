"""gluon_dc.nn.rate: probabilities by hand, then order and totals."""
import numpy as np
import pytest

pytest.importorskip("mxnet")

from gluon_dc.nn.rate import _features, entropy_bits, place_bits  # noqa: E402


def random_mask(shape, share, seed=0):
    return np.random.default_rng(seed).random(shape) < share


def test_entropy_by_hand():
    assert entropy_bits(np.array([4, 4])) == 8
    assert entropy_bits(np.array([1, 1, 2, 0])) == 1 * 2 + 1 * 2 + 2 * 1
    assert entropy_bits(np.array([7])) == 0 == entropy_bits(np.array([0, 0])) == entropy_bits(np.zeros(0, int))


@pytest.mark.parametrize("mask", [np.ones((3, 4), bool), np.zeros((3, 4), bool), np.zeros((2, 0), bool)])
def test_all_or_nothing_costs_nothing(mask):
    np.testing.assert_array_equal(place_bits(mask), np.ones(mask.shape, np.float32))


def test_one_density_everywhere_costs_its_logarithm():
    """A chessboard: every row and column half full, so a kept place has probability 1/2."""
    mask = np.indices((20, 30)).sum(axis=0) % 2 == 0
    np.testing.assert_allclose(place_bits(mask), 1, atol=0.05)


def test_dense_rows_and_columns_cost_less():
    rng = np.random.default_rng(1)
    mask = rng.random((40, 50)) < np.where(np.arange(40) < 20, 0.4, 0.02)[:, None]
    bits = place_bits(mask)
    assert bits[:20].mean() < 2 < 4 < bits[20:].mean()
    assert place_bits(mask.T).shape == (50, 40)
    np.testing.assert_allclose(place_bits(mask.T), bits.T, rtol=0.05)


def blobs(rows=30, side=12, seed=2):
    """Each row keeps a square of 4 x 4 somewhere in its plane."""
    rng, mask = np.random.default_rng(seed), np.zeros((rows, side, side), bool)
    for plane in mask:
        y, x = rng.integers(side - 4, size=2)
        plane[y:y + 4, x:x + 4] = True
    return mask.reshape(rows, -1)


def test_a_place_beside_kept_ones_costs_less():
    mask = blobs()
    beside = place_bits(mask, (1, 12, 12))
    without = place_bits(mask, (1, 12, 12), neighbours=False)
    assert beside[mask].mean() < 0.5 * without[mask].mean()


def test_dropped_columns_are_places_where_nothing_is_kept():
    """Dropping columns that nothing keeps, and saying where the others are, leaves the neighbours as they are."""
    mask = blobs()
    mask[:, ::7] = False
    columns = np.flatnonzero(mask.any(axis=0))
    def near(some, *place):
        return _features(some, (1, 12, 12), *place, True).reshape(30, -1, 5)[:, :, 3:]
    np.testing.assert_array_equal(near(mask, None)[:, columns], near(mask[:, columns], columns))
    assert place_bits(mask[:, columns], (1, 12, 12), columns).shape == (30, columns.size)


def test_kernels_are_planes_of_their_own():
    mask = blobs(24).reshape(24, 1, 12, 12)
    np.testing.assert_array_equal(place_bits(mask).reshape(24, -1), place_bits(mask.reshape(24, -1), (1, 12, 12)))
    many = random_mask((6, 5, 3, 3), 0.3)
    many[:, 2] = False
    bits = place_bits(many)
    assert bits[:, 2].mean() > bits[:, [0, 1, 3, 4]].mean()


def test_a_large_mask_is_fitted_on_a_part_of_it():
    mask = random_mask((300, 784), 0.05)
    bits = place_bits(mask)
    assert mask[0].size * 300 > 60_000 and bits[mask].mean() == pytest.approx(np.log2(20), rel=0.05)
    np.testing.assert_array_equal(bits, place_bits(mask))
