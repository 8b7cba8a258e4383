"""How much work opening a version 2 file may be: a few bytes of an adaptive stream can stand for many values."""

from .errors import FormatError

# Units of work, some 10 ns each on one core of 2026. Part of the format, as are the limits below.
MASK_UNITS = {"fast": 1, "best": 64}  # of an element of a mask, by effort
MASK_START = 2**12  # elements that the start of a mask counts as: the coder's models are made for it
BYTE_UNITS, TEXT_UNITS = 8, 16  # of a byte-coded byte, TEXT_UNITS where its numbers have one byte
FREE_UNITS = 2**28
UNITS_A_STORED_BYTE = 32


class WorkLimit:
    """What masks and byte-coded values of a file may still cost in units; others are decoded only when asked for.

    A file of n bytes may cost FREE_UNITS + UNITS_A_STORED_BYTE * n. left: units that are left.
    """

    def __init__(self, nbytes: int = 0):
        self.left = FREE_UNITS
        self.stored(nbytes)

    def stored(self, nbytes: int) -> None:
        """The file has so many more bytes."""
        self.left += UNITS_A_STORED_BYTE * nbytes

    def spend(self, units: int, what: str) -> None:
        """FormatError, naming what it is for, where fewer units are left; to be called before the work is done."""
        if units > self.left:
            raise FormatError(f"{what}: {units} units of work to decode, {self.left} are left of what a file of this "
                              "size may cost")
        self.left -= units


def mask_units(size: int, effort: str) -> int:
    """Units of a mask of `size` elements at an effort of the context coder."""
    return MASK_UNITS[effort] * (size + MASK_START)


def byte_units(nbytes: int, width: int) -> int:
    """Units of byte-coded numbers of `width` bytes that take `nbytes` bytes when decoded."""
    return nbytes * (TEXT_UNITS if width == 1 else BYTE_UNITS)
