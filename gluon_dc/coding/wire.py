"""The smallest pieces of the .gdc file: varints, checksums, and a cursor that never reads past its end."""

import zlib

from .errors import FormatError

MAX_VARINT_NBYTES = 10
CHECKSUM_NBYTES = 4


def write_varint(number: int) -> bytes:
    """Unsigned LEB128: 7 bits a byte, lowest first, the high bit set on all bytes but the last. 0 <= number < 2**64."""
    if not 0 <= number < 2**64:
        raise ValueError(f"a varint holds 0..2**64 - 1, got {number}")
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def checksum(data) -> bytes:
    """CRC-32 (that of zlib and PNG) as 4 bytes, little-endian."""
    return zlib.crc32(data).to_bytes(CHECKSUM_NBYTES, "little")


class Cursor:
    """Reads data[position:end] from front to back; every error is a FormatError that names the byte."""

    def __init__(self, data: memoryview, position: int = 0, end: int | None = None):
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        return self.end - self.position

    def take(self, nbytes: int, what: str) -> memoryview:
        """The next `nbytes` bytes."""
        if not 0 <= nbytes <= self.left:
            raise FormatError(f"{what} at byte {self.position} takes {nbytes} bytes, {self.left} are left")
        self.position += nbytes
        return self.data[self.position - nbytes:self.position]

    def varint(self, what: str) -> int:
        """A varint in its shortest form, below 2**64."""
        start, number, shift = self.position, 0, 0
        while True:
            byte = self.take(1, what)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift == 7 * MAX_VARINT_NBYTES:
                raise FormatError(f"{what} at byte {start}: a varint has at most {MAX_VARINT_NBYTES} bytes")
        if number >= 2**64 or (byte == 0 and shift > 7):
            raise FormatError(f"{what} at byte {start}: varint above 2**64 - 1 or not in its shortest form")
        return number

    def check(self, start: int, what: str) -> None:
        """Read a checksum and hold it against the bytes from `start` to here."""
        expected = checksum(self.data[start:self.position])
        stored = bytes(self.take(CHECKSUM_NBYTES, f"checksum of {what}"))
        if stored != expected:
            raise FormatError(f"{what} at bytes {start}..{self.position - CHECKSUM_NBYTES - 1} is damaged: checksum "
                              f"{stored.hex()}, its bytes give {expected.hex()}")


def section_cursor(cursor: Cursor, nbytes: int, what: str) -> Cursor:
    """A cursor over the next `nbytes` bytes, whose checksum follows them and is right; `cursor` goes on after it."""
    start = cursor.position
    cursor.take(nbytes, what)
    cursor.check(start, what)
    return Cursor(cursor.data, start, start + nbytes)


def check_tensor_count(count: int, max_tensors: int) -> None:
    """FormatError for more tensors than the limit."""
    if count > max_tensors:
        raise FormatError(f"more than max_tensors={max_tensors} tensors: raise that limit if you trust the file")


def check_decoded_nbytes(decoded: int, tensors, max_decoded_nbytes: int) -> None:
    """FormatError where texts of `decoded` bytes and tensors (name, shape, bytes) take more than the limit."""
    for name, shape, nbytes in tensors:
        decoded += nbytes
        if decoded > max_decoded_nbytes:
            raise FormatError(
                f"tensor {name!r} of shape {shape} brings the decoded size to {decoded} bytes, more than "
                f"max_decoded_nbytes={max_decoded_nbytes}: raise that limit if you trust the file")
    if decoded > max_decoded_nbytes:
        raise FormatError(f"graph and metadata take {decoded} bytes decoded, max_decoded_nbytes={max_decoded_nbytes}")


def check_file_nbytes(cursor: Cursor, nbytes: int) -> None:
    """FormatError unless `nbytes` bytes follow, as the header says."""
    expected = cursor.position + nbytes
    if expected != len(cursor.data):
        fault = "cut short" if expected > len(cursor.data) else "followed by trailing bytes"
        raise FormatError(f"file is {fault}: it has {len(cursor.data)} bytes, its header declares {expected}")
