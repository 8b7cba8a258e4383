"""The logistic domain in integers: stretch(p) = ln(p / (1 - p)) and its inverse, as tables the same everywhere.

Stretched values are integers in 1/256 nat, -2839..2839, which covers probabilities 1/65536..65535/65536. The tables
come out of exact integer arithmetic (powers of e^(1/256) in fixed point with 192 bits behind the point), rounded once.
"""

from functools import lru_cache

import numpy as np

STRETCH_LIMIT = 2839
UNIT = 256
LOG2_UNIT = 256


@lru_cache(maxsize=None)
def squash_table() -> np.ndarray:
    """int64 (2 * STRETCH_LIMIT + 1,): entry x + STRETCH_LIMIT is 65536 / (1 + e^(-x/256)), rounded, in 1..65535."""
    one = 1 << 192
    step = _exp_of_fraction(1, UNIT, one)
    powers = [one]
    for _ in range(STRETCH_LIMIT):
        powers.append(powers[-1] * step >> 192)
    upper = [(65536 * power + (one + power) // 2) // (one + power) for power in powers]
    lower = [65536 - value for value in upper[:0:-1]]
    return _constant(np.clip(np.array(lower + upper, np.int64), 1, 65535))


@lru_cache(maxsize=None)
def stretch_table() -> np.ndarray:
    """int16 (65536,): entry p is the x whose squash is nearest to p; 0 belongs to the lowest."""
    squashed = squash_table()
    doubled = 2 * np.arange(65536, dtype=np.int64)
    # The first x whose midpoint with x + 1 lies above p.
    midpoints = squashed[:-1] + squashed[1:]
    return _constant((np.searchsorted(midpoints, doubled, side="right") - STRETCH_LIMIT).astype(np.int16))


@lru_cache(maxsize=None)
def log2_table() -> np.ndarray:
    """int64 (4096,): entry i is 256 * log2(i), rounded down (entry 0: 0)."""
    # 256 * log2(i) = log2(i^256): the bit length of an exact power.
    return _constant(np.array([0] + [(i ** LOG2_UNIT).bit_length() - 1 for i in range(1, 4096)], np.int64))


@lru_cache(maxsize=None)
def exp_table() -> np.ndarray:
    """int64 (1025,): entry i is 2^30 * e^(-i/64), rounded down; the last one is 0."""
    one = 1 << 192
    step, power, entries = _exp_of_fraction(1, 64, one), one, []
    for _ in range(1024):
        entries.append((one << 30) // power)
        power = power * step >> 192
    return _constant(np.array(entries + [0], np.int64))


def _exp_of_fraction(numerator: int, denominator: int, one: int) -> int:
    # e^(numerator / denominator) in units of 1 / one, by its series.
    term, total, n = one, one, 1
    while term:
        term = term * numerator // (denominator * n)
        total += term
        n += 1
    return total


def _constant(table: np.ndarray) -> np.ndarray:
    table.flags.writeable = False
    return table
