"""Whole numbers as arrays that plain array operators unpack again: no loop over symbols, no table, no branch.

*Digits*: as many numbers below a radix as fit into 63 bits make one int64, the first number its lowest digit. Unpacked
by a division and a remainder.
*Rice code* (Golomb 1966; Rice 1979) with parameter m: a number is m * quotient + rest. The rests are digits of radix m;
the quotients stand in unary, as many 0 bits as they say and then a 1, so that the places of the 1 bits say them all.
For the gaps between kept weights that are spread evenly it comes within 1 % of their entropy; m = 1 is the bitmap.
"""

from dataclasses import dataclass

import numpy as np

WORD_BITS = 63  # of an int64 that is not negative


def _radices():
    # For each number of digits that fit into a word, the largest radix: a smaller one would take as many words.
    found = {}
    for per_word in range(WORD_BITS, 1, -1):
        radix = round(2 ** (WORD_BITS / per_word))
        while radix**per_word > 2**WORD_BITS:
            radix -= 1
        found.setdefault(radix, per_word)  # the first one has the most digits
    return found


PER_WORD = _radices()  # radix -> digits in a word
RADICES = tuple(sorted(PER_WORD))  # 2, 3, 4, ..., 3037000499
BYTE_RADIX = 256  # none of them: numbers that need it are bytes as they are


@dataclass(frozen=True)
class Packed:
    """Numbers, packed. m: 1, one of RADICES, or None where all are digits of `radix` and nothing is in unary.

    count: how many. bits: uint8, the unary quotients, 8 a byte from the highest bit on. radix: of the digits, one of
    RADICES or BYTE_RADIX, None where m is 1. words: the digits, int64, or uint8 (n,) with BYTE_RADIX.
    """

    m: int | None
    count: int
    bits: np.ndarray
    radix: int | None
    words: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.bits.nbytes + self.words.nbytes


def pack_numbers(numbers) -> Packed:
    """The shortest form of an array (n,) of whole numbers, 0 <= number < RADICES[-1]."""
    numbers = np.ascontiguousarray(numbers)
    _, m, radix = min(_plans(numbers), key=lambda plan: plan[0])
    if radix is None:
        return _rice(numbers, m)
    words = numbers.astype(np.uint8) if radix == BYTE_RADIX else digits(numbers, radix)
    return Packed(None, numbers.size, np.zeros(0, np.uint8), radix, words)


def pack_gaps(gaps) -> Packed:
    """The shortest Rice code of an array (n,) of whole numbers below RADICES[-1]; digits only beside unary."""
    gaps = np.ascontiguousarray(gaps)
    return _rice(gaps, min(_rice_plans(gaps), key=lambda plan: plan[0])[1])


def numbers_nbytes(numbers) -> int:
    """Bytes that `pack_numbers` makes of them."""
    return min(plan[0] for plan in _plans(np.ascontiguousarray(numbers)))


def unpack(packed: Packed) -> np.ndarray:
    """The numbers, int64 (n,): what the operators of `onnx_decoders` do, in NumPy."""
    rest = np.zeros(packed.count, np.int64)
    if packed.radix == BYTE_RADIX:
        return packed.words.astype(np.int64)
    if packed.radix is not None:
        rest = (packed.words[:, None] // powers(packed.radix) % packed.radix).reshape(-1)[:packed.count]
    if packed.m is None:
        return rest
    places = np.flatnonzero(np.unpackbits(packed.bits))
    return (np.diff(places, prepend=-1) - 1) * packed.m + rest


def powers(radix: int) -> np.ndarray:
    """1, radix, radix^2, ...: int64, what a word's digits count."""
    return radix ** np.arange(PER_WORD[radix], dtype=np.int64)


def digits(numbers, radix: int) -> np.ndarray:
    """Numbers below the radix, one of RADICES, as int64 words."""
    per_word = PER_WORD[radix]
    words = np.zeros(-(-numbers.size // per_word), np.int64)
    for place, power in enumerate(powers(radix)):  # one digit of all words at a time: no int64 copy of all numbers
        column = numbers[place::per_word]
        words[:column.size] += column.astype(np.int64) * power
    return words


def _plans(numbers):
    # (bytes, m, radix): by digits alone, and by every Rice code.
    most = int(numbers.max(initial=0))
    radix = next(radix for radix in sorted((*RADICES, BYTE_RADIX)) if radix > most)
    return [(_digits_nbytes(numbers.size, radix), None, radix),
            *((nbytes, m, None) for nbytes, m in _rice_plans(numbers))]


def _rice_plans(numbers):
    plans, most = [], int(numbers.max(initial=0))
    for m in (1, *RADICES):
        quotients = int((numbers // m).sum(dtype=np.int64)) if m <= most else 0
        plans.append((-(-(quotients + numbers.size) // 8) + (_digits_nbytes(numbers.size, m) if m > 1 else 0), m))
        if quotients == 0:  # larger ones only make the digits longer
            break
    return plans


def _digits_nbytes(count, radix):
    return count if radix == BYTE_RADIX else 8 * -(-count // PER_WORD[radix])


def _rice(numbers, m):
    quotients = numbers.astype(np.int64) // m
    places = np.cumsum(quotients + 1) - 1
    bits = np.zeros(int(places[-1]) + 1 if places.size else 0, np.uint8)
    bits[places] = 1
    if m == 1:
        return Packed(1, numbers.size, np.packbits(bits), None, np.zeros(0, np.int64))
    # A small dtype may not hold m itself.
    rests = numbers % m if m <= int(numbers.max(initial=0)) else numbers
    return Packed(m, numbers.size, np.packbits(bits), m, digits(rests, m))
