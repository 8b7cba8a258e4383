"""What counts as a fault: any error but the documented one, too much memory, too much time."""

import os
import resource
import threading
import time
from contextlib import contextmanager

# An input is a few hundred bytes and may declare a few thousand elements, so this is plenty.
MEMORY_HEADROOM_NBYTES = 2**28
# Kernels as Python are a hundred times slower.
SLOW_S = 60.0 if os.environ.get("NUMBA_DISABLE_JIT") == "1" else 5.0
HANG_S = 120.0


class Fault(AssertionError):
    """A reader did what it must not do with some bytes; the message says what."""


def expect(condition, message: str) -> None:
    """Fault(message) unless the condition holds; unlike assert, also under -O."""
    if not condition:
        raise Fault(message)


@contextmanager
def memory_limit(headroom_nbytes: int = MEMORY_HEADROOM_NBYTES):
    """Let the process take at most `headroom_nbytes` more address space: beyond, MemoryError shows in the reader.

    Does nothing where /proc is missing.
    """
    try:
        with open("/proc/self/statm") as file:
            taken_nbytes = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken_nbytes + headroom_nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run_check(target, data: bytes) -> bool:
    """Run a target on one input. Returns whether the reader took it; Fault for whatever it must not do.

    The reader's own, documented error means that it refused the input, which is right.
    """
    started_s = time.monotonic()
    try:
        # For each input anew: libFuzzer's own memory grows.
        with memory_limit():
            target.check(data)
        accepted = True
    except Fault:
        raise
    except target.refusal:
        accepted = False
    except Exception as error:
        raise Fault(f"{type(error).__name__}: {error}") from error
    taken_s = time.monotonic() - started_s
    if taken_s > SLOW_S:
        raise Fault(f"took {taken_s:.1f} s, expected at most {SLOW_S:g} s")
    return accepted


class Watchdog:
    """Ends the process when one input takes longer than HANG_S, after `on_hang(input)`; for loops nothing gets out of.

    Kernels release the GIL, so a thread can watch them.
    """

    def __init__(self, on_hang):
        self.data, self.since_s = b"", None
        self._on_hang = on_hang
        threading.Thread(target=self._watch, daemon=True).start()

    @contextmanager
    def over(self, data: bytes):
        """Watch the block, which works on `data`."""
        self.data, self.since_s = data, time.monotonic()
        try:
            yield
        finally:
            self.since_s = None

    def _watch(self):
        while True:
            time.sleep(1)
            since_s = self.since_s
            if since_s is not None and time.monotonic() - since_s > HANG_S:
                self._on_hang(self.data)
                os._exit(3)
