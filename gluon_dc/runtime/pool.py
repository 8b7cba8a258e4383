"""Threads that stay: starting some for every layer would cost more than many a layer takes."""

import os
from concurrent.futures import ThreadPoolExecutor

_pools = {}


def run_shares(function, count: int, threads: int) -> None:
    """Call function(begin, end) for shares of 0..count on up to `threads` threads, this one included.

    The shares are even and none is empty. The first exception is raised once all have ended. `function` must not call
    `run_shares` itself.
    """
    threads = max(1, min(threads, count))
    bounds = [count * i // threads for i in range(threads + 1)]
    futures = [_pool().submit(function, bounds[i], bounds[i + 1]) for i in range(1, threads)]
    try:
        if count:
            function(0, bounds[1])
    finally:
        errors = _settled(futures)  # waits for all: their arrays must outlive them
    for error in errors:
        if error is not None:
            raise error


def _settled(futures):
    # The exceptions of all; Ctrl-C meanwhile is raised when they have ended, not before.
    errors, interrupt = [], None
    for future in futures:
        while True:
            try:
                errors.append(future.exception())
                break
            except KeyboardInterrupt as error:
                interrupt = error
    if interrupt is not None:
        raise interrupt
    return errors


def _pool():
    # One for each process: threads do not survive a fork.
    pool = _pools.get(os.getpid())
    if pool is None:
        pool = _pools.setdefault(os.getpid(), ThreadPoolExecutor(os.cpu_count() or 1, "gluon_dc"))
    return pool
