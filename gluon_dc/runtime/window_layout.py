"""The window form's layout: a step serves 16 rows, each lane with three slots in one 32-bit word.

Slot j of a word: bits 10 j .. 10 j + 4 a position, the next five the code. An empty slot has code 0.

A window has 48 columns, three thirds of 16. Slots 0 and 1 look at the first two thirds, slot 2 at the first and the
last, so that a look-up takes one permutation and yet lanes may be 48 columns apart: at densities of 25, 9 and 4 % 86,
65 and 45 % of the slots are filled, where windows of 32 columns give 84, 61 and 39 %. Wider ones, of 64 columns that
every slot looks at, are filled to 92, 77 and 56 % and take one and a half times as long a step.

Steps come section by section: those of all slices whose windows begin in the first `section` columns, slice by slice,
then the next section's, so that the part of x that they read stays in the first cache. Part p * slices + s are the
steps of slice s in section p.
"""

SLOTS = 3
SLOT_BITS = 10
THIRD = 16  # columns
WIDTH = 3 * THIRD
MAX_CODEBOOK = 32
MAX_SECTION = 5120  # columns, 20 KB of x
MAX_COLS = 2**21  # beyond, windows could begin only further apart than the two thirds that slot 0 looks at


def coarse_bits(cols: int) -> int:
    """Windows begin at multiples of 2 to this power, so that 16 bits are enough to say where."""
    return max(0, (cols - 1).bit_length() - 16)


def section_columns(cols: int) -> int:
    """Columns of a section: about as many in each, at most MAX_SECTION, at least 1."""
    return max(1, -(-cols // section_count(cols, MAX_SECTION)))


def section_count(cols: int, section: int) -> int:
    """Sections of `section` columns; 1 of none."""
    return max(1, -(-cols // section))
