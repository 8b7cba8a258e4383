import gzip
import io
import os
import urllib.error
import urllib.request

import numpy as np
import pytest
from idx_files import FILES, PACKED, idx_bytes, write_small_mnist

from gluon_dc.data import load_mnist, mnist
from gluon_dc.data.dataset import SPLITS, Dataset

STEMS = tuple(mnist.MD5)
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = STEMS


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No MNIST in the environment or the cache, and a network that answers nothing; returns its requests."""
    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        raise urllib.error.URLError("no network in tests")

    monkeypatch.delenv("GLUON_DC_DATA", raising=False)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "mxnet" / "datasets" / "mnist"


def test_split_by_hand(tmp_path):
    found = load_mnist(write_small_mnist(tmp_path / "m"))
    assert found.name == "mnist-modified"
    assert found.train_images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert found.train_labels.tolist() == [0, 1, 2]
    assert found.validation_labels[:8].tolist() == [3, 4, 5, 6, 7, 8, 9, 0]
    assert found.validation_images[-1, 0, 27, 27] == 5_002 % 251
    assert found.test_labels.tolist() == [0, 1, 2, 3]
    assert found.validation_images.shape == (5_000, 1, 28, 28)
    assert found.test_images.shape == (4, 1, 28, 28)
    assert {found.train_images.dtype, found.test_labels.dtype} == {np.dtype(np.uint8)}
    assert found.source == str(tmp_path / "m")


def test_changed_bytes_are_not_called_mnist(tmp_path):
    note = load_mnist(write_small_mnist(tmp_path)).note
    assert "NOT the original MNIST" in note and all(stem in note for stem in STEMS)
    assert "\n" not in note


def test_original_bytes_need_no_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MD5", {stem: mnist._md5(data) for stem, data in FILES.items()})
    assert load_mnist(write_small_mnist(tmp_path)).note == (
        f"MNIST from {tmp_path}: 3 training, 5,000 validation, 4 test images"
    )


def test_arrays_are_read_only(tmp_path):
    found = load_mnist(write_small_mnist(tmp_path))
    for split in SPLITS:
        for kind in ("images", "labels"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(found, f"{split}_{kind}")[0] = 1


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", ["", "mnist"])
def test_data_dir_layouts(tmp_path, packed, below):
    write_small_mnist(tmp_path / below, packed=packed)
    assert load_mnist(str(tmp_path)).source == str(tmp_path / below)


class TestSearchOrder:
    def test_data_dir_before_environment(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GLUON_DC_DATA", str(write_small_mnist(tmp_path / "environment")))
        write_small_mnist(tmp_path / "argument")
        assert load_mnist(tmp_path / "argument").source == str(tmp_path / "argument")

    def test_environment_before_cache(self, tmp_path, monkeypatch, cache):
        write_small_mnist(cache)
        monkeypatch.setenv("GLUON_DC_DATA", str(tmp_path / "environment"))
        write_small_mnist(tmp_path / "environment" / "mnist")
        assert load_mnist().source == str(tmp_path / "environment" / "mnist")

    def test_cache_before_download(self, cache, nowhere):
        write_small_mnist(cache)
        assert load_mnist().source == str(cache)
        assert nowhere == []

    def test_default_cache_is_below_home(self, tmp_path, monkeypatch):
        monkeypatch.delenv("MXNET_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        write_small_mnist(tmp_path / ".mxnet" / "datasets" / "mnist")
        assert load_mnist(download=False).source == str(tmp_path / ".mxnet" / "datasets" / "mnist")

    def test_environment_of_other_data_is_passed_over(self, tmp_path, monkeypatch, cache):
        write_small_mnist(cache)
        (tmp_path / "other").mkdir()
        monkeypatch.setenv("GLUON_DC_DATA", str(tmp_path / "other"))
        assert load_mnist().source == str(cache)


class TestDownload:
    @pytest.fixture
    def served(self, monkeypatch):
        """The small files at the first mirror, their MD5 as the expected ones; url -> bytes may be changed."""
        monkeypatch.setattr(mnist, "MD5", {stem: mnist._md5(data) for stem, data in FILES.items()})
        served = {f"{mnist.MIRRORS[0]}/{stem}.gz": data for stem, data in PACKED.items()}

        def urlopen(url, timeout):
            if url not in served:
                raise urllib.error.URLError("no such file")
            return io.BytesIO(served[url])

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        return served

    def test_complete(self, served, cache):
        assert load_mnist().source == str(cache)
        assert sorted(os.listdir(cache)) == sorted(f"{stem}.gz" for stem in STEMS)

    def test_only_what_is_missing(self, served, cache):
        write_small_mnist(cache, {TEST_LABELS: None})
        for stem in STEMS[:3]:
            del served[f"{mnist.MIRRORS[0]}/{stem}.gz"]
        assert load_mnist().source == str(cache)

    def test_wrong_content_falls_through_to_the_next_mirror(self, served, cache):
        url = f"{mnist.MIRRORS[0]}/{TRAIN_LABELS}.gz"
        served[f"{mnist.MIRRORS[1]}/{TRAIN_LABELS}.gz"] = served[url]
        served[url] = gzip.compress(b"<html>gone</html>")
        assert load_mnist().name == "mnist"

    @pytest.mark.parametrize(
        "answer, reason",
        [
            (gzip.compress(b"other"), "MD5 of the decompressed bytes is 795f3202b17cb6bc3d4b771d8c6c9eaf, expected "),
            (PACKED[TRAIN_LABELS][:-9], "gzip data ends early"),
            (b"<html>log in first</html>", "MD5 of the decompressed bytes is"),
        ],
    )
    def test_bad_content_falls_through_to_the_default(self, served, cache, answer, reason):
        served[f"{mnist.MIRRORS[0]}/{TRAIN_LABELS}.gz"] = answer
        found = load_mnist()
        assert found.name == "digits-8x8"
        assert f"cannot download {TRAIN_LABELS}.gz" in found.note and reason in found.note
        assert os.listdir(cache) == [f"{TRAIN_IMAGES}.gz"]

    def test_no_download_when_told(self, served, cache):
        found = load_mnist(download=False)
        assert found.name == "digits-8x8" and "download=False" in found.note
        assert not cache.exists()


class TestEmbeddedDefault:
    def test_note_says_it_is_not_mnist_and_why(self, nowhere, cache):
        found = load_mnist()
        assert found.name == "digits-8x8"
        assert found.note.startswith("NOT MNIST: 1,797 digits of 8 x 8 pixels")
        assert "GLUON_DC_DATA is not set; cannot download train-images-idx3-ubyte.gz" in found.note
        assert "no network in tests" in found.note and "\n" not in found.note
        assert nowhere == [f"{mirror}/{TRAIN_IMAGES}.gz" for mirror in mnist.MIRRORS]
        assert not cache.exists()

    def test_note_names_an_environment_without_mnist(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GLUON_DC_DATA", str(tmp_path))
        assert f"GLUON_DC_DATA={tmp_path} holds no MNIST files" in load_mnist().note


class TestErrors:
    def raises(self, folder, error, message):
        with pytest.raises(error, match=message):
            load_mnist(folder)

    def test_no_such_folder(self, tmp_path, monkeypatch):
        self.raises(tmp_path / "absent", FileNotFoundError, r"absent: no such folder: name one that holds train-images")
        monkeypatch.setenv("GLUON_DC_DATA", str(tmp_path / "absent"))
        self.raises(None, FileNotFoundError, r"absent: no such folder")

    def test_empty_folder(self, tmp_path):
        self.raises(tmp_path, FileNotFoundError, r"expected 4 MNIST files, found 0: add train-images-idx3-ubyte, ")

    @pytest.mark.parametrize("stem", STEMS)
    def test_one_file_missing(self, tmp_path, stem, monkeypatch):
        write_small_mnist(tmp_path, {stem: None})
        message = rf"{tmp_path}: expected 4 MNIST files, found 3: add {stem} \(.gz or plain\)$"
        self.raises(tmp_path, FileNotFoundError, message)
        monkeypatch.setenv("GLUON_DC_DATA", str(tmp_path))
        self.raises(None, FileNotFoundError, message)

    @pytest.mark.parametrize(
        "stem, data, message",
        [
            (TRAIN_IMAGES, PACKED[TRAIN_IMAGES][:100], "gzip data ends early, after 100 bytes"),
            (TEST_LABELS, PACKED[TEST_LABELS][:10] + b"\xff" * 30, "damaged gzip data"),
            (TEST_IMAGES, gzip.compress(FILES[TEST_IMAGES][:-1]), r"is truncated: shape \(4, 28, 28\) of uint8 needs 3,136"),
            (TRAIN_LABELS, gzip.compress(b"PK\x03\x04" + bytes(50)), "not an IDX file: starts with 0x504b0304"),
            (TRAIN_IMAGES, PACKED[TRAIN_LABELS], r"expected uint8 \(n, 28, 28\), found uint8 \(5003,\)"),
            (TRAIN_LABELS, PACKED[TEST_IMAGES], r"expected uint8 \(n,\), found uint8 \(4, 28, 28\)"),
            (TEST_IMAGES, idx_bytes(np.zeros((4, 32, 32), np.uint8)), r"expected uint8 .*, found uint8 \(4, 32, 32\)"),
            (TEST_LABELS, b"\0\0\x0c\x01\0\0\0\x01\0\0\0\x07", r"expected uint8 \(n,\), found int32 \(1,\)"),
            (TEST_LABELS, idx_bytes(np.array([0, 1, 10, 11], np.uint8)), r"label 10 at position 2, expected 0..9"),
        ],
    )
    def test_a_damaged_file_is_named(self, tmp_path, stem, data, message):
        write_small_mnist(tmp_path, {stem: data})
        self.raises(tmp_path, ValueError, rf"^{tmp_path / stem}.gz: {message}")

    def test_images_and_labels_disagree(self, tmp_path):
        write_small_mnist(tmp_path, {TEST_LABELS: PACKED[TRAIN_LABELS]})
        message = rf"{TEST_IMAGES}.gz holds 4 images but .*{TEST_LABELS}.gz holds 5,003 labels: take both"
        self.raises(tmp_path, ValueError, message)

    def test_no_images(self, tmp_path):
        images, labels = np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)
        write_small_mnist(tmp_path, {TEST_IMAGES: idx_bytes(images), TEST_LABELS: idx_bytes(labels)})
        self.raises(tmp_path, ValueError, "t10k-images-idx3-ubyte.gz holds 0 images, expected at least 1")

    @pytest.mark.parametrize("count", [1, 5_000])
    def test_too_few_to_split(self, tmp_path, count):
        images, labels = np.zeros((count, 28, 28), np.uint8), np.zeros(count, np.uint8)
        write_small_mnist(tmp_path, {TRAIN_IMAGES: idx_bytes(images), TRAIN_LABELS: idx_bytes(labels)})
        self.raises(tmp_path, ValueError, rf"expected more than 5,000 training images, found {count:,}: the last 5,000")


class TestDataset:
    def record(self, **changed):
        images, labels = np.zeros((2, 1, 28, 28), np.uint8), np.array([0, 9], np.uint8)
        arrays = {}
        for split in SPLITS:
            arrays |= {f"{split}_images": images, f"{split}_labels": labels}
        return Dataset(name="mnist", source="here", note="", **{**arrays, **changed})

    def test_short_repr_and_frozen(self):
        record = self.record()
        assert repr(record) == "Dataset(name='mnist', source='here', note='')"
        with pytest.raises(AttributeError):
            record.name = "other"

    def test_the_callers_array_stays_writeable(self):
        labels = np.array([0, 9], np.uint8)
        self.record(test_labels=labels)
        labels[0] = 1

    @pytest.mark.parametrize(
        "field, array, message",
        [
            ("train_images", np.zeros((2, 28, 28), np.uint8), r"expected uint8 \(n, 1, 28, 28\), found uint8 \(2, 28, 28\)"),
            ("test_images", np.zeros((2, 1, 28, 28), np.float32), r"expected uint8 .*, found float32"),
            ("validation_labels", np.zeros((2, 1), np.uint8), r"expected uint8 \(n,\), found uint8 \(2, 1\)"),
            ("validation_labels", np.zeros(3, np.uint8), r"holds 2 images but validation_labels holds 3 labels"),
            ("train_labels", np.array([3, 255], np.uint8), r"label 255 at position 1, expected 0..9"),
        ],
    )
    def test_checked_at_the_door(self, field, array, message):
        with pytest.raises(ValueError, match=rf"^{field}: {message}|^{field.replace('labels', 'images')} {message}"):
            self.record(**{field: array})


def test_the_real_mnist(mnist_dir):
    found = load_mnist(mnist_dir)
    assert found.note == f"MNIST from {mnist_dir}: 55,000 training, 5,000 validation, 10,000 test images"
    assert found.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert found.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # The mean of all 60,000 training images is the well-known 0.1307.
    total = found.train_images.sum(dtype=np.int64) + found.validation_images.sum(dtype=np.int64)
    assert round(total / (60_000 * 784 * 255), 4) == 0.1307
