"""Floats that are whole multiples of one step: found, and written as the step and small numbers.

``value = float32(step) * float32(n)``, one IEEE single-precision multiplication, is exact to the bit or it is no grid.
"""

from typing import NamedTuple

import numpy as np

from .bits import BitReader, BitWriter
from .errors import FormatError

MAX_NUMBER = 2**15
# No product is subnormal then: a machine may be told to take such numbers for 0.
MIN_STEP = np.float32(2.0**-126)
# The nearest value to zero is the step times one of 1..this.
MAX_FIRST = 64
# Kinds of a step, all positive and finite: bits of a float16 without its sign, cut after 5 bits of its mantissa;
# all 15 of them; all 31 of a float32.
STEP_WIDTHS = (10, 15, 31)
MAX_ORDER = 6
CONSECUTIVE = 7


class Grid(NamedTuple):
    """step: float32, at least 2**-126, finite. numbers: int64 (n,), |number| <= 2**15."""

    step: np.float32
    numbers: np.ndarray

    def values(self) -> np.ndarray:
        """float32 (n,), infinite where the product is beyond float32."""
        with np.errstate(over="ignore"):
            return self.step * self.numbers.astype(np.float32)


def find_grid(values: np.ndarray) -> Grid | None:
    """The grid of the largest step on which float32 values (n,) lie to the bit; None where there is none.

    Values of +0.0 are on every grid, -0.0, NaN and infinities on none; zeros alone have no step.
    """
    magnitudes = np.abs(values[values != 0])
    if not magnitudes.size or not np.isfinite(values).all():
        return None
    nearest = magnitudes.min()
    # The step may be a neighbour of the quotient: the value was rounded from their product.
    quotients = nearest / np.arange(1, MAX_FIRST + 1, dtype=np.float32)
    with np.errstate(over="ignore"):
        around = [np.nextafter(quotients, np.float32(way)) for way in (0, np.inf)]
    steps = np.stack([quotients, *around]).T.reshape(-1)
    steps = steps[(steps >= MIN_STEP) & np.isfinite(steps) & (magnitudes.max() < MAX_NUMBER * steps.astype(np.float64))]
    for some in (values[:8], values):  # a few values leave few steps to be tried on all
        steps = steps[_fits(steps, some)]
    if not steps.size:
        return None
    # Of equally large numbers, the step of the fewest bits.
    step = min(steps, key=lambda step: (round(float(nearest) / float(step)), _step_kind(step)))
    return Grid(step, _numbers(step, values))


def _fits(steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    # bool (steps,): where every value is the step times a whole number, bit for bit.
    numbers = np.rint(values[None, :].astype(np.float64) / steps[:, None].astype(np.float64)).astype(np.float32)
    with np.errstate(over="ignore"):
        # Adding 0.0 makes a product of -0.0 the +0.0 that a number 0 stands for.
        products = steps[:, None] * numbers + np.float32(0)
    return (products.view(np.uint32) == values.view(np.uint32)).all(axis=1)


def _numbers(step, values: np.ndarray) -> np.ndarray:
    return np.rint(values.astype(np.float64) / np.float64(step)).astype(np.int64)


def write_step(writer: BitWriter, step) -> None:
    """2 bits of kind, and the step in that kind's bits: the first that has it exactly."""
    kind = _step_kind(step)
    writer.bits(kind, 2)
    if kind == 2:
        writer.bits(int(np.float32(step).view(np.uint32)), 31)
    else:
        writer.bits(int(np.float16(step).view(np.uint16)) >> 15 - STEP_WIDTHS[kind], STEP_WIDTHS[kind])


def read_step(reader: BitReader) -> np.float32:
    """FormatError for an unknown kind, and for a step that is too small, infinite or NaN."""
    kind = reader.bits(2, "kind of step")
    if kind >= len(STEP_WIDTHS):
        raise FormatError(f"unknown kind of step {kind}")
    pattern = reader.bits(STEP_WIDTHS[kind], "step")
    step = (np.uint32(pattern).view(np.float32) if kind == 2 else
            np.float32(np.uint16(pattern << 15 - STEP_WIDTHS[kind]).view(np.float16)))
    if not MIN_STEP <= step < np.inf:
        raise FormatError(f"step {step} of a grid, expected a finite one of at least 2**-126")
    return step


def _step_kind(step) -> int:
    with np.errstate(over="ignore", under="ignore"):
        half = np.float16(step)
    if np.float32(half) != step:
        return 2
    return 1 if int(half.view(np.uint16)) & 31 else 0


def write_ascending(writer: BitWriter, numbers: np.ndarray) -> None:
    """Numbers int64 (n,), ascending, none 0 and none twice, n >= 1 and known to the reader.

    3 bits: the order of the differences, or 7 where each is the next. The first number: its sign (1 bit), its
    magnitude - 1 as a number of order 3. Then each as how many it leaves out after the one before, 0 not counted.
    """
    places = _places(numbers)
    left_out = (np.diff(places) - 1).tolist()
    order = _best_order(left_out) if any(left_out) else CONSECUTIVE
    writer.bits(order, 3)
    writer.bits(int(numbers[0] < 0), 1)
    writer.number(abs(int(numbers[0])) - 1, 3)
    if order != CONSECUTIVE:
        for number in left_out:
            writer.number(number, order)


def read_ascending(reader: BitReader, count: int) -> np.ndarray:
    """`count` numbers, >= 1, that `write_ascending` wrote. FormatError where one is beyond 2**15."""
    order = reader.bits(3, "order of a grid")
    is_negative = reader.bits(1, "sign of a grid's first number")
    first = reader.number(3, "first number of a grid")
    place = -1 - first if is_negative else first
    places = [place]
    left_out = ([0] * (count - 1) if order == CONSECUTIVE else
                reader.numbers(order, count - 1, "number of a grid").tolist())
    for skipped in left_out:
        place += 1 + skipped
        places.append(place)
    if max(-places[0], places[-1] + 1) > MAX_NUMBER:
        raise FormatError(f"numbers of a grid reach from place {places[0]} to {places[-1]}, more than {MAX_NUMBER}")
    places = np.array(places, np.int64)
    return places + (places >= 0)


def _places(numbers: np.ndarray) -> np.ndarray:
    # ..., -2, -1, 1, 2, ... -> ..., -2, -1, 0, 1, ...: no place is lost to the number 0.
    return numbers - (numbers > 0)


def write_signed(writer: BitWriter, numbers: np.ndarray) -> None:
    """Any numbers int64 (n,), n known to the reader: 3 bits of order, then 0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""
    folded = np.where(numbers < 0, -2 * numbers - 1, 2 * numbers).tolist()
    order = _best_order(folded)
    writer.bits(order, 3)
    for number in folded:
        writer.number(number, order)


def read_signed(reader: BitReader, count: int) -> np.ndarray:
    """`count` numbers that `write_signed` wrote. FormatError for more than there are bits, before anything is made."""
    order = reader.bits(3, "order of a grid")
    if count > reader.left:
        raise FormatError(f"{count} numbers of a grid, {reader.left} bits are left")
    folded = reader.numbers(order, count, "number of a grid")
    if count and folded.max() > 2 * MAX_NUMBER:
        raise FormatError(f"number {folded.max()} of a grid, expected at most {2 * MAX_NUMBER}")
    return np.where(folded % 2, -(folded + 1) // 2, folded // 2)


def _best_order(numbers: list[int]) -> int:
    return min(range(MAX_ORDER + 1), key=lambda order: sum(2 * ((number >> order) + 1).bit_length() - 1 + order
                                                          for number in numbers))
