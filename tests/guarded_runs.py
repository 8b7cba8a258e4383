"""Run by test_symbol_runs.py in a process of its own: the kernels on arrays at the edge of memory they may not touch.

An access outside an array then ends the process (SIGSEGV), where elsewhere it would pass unseen. Linux and macOS.
"""

import ctypes
import mmap
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from gluon_dc.coding import huffman
from gluon_dc.coding.symbol_runs import (STREAMS, WORD, decode_fours, decode_run, encode_runs, lookup_table,
                                         pair_table)

PAGE = mmap.PAGESIZE
NBYTES = 4 * PAGE
NO_ACCESS = 0
CODES = [
    np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12], np.uint8), huffman.flat_lengths(2),
    huffman.flat_lengths(256), huffman.code_lengths([900, 30, 20, 5, 0, 1, 1]),
]


def main(trials):
    """Random and valid streams, at either end of the memory; nothing is printed, an exit code of 0 is the result."""
    rng = np.random.default_rng(0)
    memory = [guarded() for _ in range(2)]
    for trial in range(trials):
        lengths = CODES[trial % len(CODES)]
        sizes = [rng.integers(0, most + 1, STREAMS) for most in rng.choice([2, 40, 300, 1000], 2)]
        symbols = [rng.choice(np.flatnonzero(lengths), n).astype(np.uint8) for n in sizes[0]]
        streams = [rng.bytes(n) for n in sizes[1]]
        if trial % 3:
            streams = [encoded(part, lengths, memory[0]) for part in symbols]
        decoded(streams, symbols, lengths, memory, at_end=trial % 2 == 0, valid=trial % 3 > 0)


def guarded():
    """uint8 (NBYTES,) between two pages that nobody may read or write."""
    whole = np.frombuffer(mmap.mmap(-1, NBYTES + 2 * PAGE), np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for page in (whole[:PAGE], whole[-PAGE:]):
        if protect(page.ctypes.data, PAGE, NO_ACCESS):
            raise OSError(ctypes.get_errno(), "mprotect failed")
    return whole[PAGE:-PAGE]


def encoded(symbols, lengths, memory):
    """The stream, written to room that ends where the memory ends."""
    room = -(-int(lengths[symbols].sum(dtype=int)) // 8) + WORD
    nbytes = np.empty(1, np.int64)
    symbols.flags.writeable = False
    encode_runs(symbols, np.array([0, symbols.size]), pair_table(lengths), memory[memory.size - room:], nbytes)
    assert nbytes[0] == room - WORD
    return memory[memory.size - room:memory.size - WORD].tobytes()


def decoded(streams, symbols, lengths, memory, at_end, valid):
    """Decode the streams together and one by one, input and output at one end of the memory each."""
    bytes_at, symbols_at = (np.cumsum([0, *map(len, parts)]).astype(np.uint64) for parts in (streams, symbols))
    data, out = (part[part.size - int(n[-1]):] if at_end else part[:int(n[-1])]
                 for part, n in zip(memory, (bytes_at, symbols_at)))
    data[:] = np.frombuffer(b"".join(streams), np.uint8)
    data = data.view()
    data.flags.writeable = False
    table = lookup_table(lengths)
    found = decode_fours(data, bytes_at, table, lengths, out, symbols_at, 0, STREAMS)
    assert not valid or (found == -1 and np.array_equal(out, np.concatenate(symbols)))
    for i in range(STREAMS):
        decode_run(data, bytes_at[i], bytes_at[i + 1], table, lengths, out, symbols_at[i], symbols_at[i + 1])


if __name__ == "__main__":
    main(int(sys.argv[1]))
