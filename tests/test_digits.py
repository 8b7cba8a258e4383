import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gluon_dc.data.digits import _interpolation_matrix, enlarge, load_digits


def test_interpolation_by_hand():
    # Output pixel 5 lies at (5 + 0.5) * 0.4 - 0.5 = 1.7: 0.3 of input pixel 1, 0.7 of input pixel 2.
    matrix = _interpolation_matrix()
    assert matrix.shape == (20, 8)
    np.testing.assert_allclose(matrix[5], [0, 0.3, 0.7, 0, 0, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(matrix[0], [1, 0, 0, 0, 0, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)


def enlarge_reference(small):
    """One digit, pixel by pixel."""
    image = np.zeros((28, 28), np.uint8)
    for row in range(20):
        for column in range(20):
            y = min(max((row + 0.5) * 0.4 - 0.5, 0), 7)
            x = min(max((column + 0.5) * 0.4 - 0.5, 0), 7)
            top, left = min(int(y), 6), min(int(x), 6)
            dy, dx = y - top, x - left
            upper = (1 - dx) * small[top, left] + dx * small[top, left + 1]
            lower = (1 - dx) * small[top + 1, left] + dx * small[top + 1, left + 1]
            image[4 + row, 4 + column] = round(((1 - dy) * upper + dy * lower) * 255 / 16)
    return image


@settings(deadline=None, max_examples=10)
@given(arrays(np.uint8, (8, 8), elements=st.integers(0, 16)))
def test_against_reference(small):
    found = enlarge(small[None])[0, 0].astype(int)
    # Sums in another order may fall on the other side of a half.
    assert np.abs(found - enlarge_reference(small.astype(float))).max() <= 1


@pytest.mark.parametrize("value, expected", [(0, 0), (16, 255), (8, 128)])
def test_constant_digit_and_margins(value, expected):
    image = enlarge(np.full((1, 8, 8), value))[0, 0]
    assert (image[4:24, 4:24] == expected).all()
    image = image.copy()
    image[4:24, 4:24] = 0
    assert not image.any()


def test_no_digits():
    assert enlarge(np.zeros((0, 8, 8))).shape == (0, 1, 28, 28)


@pytest.mark.parametrize("shape", [(8, 8), (2, 64), (2, 8, 9)])
def test_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"expected digits of shape \(n, 8, 8\), found \("):
        enlarge(np.zeros(shape))


@pytest.mark.parametrize("value", [-1.0, 17.0, np.nan])
def test_wrong_range(value):
    small = np.zeros((1, 8, 8))
    small[0, 3, 3] = value
    with pytest.raises(ValueError, match=r"expected values 0..16, found"):
        enlarge(small)


def test_the_embedded_set():
    found = load_digits()
    assert found.name == "digits-8x8"
    assert [len(found.train_labels), len(found.validation_labels), len(found.test_labels)] == [1_297, 200, 300]
    assert found.train_images.max() == 255
    labels = np.concatenate([found.train_labels, found.validation_labels, found.test_labels])
    # Counts of the digits 0..9 in the UCI test part.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert len(np.unique(found.test_labels)) == 10


def test_splits_hold_every_digit_once():
    from sklearn import datasets

    found = load_digits()
    images = np.concatenate([found.train_images, found.validation_images, found.test_images])
    expected = enlarge(datasets.load_digits().images)
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in expected)


def test_images_keep_their_labels():
    from sklearn import datasets

    small = datasets.load_digits()
    label_of = {image.tobytes(): label for image, label in zip(enlarge(small.images), small.target)}
    found = load_digits()
    assert [label_of[image.tobytes()] for image in found.test_images] == found.test_labels.tolist()


def test_the_split_is_fixed():
    first, second = load_digits(), load_digits()
    assert first.train_images.tobytes() == second.train_images.tobytes()
    assert first.test_labels[:10].tolist() == [8, 8, 2, 2, 2, 9, 8, 8, 3, 6]


def test_the_note_says_not_mnist_and_why():
    note = load_digits(why="because").note
    assert note.startswith("NOT MNIST: ") and "Why: because." in note and "\n" not in note


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match="need scikit-learn, .*pip install scikit-learn, or set GLUON_DC_DATA"):
        load_digits()
