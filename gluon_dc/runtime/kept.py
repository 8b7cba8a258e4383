"""The kept weights of a coded matrix, row by row: what every sparse layout is made from."""

from typing import NamedTuple

import numpy as np
from numba import njit

from ..coding.threads import in_threads, thread_count

_PARTS_A_THREAD = 4


class Kept(NamedTuple):
    """Row r's kept weights are entries bounds[r]:bounds[r + 1], in order of their columns.

    bounds: int64 (rows + 1,). columns: int32 (nnz,). codes: uint8 (nnz,), none 0. shape: (rows, cols).
    """

    bounds: np.ndarray
    columns: np.ndarray
    codes: np.ndarray
    shape: tuple[int, int]

    @property
    def counts(self) -> np.ndarray:
        """Kept weights of each row, int64 (rows,)."""
        return np.diff(self.bounds)


def kept_weights(coded) -> Kept:
    """Kept of a CodedTensor (rows, cols). ValueError for another number of dimensions, or 2^31 columns or more."""
    if len(coded.shape) != 2 or coded.shape[1] >= 2**31:
        raise ValueError(f"expected a matrix of fewer than 2^31 columns, got shape {coded.shape}")
    codes = np.ascontiguousarray(coded.codes)
    rows = codes.shape[0]
    bounds = np.zeros(rows + 1, np.int64)
    parts = _row_parts(rows)
    in_threads(lambda part: _count(codes, bounds, *part), parts)
    np.cumsum(bounds, out=bounds)
    columns, kept = np.empty(bounds[-1], np.int32), np.empty(bounds[-1], np.uint8)
    in_threads(lambda part: _collect(codes, bounds, columns, kept, *part), parts)
    return Kept(bounds, columns, kept, codes.shape)


def slice_order(counts) -> np.ndarray:
    """The rows in order of their counts, most first, int32 (rows,): neighbours have nearly equal counts."""
    return np.argsort(-counts, kind="stable").astype(np.int32)


def _row_parts(rows: int) -> list[tuple[int, int]]:
    # Row ranges for the threads to share.
    edges = np.linspace(0, rows, min(rows, _PARTS_A_THREAD * thread_count()) + 1).astype(int)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist()))


@njit(cache=True, nogil=True)
def _count(codes, bounds, first, last):
    # bounds[r + 1] = kept weights of row r.
    for row in range(first, last):
        kept = 0
        for column in range(codes.shape[1]):
            kept += codes[row, column] != 0
        bounds[row + 1] = kept


@njit(cache=True, nogil=True)
def _collect(codes, bounds, columns, kept, first, last):
    for row in range(first, last):
        entry = bounds[row]
        for column in range(codes.shape[1]):
            if codes[row, column]:
                columns[entry] = column
                kept[entry] = codes[row, column]
                entry += 1
