"""The special numbers of MXNet's Reshape."""

import math

from ..coding import FormatError
from .attributes import flag, integers, where


def reshaped(node, shape) -> tuple[int, ...]:
    """Output shape of a Reshape node.

    Numbers of its attribute `shape`: n > 0 a size; 0 the input's size; -1 what is left (once); -2 all that is left of
    the input's sizes; -3 the product of two of them; -4 a, b: one of them split into a x b, one of which may be -1.
    `reverse` reads both from the right, so that a split is written b, a, -4 there.
    """
    wanted = list(integers(node, "shape", ()))
    if not wanted:
        return shape
    try:
        if flag(node, "reverse"):
            found = _sizes(wanted[::-1], list(shape)[::-1])[::-1]
        else:
            found = _sizes(wanted, list(shape))
        return _filled(found, math.prod(shape))
    except (ValueError, IndexError) as error:
        if isinstance(error, FormatError):
            raise
        raise ValueError(f"{where(node)}: {shape} does not go into {tuple(wanted)}") from None


def _sizes(wanted, sizes):
    found, numbers = [], iter(wanted)
    for number in numbers:
        if number > 0:
            found.append(number)
            del sizes[:1]
        elif number == 0:
            found.append(sizes.pop(0))
        elif number == -1:
            found.append(-1)
            del sizes[:1]
        elif number == -2:
            found += sizes
            sizes.clear()
        elif number == -3:
            found.append(sizes.pop(0) * sizes.pop(0))
        elif number == -4:
            found += _split(sizes.pop(0), next(numbers, 0), next(numbers, 0))
        else:
            raise ValueError(number)
    return found


def _split(size, a, b):
    if a == -1 and b > 0:
        a = size // b
    elif b == -1 and a > 0:
        b = size // a
    if a <= 0 or b <= 0 or a * b != size:
        raise ValueError(size)
    return a, b


def _filled(found, size):
    if found.count(-1) > 1:
        raise ValueError(found)
    if -1 in found:
        rest = math.prod(number for number in found if number != -1)
        if rest == 0:
            raise ValueError(found)
        found[found.index(-1)] = size // rest
    if math.prod(found) != size:
        raise ValueError(found)
    return tuple(found)
