"""Breaks writers at each of their system calls, in a process of its own: `python killed_writers.py FOLDER` prints JSON.

For each writer a child saves over an old file and is stopped, by ptrace, at the n-th entry into or return from a system
call; for every n until the child gets to its end. There it is killed; or, on x86-64, the call it enters does nothing
and returns an error. Linux only.
"""

import ctypes
import errno
import json
import os
import platform
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from gluon_dc.coding import CodedTensor, CompressedModel, pack, write_atomically
from gluon_dc.data import download

NAME = "model.gdc"
# What mkstemp makes of it: 8 letters, digits or underscores; a download says that it is a part.
LEFTOVER = re.compile(re.escape(NAME) + r"\.[a-z0-9_]{8}(\.part|\.tmp)?")
TRACE_ME, POKE_USER, SYSCALL, SET_OPTIONS = 0, 6, 24, 0x4200
EXIT_KILL = 1 << 20
# Offsets in x86-64's struct user: the number of the call that is entered, and what it returns.
ORIG_RAX, RAX = 15 * 8, 10 * 8
NO_CALL = 2**64 - 1
ERRORS = (errno.ENOSPC, errno.EINTR)
MAX_STOPS = 2000
NOT_PERMITTED = 77


def ptrace(request: int, pid: int, data: int = 0, address: int | None = None) -> None:
    """The system call; OSError where it is refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, pid, address, data) == -1:
        raise PermissionError(ctypes.get_errno(), "ptrace is not permitted here")


def ended_at(write, stops: int, error: int = 0) -> tuple[bool, int]:
    """Run write() in a child up to its `stops`-th stop; there kill it or, with an errno, have the call fail.

    Returns whether it got that far, and the status it ended with, as from os.waitpid.
    """
    pid = os.fork()
    if pid == 0:
        _be_traced(write)
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NOT_PERMITTED:
        raise PermissionError("ptrace is not permitted here")
    ptrace(SET_OPTIONS, pid, EXIT_KILL)
    for _ in range(stops):
        status = _next_stop(pid)
        if not os.WIFSTOPPED(status):
            return False, status
    if error:
        ptrace(POKE_USER, pid, NO_CALL, ORIG_RAX)
        status = _next_stop(pid)
        if os.WIFSTOPPED(status):
            ptrace(POKE_USER, pid, 2**64 - error, RAX)
        while os.WIFSTOPPED(status):
            status = _next_stop(pid, os.WSTOPSIG(status))
        return True, status
    os.kill(pid, signal.SIGKILL)
    return True, os.waitpid(pid, 0)[1]


def _next_stop(pid: int, number: int = signal.SIGTRAP) -> int:
    # Go on to the next stop or end, with the signal that the child stopped for unless it is ptrace's own.
    ptrace(SYSCALL, pid, 0 if number == signal.SIGTRAP else number)
    return os.waitpid(pid, 0)[1]


def _be_traced(write) -> None:
    # Does not return.
    try:
        ptrace(TRACE_ME, 0)
    except OSError:
        os._exit(NOT_PERMITTED)
    try:
        os.kill(os.getpid(), signal.SIGSTOP)
        write()
        os._exit(0)
    except BaseException:
        os._exit(1)


def outcomes(write, old: bytes, new: bytes, folder: Path, error: int = 0) -> dict:
    """What the file is after each stop, what else is in the folder, and where success was told untruly."""
    path, found, leftovers, strange, untrue = folder / NAME, [], 0, [], []
    # With an error only the entries: calls and returns take turns.
    for stops in range(1, MAX_STOPS, 2 if error else 1):
        path.write_bytes(old)
        is_there, status = ended_at(write, stops, error)
        content = path.read_bytes() if path.exists() else None
        found.append("old" if content == old else "new" if content == new else "broken")
        untrue += [stops] if status == 0 and found[-1] != "new" else []
        for other in set(os.listdir(folder)) - {NAME}:
            leftovers += 1
            strange += [] if LEFTOVER.fullmatch(other) else [other]
            (folder / other).unlink()
        if not is_there:
            break
    return {"outcomes": Counter(found), "first_new": found.index("new"), "last": found[-1], "leftovers": leftovers,
            "strange": strange, "untrue": untrue}


def model(seed: int) -> CompressedModel:
    """A small one."""
    codes = np.random.default_rng(seed).integers(0, 4, (5, 6)).astype(np.uint8)
    return CompressedModel({"0.weight": pack(CodedTensor(np.arange(4, dtype=np.float32), codes))})


def writers(path: Path) -> dict:
    """Name -> (function that writes the new content to path, old bytes, new bytes)."""
    old, new = b"old" * 100, b"new" * 1000

    def in_pieces(file):
        for begin in range(0, len(new), 1000):
            file.write(new[begin:begin + 1000])
            file.flush()

    return {
        "save": (lambda: model(1).save(path), model(0).dumps(), model(1).dumps()),
        "write_atomically": (lambda: write_atomically(path, in_pieces), old, new),
        "download": (lambda: download._write_atomically(path, new), old, new),
    }


def main(argv) -> None:
    """Print {writer: outcomes}, or {"refused": why} where processes may not be traced."""
    folder = Path(argv[0])
    result = {}
    try:
        for name, (write, old, new) in writers(folder / NAME).items():
            write()  # imports and caches, so that the children do not fill them
            result[f"{name}, killed"] = outcomes(write, old, new, folder)
            for number in ERRORS if platform.machine() == "x86_64" else ():
                result[f"{name}, {errno.errorcode[number]}"] = outcomes(write, old, new, folder, number)
    except PermissionError as error:
        result = {"refused": str(error)}
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
