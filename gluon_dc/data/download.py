"""Fetching one file from the first mirror that has it, quickly given up and never left half written."""

import contextlib
import http.client
import os
import queue
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

CONNECT_TIMEOUT_S = 5.0
TRANSFER_TIMEOUT_S = 120.0
CHUNK_NBYTES = 2**16


class DownloadError(OSError):
    """No mirror gave the file, or it could not be stored; the message is one line with each mirror's reason."""


def fetch(urls, path, check, max_nbytes, timeout_s=CONNECT_TIMEOUT_S):
    """Store at path the bytes of the first of urls that pass `check`, atomically.

    check: called with the bytes, raises ValueError to reject them. max_nbytes: the longest body to accept.
    timeout_s: seconds to wait for each mirror's answer, and for each further piece of its body.
    Raises DownloadError when every mirror failed or path cannot be written; path is then as it was before.
    """
    hosts_by_problem = {}
    for url in urls:
        try:
            data = _read(url, max_nbytes, timeout_s)
            check(data)
        except (OSError, ValueError, http.client.HTTPException) as error:
            hosts_by_problem.setdefault(_one_line(error), []).append(urlsplit(url).hostname)
            continue
        _write_atomically(Path(path), data)
        return
    problems = "; ".join(f"{', '.join(hosts)}: {problem}" for problem, hosts in hosts_by_problem.items())
    raise DownloadError(f"cannot download {Path(path).name} ({problems})")


def _read(url, max_nbytes, timeout_s):
    deadline_s = time.monotonic() + TRANSFER_TIMEOUT_S
    data = bytearray()
    with _open(url, timeout_s) as response:
        while chunk := response.read1(CHUNK_NBYTES):
            data += chunk
            if len(data) > max_nbytes:
                raise ValueError(f"sends more than {max_nbytes:,} bytes")
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not finished within {TRANSFER_TIMEOUT_S:g} s")
    return bytes(data)


def _open(url, timeout_s):
    # urlopen's own timeout counts neither name resolution nor each further address of a host, so its time
    # is taken outside, on a thread that cannot keep the process alive.
    answers = queue.SimpleQueue()

    def attempt():
        try:
            answers.put(urllib.request.urlopen(url, timeout=timeout_s))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError(f"no answer within {timeout_s:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _write_atomically(path, data):
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        part = None
    except OSError as error:
        raise DownloadError(f"cannot write {path} ({_one_line(error)})") from error
    finally:
        if part is not None:
            with contextlib.suppress(OSError):  # gone, if an interrupt came right after the replacement
                os.unlink(part)


def _one_line(error):
    # URLError wraps what happened, as an exception or as text.
    return " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
