"""What the forms of 16 rows a slice share in Python: codebook tables, and slices shared out to threads."""

import numpy as np

from ..coding.threads import thread_count
from .pool import run_shares
from .simd import aligned

_PARTS_A_THREAD = 4
# Starting a second thread costs about as much as it saves below this.
_LEAST_NS = 200_000

_NO_BIAS = np.empty(0, np.float32)


def kernel_inputs(x, bias):
    """x and bias as the kernels take them, no bias as (0,): numba would compile them anew for read-only arrays."""
    bias = _NO_BIAS if bias is None else bias
    return x if x.flags.writeable else x.copy(), bias if bias.flags.writeable else bias.copy()


def codebook_table(coded, size: int) -> np.ndarray:
    """The codebook, float32 (size,), zeros behind it, aligned for registers."""
    table = aligned(size)
    table[:] = 0
    table[:coded.codebook.size] = coded.codebook
    return table


def run_slices(function, bounds, step_ns: float, threads: int) -> None:
    """function(first, last) for shares of all slices: on one thread where the work is small.

    bounds: int64 (slices + 1,) of steps. step_ns: nanoseconds of a step, about, all rows of x together.
    """
    slices = bounds.size - 1
    if threads <= 1 or bounds[-1] * step_ns < _LEAST_NS:
        if slices:
            function(0, slices)
        return
    work = bounds + np.arange(slices + 1)  # a slice without steps is work too
    edge = lambda amount: int(np.searchsorted(work, amount))
    run_shares(lambda begin, end: function(edge(begin), edge(end)), int(work[-1]), threads)


def slice_parts(slices: int) -> list[tuple[int, int]]:
    """Ranges of slices for `in_threads` to build."""
    parts = _PARTS_A_THREAD * thread_count()
    edges = np.linspace(0, slices, min(slices, parts) + 1).astype(int).tolist()
    return list(zip(edges[:-1], edges[1:]))


def spread(slices: int, number: int) -> list[tuple[int, int]]:
    """Up to `number` single slices, (s, s + 1), evenly among all."""
    chosen = np.unique(np.linspace(0, slices - 1, min(slices, number)).astype(int)) if slices else []
    return [(int(s), int(s) + 1) for s in chosen]
