"""gluon_dc.data.augment: worked examples by hand, then what holds for every image."""
import numpy as np
import pytest

from gluon_dc.data.augment import Warp, elastic_fields, warped

STILL = Warp(shift=0, rotation=0, scale=0, shear=0, elastic=0)
NO_FIELD = np.zeros((1, 2, 28, 28), np.float32)


def digits(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 28, 28)).astype(np.uint8)


def test_nothing_to_do_gives_the_same_images():
    images = digits(5)
    np.testing.assert_array_equal(warped(images, np.random.default_rng(1), STILL, NO_FIELD), images)


@pytest.mark.parametrize("down, right", [(1, 0), (0, -2), (3, 1)])
def test_a_field_of_whole_pixels_moves_the_image(down, right):
    """A displacement of (1, 0) everywhere reads each pixel from one below; from beyond the edge comes 0."""
    images = digits(2)
    field = np.zeros((1, 2, 28, 28), np.float32)
    field[0, 0], field[0, 1] = down, right
    found = warped(images, np.random.default_rng(0), Warp(0, 0, 0, 0, 1), field)
    padded = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)))
    np.testing.assert_array_equal(found, padded[:, :, 4 + down:32 + down, 4 + right:32 + right])


def test_half_a_pixel_is_the_mean_of_two_rounded_half_up():
    image = np.zeros((1, 1, 28, 28), np.uint8)
    image[0, 0, 10, 10] = 101
    field = np.zeros((1, 2, 28, 28), np.float32)
    field[0, 1] = 0.5
    found = warped(image, np.random.default_rng(0), Warp(0, 0, 0, 0, 1), field)[0, 0]
    assert found[10, 9] == found[10, 10] == 51 and np.count_nonzero(found) == 2


def test_each_image_is_varied_by_numbers_of_its_own_and_a_seed_repeats_them():
    images = np.repeat(digits(1), 6, axis=0)
    fields = elastic_fields(np.random.default_rng(0), 4, 4.0)
    found = warped(images, np.random.default_rng(5), Warp(), fields)
    assert len({image.tobytes() for image in found}) == 6
    np.testing.assert_array_equal(found, warped(images, np.random.default_rng(5), Warp(), fields))
    assert not np.array_equal(found, warped(images, np.random.default_rng(6), Warp(), fields))


def test_a_shape_stays_about_where_it_was_and_as_much_ink():
    images = np.zeros((200, 1, 28, 28), np.uint8)
    images[:, 0, 10:18, 10:18] = 200
    fields = elastic_fields(np.random.default_rng(0), 50, 4.0)
    found = warped(images, np.random.default_rng(1), Warp(), fields).astype(float)[:, 0]
    ink = found.sum(axis=(1, 2))
    rows = (found.sum(axis=2) * np.arange(28)).sum(axis=1) / ink
    assert abs(rows.mean() - 13.5) < 0.2 and 0.5 < rows.std() < 1.5
    assert abs(ink.mean() / images[0].sum() - 1) < 0.05
    assert abs(ink / images[0].sum() - 1).max() < 0.6


def test_fields_are_smooth_and_of_size_one():
    fields = elastic_fields(np.random.default_rng(0), 30, 4.0)
    assert fields.shape == (30, 2, 28, 28) and fields.dtype == np.float32
    np.testing.assert_allclose((fields**2).mean(axis=(1, 2, 3)), 1, rtol=1e-5)
    assert np.abs(np.diff(fields, axis=3)).max() < 1.2 < np.abs(fields).max()


def test_no_images_give_none():
    assert warped(digits(0), np.random.default_rng(0), Warp(), NO_FIELD).shape == (0, 1, 28, 28)
