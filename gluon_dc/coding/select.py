"""Which weights pruning keeps: the exact selection of the largest scores, by radix select on the bits of floats.

Floats without their sign are ordered like the integers of the same bits. A histogram of the highest 16 bits finds the
digit in which the limit lies, a histogram of the next 16 bits among those with that digit refines it: two passes for
float32, four for float64, and no copy, no sort and no temporary of the size of the weights.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .arrays import flat_input
from .threads import in_threads, pieces, shares

_DIGIT_BITS = 16


class _Keys(NamedTuple):
    bits: np.ndarray        # uint32 or uint64 (n,), of the scores, sign included
    kept: np.ndarray        # uint8 (n,), or (0,): all are kept


def keep_largest(scores, pruned: int, kept=None) -> list[np.ndarray]:
    """Masks that leave out the `pruned` elements of least magnitude of several arrays taken together.

    Parameters: `scores` a list of float32 or of float64 arrays (one dtype for all), finite; ranked by abs(score).
    `kept`: a list as long of bool or uint8 arrays of the same shapes, or None in the place of one: elements that are
    not kept rank below all others and stay out. Returns bool arrays of the scores' shapes, True = kept. Exactly
    `pruned` elements of all, 0 <= pruned <= their number, are left out (more, if fewer than the rest are `kept`);
    of equal scores the first go first, in the order of the arrays and C order within each. Raises ValueError for
    another number. Source: paper section 2 (magnitude pruning).
    """
    keys = _keys(scores, kept)
    size = sum(key.bits.size for key in keys)
    if not 0 <= pruned <= size:
        raise ValueError(f"pruned must be 0..{size}, the number of scores, got {pruned}")
    tasks = [(key, piece) for key in keys for piece in pieces(key.bits.size)]
    to_prune = pruned - sum(in_threads(lambda task: _left_out(*task), tasks))
    if to_prune > 0:
        limit, ties, all_ties = _limit(tasks, to_prune)
    else:
        limit, ties, all_ties = 0, 0, -1
    masks = [np.empty(key.bits.size, bool) for key in keys]
    _write_masks(keys, masks, limit, ties == all_ties)
    if 0 < ties < all_ties:
        for key, mask in zip(keys, masks):
            ties = _drop_ties(key.bits, key.kept, _magnitude(key.bits), np.uint64(limit), mask, ties)
    return [mask.reshape(np.shape(score)) for mask, score in zip(masks, scores)]


def keep_at_least(score, limit: float, kept=None) -> np.ndarray:
    """Mask of the kept elements (`kept`: bool or uint8, or None for all) whose magnitude is at least `limit` >= 0.

    `score` float32, any shape, finite; it is compared with `limit` rounded to float32. Returns bool of that shape.
    """
    key = _keys([score], None if kept is None else [kept])[0]
    mask = np.empty(key.bits.size, bool)
    # No finite score reaches a limit that float32 cannot hold: compare with infinity. abs: -0.0 is the limit 0.0, and
    # not the bits of its sign.
    limit = np.float32(abs(limit) if limit <= np.finfo(np.float32).max else np.inf)
    _write_masks([key], [mask], int(limit.view(np.uint32)), False)
    return mask.reshape(np.shape(score))


def zero_left_out(values: np.ndarray, mask) -> None:
    """Set the float32 values to 0 where the mask (bool or uint8, same shape) is 0, in place."""
    flat, mask = values.reshape(-1), _as_bytes(mask)
    in_threads(lambda piece: _zero_left_out(flat[piece], mask[piece]), pieces(flat.size))


def is_zero_where_left_out(values, mask) -> bool:
    """Whether all float32 values are 0 where the mask (bool or uint8, same shape) is 0."""
    flat, mask = flat_input(values, np.float32), _as_bytes(mask)
    return all(in_threads(lambda piece: _is_zero_where_left_out(flat[piece], mask[piece]), pieces(flat.size)))


def _keys(scores, kept) -> list[_Keys]:
    kept = [None] * len(scores) if kept is None else kept
    return [_Keys(flat_input(score, score.dtype).view(f"u{score.dtype.itemsize}"), _as_bytes(mask))
            for score, mask in zip(map(np.asarray, scores), kept)]


def _as_bytes(mask) -> np.ndarray:
    mask = np.zeros(0, np.uint8) if mask is None else np.asarray(mask)
    return flat_input(mask.view(np.uint8) if mask.dtype == bool else mask, np.uint8)


def _magnitude(bits: np.ndarray) -> np.uint64:
    return np.uint64(2**(8 * bits.itemsize - 1) - 1)


def _left_out(key: _Keys, piece: slice) -> int:
    kept = key.kept[piece]
    return kept.size - int(np.count_nonzero(kept))


def _limit(tasks, rank: int) -> tuple[int, int, int]:
    # The bits of the rank-th smallest kept score, rank >= 1; how many equal to it are among the first `rank`, and
    # how many there are.
    limit = 0
    for shift in range(8 * tasks[0][0].bits.itemsize - _DIGIT_BITS, -1, -_DIGIT_BITS):
        counts = sum(in_threads(lambda share: _histogram(share, shift, limit), shares(tasks)))
        up_to = np.cumsum(counts)
        digit = int(np.searchsorted(up_to, rank))
        rank -= int(up_to[digit] - counts[digit])
        limit = limit << _DIGIT_BITS | digit
    return limit, rank, int(counts[digit])


def _histogram(tasks, shift: int, prefix: int) -> np.ndarray:
    counts = np.zeros(2**_DIGIT_BITS, np.int64)
    for key, piece in tasks:
        _count_digits(key.bits[piece], key.kept[piece], _magnitude(key.bits), np.uint64(shift), np.uint64(prefix),
                      counts)
    return counts


def _write_masks(keys, masks, limit: int, is_above: bool) -> None:
    tasks = [(key, mask, piece) for key, mask in zip(keys, masks) for piece in pieces(key.bits.size)]
    # "Above the limit" is "at least the next larger": whole numbers.
    least = np.uint64(limit + is_above)
    in_threads(lambda task: _write_mask(task[0].bits[task[2]], task[0].kept[task[2]], _magnitude(task[0].bits), least,
                                        task[1][task[2]]), tasks)


@njit(cache=True, nogil=True)
def _count_digits(bits, kept, magnitude, shift, prefix, counts):
    # Of the kept scores whose bits above the digit are `prefix`.
    above = shift + np.uint64(_DIGIT_BITS)
    for i in range(bits.size):
        key = np.uint64(bits[i]) & magnitude
        # Shifting by all 64 bits is not defined.
        is_prefixed = above == np.uint64(64) or key >> above == prefix
        if is_prefixed and (kept.size == 0 or kept[i] != 0):
            counts[(key >> shift) & np.uint64(2**_DIGIT_BITS - 1)] += 1


@njit(cache=True, nogil=True)
def _write_mask(bits, kept, magnitude, least, mask):
    if kept.size == 0:
        for i in range(bits.size):
            mask[i] = np.uint64(bits[i]) & magnitude >= least
    else:
        for i in range(bits.size):
            mask[i] = (np.uint64(bits[i]) & magnitude >= least) & (kept[i] != 0)


@njit(cache=True, nogil=True)
def _drop_ties(bits, kept, magnitude, limit, mask, ties):
    # Takes the first `ties` scores equal to the limit out of the mask; returns how many are still to go.
    for i in range(bits.size):
        if ties == 0:
            break
        if mask[i] and np.uint64(bits[i]) & magnitude == limit:
            mask[i] = False
            ties -= 1
    return ties


@njit(cache=True, nogil=True)
def _zero_left_out(values, mask):
    for i in range(values.size):
        values[i] = values[i] if mask[i] != 0 else np.float32(0)


@njit(cache=True, nogil=True)
def _is_zero_where_left_out(values, mask):
    hidden = 0
    for i in range(values.size):
        hidden += (mask[i] == 0) & (values[i] != 0)
    return hidden == 0
