"""Reader of RecordIO files of images (.rec), as MXNet's tools/im2rec.py writes them; needs no MXNet.

A record is: magic 0xced7230a, a uint32 whose upper 3 bits are the part (0 whole, 1 first, 2 middle, 3 last) and whose
lower 29 are the length, the data, zeros up to a multiple of 4 bytes; all little-endian. Where the data holds the magic
itself it is split there, and the parts are joined by it again (dmlc-core, include/dmlc/recordio.h). Data of an image:
uint32 flag, float32 label, uint64 id, uint64 id2, then `flag` float32 labels where flag > 0, then the image file.
"""

import os
import struct
import threading

import numpy as np

from .image_files import HEAD_NBYTES, ImageError, check_image_head
from .image_lists import numbered_classes

MAGIC = struct.pack("<I", 0xCED7230A)
HEADER = struct.Struct("<4sI")
IMAGE_HEADER = struct.Struct("<IfQQ")
WHOLE, FIRST, MIDDLE, LAST = range(4)
MAX_LABELS = 1024


class RecordFile:
    """An open .rec file. Raises ImageError, with the byte, wherever its bytes do not follow the format."""

    def __init__(self, path):
        self.path = os.fspath(path)
        self._file = open(path, "rb")
        self._lock = threading.Lock()
        self.nbytes = os.fstat(self._file.fileno()).st_size

    def read(self, offset: int, nbytes: int) -> bytes:
        """`nbytes` bytes from `offset` on; ImageError where the file ends before."""
        self._check_holds(offset, nbytes)
        with self._lock:
            self._file.seek(offset)
            return self._file.read(nbytes)

    def part(self, offset: int) -> tuple[int, int, int]:
        """(kind of part, offset of its data, length of its data) at `offset`; the file holds all of that data."""
        magic, word = HEADER.unpack(self.read(offset, HEADER.size))
        if magic != MAGIC:
            raise ImageError(f"{self.path}: no RecordIO record at byte {offset:,}: it begins with 0x{magic.hex()}, "
                             f"expected 0x{MAGIC.hex()}: the file is damaged or no .rec")
        kind, nbytes = word >> 29, word & (2**29 - 1)
        if kind > LAST:
            raise ImageError(f"{self.path}: record at byte {offset:,} is of the unknown kind {kind}: the file is "
                             "damaged")
        self._check_holds(offset + HEADER.size, nbytes)
        return kind, offset + HEADER.size, nbytes

    def parts(self, offset: int) -> tuple[list[tuple[int, int]], int]:
        """The (offset, length) of each part of the record at `offset`, and the offset of the next record."""
        found, expected = [], (WHOLE, FIRST)
        while True:
            kind, begin, nbytes = self.part(offset)
            if kind not in expected:
                raise ImageError(f"{self.path}: part {kind} of a record at byte {offset:,} stands where none is "
                                 "expected: the file is damaged")
            found.append((begin, nbytes))
            offset, expected = begin + -(-nbytes // 4) * 4, (MIDDLE, LAST)
            if kind in (WHOLE, LAST):
                return found, offset

    def label(self, offset: int) -> float:
        """The (first) label of the image record at `offset`; ImageError where what follows it cannot be an image."""
        begin, nbytes = self.parts(offset)[0][0]
        if nbytes < IMAGE_HEADER.size:
            raise ImageError(f"{self.path}: record at byte {offset:,} has {nbytes} bytes, an image's has at least "
                             f"{IMAGE_HEADER.size}: no file of images?")
        flag, label, _, _ = IMAGE_HEADER.unpack(self.read(begin, IMAGE_HEADER.size))
        self._check_flag(flag, offset)
        image_at = IMAGE_HEADER.size + 4 * flag
        head = self.read(begin + image_at, max(0, min(HEAD_NBYTES, nbytes - image_at)))
        check_image_head(head, f"{self.path}, record at byte {offset}")
        return struct.unpack("<f", self.read(begin + IMAGE_HEADER.size, 4))[0] if flag else label

    def image_bytes(self, offset: int) -> bytes:
        """The image file in the record at `offset`."""
        data = MAGIC.join(self.read(begin, nbytes) for begin, nbytes in self.parts(offset)[0])
        flag = struct.unpack_from("<I", data)[0] if len(data) >= IMAGE_HEADER.size else 0
        self._check_flag(flag, offset)
        return data[IMAGE_HEADER.size + 4 * flag:]

    def _check_holds(self, offset, nbytes):
        if offset + nbytes > self.nbytes:
            raise ImageError(f"{self.path}: cut short: {nbytes:,} bytes expected at byte {offset:,}, the file has "
                             f"{self.nbytes:,}: fetch it again")

    def _check_flag(self, flag, offset):
        if flag > MAX_LABELS:
            raise ImageError(f"{self.path}: record at byte {offset:,} declares {flag:,} labels, at most {MAX_LABELS:,} "
                             "are read: no file of images?")


def read_record_list(records: RecordFile, classes=None):
    """Offsets int64 (n,), labels int64 (n,), classes and a note of the images in a .rec.

    classes: the names, or None for "0", "1", ... up to the largest label. Raises ValueError for labels that are no
    whole numbers or, without `classes`, too large (`numbered_classes`), ImageError for a damaged file.
    """
    offsets, labels, offset = [], [], 0
    while offset < records.nbytes:
        label = records.label(offset)
        if not label.is_integer() or not 0 <= label < 2**24:
            raise ValueError(f"{records.path}: record at byte {offset:,} has the label {label:g}, expected a whole "
                             "number from 0: a file for classification is needed")
        offsets.append(offset)
        labels.append(int(label))
        offset = records.parts(offset)[1]
    if not offsets:
        raise ValueError(f"{records.path}: is empty, expected records of images")
    classes = classes or numbered_classes(records.path, max(labels))
    note = f"{len(offsets):,} images of {len(set(labels)):,} of {len(classes):,} classes from {records.path}"
    return np.array(offsets, np.int64), np.array(labels, np.int64), classes, note
