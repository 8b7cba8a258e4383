"""Threads that stay: starting some for every layer would cost more than many a layer takes."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait

_pools = {}


def run_all(calls) -> None:
    """Call functions without arguments, on this thread and on others that come in time; all at once where they wait
    for one another.

    The error of the first of them that raised one is raised once all have ended. They must not call `run_all`
    themselves.
    """
    if len(calls) == 1:
        calls[0]()
        return
    waiting, errors, futures = deque(enumerate(calls)), {}, []
    try:
        for _ in calls[1:]:
            try:
                futures.append(_pool().submit(_call_waiting, waiting, errors))
            except RuntimeError:  # no thread can be started: the program ends, or there are too many
                break
        _call_waiting(waiting, errors)
    finally:
        waiting.clear()
        _settle(futures)  # the arrays of what they call must outlive them
    if errors:
        raise errors[min(errors)]


def _call_waiting(waiting, errors):
    # Whoever is free takes the next: a thread that comes too late finds none.
    while waiting:
        try:
            number, call = waiting.popleft()
        except IndexError:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001: raised by the thread that wants the result
            errors[number] = error


def _settle(futures):
    # Wait for those that have begun; Ctrl-C meanwhile is raised when they have ended, not before.
    interrupt = None
    for future in futures:
        while not future.cancel() and not future.done():
            try:
                wait([future])
            except KeyboardInterrupt as error:
                interrupt = error
    if interrupt is not None:
        raise interrupt


def _pool():
    # One for each process: threads do not survive a fork.
    pool = _pools.get(os.getpid())
    if pool is None:
        pool = _pools.setdefault(os.getpid(), ThreadPoolExecutor(os.cpu_count() or 1, "gluon_dc"))
    return pool
