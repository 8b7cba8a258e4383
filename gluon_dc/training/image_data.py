"""The images of a run: which are trained on, which the stages are compared on, and which are kept for the end."""
import hashlib
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..data.images import ImageSet, cropped, open_images
from ..data.progress import progress_bar

_TEST_SHARE = 0.1
_VALIDATION, _TEST = 101, 102  # seeds beside those of the stages' streams
_IN_MEMORY_NBYTES = 512 * 2**20
_READ_NBYTES = 4 * 2**30  # of images that are compared byte by byte
_ENDS_NBYTES = 4096  # of each end of an image, in larger sets


@dataclass(frozen=True)
class ImageSplits:
    """Photographs in three parts that share no image, with the same classes.

    name: for titles, such as "mini-imagenet-18". source: the path. note: one line that says how they were split.
    """

    name: str
    source: str
    note: str
    train: ImageSet
    validation: ImageSet
    test: ImageSet

    @property
    def classes(self):
        return len(self.train.classes)

    def digest(self):
        """16 hex digits of the classes and of the paths, sizes, labels and contents of all the images, by part.

        Paths below the folder of the part, so that a set may be moved. Of more than 4 GiB in all, the first and last
        4 KiB of each image count as its contents: other pictures differ there already, and ImageNet's 140 GB are not
        read through. A progress bar shows. Raises OSError for an image that is not there any more.
        """
        parts = (self.train, self.validation, self.test)
        sizes = [part.nbytes() for part in parts]
        ends = _ENDS_NBYTES if sum(int(of_part.sum()) for of_part in sizes) > _READ_NBYTES else None
        found = hashlib.sha256("\n".join(self.train.classes).encode(errors="surrogateescape"))
        for part, of_part in zip(parts, sizes):
            names = "\n".join(_paths_below(part))
            found.update(f"\n{len(part)} {names}\n".encode(errors="surrogateescape"))
            found.update(of_part.tobytes())
            found.update(part.labels.tobytes())
        for part, i in progress_bar(_every_image(parts), sum(map(len, parts)), "comparing the images", "image"):
            found.update(part.content(i, ends))
        return found.hexdigest()[:16]


def find_data(path):
    """The path as given, or a folder of that name in the folder that GLUON_DC_DATA names.

    Raises FileNotFoundError that says where it looked.
    """
    named = os.environ.get("GLUON_DC_DATA")
    candidates = [Path(path).expanduser()] + ([Path(named).expanduser() / path] if named else [])
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = " and ".join(dict.fromkeys(map(str, candidates)))
    hint = "" if named else " (GLUON_DC_DATA, a folder with data sets, is not set)"
    raise FileNotFoundError(f"no images: looked for {looked}{hint}: name a folder, a .csv list or a .rec file")


def open_splits(path, test=None, validation_share=0.1, seed=0):
    """Open the images of a run.

    path : a folder with train and val (.csv, folder of classes, or .rec), or one of these kinds alone.
    test : likewise, the images kept for the end. By default the `val` of the folder; its `test` where it has that
        too, and then `val` is the validation part, as it is where `test` names other images; where it has neither, a
        tenth of each class's images.
    validation_share : share of each class's training images to hold out for validation, at least one of each, where
        `path` has no part for it.
    seed : int, of what is held out.

    Raises
    ------
    OSError, ValueError
        As `gluon_dc.data.open_images`; a part with classes of which there are no training images; an empty
        folder of a class among the training images; too few images;
        an image in two parts, or twice in a CSV.
    """
    path = find_data(path)
    train, validation, test = _parts(path, None if test is None else find_data(test))
    _check_no_empty_folder(train)
    _check_once(part for part in (train, validation, test) if part is not None)
    said = []
    if test is None:
        train, test = _hold_out(train, _TEST_SHARE, [seed, _TEST])
        said.append(f"test: {len(test):,} held out of them ({100 * _TEST_SHARE:g} % of each class)")
    if validation is None:
        train, validation = _hold_out(train, validation_share, [seed, _VALIDATION])
        said.append(f"validation: {len(validation):,} held out of them ({100 * validation_share:g} % of each class)")
    else:
        said.append(f"validation: {len(validation):,} of {validation.source}")
    if test.source != train.source:
        said.append(f"test: {len(test):,} of {test.source}, looked at after the last stage")
    for what, part in (("validation", validation), ("test", test)):
        _check_classes(what, part, train)
    _check_apart({"training": train, "validation": validation, "test": test})
    note = (f"{train.note}, seed {seed}; {'; '.join(sorted(said, reverse=True))}; {len(train):,} are left to train on")
    return ImageSplits(_name(path), str(path), note, train, validation, test)


def in_memory(splits, preprocessing):
    """The splits with validation and test images decoded and cut out once, where they take half a GiB at most."""
    nbytes = 3 * preprocessing.crop**2
    kept = {what: cropped(part, preprocessing, what=f"decoding {what} images")
            for what, part in (("validation", splits.validation), ("test", splits.test))
            if nbytes * len(part) <= _IN_MEMORY_NBYTES}
    return replace(splits, **kept)


def held_out(labels, share, seed):
    """Mask (bool, shape of `labels`) of a share of every class, drawn at random.

    Of a class with two images or more at least one is held out and at least one is not; a single one never is.
    """
    rng = np.random.default_rng(seed)
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        positions = rng.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(share * len(positions))), len(positions) - 1)
        mask[positions[:count]] = True
    return mask


def _hold_out(images, share, seed):
    mask = held_out(images.labels, share, seed)
    if not mask.any():
        raise ValueError(f"{images.source}: {len(images)} images, at most one of a class: too few to hold any out; "
                         "give more, or a folder with train and val")
    return images.subset(~mask), images.subset(mask)


def _parts(path, test):
    """(train, validation or None, test or None) of a path and of that of the test images or None."""
    split = path.is_dir() and _has(path, "train")
    train = open_images(path, split="train" if split else None)
    given = None if test is None else open_images(test, classes=train.classes)
    others = {name: open_images(path, classes=train.classes, split=name) for name in ("val", "test")
              if split and _has(path, name) and (given is None or name == "val")}
    if given is not None:
        validation = others.get("val")
        # `test` may name the folder's own val: then nothing is left to validate on.
        same = validation is not None and os.path.realpath(validation.source) == os.path.realpath(given.source)
        return train, None if same else validation, given
    if len(others) == 2:
        return train, others["val"], others["test"]
    return train, None, next(iter(others.values()), None)


def _has(path, split):
    return any((path / name).exists() for name in (f"{split}.csv", split, f"{split}.rec"))


def _paths_below(part):
    folder = os.path.join(part.source if os.path.isdir(part.source) else os.path.dirname(part.source), "")
    return (part.name(i).removeprefix(folder) for i in range(len(part)))


def _every_image(parts):
    return ((part, i) for part in parts for i in range(len(part)))


def _check_once(parts):
    for part in parts:
        keys = part.keys() if part.source.lower().endswith(".csv") else []
        if len(set(keys)) < len(keys):
            twice = [key for key, times in Counter(keys).items() if times > 1]
            raise ValueError(f"{part.source}: lists {len(twice)} images more than once ({_few(twice)}): keep one line "
                             "of each")


def _check_no_empty_folder(train):
    # It would give the net an output that is never trained. (A list of classes may well name more than there are.)
    without = [train.classes[label] for label in np.setdiff1d(np.arange(len(train.classes)), train.labels)]
    empty = [name for name in without if os.path.isdir(os.path.join(train.source, name))]
    if empty and os.path.isdir(train.source):
        raise ValueError(f"{train.source}: {len(empty)} of the folders of classes hold no images to train on "
                         f"({_few(empty)}): add images, or remove them")


def _check_apart(parts):
    # An image trained on makes the error on it too low.
    part_of = {}
    for what, part in parts.items():
        keys = part.keys()
        seen = [key for key in keys if key in part_of]
        if seen:
            others = " and ".join(sorted({part_of[key] for key in seen}))
            raise ValueError(f"{part.source}: {len(seen)} of the {what} images are {others} images too "
                             f"({_few(seen)}): give parts that share no image")
        part_of.update(dict.fromkeys(keys, what))


def _check_classes(what, part, train):
    missing = [part.classes[label] for label in np.setdiff1d(part.labels, train.labels)]
    if missing:
        raise ValueError(f"{part.source}: {len(missing)} classes of the {what} images have no training images "
                         f"({_few(missing)}): give parts of the same classes")


def _few(names):
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"


def _name(path):
    path = path.resolve()
    return path.name if path.is_dir() else path.parent.name if path.stem in ("train", "val", "test") else path.stem
