"""MNIST: found on this machine, downloaded, or replaced by an embedded default that says so."""

import hashlib
import os
from functools import partial
from pathlib import Path

from .amat import find_mnist_basic, load_mnist_basic
from .dataset import IMAGE_SHAPE, Dataset, check_array, check_pair
from .digits import load_digits
from .download import DownloadError, fetch
from .idx import parse_idx, read_bytes

DATA_VARIABLE = "GLUON_DC_DATA"
VALIDATION_IMAGES = 5_000
MAX_FILE_NBYTES = 2**26

# MD5 of the original files, decompressed: the gzip wrapper differs between mirrors, the content does not.
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/mnist",
)


def load_mnist(data_dir=None, download=True):
    """Return MNIST as a Dataset of 55,000 training, 5,000 validation and 10,000 test images.

    Searched in order: data_dir; the folder that GLUON_DC_DATA names; $MXNET_HOME/datasets/mnist
    (default ~/.mxnet/datasets/mnist); a download into that folder (when `download`); the embedded
    default of gluon_dc.data.digits, which is not MNIST and whose name and note say so. A folder may
    hold the four IDX files, .gz or plain, or a folder mnist/ with them. The validation split is the
    last 5,000 training images. A data_dir with MNIST-basic's two .amat files gives that data set, under its name.

    Raises FileNotFoundError when a named folder does not exist or lacks files, ValueError when a file
    is damaged or two files disagree; both say which, and what to do.
    """
    if data_dir is not None:
        return _read_named(data_dir)
    reasons = [f"{DATA_VARIABLE} is not set"]
    if named := os.environ.get(DATA_VARIABLE):
        if folder := find_mnist(named):
            return _read_folder(folder)
        reasons = [f"{DATA_VARIABLE}={named} holds no MNIST files"]
    cache = _cache_folder()
    reasons += _complete_cache(cache, download)
    if _missing(cache):
        return load_digits(why="; ".join(reasons))
    return _read_folder(cache)


def find_mnist(folder):
    """Return the Path that holds MNIST's four files, folder/mnist or folder itself; None when neither holds any.

    Raises FileNotFoundError when folder does not exist, or holds some of the four files but not all.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder: name one that holds {_file_list(MD5)} (.gz or plain)")
    for candidate in (folder / "mnist", folder):
        missing = _missing(candidate)
        if not missing:
            return candidate
        if len(missing) < len(MD5):
            raise FileNotFoundError(
                f"{candidate}: expected {len(MD5)} MNIST files, found {len(MD5) - len(missing)}: "
                f"add {_file_list(missing)} (.gz or plain)"
            )
    return None


def _read_named(folder):
    if found := find_mnist(folder):
        return _read_folder(found)
    if find_mnist_basic(folder):
        return load_mnist_basic(folder)
    raise FileNotFoundError(
        f"{folder}: expected {len(MD5)} MNIST files, found 0: add {_file_list(MD5)} (.gz or plain)"
    )


def _cache_folder():
    home = os.environ.get("MXNET_HOME") or Path("~/.mxnet").expanduser()
    return Path(home) / "datasets" / "mnist"


def _complete_cache(cache, download):
    """Download what the cache lacks; return the reasons, none when it is complete, why it still is not."""
    missing = _missing(cache)
    if missing and not download:
        return [f"{cache} lacks {len(missing)} of {len(MD5)} files", "download=False"]
    try:
        for stem in missing:
            urls = [f"{mirror}/{stem}.gz" for mirror in MIRRORS]
            fetch(urls, cache / f"{stem}.gz", partial(_check_original, stem), MAX_FILE_NBYTES)
    except DownloadError as error:
        return [str(error)]
    return []


def _check_original(stem, data):
    found = _md5(read_bytes(data, MAX_FILE_NBYTES))
    if found != MD5[stem]:
        raise ValueError(f"MD5 of the decompressed bytes is {found}, expected {MD5[stem]}")


def _md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _path(folder, stem):
    """Return the file's path, plain before .gz, or None."""
    return next((path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()), None)


def _missing(folder):
    return [stem for stem in MD5 if _path(folder, stem) is None]


def _file_list(stems):
    return ", ".join(stems)


def _read_folder(folder):
    images, labels, train_changed = _read_pair(folder, "train")
    test_images, test_labels, test_changed = _read_pair(folder, "t10k")
    n_train = len(images) - VALIDATION_IMAGES
    if n_train <= 0:
        raise ValueError(
            f"{folder}: expected more than {VALIDATION_IMAGES:,} training images, found {len(images):,}: "
            f"the last {VALIDATION_IMAGES:,} are the validation split, so provide the full set"
        )
    counts = f"{n_train:,} training, {VALIDATION_IMAGES:,} validation, {len(test_images):,} test images"
    note = f"MNIST from {folder}: {counts}"
    changed = train_changed + test_changed
    if changed:
        note += f"; NOT the original MNIST, other bytes in {_file_list(changed)}: do not compare with published results"
    return Dataset(
        name="mnist-modified" if changed else "mnist",
        train_images=images[:n_train],
        train_labels=labels[:n_train],
        validation_images=images[n_train:],
        validation_labels=labels[n_train:],
        test_images=test_images,
        test_labels=test_labels,
        source=str(folder),
        note=note,
    )


def _read_pair(folder, prefix):
    """Return images (n, 1, 28, 28), labels (n,) and the stems of the files whose bytes are not the original's."""
    images_stem, labels_stem = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
    images_path, labels_path = _path(folder, images_stem), _path(folder, labels_stem)
    images, images_md5 = _read_file(images_path, IMAGE_SHAPE[1:])
    labels, labels_md5 = _read_file(labels_path, ())
    check_pair(images, labels, images_path, labels_path)
    found = {images_stem: images_md5, labels_stem: labels_md5}
    return images[:, None], labels, [stem for stem, md5 in found.items() if md5 != MD5[stem]]


def _read_file(path, item_shape):
    data = read_bytes(path, MAX_FILE_NBYTES)
    array = parse_idx(data, path)
    check_array(array, item_shape, path)
    return array, _md5(data)
