"""Work on large arrays in pieces, on several threads: the kernels release the GIL while they run.

What the pieces give is put together in their order, or from whole numbers, so that no result depends on the number
of threads.
"""

import os
from concurrent.futures import ThreadPoolExecutor

# Elements of a piece: large enough that starting it costs nothing beside it, small enough to share out evenly.
PIECE = 2**20
# More threads than these find no more memory bandwidth, and each may need tables of its own.
MAX_THREADS = 8


def core_count() -> int:
    """Processor cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """Threads to work on: the least of this process's cores, OMP_NUM_THREADS, NUMBA_NUM_THREADS and MAX_THREADS."""
    limits = [os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")]
    # OpenMP allows a list, one number a level of nesting: the first is that of the outermost.
    limits = [int(first) for first in (limit.split(",")[0].strip() for limit in limits) if first.isdigit()]
    return max(1, min([core_count(), MAX_THREADS, *limits]))


def pieces(size: int) -> list[slice]:
    """Slices of PIECE elements, the last one shorter, that cover 0..size; none for size 0."""
    return [slice(begin, min(begin + PIECE, size)) for begin in range(0, size, PIECE)]


def in_threads(function, items) -> list:
    """[function(item) for item in items], on `thread_count()` threads where there is more than one item.

    The first exception is raised. `function` must not call `in_threads` itself on large work: each call has its own
    threads.
    """
    items = list(items)
    threads = min(thread_count(), len(items))
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def shares(items) -> list[list]:
    """The items dealt out to at most `thread_count()` lists, none empty: for work with a table per thread."""
    items = list(items)
    threads = min(thread_count(), len(items))
    return [items[first::threads] for first in range(threads)]
