"""Stages of tasks, and programs of them whose arguments are taken apart once."""

import threading
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from gluon_dc.runtime import tasks, unboxed
from gluon_dc.runtime.scratch import Scratch, own_scratch
from gluon_dc.runtime.tasks import Program, Task, run_stages, shared, shares


class Pair(NamedTuple):
    number: int
    values: np.ndarray


@njit(cache=True, nogil=True)
def _mix(out, pair, factor, flag, more, begin, end):
    for i in range(begin, end):
        out[i] = (pair.values[i] * factor + pair.number if flag else more[0][i, 1]) + more[1]


@njit(cache=True, nogil=True)
def _double(x, begin, end):
    for i in range(begin, end):
        x[i] *= 2


@njit(cache=True, nogil=True)
def _refuse(x, begin, end):
    if x[0] > 0:
        raise ArithmeticError("above zero")


def mixed(flag, n=7):
    """(Task, its output, what it must give)."""
    out, values, matrix = np.zeros(n, np.float32), np.arange(n, dtype=np.float32), np.ones((n, 3)) * 5
    task = Task(_mix, (out, Pair(-3, values), np.float32(0.5), flag, (matrix, 2.25)), 0, n)
    return task, out, values / 2 - 3 + 2.25 if flag else np.full(n, 7.25)


def test_shares():
    assert shares(10, 3) == [(0, 3), (3, 6), (6, 10)] and shares(0, 4) == [] and shares(2, 8) == [(0, 1), (1, 2)]
    assert shared(_double, lambda share: (share,), 0, 2) == []
    assert shared(_double, lambda share: (share,), 3, 2) == [(Task(_double, (0,), 0, 1), Task(_double, (1,), 1, 3))]


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("run", [run_stages, lambda stages: Program(stages)()])
def test_all_kinds_of_arguments(flag, run):
    task, out, expected = mixed(flag)
    run([(task,)])
    np.testing.assert_allclose(out, expected)


def test_arguments_are_really_taken_apart():
    # Else every call would go through the dispatcher, rightly but slowly: a new numba may bring that.
    task, _, _ = mixed(True)
    assert unboxed.unboxed(task.kernel, (*task.arguments, task.begin, task.end)) is not None


def test_a_program_reads_its_arrays_when_it_runs():
    x = np.ones(4, np.float32)
    program = Program([(Task(_double, (x,), 0, 3),)] * 2 + [(lambda: x.__iadd__(1),), (Task(_double, (x,), 0, 4),)])
    program()
    assert x.tolist() == [10, 10, 10, 4]
    x[:] = 0
    program()
    assert x.tolist() == [2, 2, 2, 2]


def test_shares_of_a_stage_run_at_the_same_time():
    meet, x = threading.Barrier(2, timeout=20), np.ones(4, np.float32)
    Program([(meet.wait, meet.wait), (Task(_double, (x,), 0, 2), Task(_double, (x,), 2, 4))])()
    assert x.tolist() == [2, 2, 2, 2]


def test_a_program_keeps_its_arrays():
    def made():
        return Program([(Task(_double, (np.ones(1000, np.float32),), 0, 1000),)])
    programs = [made() for _ in range(20)]
    kept = [np.full(1000, 7, np.float32) for _ in range(40)]
    for program in programs:
        program()
    assert all((array == 7).all() for array in kept)


@pytest.mark.parametrize("others", [0, 1])
def test_what_a_kernel_raises_comes_through(others):
    x = np.ones(2, np.float32)
    program = Program([(Task(_double, (x,), 0, 2),), (Task(_refuse, (x,), 0, 2),) * (1 + others)])
    with pytest.raises(ArithmeticError, match="above zero"):
        program()
    x[:] = -1
    program()
    assert x.tolist() == [-2, -2]


def test_without_the_fast_path_the_dispatcher_is_called(monkeypatch):
    def changed(*args):
        raise AttributeError("numba has changed")
    monkeypatch.setattr(unboxed, "_thunk", changed)
    task, out, expected = mixed(True)
    program = Program([(task,), (task, task)])
    assert not any(isinstance(call, tasks._Batch) for call in program._calls)
    program()
    np.testing.assert_allclose(out, expected)


def test_arguments_of_other_types_are_left_to_the_dispatcher():
    assert unboxed.unboxed(_nothing, ("text", 0, 1)) is None and unboxed.unboxed(len, ([],)) is None
    Program([(Task(_nothing, ("text",), 0, 1),)])()


@settings(deadline=None, max_examples=20)
@given(number=st.integers(-2**63, 2**63 - 1), factor=st.floats(width=32), more=st.floats())
def test_numbers_keep_their_bits(number, factor, more):
    results = []
    for run in (run_stages, lambda stages: Program(stages)()):
        out = np.zeros(1, np.float64)
        run([(Task(_numbers, (out, number, np.float32(factor), more), 0, 1),)])
        results.append(out.view(np.int64).tolist())
    assert results[0] == results[1]


@njit(nogil=True)
def _nothing(text, begin, end):
    pass


@njit(nogil=True)
def _numbers(out, number, factor, more, begin, end):
    out[0] = number + factor * more


class TestScratch:
    def test_is_kept_and_grows(self):
        own = Scratch()
        first = own("a", 100)
        assert own("a", 50) is first and first.size == 128 and first.ctypes.data % 64 == 0
        assert own("b", 50) is not first and own("a", 100, share=1) is not first
        assert own("a", 129).size == 256 and own("a", 0).size == 256 and Scratch()("a", 0).size == 1

    def test_large_ones_of_a_thread_are_given_back(self):
        own = Scratch(most=100)
        large = own("a", 101)
        assert large.size == 101 and own("a", 101) is not large

    def test_what_was_made_counts_up_to_the_limit(self):
        own = Scratch(limit=4 * (128 + 256))
        own("a", 100)
        own("a", 120)
        assert own.nbytes == 4 * 128
        with pytest.raises(ValueError, match=r"^layers work in buffers of 2,560 bytes, beside the activations there is "
                                             "room for 1,536: run fewer inputs at a time, or raise max_nbytes$"):
            own("b", 512)
        own("a", 129)  # the first one is still in use by layers before
        assert own.nbytes == 4 * (128 + 256)
        with pytest.raises(ValueError, match="buffers of 1,540 bytes"):
            own("a", 1, share=1)

    def test_each_thread_has_its_own(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(own_scratch()("a", 10)))
        thread.start()
        thread.join()
        assert found[0] is not own_scratch()("a", 10) and own_scratch()("a", 10) is own_scratch()("a", 10)
