"""Short byte strings in the fewest bytes: as they are, deflated after a preset dictionary, or by the byte coder."""

import zlib

from . import byte_coder
from .errors import FormatError
from .texts import inflate
from .wire import Cursor, write_varint

PLAIN, DEFLATED, BYTE_CODED = range(3)
# The byte coder is too slow for longer texts, and for more numbers.
MAX_BYTE_CODED_TEXT_NBYTES = 2**16
MAX_BYTE_CODED_NBYTES = 2**24


def squeeze(data: bytes, dictionary: bytes = b"") -> bytes:
    """Size and method, then the bytes of `data` as the method stores them; `expand` gives it back.

    varint 4 * stored size + method; the size of `data` as a varint where the method is not PLAIN; the stored bytes.
    """
    forms = [(PLAIN, data), (DEFLATED, _deflate(data, dictionary))]
    if len(data) <= MAX_BYTE_CODED_TEXT_NBYTES:
        forms.append((BYTE_CODED, byte_coder.encode_bytes(data, 1)))
    return min((_with_size(method, stored, data) for method, stored in forms), key=len)


def expand(cursor: Cursor, what: str, max_nbytes: int, dictionary: bytes = b"") -> bytes:
    """The bytes that `squeeze` stored. FormatError for more than `max_nbytes`, before they are allocated."""
    stored_nbytes, method = divmod(cursor.varint(f"size of {what}"), 4)
    nbytes = stored_nbytes if method == PLAIN else cursor.varint(f"size of {what}, expanded")
    max_nbytes = min(max_nbytes, MAX_BYTE_CODED_TEXT_NBYTES) if method == BYTE_CODED else max_nbytes
    if nbytes > max_nbytes:
        raise FormatError(f"{what} of {nbytes} bytes, expected at most {max_nbytes}")
    stored = cursor.take(stored_nbytes, what)
    if method == PLAIN:
        return bytes(stored)
    if method == DEFLATED:
        return inflate(stored, nbytes, dictionary)
    if method == BYTE_CODED:
        return byte_coder.decode_bytes(stored, nbytes, 1)
    raise FormatError(f"{what}: unknown method {method}")


def _deflate(data: bytes, dictionary: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return deflater.compress(data) + deflater.flush()


def _with_size(method: int, stored: bytes, data: bytes) -> bytes:
    size = b"" if method == PLAIN else write_varint(len(data))
    return write_varint(4 * len(stored) + method) + size + stored
