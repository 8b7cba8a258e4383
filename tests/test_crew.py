"""Threads that meet at counters in compiled code: order of stages, shares, failures, many programs at a time."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from gluon_dc.runtime import crew
from gluon_dc.runtime.atomics import get, put
from gluon_dc.runtime.tasks import Program, Task


@njit(cache=True, nogil=True)
def _sum_up(source, dest, begin, end):
    # Each place takes the sum of all: what another share of the stage before has not written yet would show.
    total = 0
    for i in range(source.size):
        total += source[i]
    for i in range(begin, end):
        dest[i] = (total + i) % 1009


@njit(cache=True, nogil=True)
def _meet(words, most, begin, end):
    # Waits until another thread has counted too. words: address of int64 (4,).
    put(words + 8 * begin, 1)
    for _ in range(most):
        if get(words) + get(words + 8) == 2:
            put(words + 16 + 8 * begin, 1)
            return


@njit(cache=True, nogil=True)
def _refuse(x, begin, end):
    if x[begin] > 0:
        raise ArithmeticError("above zero")
    x[begin] -= 1


@pytest.fixture
def processors(monkeypatch):
    """A crew of this test's own, of so many workers as asked for."""
    made = []

    def use(count):
        monkeypatch.setattr(crew, "core_count", lambda: count)
        made.append(crew._Crew())
        monkeypatch.setattr(crew, "_crew", lambda: made[-1])
    yield use
    for one in made:
        one.close()


def chain(widths, size):
    """(Program of stages of so many shares, its input, its output, what it must give)."""
    arrays = [np.zeros(size, np.int64) for _ in range(len(widths) + 1)]
    stages = []
    for number, width in enumerate(widths):
        edges = np.linspace(0, size, width + 1).astype(int).tolist()
        stages.append(tuple(Task(_sum_up, (arrays[number], arrays[number + 1]), *pair)
                            for pair in zip(edges, edges[1:])))

    def expected():
        values = arrays[0]
        for _ in widths:
            values = (values.sum() + np.arange(size)) % 1009
        return values
    return Program(stages), arrays[0], arrays[-1], expected


def two_meet():
    """Whether two shares of a stage ran at the same time."""
    words = np.zeros(4, np.int64)
    Program([tuple(Task(_meet, (words.ctypes.data, 2**30), share, share + 1) for share in range(2))])()
    return words[2] == words[3] == 1


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@given(widths=st.lists(st.integers(1, 5), min_size=1, max_size=12), size=st.integers(1, 40))
@settings(deadline=None, max_examples=15)
def test_each_stage_sees_all_of_the_one_before(count, widths, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crew, "core_count", lambda: count)
        own = crew._Crew()
        patch.setattr(crew, "_crew", lambda: own)
        try:
            program, source, out, expected = chain(widths, size)
            for run in range(5):
                source[:] = np.arange(size) * run
                program()
                np.testing.assert_array_equal(out, expected())
        finally:
            own.close()


def test_shares_run_at_the_same_time(processors):
    processors(2)
    assert any(two_meet() for _ in range(9))


def test_alone_all_shares_run_one_after_another(processors):
    processors(1)
    program, source, out, expected = chain([3, 1, 2], 12)
    source[:] = 5
    program()
    np.testing.assert_array_equal(out, expected())


def test_programs_at_the_same_time_wait_for_no_worker_that_another_has(processors):
    processors(3)
    chains, wrong = [chain([4, 1, 4, 4] * 5, 30) for _ in range(6)], []

    def run(one):
        program, source, out, expected = one
        for number in range(200):
            source[:] = number
            program()
            if not np.array_equal(out, expected()):
                wrong.append(number)
    threads = [threading.Thread(target=run, args=(one,)) for one in chains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("bad", [0, 1])
def test_what_a_share_raises_comes_through_and_later_stages_do_not_run(processors, count, bad):
    processors(count)
    x, later = np.zeros(2), np.zeros(2)
    x[bad] = 1
    program = Program([(Task(_refuse, (x,), 0, 1), Task(_refuse, (x,), 1, 2)), (Task(_refuse, (later,), 0, 1),) * 2])
    with pytest.raises(ArithmeticError, match="above zero"):
        program()
    assert (later == 0).all()
    x[:] = 0
    program()
    assert later[0] == -2


@pytest.fixture(params=["semaphore", "queue"])
def sleeping(request, processors, monkeypatch):
    """(a program of two threads, its worker, which sleeps)."""
    if request.param == "queue":  # as on systems without POSIX semaphores
        monkeypatch.setattr(crew, "new_semaphore", lambda: None)
    elif crew.new_semaphore() is None:
        pytest.skip("no semaphores here")
    processors(2)
    one = chain([2, 2], 8)
    one[0]()
    worker, = crew._crew()._all
    wait_until_asleep(worker)
    return one, worker


def wait_until_asleep(worker):
    for _ in range(4000):
        if worker._mailbox[0] == crew.ASLEEP:
            return
        time.sleep(0.005)
    raise AssertionError("does not sleep")


def test_workers_sleep_when_nothing_comes_and_wake_again(sleeping):
    _, worker = sleeping
    for _ in range(3):
        assert any(two_meet() for _ in range(9))  # it has come; a busy machine may let it come late
        wait_until_asleep(worker)


def test_a_worker_that_has_not_come_cannot_come_later(sleeping):
    # It would work on arrays that are gone.
    (program, source, out, expected), worker = sleeping
    source[:] = 7
    with pytest.MonkeyPatch.context() as patch:  # the leader takes it for awake, and wakes nobody
        worker._mailbox[0] = crew.LISTENING
        patch.setattr(crew, "address_of", lambda name: 0)
        program()
    np.testing.assert_array_equal(out, expected())
    assert worker._mailbox[0] == crew.LISTENING


def test_a_worker_that_another_has_is_not_taken(sleeping):
    (program, source, out, expected), worker = sleeping
    worker._mailbox[3] = 64  # the address of a job
    source[:] = 5
    program()
    np.testing.assert_array_equal(out, expected())
    assert worker._mailbox[3] == 64 and not two_meet()
    worker._mailbox[3] = 0
    assert any(two_meet() for _ in range(9)) and worker._mailbox[3] == 0


def test_where_no_thread_can_be_started(processors, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")
    processors(4)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(2):
        program, source, out, expected = chain([3, 2], 9)
        source[:] = 4
        program()
        np.testing.assert_array_equal(out, expected())
    assert crew._crew()._all == []


def test_a_closed_crew_has_no_threads(sleeping):
    (program, source, out, expected), worker = sleeping
    crew._crew().close()
    assert not worker._thread.is_alive()
    source[:] = 2
    program()
    np.testing.assert_array_equal(out, expected())


_FORKED = """
import os, sys
sys.path.insert(0, sys.argv[1])
import test_crew as t
program, source, out, expected = t.chain([2, 2, 1, 2], 16)
program()
child = os.fork()
source[:] = 9 if child else 8
program()
assert (out == expected()).all()
if not child:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
_INTERRUPTED = """
import sys, time
sys.path.insert(0, sys.argv[1])
import test_crew as t
program, *_ = t.chain([2, 2], 20)
assert t.crew.core_count() == 1 or any(t.two_meet() for _ in range(9))
print("begun", flush=True)
for _ in range(20):
    try:
        while True:
            program()
    except KeyboardInterrupt:
        print("caught", flush=True)
assert t.crew.core_count() == 1 or any(t.two_meet() for _ in range(9)), "the worker is lost"
print("ended", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_there_are_new_workers():
    subprocess.run([sys.executable, "-c", _FORKED, os.path.dirname(__file__)], check=True, timeout=60)


def test_interrupts_get_in_and_lose_no_worker():
    process = subprocess.Popen([sys.executable, "-c", _INTERRUPTED, os.path.dirname(__file__)], text=True,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == "begun\n"
    for _ in range(20):
        time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "caught\n"
    assert process.communicate(timeout=30)[0] == "ended\n" and process.returncode == 0
