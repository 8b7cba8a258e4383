"""MNIST-basic: text files of Larochelle et al. 2007."""
import numpy as np
import pytest

from gluon_dc.data import load_mnist
from gluon_dc.data.amat import find_mnist_basic, load_mnist_basic, read_amat


def line(pixels, label):
    """A row as in the originals: pixels to 6 digits, three spaces between."""
    return "   " + "   ".join(f"{value:.6f}" for value in [*pixels, label]) + "\n"


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 256, (n, 784)), rng.integers(0, 10, n)
    return images, labels, "".join(line(image / 255, label) for image, label in zip(images, labels))


def test_by_hand(tmp_path):
    pixels = np.zeros(784)
    pixels[29], pixels[783] = 1.0, 0.5
    (tmp_path / "a.amat").write_text(line(pixels, 7))
    images, labels = read_amat(tmp_path / "a.amat")
    assert images.shape == (1, 1, 28, 28) and images.dtype == np.uint8 and labels.tolist() == [7]
    assert (images[0, 0, 1, 1], images[0, 0, 27, 27], images.sum(dtype=int)) == (255, 128, 383)


def test_all_grey_levels_come_back(tmp_path):
    images, labels, text = rows(5)
    (tmp_path / "a.amat").write_text(text + "\n")
    found, found_labels = read_amat(tmp_path / "a.amat")
    assert np.array_equal(found.reshape(5, 784), images) and np.array_equal(found_labels, labels)


def test_levels_of_256ths_come_within_one(tmp_path):
    (tmp_path / "a.amat").write_text(line(np.arange(784) % 256 / 256, 1))
    found = read_amat(tmp_path / "a.amat")[0].reshape(-1).astype(int)
    assert np.abs(found - np.arange(784) % 256).max() <= 1


class TestDataset:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "mnist_train.amat").write_text(rows(1)[2] * 2003)
        (tmp_path / "mnist_test.amat").write_text(rows(4, 1)[2])
        return tmp_path

    def test_splits(self, folder):
        data = load_mnist_basic(folder)
        sizes = [len(data.train_labels), len(data.validation_labels), len(data.test_labels)]
        assert sizes == [3, 2000, 4] and data.name == "mnist-basic" and data.source == str(folder)
        assert data.note == (f"MNIST-basic (Larochelle et al. 2007) from {folder}: 3 training, 2,000 validation, "
                             "4 test images")

    def test_found_in_a_folder_of_its_name(self, folder, tmp_path_factory):
        outer = tmp_path_factory.mktemp("outer")
        (outer / "mnist-basic").symlink_to(folder)
        assert find_mnist_basic(outer) == outer / "mnist-basic" and find_mnist_basic(folder) == folder
        assert find_mnist_basic(tmp_path_factory.mktemp("empty")) is None

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="expected mnist_train.amat and mnist_test.amat: add them"):
            load_mnist_basic(tmp_path)

    def test_load_mnist_takes_the_folder(self, folder):
        assert load_mnist(folder).name == "mnist-basic"

    def test_too_few(self, folder):
        (folder / "mnist_train.amat").write_text(rows(3)[2])
        with pytest.raises(ValueError, match="mnist_train.amat: expected more than 2,000 rows, found 3"):
            load_mnist_basic(folder)


GOOD = line(np.zeros(784), 1)


@pytest.mark.parametrize("text, message", [
    ("", "a.amat: holds no images: expected lines of 785 numbers"),
    (GOOD + "0.5 1\n", "a.amat, line 2: 2 numbers, expected 784 pixels and a label"),
    (GOOD[:-10] + " x\n", "a.amat, line 1: 'x' is no number: the file is damaged"),
    (GOOD + line([2.0] + [0] * 783, 1), "a.amat, line 2: a pixel of 2, expected 0..1"),
    (line([float("nan")] + [0] * 783, 1), "line 1: a pixel of nan, expected 0..1"),
    (line([-0.5] + [0] * 783, 1), "line 1: a pixel of -0.5"),
    (line([0] * 784, 10), "line 1: label 10, expected 0..9"),
    (line([0] * 784, 1.5), "line 1: label 1.5, expected 0..9"),
    ("0 " * 40_000, "line 1: .* numbers, expected 784 pixels"),
    ("\xff\xfe", "line 1: 1 numbers, expected 784 pixels"),
])
def test_damaged(tmp_path, text, message):
    (tmp_path / "a.amat").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        read_amat(tmp_path / "a.amat")


def test_too_many_rows(tmp_path):
    (tmp_path / "a.amat").write_text(GOOD * 3)
    with pytest.raises(ValueError, match="more than 2 lines: raise max_rows"):
        read_amat(tmp_path / "a.amat", max_rows=2)
