"""Pick from a grown corpus the few short inputs that together reach what all of it reaches."""

import sys
from pathlib import Path

import gluon_dc

from .corpus import MAX_INPUT_NBYTES, MAX_INPUTS, SEEDS, read_corpus, write_corpus
from .faults import Fault, run_check
from .targets import TARGETS

ROOT = str(Path(gluon_dc.__file__).parent)


def keep(name: str, folder: Path) -> int:
    """Write tests/fuzz/corpus/NAME.hex from what is there and in `folder`. Returns 0."""
    inputs = read_corpus(name) + [path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()]
    short = sorted({data for data in inputs if len(data) <= MAX_INPUT_NBYTES}, key=lambda data: (len(data), data))
    chosen = pick(TARGETS[name], SEEDS[name](), short)
    path = write_corpus(name, chosen)
    print(f"{path}: {len(chosen)} inputs of {len(short)}, {sum(map(len, chosen)):,} bytes")
    return 0


def pick(target, known: list[bytes], inputs: list[bytes]) -> list[bytes]:
    """Those of the inputs, first come, first served, that step from one line to another as none before; MAX_INPUTS
    with the most such steps. `known` inputs count as there already."""
    reached = set().union(*(steps(target, data) for data in known))
    new = []
    for data in inputs:
        fresh = steps(target, data) - reached
        if fresh:
            reached |= fresh
            new.append((len(fresh), data))
    return [data for _, data in sorted(new, reverse=True)[:MAX_INPUTS]]


def steps(target, data: bytes) -> set[tuple]:
    """The (file, line, next line) of the library's Python that a check of the input runs through."""
    found, last = set(), {}

    def trace_lines(frame, event, _):
        key = id(frame)
        found.add((frame.f_code.co_filename, last.get(key, 0), frame.f_lineno))
        last[key] = frame.f_lineno
        return trace_lines

    def trace_calls(frame, event, _):
        last[id(frame)] = 0
        return trace_lines if frame.f_code.co_filename.startswith(ROOT) else None

    sys.settrace(trace_calls)
    try:
        run_check(target, data)
    except Fault:
        pass  # those are kept, too
    finally:
        sys.settrace(None)
    return found
