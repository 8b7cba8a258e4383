"""MNIST-basic: the 12,000 and 50,000 digits of Larochelle et al. (ICML 2007), text files of 785 numbers a line."""

import os
from pathlib import Path

import numpy as np

from .dataset import IMAGE_SHAPE, N_CLASSES, Dataset
from .progress import progress_steps

TRAIN_FILE, TEST_FILE = "mnist_train.amat", "mnist_test.amat"
VALIDATION_IMAGES = 2_000
PIXELS = 28 * 28
MAX_ROWS = 200_000
MAX_LINE_NBYTES = 2**16


def find_mnist_basic(folder):
    """Return the Path with both .amat files, folder/mnist-basic or folder itself, or None."""
    folder = Path(folder).expanduser()
    for candidate in (folder / "mnist-basic", folder):
        if all((candidate / name).is_file() for name in (TRAIN_FILE, TEST_FILE)):
            return candidate
    return None


def load_mnist_basic(folder):
    """Return MNIST-basic as a Dataset named "mnist-basic": validation is the last 2,000 of the training file.

    folder: holds mnist_train.amat (12,000 rows) and mnist_test.amat (50,000 rows), or a folder mnist-basic/ with them.
    A row is 784 pixels 0..1, row by row, and the label, with white space between. Pixels become uint8, 0..255 (they
    are MNIST's grey levels divided by 255 or 256, rounded to 6 digits, and come out within one level).
    Raises FileNotFoundError that names what is missing; ValueError, with file and line, for a row that is none.
    Source: H. Larochelle et al., "An Empirical Evaluation of Deep Architectures on Problems with Many Factors of
    Variation", ICML 2007; its split is 10,000 training, 2,000 validation and 50,000 test images.
    """
    found = find_mnist_basic(folder)
    if found is None:
        raise FileNotFoundError(f"{folder}: expected {TRAIN_FILE} and {TEST_FILE}: add them, or name their folder")
    images, labels = read_amat(found / TRAIN_FILE)
    test_images, test_labels = read_amat(found / TEST_FILE)
    n_train = len(images) - VALIDATION_IMAGES
    if n_train <= 0:
        raise ValueError(f"{found / TRAIN_FILE}: expected more than {VALIDATION_IMAGES:,} rows, found "
                         f"{len(images):,}: the last {VALIDATION_IMAGES:,} are the validation split, so provide the "
                         "full file")
    counts = f"{n_train:,} training, {VALIDATION_IMAGES:,} validation, {len(test_images):,} test images"
    return Dataset(
        "mnist-basic", images[:n_train], labels[:n_train], images[n_train:], labels[n_train:], test_images, test_labels,
        source=str(found), note=f"MNIST-basic (Larochelle et al. 2007) from {found}: {counts}")


def read_amat(path, max_rows=MAX_ROWS):
    """Return images uint8 (n, 1, 28, 28) and labels uint8 (n,) of an .amat file.

    Raises ValueError, with path and line, for a row without 785 numbers, a pixel outside 0..1, a label that is no
    whole number 0..9, and for more than `max_rows` rows; OSError when the file cannot be read.
    """
    images, labels = [], []
    with open(path, "rb") as file, progress_steps(os.fstat(file.fileno()).st_size, Path(path).name, "B") as progress:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_NBYTES), b""), 1):
            progress(len(line))
            if number > max_rows:
                raise ValueError(f"{path}: more than {max_rows:,} lines: raise max_rows if the file is that long")
            if line.strip():
                image, label = _row(line, f"{path}, line {number}")
                images.append(image)
                labels.append(label)
    if not images:
        raise ValueError(f"{path}: holds no images: expected lines of {PIXELS + 1} numbers")
    return np.stack(images).reshape(-1, *IMAGE_SHAPE), np.array(labels, np.uint8)


def _row(line, where):
    cells = line.split()
    if len(cells) != PIXELS + 1:
        raise ValueError(f"{where}: {len(cells)} numbers, expected {PIXELS} pixels and a label: the file is cut short "
                         "or is another")
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        bad = next(cell for cell in cells if not _is_number(cell))
        raise ValueError(f"{where}: {bad[:20].decode(errors='replace')!r} is no number: the file is damaged") from None
    pixels, label = values[:-1], values[-1]
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        outside = pixels[~((pixels >= 0) & (pixels <= 1))][0]
        raise ValueError(f"{where}: a pixel of {outside:g}, expected 0..1: the file is damaged or of another scale")
    if label not in range(N_CLASSES):
        raise ValueError(f"{where}: label {label:g}, expected 0..{N_CLASSES - 1}: the file is damaged or another")
    return np.rint(255 * pixels).astype(np.uint8), int(label)


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True
