"""Says that kernels are being compiled: the first session after an installation takes up to a minute for that."""

import logging
import sys
import threading
import time
from contextlib import contextmanager

_LOG = logging.getLogger("gluon_dc")
_AFTER_SECONDS = 2.0
_lock, _active = threading.RLock(), []


@contextmanager
def compiling_shown(stream=None):
    """Within the block, compilation of more than two seconds is told: a line at stderr where that is a terminal, and
    to the logger "gluon_dc" (INFO). Blocks may be nested, and entered by several threads.

    stream: in place of stderr.
    """
    with _lock:
        is_first = not _active
        _active.append(None)
        notice = _Notice(sys.stderr if stream is None else stream) if is_first else None
        found = notice is not None and notice.listen()
    try:
        yield
    finally:
        with _lock:
            _active.pop()
        if found:
            notice.close()


class _Notice:
    # Listens to numba: compilations may lie in one another.
    def __init__(self, stream):
        self._stream, self._depth, self._kernels = stream, 0, 0
        self._begun, self._seconds, self._timer, self._shown = 0.0, 0.0, None, False

    def listen(self):
        """Whether numba tells what it compiles."""
        try:
            from numba.core import event
            notice = self

            class Listener(event.Listener):
                def on_start(self, event):
                    notice.started()

                def on_end(self, event):
                    notice.ended()
            self._unregister, self._listener = event.unregister, Listener()
            event.register("numba:compile", self._listener)
        except (ImportError, AttributeError, TypeError):  # another numba
            return False
        return True

    def started(self):
        with _lock:
            self._depth += 1
            if self._depth == 1:
                self._kernels, self._begun = self._kernels + 1, time.monotonic()
                if not self._shown:
                    self._timer = threading.Timer(max(0.0, _AFTER_SECONDS - self._seconds), self._show)
                    self._timer.daemon = True
                    self._timer.start()

    def ended(self):
        with _lock:
            self._depth -= 1
            if self._depth == 0:
                self._seconds += time.monotonic() - self._begun
                self._stop()

    def close(self):
        """Stop listening; what it took."""
        self._unregister("numba:compile", self._listener)
        with _lock:
            self._stop()
            if self._shown:
                self._say(f"compiled {self._kernels} kernels in {self._seconds:.0f} s; they are kept for the next time")

    def _stop(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _show(self):
        with _lock:
            if not self._shown and self._timer is not None:
                self._shown = True
                self._say("compiling kernels for this machine, once: up to a minute")

    def _say(self, text):
        _LOG.info(text)
        if not self._stream.isatty():
            return
        try:
            from tqdm import tqdm
            tqdm.write(text, file=self._stream)  # above a bar that stands there
        except ImportError:
            print(text, file=self._stream, flush=True)
