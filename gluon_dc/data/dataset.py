"""The record in which every image set is handed over."""

from dataclasses import dataclass, field

import numpy as np

N_CLASSES = 10
IMAGE_SHAPE = (1, 28, 28)
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled 28 x 28 grey images of ten classes, split three ways; all arrays are read-only.

    name: "mnist", "mnist-modified" (other bytes in files of its names) or "digits-8x8". Images: uint8 (n, 1, 28, 28), 0 = background, 255 = ink.
    Labels: uint8 (n,), 0..9. source: where the data came from. note: one line for people,
    which says so when this is not MNIST.

    Raises ValueError when a split is empty, an array has another dtype or shape, images and
    labels disagree in number, or a label is above 9.
    """

    name: str
    train_images: np.ndarray = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    validation_images: np.ndarray = field(repr=False)
    validation_labels: np.ndarray = field(repr=False)
    test_images: np.ndarray = field(repr=False)
    test_labels: np.ndarray = field(repr=False)
    source: str
    note: str

    def __post_init__(self):
        for split in SPLITS:
            images_name, labels_name = f"{split}_images", f"{split}_labels"
            images, labels = getattr(self, images_name), getattr(self, labels_name)
            check_array(images, IMAGE_SHAPE, images_name)
            check_array(labels, (), labels_name)
            check_pair(images, labels, images_name, labels_name)
            object.__setattr__(self, images_name, _read_only(images))
            object.__setattr__(self, labels_name, _read_only(labels))


def check_array(array, item_shape, where):
    """Raise ValueError unless array is uint8 of shape (n, *item_shape); where: a name or path for the message."""
    if array.dtype != np.uint8 or array.shape[1:] != item_shape or array.ndim != 1 + len(item_shape):
        expected = "(" + ", ".join(["n", *map(str, item_shape)]) + ("" if item_shape else ",") + ")"
        raise ValueError(
            f"{where}: expected uint8 {expected}, found {array.dtype} {array.shape}: "
            "check that it is not another file or array under this name"
        )


def check_pair(images, labels, images_from, labels_from):
    """Raise ValueError unless images and labels are equally many, at least one, and every label is 0..9."""
    if len(images) != len(labels):
        raise ValueError(
            f"{images_from} holds {len(images):,} images but {labels_from} holds {len(labels):,} labels: "
            "take both from the same set"
        )
    if len(images) == 0:
        raise ValueError(f"{images_from} holds 0 images, expected at least 1: provide a set that is not empty")
    outside = np.flatnonzero(labels >= N_CLASSES)
    if outside.size:
        raise ValueError(
            f"{labels_from}: label {labels[outside[0]]} at position {outside[0]:,}, expected 0..{N_CLASSES - 1}: "
            "the file is damaged or belongs to another set"
        )


def _read_only(array):
    # A view, so that the caller's own array keeps its flags.
    view = array.view()
    view.flags.writeable = False
    return view
