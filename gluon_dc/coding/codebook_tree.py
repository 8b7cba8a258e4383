"""Codes of a codebook as signs and magnitudes: what the context coders write instead of codes.

A weight that is kept has a sign (0: its value is below 0.0, 1: any other) and a magnitude m, the rank of its value among
those of its sign, 0 the nearest to 0.0. m is written bit by bit, highest first, in the number of bits that the largest
m of its sign takes; a bit that could only be 0 (a 1 would give an m that no code has) is not written. Equal values are
ranked by code. All this follows from comparisons of float32 numbers alone, which are exact everywhere.
"""

from typing import NamedTuple

import numpy as np


class CodebookTree(NamedTuple):
    """sizes int64 (2,): codes of each sign. depths int64 (2,): bits of a magnitude. signs, magnitudes int64 (k,): of
    each code (entry 0 means nothing). codes uint8 (2, 256): the code of a sign and magnitude."""

    sizes: np.ndarray
    depths: np.ndarray
    signs: np.ndarray
    magnitudes: np.ndarray
    codes: np.ndarray


def codebook_tree(codebook: np.ndarray) -> CodebookTree:
    """The tree of a codebook float32 (k,), k in 1..256, without NaN."""
    values = np.asarray(codebook, np.float32)[1:]
    ranked = 1 + np.argsort(values, kind="stable")
    n_negative = int(np.count_nonzero(values < 0))
    sizes = np.array([n_negative, values.size - n_negative], np.int64)
    signs, magnitudes = np.zeros((2, values.size + 1), np.int64)
    codes = np.zeros((2, 256), np.uint8)
    for sign, members in enumerate((ranked[:n_negative][::-1], ranked[n_negative:])):
        signs[members] = sign
        magnitudes[members] = np.arange(members.size)
        codes[sign, :members.size] = members
    depths = np.array([max(int(size) - 1, 0).bit_length() for size in sizes], np.int64)
    return CodebookTree(sizes, depths, signs, magnitudes, codes)
