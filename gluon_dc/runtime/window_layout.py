"""The window form's layout: a step serves 16 rows, each lane with three slots in one 32-bit word.

Slot j of a word: bits 10 j .. 10 j + 4 the position's low bits, the next five the code. A window has 32 << high_bits
columns, so a position has high_bits more bits; bit b of slot j is number high_bits * j + b of a lane: the first two are
bits 30 and 31 of its word, each later one bit `lane` of a further 16-bit number of the step. Those numbers follow the
window's start, in units of 2^coarse columns, in the step's `sides`. An empty slot has code 0.
"""

from numba import njit

SLOTS = 3
SLOT_BITS = 10
SPARE = 2  # bits of a word beside its slots
MAX_CODEBOOK = 32
HIGH_BITS = (0, 1, 2)
MAX_COLS = 2**23  # beyond, windows of 128 columns could begin only further apart than that



def coarse_bits(cols: int) -> int:
    """Windows begin at multiples of 2 to this power, so that 16 bits are enough to say where."""
    return max(0, (cols - 1).bit_length() - 16)


def is_wide_enough(high_bits: int, cols: int) -> bool:
    """Whether every column lies in the window of 32 << high_bits that its multiple of 2^coarse_bits begins."""
    return 32 << high_bits >= 1 << coarse_bits(cols)


@njit(cache=True, nogil=True)
def side_width(high_bits):
    """uint16 numbers that a step has beside its words: 1, 2 or 5 for high_bits 0, 1, 2."""
    return 1 + max(0, SLOTS * high_bits - SPARE)
