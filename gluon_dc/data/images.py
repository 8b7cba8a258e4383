"""Sets of labelled photographs that are decoded when they are looked at, and batches of them for a network."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from .image_files import ImageError
from .image_lists import find_list, read_csv_list, read_folder_list
from .progress import progress_bar
from .recordio import RecordFile, read_record_list
from .stores import ArrayStore, FileStore, RecordStore

__all__ = ["HALVES", "ImageError", "ImageSet", "batches", "cropped", "from_arrays", "half", "open_images"]

HALVES = ("first", "second")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled colour images of any sizes.

    labels: int64 (n,), n >= 1, read-only, each the position of a name in `classes`. source: the path it came from.
    note: one line for people. store, indices: where image i is, namely at indices[i] of the store.
    Raises ValueError for an empty set, labels of another shape, or a label outside the classes.
    """

    labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    source: str
    note: str
    store: FileStore | RecordStore | ArrayStore = field(repr=False)
    indices: np.ndarray = field(repr=False)

    def __post_init__(self):
        labels = np.array(self.labels, np.int64)
        indices = np.array(self.indices, np.int64)
        if labels.ndim != 1 or labels.shape != indices.shape:
            raise ValueError(f"{self.source}: expected one label for each of {indices.size} images, got shape "
                             f"{labels.shape}")
        if not labels.size:
            raise ValueError(f"{self.source}: holds no images: name a set that is not empty")
        outside = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if outside.size:
            where = f"image {outside[0]} ({self.store.name(indices[outside[0]])})"
            raise ValueError(f"{self.source}: {where} has the label {labels[outside[0]]}, expected "
                             f"0..{len(self.classes) - 1} ({len(self.classes)} classes): give the list of classes that "
                             "these labels were made with")
        labels.flags.writeable = indices.flags.writeable = False
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "indices", indices)
        object.__setattr__(self, "classes", tuple(self.classes))

    def __len__(self) -> int:
        return self.labels.size

    def image(self, i: int) -> np.ndarray:
        """Image i as uint8 (h, w, 3), RGB. Raises ImageError, naming its file, where it does not decode."""
        return self.store.image(self.indices[i])

    def centre(self, i: int, preprocessing) -> np.ndarray:
        """The part of image i that evaluation looks at, uint8 (crop, crop, 3).

        Images that `cropped` has kept are that part already; ValueError where another preprocessing made it.
        """
        made_by = getattr(self.store, "cropped_by", None)
        if made_by is None:
            return preprocessing.centre(self.image(i))
        if made_by != preprocessing:
            raise ValueError(f"{self.source}: is in memory as cropped by {made_by.describe()}; it cannot be looked at "
                             f"by {preprocessing.describe()}: open it again")
        return self.image(i)

    def name(self, i: int) -> str:
        """Where image i is, for messages."""
        return self.store.name(self.indices[i])

    def keys(self) -> list[str]:
        """What tells each image from every other, whatever link or list leads to it: its resolved path, and its byte
        in a .rec."""
        return self.store.keys(self.indices)

    def nbytes(self) -> np.ndarray:
        """Size of each image's file or record, int64 (n,); nothing is decoded."""
        return np.array([self.store.nbytes(i) for i in self.indices], np.int64)

    def content(self, i: int, ends: int | None = None) -> bytes:
        """The bytes of image i's file or record, undecoded; `ends`: only so many at either end where there are more."""
        return self.store.content(self.indices[i], ends)

    def subset(self, indices, note: str | None = None) -> "ImageSet":
        """The images at these positions, in this order; the classes stay. `note` replaces the note."""
        indices = np.asarray(indices)
        if indices.dtype != bool:
            indices = indices.astype(np.int64)
        return replace(self, labels=self.labels[indices], indices=self.indices[indices], note=note or self.note)


def open_images(path, classes=None, split=None, check=True) -> ImageSet:
    """Open a folder with one folder of images per class, a CSV list `filename,label`, or a RecordIO file.

    path: the folder, .csv or .rec; what is not here is looked for in the folder that GLUON_DC_DATA names. With `split`
    ("train", "val", ...): a folder that holds that split as SPLIT.csv, SPLIT/ or SPLIT.rec. classes: the names in the
    order of their labels, as a sequence or as a text file with one a line (its first word); by default `synsets.txt`
    in or beside the folder, else the sorted names of the folders, or the sorted labels of train.csv, val.csv and
    test.csv, so that the splits of a set agree. Labels in a .rec are numbers, and so are those of a CSV that has whole
    numbers only. Images of a CSV are in images/ beside it, or beside it.
    check: look at the first bytes of every file, so that what is no image shows now and not in the middle of a run
    (of the records of a .rec always).

    Raises FileNotFoundError for a path or images that do not exist (the first few, and how many), ImageError (a
    ValueError) for files that are no images, ValueError for an empty set, a label outside the classes, a CSV without
    the two columns; all of them name the file and what to do.
    """
    kind, path, found_classes = find_list(path, classes, split)
    if kind == "rec":
        return _open_records(path, found_classes)
    read = read_folder_list if kind == "folder" else read_csv_list
    names, labels, classes, note = read(path, found_classes)
    store = FileStore(tuple(names))
    images = ImageSet(np.array(labels, np.int64), tuple(classes), str(path), note, store, np.arange(len(names)))
    if check:
        store.check()
    return images


def half(images, which) -> ImageSet:
    """Every second image: "first" has those at even positions, "second" those at odd ones.

    In a set sorted by class both halves have the same classes, or neighbours. ValueError for another `which`.
    """
    if which not in HALVES:
        raise ValueError(f"a half is one of {', '.join(HALVES)}, got {which!r}")
    begin = HALVES.index(which)
    return images.subset(np.arange(begin, len(images), 2),
                         f"{images.note}; the {which} half ({'odd' if begin else 'even'} positions, counted from 0)")


def from_arrays(images, labels, classes, source="arrays", note="") -> ImageSet:
    """An ImageSet of decoded images: a sequence of uint8 (h, w, 3), or one array (n, h, w, 3)."""
    return ImageSet(labels, classes, source, note or f"{len(images)} images from {source}", ArrayStore(images),
                    np.arange(len(images)))


def cropped(images, preprocessing, threads=2, what="decoding") -> ImageSet:
    """The same set in memory, each image already the part that evaluation looks at: crop * crop * 3 bytes an image.

    For sets that are gone through many times, with the same preprocessing. A progress bar shows for more than two
    seconds of work.
    """
    side = preprocessing.crop
    crops = np.empty((len(images), side, side, 3), np.uint8)
    steps = _ordered(lambda i: images.centre(i, preprocessing), range(len(images)), 4 * threads, threads)
    for i, crop in progress_bar(enumerate(steps), len(images), what, "image"):
        crops[i] = crop
    return replace(images, store=ArrayStore(crops, preprocessing), indices=np.arange(len(images)))


def batches(images, preprocessing, batch_size, augment=False, seed=None, threads=2):
    """Go through the set once in minibatches, decoding ahead on `threads` threads.

    Yields float32 (b, 3, crop, crop) and int64 (b,); b is batch_size but for the last, smaller batch. seed None: in
    order; else shuffled by it. augment: random-resized crops, mirrored half the time, drawn from `seed` alone whatever
    the number of threads, so a seed is needed; else the centre. Raises ValueError for arguments that do not fit, and
    from the iteration ImageError for an image that does not decode.
    """
    if batch_size < 1 or threads < 1:
        raise ValueError(f"batch_size and threads must be at least 1, got {batch_size} and {threads}")
    if augment and seed is None:
        raise ValueError("augmentation draws at random: give a seed, another one for each epoch")
    order = np.arange(len(images)) if seed is None else np.random.default_rng(seed).permutation(len(images))
    make = partial(_crop, images, preprocessing, seed if augment else None)
    return _batches(images.labels[order], _ordered(make, order, 2 * batch_size + threads, threads), preprocessing,
                    batch_size)


def _batches(labels, crops, preprocessing, batch_size):
    try:
        for begin in range(0, len(labels), batch_size):
            chosen = labels[begin:begin + batch_size]
            yield preprocessing.to_input(np.stack([next(crops) for _ in chosen])), chosen
    finally:
        crops.close()


def _crop(images, preprocessing, seed, i):
    if seed is None:
        return images.centre(i, preprocessing)
    # The image's own stream: what it becomes does not depend on the order in which threads come by.
    return preprocessing.random(images.image(i), np.random.default_rng([*np.atleast_1d(seed), int(i), 1]))


def _ordered(make, items, ahead, threads):
    # make(item) for each item, in order, with at most `ahead` of them under way or waiting.
    pool = ThreadPoolExecutor(threads, thread_name_prefix="images")
    waiting = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _open_records(path, classes):
    records = RecordFile(path)
    offsets, labels, classes, note = read_record_list(records, classes)
    return ImageSet(labels, classes, str(path), note, RecordStore(records, offsets), np.arange(len(offsets)))
