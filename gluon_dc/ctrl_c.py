"""Ctrl-C in scripts: one line and exit code 130 at any time, also while libraries are imported.

    if __name__ == "__main__":
        ctrl_c.end_at_once("compress.py")  # before the imports that take long

`report.command.run_command` calls `listen` when the work begins, which has more to say about what is left behind. Only
the standard library is imported here.
"""

import os
import signal
import sys
import threading

STATUS = 130  # what a shell reports of a program that was ended by Ctrl-C
_program = None
_left = ""


def line(program: str, left: str) -> str:
    """What is said at Ctrl-C; left: of the work, "" for nothing. On a terminal "^C" stands there, or a progress bar."""
    line_end = "\n" if sys.stderr is not None and sys.stderr.isatty() else ""
    return f"{line_end}{program}: interrupted{'; ' * bool(left)}{left}\n"


def end_at_once(program: str) -> None:
    """From now on, Ctrl-C writes "PROGRAM: interrupted" to stderr and ends the process with status 130.

    Nothing is done where Ctrl-C is ignored (a shell does that for what it starts in the background) or already has a
    handler that is not Python's own.
    """
    global _program, _left
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _end, _interrupt, _quiet):
        _program, _left = program, ""
        _handle(_end)


def listen(left: str = "") -> None:
    """After `end_at_once`: Ctrl-C is a KeyboardInterrupt again, but in the middle of an import, where it ends the
    process as before: MXNet's own and others' swallow any exception. left: what is said of the work."""
    global _left
    if signal.getsignal(signal.SIGINT) is _end:
        _left = left
        _handle(_interrupt)


def stop_listening() -> None:
    """After `listen`: another Ctrl-C, while the process ends, ends it without a word."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        _handle(_quiet)


def _handle(handler):
    if threading.current_thread() is threading.main_thread():  # others may not
        signal.signal(signal.SIGINT, handler)


def _end(*_):
    # os.write: print might have been interrupted in the middle, and must not be entered twice.
    os.write(2, line(_program, _left).encode(errors="backslashreplace"))
    os._exit(STATUS)


def _interrupt(number, frame):
    if _is_importing(frame):
        _end()
    signal.default_int_handler(number, frame)


def _is_importing(frame):
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _quiet(*_):
    os._exit(STATUS)
