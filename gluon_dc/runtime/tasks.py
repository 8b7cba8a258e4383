"""What a layer does for arrays that are known beforehand: stages of tasks, run once or prepared for many runs.

A stage is a tuple of functions without arguments that may run at the same time; stages run one after another. A `Task`
is a kernel with its arguments. Calling one goes through numba's dispatcher, which takes every argument apart anew (some
microseconds, more than many a small layer takes); a `Program` has them taken apart beforehand (`unboxed`) and runs all
tasks that follow one another in one call.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

from .crew import Job
from .pool import run_all
from .unboxed import call_at, unboxed


class Task(NamedTuple):
    """kernel(*arguments, begin, end); kernel: an njit function that returns None and releases the GIL."""

    kernel: object
    arguments: tuple
    begin: int
    end: int

    def __call__(self):
        self.kernel(*self.arguments, self.begin, self.end)


def shared(kernel, arguments_of, count: int, threads: int) -> list[tuple]:
    """The stage, in a list, of shares of 0..count for up to `threads` threads; no stage where there is nothing to do.

    arguments_of: function from the number of a share to the arguments of the kernel: each share has its own buffers.
    """
    return stage_of([Task(kernel, arguments_of(share), begin, end)
                     for share, (begin, end) in enumerate(shares(count, threads))])


def stage_of(tasks) -> list[tuple]:
    """A list of one stage, or of none where there are no tasks."""
    return [tuple(tasks)] if tasks else []


def shares(count: int, threads: int) -> list[tuple[int, int]]:
    """Up to `threads` even (begin, end) of 0..count, none of them empty."""
    threads = max(1, min(threads, count))
    bounds = [count * i // threads for i in range(threads + 1)]
    return [(begin, end) for begin, end in zip(bounds, bounds[1:]) if end > begin]


def run_stages(stages) -> None:
    """Run stages once."""
    for stage in stages:
        run_all(stage)


class Program:
    """Stages prepared to be run many times, by one thread at a time: `Program(stages)()`.

    The arrays that the tasks were made with are read and written where they lie, and kept.
    """

    def __init__(self, stages):
        self._calls, batch = [], []
        for stage in stages:
            found = [_unboxed(task) for task in stage]
            if None not in found:
                batch.append((stage, found))
                continue
            self._close(batch)
            batch = []
            self._calls.append(partial(run_all, stage))
        self._close(batch)

    def _close(self, batch):
        if batch:
            self._calls.append(_Batch(batch))

    def __call__(self):
        for call in self._calls:
            call()


def _unboxed(task):
    return unboxed(task.kernel, (*task.arguments, task.begin, task.end)) if isinstance(task, Task) else None


class _Batch:
    # Stages one after another, in one call of compiled code; on several threads where a stage has several tasks.
    def __init__(self, batch):
        self._stages = [stage for stage, _ in batch]  # they hold the arrays
        self._words = [one.words for _, found in batch for one in found]
        entries = [[(one.thunk, one.words.ctypes.data) for one in found] for _, found in batch]
        if max(map(len, entries)) > 1:
            self._run = Job(entries).run
        else:
            self._table = np.array(entries, np.int64)
            self._run = partial(_run_batch, self._table.ctypes.data, len(entries))

    def __call__(self):
        failed = self._run()
        if failed >= 0:
            width = max(map(len, self._stages))
            task = self._stages[failed // width][failed % width]
            task()  # raises what it met
            raise RuntimeError(f"{task.kernel.__name__} failed, and not when it was run again")


@njit(cache=True, nogil=True)
def _run_batch(table, count):
    # The number of the task that raised something, or -1. table: address of (thunk, words) for each task.
    for number in range(count):
        if call_at(table + 16 * number) != 0:
            return number
    return -1
