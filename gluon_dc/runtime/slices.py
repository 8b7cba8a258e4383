"""What the forms of 16 rows a slice share in Python: codebook tables, and slices shared out to threads."""

import numpy as np

from ..coding.threads import thread_count
from .simd import aligned
from .tasks import Task, shares, stage_of

_PARTS_A_THREAD = 4
# Meeting a second thread costs about as much as it saves below this.
_LEAST_NS = 20_000

_NO_BIAS = np.empty(0, np.float32)


def bias_or_none(bias):
    """A bias as the kernels take it: none is (0,)."""
    return _NO_BIAS if bias is None else bias


def codebook_table(coded, size: int) -> np.ndarray:
    """The codebook, float32 (size,), zeros behind it, aligned for registers."""
    table = aligned(size)
    table[:] = 0
    table[:coded.codebook.size] = coded.codebook
    return table


def slice_stages(kernel, arguments, bounds, step_ns: float, threads: int) -> list[tuple]:
    """The stage of kernel(*arguments, first, last) for shares of all slices: one where the work is small.

    bounds: int64 (slices + 1,) of steps. step_ns: nanoseconds of a step, about, all rows of x together.
    """
    slices = bounds.size - 1
    if threads <= 1 or bounds[-1] * step_ns < _LEAST_NS:
        return stage_of([Task(kernel, arguments, 0, slices)] if slices else [])
    work = bounds + np.arange(slices + 1)  # a slice without steps is work too
    edges = [int(np.searchsorted(work, amount)) for pair in shares(int(work[-1]), threads) for amount in pair]
    return stage_of([Task(kernel, arguments, first, last) for first, last in zip(edges[::2], edges[1::2])])


def slice_parts(slices: int) -> list[tuple[int, int]]:
    """Ranges of slices for `in_threads` to build."""
    parts = _PARTS_A_THREAD * thread_count()
    edges = np.linspace(0, slices, min(slices, parts) + 1).astype(int).tolist()
    return list(zip(edges[:-1], edges[1:]))


def spread(slices: int, number: int) -> list[tuple[int, int]]:
    """Up to `number` single slices, (s, s + 1), evenly among all."""
    chosen = np.unique(np.linspace(0, slices - 1, min(slices, number)).astype(int)) if slices else []
    return [(int(s), int(s) + 1) for s in chosen]
