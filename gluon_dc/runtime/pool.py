"""Threads that stay: starting some for every layer would cost more than many a layer takes."""

import os
from concurrent.futures import ThreadPoolExecutor

_pools = {}


def run_all(calls) -> None:
    """Call functions without arguments, each on a thread of its own, the first on this one.

    The first exception is raised once all have ended. They must not call `run_all` themselves.
    """
    if len(calls) == 1:
        calls[0]()
        return
    futures = []
    try:
        for call in calls[1:]:
            futures.append(_pool().submit(call))
        if calls:
            calls[0]()
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
