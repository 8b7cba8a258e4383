"""Numbers in as few bits as they need, one after the other, highest bit first: the small numbers of a version 2 header.

A *number of order k* is an Exp-Golomb code: n = (n >> k) and its k low bits; (n >> k) + 1, m bits long, is m - 1 zero
bits and itself (Elias gamma), the k low bits follow. Order 0: 0 takes 1 bit, 1 and 2 take 3, 3 to 6 take 5.
"""

import numpy as np
from numba import njit

from .errors import FormatError

MAX_NUMBER_BITS = 62
# Fewer numbers are read one by one: that is done before a kernel is loaded.
MIN_KERNEL_COUNT = 32


class BitWriter:
    """Collects bits; `to_bytes` ends them with zero bits up to a whole byte."""

    def __init__(self):
        self._parts = []
        self.size = 0  # bits so far

    def bits(self, value: int, width: int) -> None:
        """`value` in `width` bits, 0 <= value < 2**width."""
        if not 0 <= value < 1 << width:
            raise ValueError(f"{value} does not fit in {width} bits")
        if width:
            self._parts.append(f"{value:0{width}b}")
            self.size += width

    def number(self, value: int, order: int) -> None:
        """A number of an order, 0 <= value < 2**62."""
        if not 0 <= value < 1 << MAX_NUMBER_BITS:
            raise ValueError(f"a number is 0..2**{MAX_NUMBER_BITS} - 1, got {value}")
        high = (value >> order) + 1
        self._parts.append("0" * (high.bit_length() - 1) + f"{high:b}")
        self.size += 2 * high.bit_length() - 1
        self.bits(value & (1 << order) - 1, order)

    def extend(self, other: "BitWriter") -> None:
        """The bits of another writer."""
        self._parts += other._parts
        self.size += other.size

    def copy(self) -> "BitWriter":
        """A writer that goes on from here."""
        copied = BitWriter()
        copied.extend(self)
        return copied

    def to_bytes(self) -> bytes:
        """All of them."""
        text = "".join(self._parts)
        text += "0" * (-len(text) % 8)
        return int(text or "0", 2).to_bytes(len(text) // 8, "big")


class BitReader:
    """Reads the bits of data[position:end], bytes-like; errors are FormatErrors that name the bit."""

    def __init__(self, data, position: int, end: int):
        self._data = data
        self._start = position
        self._bit = 8 * position
        self._end = 8 * end

    @property
    def left(self) -> int:
        """Bits up to the end."""
        return self._end - self._bit

    def bits(self, width: int, what: str) -> int:
        """A value of `width` bits, at most 64."""
        if width > self.left:
            raise FormatError(f"{what} at bit {self._bit} takes {width} bits, {self.left} are left")
        first, last = self._bit // 8, -(-(self._bit + width) // 8)
        word = int.from_bytes(self._data[first:last], "big")
        self._bit += width
        return word >> 8 * last - self._bit & (1 << width) - 1

    def number(self, order: int, what: str) -> int:
        """A number of an order, below 2**62."""
        zeros = 0
        while not self.bits(1, what):
            zeros += 1
            if zeros > MAX_NUMBER_BITS - order:
                raise FormatError(f"{what} at bit {self._bit} is 2**{MAX_NUMBER_BITS} or more")
        high = 1 << zeros | self.bits(zeros, what)
        number = (high - 1) << order | self.bits(order, what)
        if number >= 1 << MAX_NUMBER_BITS:
            raise FormatError(f"{what} at bit {self._bit} is 2**{MAX_NUMBER_BITS} or more")
        return number

    def numbers(self, order: int, count: int, what: str) -> np.ndarray:
        """`count` numbers of an order, int64. Assumes an acceptable count: it is allocated."""
        if count >= MIN_KERNEL_COUNT:
            data, numbers = np.frombuffer(self._data, np.uint8), np.empty(count, np.int64)
            data.flags.writeable = False
            end = _read_numbers(data, self._bit, self._end, order, numbers)
            if end >= 0:
                self._bit = end
                return numbers
        # Where the kernel found a fault, this names it.
        return np.array([self.number(order, what) for _ in range(count)], np.int64)

    def finish(self, what: str) -> int:
        """The position of the byte after the last bit read. FormatError unless the bits up to it are zero."""
        padding = -self._bit % 8
        if self.bits(padding, what):
            raise FormatError(f"padding bits after {what} are not zero, byte {self._bit // 8 - 1}")
        return self._bit // 8


@njit(cache=True, nogil=True)
def _read_numbers(data, bit, end, order, numbers):
    # Fills `numbers` from bits bit..end of the data; the bit behind the last one, or -1 for any fault.
    for i in range(numbers.size):
        zeros = 0
        while bit < end and not data[bit >> 3] >> (7 - (bit & 7)) & 1:
            zeros += 1
            bit += 1
        if zeros + order > MAX_NUMBER_BITS or bit + zeros + order >= end:
            return -1
        number = 0
        for _ in range(zeros + 1 + order):
            number = number << 1 | data[bit >> 3] >> (7 - (bit & 7)) & 1
            bit += 1
        number -= 1 << order
        if number >> MAX_NUMBER_BITS:
            return -1
        numbers[i] = number
    return bit
