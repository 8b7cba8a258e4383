"""Threads that run the tasks of many stages in compiled code: they meet at counters, not in Python.

The thread that runs a program leads; workers help where they come in time. Each task of a stage is claimed by the
first that gets to it, and a stage begins when all tasks of the one before have ended. So nobody waits for a thread that
has not begun: programs that run at the same time share what workers there are, and one alone runs it all.

A worker that has nothing to do listens for a fraction of a millisecond to its mailbox, a word that holds an address of
work, and then sleeps until it is woken: in compiled code too, as Python's lock would be taken when it wakes, by those
who wait for it.
"""

import atexit
import os
import threading
from queue import SimpleQueue

import numpy as np
from numba import njit

from ..coding.threads import core_count
from .atomics import add, address_of, call_c, exchange, get, new_semaphore, pause, put
from .simd import aligned
from .unboxed import call_at

# What a mailbox holds, if no address of a job. Behind it: whether to end; the address of a semaphore, or 0; and that of
# the job whose leader has the worker, or 0: taken and given back in compiled code, which Ctrl-C does not interrupt.
LISTENING, ASLEEP, BUSY = 0, 1, 2
# Pauses, of 10 to 50 ns each: that a worker listens before it sleeps, longer where only Python can wake it; that a
# waiting thread spins before it lets others have the core, and from then on each time.
_LISTENS, _LISTENS_LONG, _SPINS, _SPINS_MORE = 20_000, 1_000_000, 2_000, 50
_LINE = 8  # words
_crews, _ended = {}, []


class Job:
    """Stages of tasks for `run`, by one thread at a time.

    stages: list of lists of (thunk, words) addresses (`unboxed`), one for each task; what they point to must stay.
    """

    def __init__(self, stages):
        self.width = max(map(len, stages))
        # A row for each stage: its tasks' addresses; and what changes: tasks done, tasks, whether each is claimed.
        self._table = np.zeros((len(stages), self.width, 2), np.int64)
        line = -(-(2 + self.width) // _LINE) * _LINE
        self._board = aligned((len(stages), line), np.int64)
        self._board[:] = 0
        for number, stage in enumerate(stages):
            self._table[number, :len(stage)] = stage
            self._board[number, 1] = len(stage)
        self._head = np.array([self._table.ctypes.data, len(stages), self.width, self._board.ctypes.data, line, 0,
                               address_of("SwitchToThread" if os.name == "nt" else "sched_yield")], np.int64)

    def run(self) -> int:
        """Run all stages: -1, or stage * width + number of a task that raised something."""
        mailboxes = _crew().mailboxes(self.width - 1)
        return _lead(self._head.ctypes.data, mailboxes.ctypes.data, mailboxes.size, self.width - 1,
                     address_of("sem_post"))


class _Crew:
    """The workers of a process: as many as it has processors to run on, less one."""

    def __init__(self):
        self._lock, self._all, self._mailboxes = threading.Lock(), [], np.empty(0, np.int64)
        self._most = max(0, core_count() - 1)

    def mailboxes(self, count):
        """Addresses of all workers' mailboxes, int64, of `count` workers at least if there may be so many."""
        if len(self._all) < min(count, self._most):
            self._grow(count)
        for worker in self._all[:count]:
            worker.wake()
        return self._mailboxes

    def _grow(self, count):
        with self._lock:
            try:
                while len(self._all) < min(count, self._most):
                    self._all.append(_Worker(len(self._all) + 1))
            except RuntimeError:  # no more threads can be started here
                self._most = len(self._all)
            self._mailboxes = np.array([worker.address for worker in self._all], np.int64)

    def close(self):
        """End all threads: none may be in compiled code when the interpreter ends."""
        with self._lock:
            workers, self._all, self._most = self._all, [], 0
            self._mailboxes = np.empty(0, np.int64)
        _ended.extend(workers)  # somebody may have their addresses
        for worker in workers:
            worker.close()


class _Worker:
    def __init__(self, number):
        self._mailbox, self._semaphore = aligned(2 * _LINE, np.int64), new_semaphore()
        self.address, self._number, self._wakes = self._mailbox.ctypes.data, number, SimpleQueue()
        self._mailbox[:4] = LISTENING, True, 0 if self._semaphore is None else self._semaphore.ctypes.data, 0
        self._serve_once()  # compiles it, here; and ends at once
        self._mailbox[1] = False
        self._thread = threading.Thread(target=self._serve, name=f"gluon_dc-{number}", daemon=True)
        self._thread.start()

    def wake(self):
        """Where no semaphore does that."""
        if self._semaphore is None and _rouse(self.address):
            self._wakes.put(None)

    def close(self):
        self._mailbox[1] = True
        if self._semaphore is None:
            self._wakes.put(None)
        else:
            _post(self.address, address_of("sem_post"))
        self._thread.join(timeout=1)

    def _serve(self):
        self._serve_once()
        while not self._mailbox[1]:
            self._wakes.get()
            self._serve_once()

    def _serve_once(self):
        _serve(self.address, self._number, address_of("sem_wait"))


def _crew():
    # One for each process: threads do not survive a fork.
    crew = _crews.get(os.getpid())
    if crew is None:
        crew = _crews.setdefault(os.getpid(), _Crew())
    return crew


@atexit.register
def _close():
    crew = _crews.pop(os.getpid(), None)
    if crew is not None:
        crew.close()


@njit(cache=True, nogil=True)
def _lead(job, mailboxes, count, wanted, post):
    # stage * width + number of a task that raised something, or -1. mailboxes: address of `count` addresses; wanted:
    # most workers to take, of those that nobody has. post: address of sem_post.
    stages, board, line = get(job + 8), get(job + 24), get(job + 32)
    put(job + 40, 0)
    for stage in range(stages):
        row = board + 8 * line * stage
        put(row, 0)
        for i in range(get(row + 8)):
            put(row + 16 + 8 * i, 0)
    for i in range(count):
        mailbox = get(mailboxes + 8 * i)
        if wanted > 0 and exchange(mailbox + 24, 0, job):
            wanted -= 1
            if not exchange(mailbox, LISTENING, job) and get(mailbox + 16) != 0 and exchange(mailbox, ASLEEP, job):
                _post(mailbox, post)
    _work(job, 0)
    for i in range(count):
        mailbox = get(mailboxes + 8 * i)
        if get(mailbox + 24) == job:
            _dismiss(job, mailbox)
    return get(job + 40) - 1


@njit(cache=True, nogil=True)
def _dismiss(job, mailbox):
    # A worker that has not come shall not; one that has is about to leave.
    if not exchange(mailbox, job, LISTENING):
        spins = 0
        while get(mailbox) == BUSY:
            spins = _waited(spins, get(job + 48))
    put(mailbox + 24, 0)


@njit(cache=True, nogil=True)
def _rouse(mailbox):
    return exchange(mailbox, ASLEEP, LISTENING)


@njit(cache=True, nogil=True)
def _post(mailbox, post):
    call_c(post, get(mailbox + 16))


@njit(cache=True, nogil=True)
def _serve(mailbox, number, wait):
    # Take what comes, until told to end; without a semaphore to sleep at, until nothing has come for a while.
    spins, semaphore = 0, get(mailbox + 16)
    most = _LISTENS if semaphore != 0 else _LISTENS_LONG
    while get(mailbox + 8) == 0:
        job = get(mailbox)
        if job > BUSY:
            if exchange(mailbox, job, BUSY):
                _work(job, number)
                put(mailbox, LISTENING)
            spins = 0
        elif job == ASLEEP:
            if semaphore == 0:
                return
            call_c(wait, semaphore)  # a signal may end it early
            spins = 0
        else:
            spins += 1
            if spins > most:
                exchange(mailbox, LISTENING, ASLEEP)
            pause()


@njit(cache=True, nogil=True)
def _work(job, number):
    # Tasks that nobody has claimed, of stage after stage. number: 0 for the leader, whose first tasks always are.
    table, stages, width, board, line = get(job), get(job + 8), get(job + 16), get(job + 24), get(job + 32)
    for stage in range(stages):
        row = board + 8 * line * stage
        if stage > 0 and not _begun(job, row - 8 * line):
            return
        count = get(row + 8)
        first = 0 if number == 0 else 1 + (number - 1) % max(1, count - 1)
        for i in range(count):
            task = (first + i) % count
            if number > 0 and task == 0:
                continue
            claim = row + 16 + 8 * task
            if get(claim) == 0 and exchange(claim, 0, 1):
                if call_at(table + 16 * (width * stage + task)) != 0:
                    put(job + 40, 1 + width * stage + task)
                add(row, 1)


@njit(cache=True, nogil=True)
def _begun(job, row):
    # Waits until all tasks of the stage at `row` have ended: whether all is well.
    spins, count = 0, get(row + 8)
    while get(row) < count:
        if get(job + 40) != 0:
            return False
        spins = _waited(spins, get(job + 48))
    return get(job + 40) == 0


@njit(cache=True, nogil=True)
def _waited(spins, yields):
    # A moment; the count of moments.
    pause()
    if spins >= _SPINS:
        call_c(yields, 0)
        return spins - _SPINS_MORE
    return spins + 1
