"""The embedded default: scikit-learn's 1,797 real handwritten digits of 8 x 8 pixels, enlarged. Not MNIST."""

import numpy as np

from .dataset import Dataset

SMALL_SIDE, INK_SIDE, SIDE = 8, 20, 28
SMALL_MAXIMUM = 16
VALIDATION_IMAGES, TEST_IMAGES = 200, 300
SPLIT_SEED = 0


def load_digits(why="asked for by name"):
    """Return the embedded digits as a Dataset named "digits-8x8": 1,297 training, 200 validation, 300 test images.

    why: the reason for using them, quoted in the note, one line. The split is drawn once with a fixed seed.
    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, the test part, as scikit-learn carries it. The digits fill 20 x 20 pixels in the middle
    of 28 x 28, as MNIST's do.
    Raises ImportError when scikit-learn is not installed.
    """
    small, labels = _load_small()
    # RandomState's stream is frozen across NumPy releases, default_rng's is not.
    order = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    images, labels = enlarge(small[order]), labels[order].astype(np.uint8)
    bounds = np.cumsum([len(labels) - VALIDATION_IMAGES - TEST_IMAGES, VALIDATION_IMAGES])
    train, validation, test = zip(np.split(images, bounds), np.split(labels, bounds))
    return Dataset(
        "digits-8x8", *train, *validation, *test,
        source="scikit-learn load_digits (UCI, 8 x 8 pixels, enlarged to 28 x 28)",
        note=f"NOT MNIST: {len(labels):,} digits of 8 x 8 pixels from scikit-learn, enlarged to 28 x 28; results do not "
        f"compare with MNIST's. Why: {why}. For MNIST set GLUON_DC_DATA to a folder with its four files.",
    )


def enlarge(small):
    """Enlarge digits to MNIST's layout: bilinear to 20 x 20, centred in 28 x 28, 0..16 scaled to 0..255.

    small: (n, 8, 8), values 0..16. Returns uint8 (n, 1, 28, 28). Raises ValueError for another shape or range.
    """
    small = np.asarray(small, np.float64)
    if small.shape[1:] != (SMALL_SIDE, SMALL_SIDE):
        raise ValueError(f"expected digits of shape (n, 8, 8), found {small.shape}: pass load_digits().images")
    if small.size and not (small.min() >= 0 and small.max() <= SMALL_MAXIMUM):
        raise ValueError(f"expected values 0..{SMALL_MAXIMUM}, found {small.min():g}..{small.max():g}: rescale them")
    stretch = _interpolation_matrix()
    ink = stretch @ small @ stretch.T * (255 / SMALL_MAXIMUM)
    images = np.zeros((len(small), 1, SIDE, SIDE), np.uint8)
    margin = (SIDE - INK_SIDE) // 2
    images[:, 0, margin:-margin, margin:-margin] = np.rint(ink)
    return images


def _interpolation_matrix():
    """Return (20, 8): row i holds the bilinear weights of output pixel i over the input pixels, centres aligned."""
    centres = (np.arange(INK_SIDE) + 0.5) * SMALL_SIDE / INK_SIDE - 0.5
    centres = np.clip(centres, 0, SMALL_SIDE - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(SMALL_SIDE)))


def _load_small():
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            "the embedded digits need scikit-learn, which is not installed: pip install scikit-learn, "
            "or set GLUON_DC_DATA to a folder with MNIST's four files"
        ) from error
    digits = datasets.load_digits()
    return digits.images, digits.target
