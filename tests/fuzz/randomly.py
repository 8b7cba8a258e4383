"""Fuzzing without atheris: the corpus, then random mutations of it; the same inputs for the same seed."""

import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

from .corpus import inputs_of
from .faults import Fault, Watchdog, run_check
from .graph_mutator import mutate_graph, mutate_json
from .mutator import mutate, mutate_gdc, mutate_idx
from .targets import TARGETS

REPORT_EVERY_S = 60.0
MUTATORS = {"loads": mutate_gdc, "idx": mutate_idx, "graph": mutate_graph, "choices": mutate_json}


def mutants(name: str, seed: int):
    """Endlessly: the inputs of a target, then mutants of them."""
    inputs = inputs_of(name)
    yield from inputs
    rng, mutator = random.Random(seed), MUTATORS.get(name, mutate)
    while True:
        yield mutator(rng, rng.choice(inputs), inputs)


def run_random(name: str, folder: Path, seconds: float, seed: int, runs: int = -1, out=None) -> int:
    """Try mutants for some seconds or a number of runs. Prints counts; what is found goes to folder/fault-SHA1.

    Returns 1 where anything was found, else 0.
    """
    out = out or sys.stderr
    watchdog = Watchdog(lambda data: _keep(folder, "hang", data, "took too long", out))
    warm_up(name)
    started_s = shown_s = time.monotonic()
    accepted = tried = found = 0
    for tried, data in enumerate(mutants(name, seed), 1):
        try:
            with watchdog.over(data):
                accepted += run_check(TARGETS[name], data)
        except Fault as fault:
            found += 1
            _keep(folder, "fault", data, "".join(traceback.format_exception(fault)), out)
        now_s = time.monotonic()
        is_over = now_s - started_s >= seconds or tried == runs
        if is_over or now_s - shown_s >= REPORT_EVERY_S:
            shown_s = now_s
            print(f"{name}: {tried:,} inputs in {now_s - started_s:.0f} s, {accepted:,} accepted, {found} faults, "
                  f"seed {seed}", file=out, flush=True)
        if is_over:
            return int(found > 0)


def warm_up(name: str) -> None:
    """Let the target compile what it needs, so that no input looks slow, or large, for that."""
    for data in inputs_of(name):
        try:
            TARGETS[name].check(data)
        except Exception:  # comes again, where it is told
            pass


def replay(name: str, paths) -> int:
    """Run single inputs. Prints what each does; 1 where any is a fault."""
    found = 0
    for path in paths:
        try:
            outcome = "accepted" if run_check(TARGETS[name], path.read_bytes()) else "refused, as it should be"
        except Fault:
            found, outcome = 1, traceback.format_exc()
        print(f"{path}: {outcome}")
    return found


def _keep(folder: Path, kind: str, data: bytes, why: str, out) -> None:
    path = folder / f"{kind}-{hashlib.sha1(data).hexdigest()}"
    path.write_bytes(data)
    print(f"{why}\n{path}: {len(data)} bytes: {data[:200].hex()}", file=out, flush=True)
