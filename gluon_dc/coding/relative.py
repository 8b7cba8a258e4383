"""Relative index: the positions of the kept weights as gaps of a few bits (paper section 2, Fig. 2).

A gap is the number of zeros skipped before an entry, so ``position = cumsum(gap + 1) - 1``. A gap that does not fit
in ``rel_bits`` bits inserts a filler: an entry with code 0 that skips ``2**rel_bits - 1`` zeros and stands on one.
"""

import numpy as np
from numba import njit

from .arrays import symbol_input
from .errors import FormatError

MAX_REL_BITS = 8

# The kernels find the kept weights of a block first, without a branch, since a processor guesses "kept or not" wrong
# time and again, and then work on those alone.
_BLOCK = 1024
# Runs of zeros shorter than this are counted by their length first, and for every gap width afterwards.
_COUNTED_RUNS = 1024


def encode_gaps(codes_flat, rel_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries of a flat code array: their codes and the gaps before them.

    Parameters: `codes_flat` uint8 (n,), `rel_bits` 0..8. Returns entry_codes and gaps, both uint8 (entries,).
    With `rel_bits` 0 every position is an entry, zeros included, and all gaps are 0 (dense mode); otherwise zeros
    after the last kept weight need no entry. Raises ValueError for another `rel_bits`, TypeError for another dtype.
    Source: paper section 2, Fig. 2; the figure counts the step from the previous position, which is our gap + 1.
    """
    codes = symbol_input(codes_flat)
    if _checked_rel_bits(rel_bits) == 0:
        return codes.copy(), np.zeros(codes.size, np.uint8)
    # There is no more than one entry a position. What is not written to is never taken from the system.
    entry_codes, gaps = np.empty(codes.size, np.uint8), np.empty(codes.size, np.uint8)
    entries = _encode_gaps(codes, 2**rel_bits - 1, entry_codes, gaps)
    return entry_codes[:entries].copy(), gaps[:entries].copy()


def decode_gaps(entry_codes, gaps, size: int) -> np.ndarray:
    """Flat codes uint8 (size,) of the entries whose codes and gaps, both uint8 (entries,), are given.

    Raises FormatError when an entry stands past `size` (nothing is written there), ValueError when the two inputs
    differ in length.
    """
    entry_codes, gaps = symbol_input(entry_codes), symbol_input(gaps)
    if entry_codes.size != gaps.size:
        raise ValueError(f"expected as many gaps as codes, got {gaps.size} gaps and {entry_codes.size} codes")
    codes = np.zeros(size, np.uint8)
    bad_entry, position = _decode_gaps(entry_codes, gaps, codes)
    if bad_entry >= 0:
        raise FormatError(f"entry {bad_entry} of {gaps.size} stands at position {position}, past the size {size}")
    return codes


def count_entries(codes_flat, rel_bits: int) -> int:
    """Entries (kept weights and fillers) that `encode_gaps` makes of codes uint8 (n,); n itself for `rel_bits` 0."""
    codes = symbol_input(codes_flat)
    if _checked_rel_bits(rel_bits) == 0:
        return codes.size
    return int(_count_entries(codes, rel_bits))


def gap_histograms(codes_flat) -> tuple[np.ndarray, np.ndarray]:
    """What every gap width would make of codes uint8 (n,), in one pass and without encoding.

    Returns gap_counts int64 (9, 256), row r for ``rel_bits = r`` with the fillers' gaps included, and fillers
    int64 (9,). Row 0 (dense mode) has n zero gaps and no fillers.
    """
    codes = symbol_input(codes_flat)
    gap_counts = np.zeros((MAX_REL_BITS + 1, 256), np.int64)
    fillers = np.zeros(MAX_REL_BITS + 1, np.int64)
    _gap_histograms(codes, gap_counts, fillers)
    for rel_bits in range(1, MAX_REL_BITS + 1):
        gap_counts[rel_bits, 2**rel_bits - 1] += fillers[rel_bits]
    gap_counts[0, 0] = codes.size
    return gap_counts, fillers


def encode_gaps_reference(codes_flat, rel_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """`encode_gaps`, slow and readable: tests hold the fast one against it."""
    longest = 2**rel_bits - 1
    entries = []
    zeros = 0
    for code in np.asarray(codes_flat).tolist():
        if code != 0 or rel_bits == 0:
            entries.append((code, zeros))
            zeros = 0
        else:
            zeros += 1
            if zeros > longest:
                entries.append((0, longest))
                zeros = 0
    while rel_bits and entries and entries[-1][0] == 0:
        entries.pop()
    table = np.array(entries, np.uint8).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def decode_gaps_reference(entry_codes, gaps, size: int) -> np.ndarray:
    """`decode_gaps`, slow and readable: ``position = cumsum(gap + 1) - 1``."""
    codes = np.zeros(size, np.uint8)
    positions = np.cumsum(np.asarray(gaps, np.int64) + 1) - 1
    for entry, position in enumerate(positions.tolist()):
        if position >= size:
            raise FormatError(f"entry {entry} of {len(gaps)} stands at position {position}, past the size {size}")
        codes[position] = entry_codes[entry]
    return codes


def _checked_rel_bits(rel_bits: int) -> int:
    if not 0 <= rel_bits <= MAX_REL_BITS:
        raise ValueError(f"rel_bits must be 0..{MAX_REL_BITS}, got {rel_bits}")
    return rel_bits


@njit(cache=True, nogil=True)
def _count_entries(codes, rel_bits):
    entries = 0
    previous = -1
    for position in range(codes.size):
        if codes[position] != 0:
            entries += 1 + ((position - previous - 1) >> rel_bits)
            previous = position
    return entries


@njit(cache=True, nogil=True)
def _kept_positions(codes, begin, positions):
    # Positions of the kept weights of codes[begin:begin + _BLOCK] into `positions`, of _BLOCK + 1 elements, since every
    # position is written and only the kept ones are left standing; returns how many.
    kept = 0
    for position in range(begin, min(begin + _BLOCK, codes.size)):
        positions[kept] = position
        kept += codes[position] != 0
    return kept


@njit(cache=True, nogil=True)
def _encode_gaps(codes, longest, entry_codes, gaps):
    # Assumes outputs of codes.size elements. Returns the entries.
    positions = np.empty(_BLOCK + 1, np.int64)
    entry = 0
    next_position = 0
    for begin in range(0, codes.size, _BLOCK):
        for i in range(_kept_positions(codes, begin, positions)):
            position = positions[i]
            while position - next_position > longest:
                entry_codes[entry] = 0
                gaps[entry] = longest
                entry += 1
                next_position += longest + 1
            entry_codes[entry] = codes[position]
            gaps[entry] = position - next_position
            entry += 1
            next_position = position + 1
    return entry


@njit(cache=True, nogil=True)
def _decode_gaps(entry_codes, gaps, codes):
    # Assumes codes is all zero. Returns (entry, position) of the first entry past the end, or (-1, -1).
    position = -1
    for entry in range(gaps.size):
        position += np.int64(gaps[entry]) + 1
        if position >= codes.size:
            return entry, position
        codes[position] = entry_codes[entry]
    return -1, -1


@njit(cache=True, nogil=True)
def _gap_histograms(codes, gap_counts, fillers):
    positions = np.empty(_BLOCK + 1, np.int64)
    runs = np.zeros(_COUNTED_RUNS, np.int64)
    previous = -1
    for begin in range(0, codes.size, _BLOCK):
        for i in range(_kept_positions(codes, begin, positions)):
            zeros = positions[i] - previous - 1
            previous = positions[i]
            if zeros < runs.size:
                runs[zeros] += 1
            else:
                _add_runs(gap_counts, fillers, zeros, 1)
    for zeros in range(runs.size):
        if runs[zeros]:
            _add_runs(gap_counts, fillers, zeros, runs[zeros])


@njit(cache=True, nogil=True)
def _add_runs(gap_counts, fillers, zeros, times):
    # So many zeros before a kept weight, so many times.
    for rel_bits in range(1, fillers.size):
        gap_counts[rel_bits, zeros & ((1 << rel_bits) - 1)] += times
        fillers[rel_bits] += (zeros >> rel_bits) * times
