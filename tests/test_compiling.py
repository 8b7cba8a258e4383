"""Compilation that takes long is told, on a terminal and to the log."""

import io
import logging
import time

import pytest
from numba.core import event

from gluon_dc.runtime import compiling
from gluon_dc.runtime.compiling import compiling_shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def compile_for(seconds):
    with event.trigger_event("numba:compile"), event.trigger_event("numba:compile"):
        time.sleep(seconds)


@pytest.mark.parametrize("stream, is_told", [(Terminal(), True), (io.StringIO(), False)])
def test_long_ones_are_told_once(stream, is_told, monkeypatch, caplog):
    monkeypatch.setattr(compiling, "_AFTER_SECONDS", 0.05)
    with caplog.at_level(logging.INFO, "gluon_dc"), compiling_shown(stream), compiling_shown():
        compile_for(0.2)
        compile_for(0.1)
    lines = ["compiling kernels for this machine, once: up to a minute",
             "compiled 2 kernels in 0 s; they are kept for the next time"]
    assert caplog.messages == lines
    assert stream.getvalue() == ("\n".join(lines) + "\n" if is_told else "")


def test_several_short_ones_are_long_together(monkeypatch):
    monkeypatch.setattr(compiling, "_AFTER_SECONDS", 0.1)
    stream = Terminal()
    with compiling_shown(stream):
        for _ in range(4):
            compile_for(0.05)
    assert "compiled" in stream.getvalue()


def test_short_ones_and_none_are_not(monkeypatch):
    stream = Terminal()
    with compiling_shown(stream):
        compile_for(0.01)
    monkeypatch.setattr(compiling, "_AFTER_SECONDS", 0.0)
    compile_for(0.01)  # outside
    with compiling_shown(stream):
        pass
    assert stream.getvalue() == ""


def test_another_numba_is_no_error(monkeypatch):
    monkeypatch.delattr(event, "register")
    with compiling_shown(Terminal()):
        pass
    assert not compiling._active
