"""Where the images of a set are: in files, in the records of one file, or in memory. All are safe to read from threads.

A store has `image(i)`, uint8 (h, w, 3) in RGB, `name(i)`, where that is, for messages, `nbytes(i)`, what it takes
there, `content(i, ends)`, those bytes themselves (with `ends`, only so many at either end where there are more), and
`keys(indices)`, a str for each of these images that no other image has.
"""

import os
from dataclasses import dataclass, field

import numpy as np

from .image_files import ImageError, check_image_file, decode_image
from .progress import progress_bar
from .recordio import RecordFile

SHOWN = 3


@dataclass(frozen=True)
class FileStore:
    """One file an image. paths: str."""

    paths: tuple[str, ...] = field(repr=False)

    def name(self, i) -> str:
        return self.paths[i]

    def nbytes(self, i) -> int:
        return os.path.getsize(self.paths[i])

    def content(self, i, ends=None) -> bytes:
        with open(self.paths[i], "rb") as file:
            nbytes = os.fstat(file.fileno()).st_size
            if ends is None or nbytes <= 2 * ends:
                return file.read()
            begin = file.read(ends)
            file.seek(nbytes - ends)
            return begin + file.read(ends)

    def keys(self, indices) -> list[str]:
        # Folders are resolved once: a set has a thousand of them and a million files.
        found, folders = [], {}
        for path in (self.paths[i] for i in indices):
            folder, name = os.path.split(path)
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            found.append(os.path.realpath(path) if os.path.islink(path) else os.path.join(folders[folder], name))
        return found

    def image(self, i) -> np.ndarray:
        path = self.paths[i]
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise ImageError(f"{path}: is not there any more: put it back, or remove it from the list") from None
        return decode_image(data, path)

    def check(self) -> None:
        """Raise ImageError where files cannot be images, by their first bytes: names the first few, and how many."""
        problems = []
        for path in progress_bar(self.paths, len(self.paths), "looking at the files", "file"):
            try:
                check_image_file(path)
            except ImageError as error:
                problems.append(str(error))
        if problems:
            more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
            raise ImageError("; ".join(problems[:SHOWN]) + more)


@dataclass(frozen=True)
class RecordStore:
    """One record an image. records: the file; offsets: int64 (n,), byte at which each record begins."""

    records: RecordFile
    offsets: np.ndarray = field(repr=False)

    def name(self, i) -> str:
        return f"{self.records.path}, record at byte {self.offsets[i]}"

    def nbytes(self, i) -> int:
        return sum(nbytes for _, nbytes in self.records.parts(int(self.offsets[i]))[0])

    def content(self, i, ends=None) -> bytes:
        parts = self.records.parts(int(self.offsets[i]))[0]
        if ends is None or sum(nbytes for _, nbytes in parts) <= 2 * ends:
            return b"".join(self.records.read(begin, nbytes) for begin, nbytes in parts)
        (first, first_nbytes), (last, last_nbytes) = parts[0], parts[-1]
        shown = min(ends, last_nbytes)
        return (self.records.read(first, min(ends, first_nbytes))
                + self.records.read(last + last_nbytes - shown, shown))

    def keys(self, indices) -> list[str]:
        path = os.path.realpath(self.records.path)
        return [f"{path}, record at byte {self.offsets[i]}" for i in indices]

    def image(self, i) -> np.ndarray:
        return decode_image(self.records.image_bytes(int(self.offsets[i])), self.name(i))


class ArrayStore:
    """Images in memory: a sequence of uint8 (h, w, 3), or one array (n, h, w, 3). ValueError for others.

    cropped_by: the Preprocessing whose `centre` made them, or None for whole images.
    """

    def __init__(self, images, cropped_by=None):
        for i, image in enumerate(images):
            if np.ndim(image) != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise ValueError(f"image {i}: expected uint8 (h, w, 3), got {getattr(image, 'dtype', type(image))} "
                                 f"{np.shape(image)}")
        self.images, self.cropped_by = images, cropped_by

    def name(self, i) -> str:
        return f"image {i} in memory"

    def nbytes(self, i) -> int:
        return self.images[i].nbytes

    def content(self, i, ends=None) -> bytes:
        data = np.ascontiguousarray(self.images[i]).tobytes()
        return data if ends is None or len(data) <= 2 * ends else data[:ends] + data[-ends:]

    def keys(self, indices) -> list[str]:
        return [f"image {i} of {id(self)} in memory" for i in indices]

    def image(self, i) -> np.ndarray:
        return self.images[i]
