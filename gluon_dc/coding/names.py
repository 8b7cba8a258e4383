"""Names and shapes of tensors as a .gdc header has them, in both versions."""

from .errors import FormatError
from .wire import Cursor, write_varint

MAX_RANK = 8
MAX_NAME_NBYTES = 1024
NAME_ENDINGS = ("", ".weight", ".bias", ".gamma", ".beta", ".running_mean", ".running_var")


def write_name(name: str, previous_name: str) -> bytes:
    """A name as what it shares with the one before, its ending, and the rest."""
    ending, stem = _split(name)
    previous_stem = _split(previous_name)[1]
    shared = 0
    while shared < min(len(stem), len(previous_stem)) and stem[shared] == previous_stem[shared]:
        shared += 1
    rest = stem[shared:]
    return write_varint(8 * shared + ending) + write_varint(len(rest)) + rest


def read_name(header: Cursor, previous_name: str) -> str:
    """The name that `write_name` wrote. ValueError for one that is empty, too long, or no UTF-8."""
    shared, ending = divmod(header.varint("name"), 8)
    previous_stem = _split(previous_name)[1]
    if ending >= len(NAME_ENDINGS) or shared > len(previous_stem):
        raise FormatError(f"name with ending {ending} of 0..{len(NAME_ENDINGS) - 1} that shares {shared} bytes "
                          f"with {previous_stem!r}")
    rest = header.take(header.varint("name size"), "name")
    if shared + len(rest) > MAX_NAME_NBYTES:
        # Names share what stands before, so a few bytes each could otherwise grow to gigabytes.
        raise FormatError(f"name of {shared + len(rest)} bytes, expected at most {MAX_NAME_NBYTES}")
    name = (previous_stem[:shared] + bytes(rest)).decode() + NAME_ENDINGS[ending]
    if not name:
        raise FormatError("empty name")
    return name


def write_shape(shape: tuple[int, ...]) -> bytes:
    """Number of dimensions, and each as a varint."""
    return bytes([len(shape)]) + b"".join(map(write_varint, shape))


def read_shape(header: Cursor) -> tuple[int, ...]:
    """The shape that `write_shape` wrote. FormatError for more than 8 dimensions."""
    rank = header.take(1, "rank")[0]
    if rank > MAX_RANK:
        raise FormatError(f"{rank} dimensions, expected at most {MAX_RANK}")
    return tuple(header.varint("dimension") for _ in range(rank))


def _split(name: str) -> tuple[int, bytes]:
    # Index of the name's ending and the bytes before it.
    for index, ending in enumerate(NAME_ENDINGS[1:], 1):
        if name.endswith(ending):
            return index, name[:-len(ending)].encode()
    return 0, name.encode()
