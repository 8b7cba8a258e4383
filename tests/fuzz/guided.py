"""Coverage-guided fuzzing with atheris (libFuzzer for Python).

It sees what Python runs. With NUMBA_DISABLE_JIT=1 that is all, the kernels too: slow, for the coders themselves.
Otherwise it is all but the kernels: fast, for the formats around them.
"""

import os
import random
import sys
from pathlib import Path
from types import FunctionType

import atheris

from .corpus import inputs_of
from .faults import HANG_S, run_check
from .mutator import MAX_NBYTES
from .randomly import MUTATORS, warm_up
from .targets import TARGETS

# Modules whose steps are followed. Of the runtime not those whose functions numba compiles, or calls while it does.
READERS = ("gluon_dc.coding", "gluon_dc.data", "gluon_dc.models.net_format", *(f"gluon_dc.runtime.{name}" for name in (
    "graph", "shapes", "attributes", "arguments", "reshaping", "lowering", "buffers", "operations", "operators",
    "layer_calls", "plan", "session", "weights", "choice", "forms")))


def run_guided(name: str, folder: Path, seconds: int, seed: int, runs: int) -> None:
    """Fuzz one target. Does not return: libFuzzer ends the process, with code 0 where nothing was found.

    folder: gets the growing corpus in folder/TARGET, and what is found as folder/crash-*, timeout-* or oom-*.
    """
    warm_up(name)
    for function in functions_of(*READERS):
        atheris.instrument_func(function)
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    inputs = inputs_of(name)
    for number, data in enumerate(inputs):
        (corpus / f"seed-{number:03d}").write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_NBYTES}", f"-timeout={int(HANG_S)}", f"-seed={seed}",
               "-rss_limit_mb=4096", f"-artifact_prefix={folder}{os.sep}", f"-runs={runs}", "-print_final_stats=1"]
    extra = {}
    if name in MUTATORS:
        def mutator(data, max_nbytes, mutator_seed):
            rng = random.Random(mutator_seed)
            if rng.random() < 0.3:
                return atheris.Mutate(data, max_nbytes)
            return MUTATORS[name](rng, bytes(data), inputs)[:max_nbytes]
        extra = {"custom_mutator": mutator}
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: run_check(TARGETS[name], data) and None, **extra)
    atheris.Fuzz()


def functions_of(*prefixes: str) -> list[FunctionType]:
    """The Python functions and methods of all imported modules whose name begins with one of the prefixes.

    Not those that numba compiles (they have a `py_func`): it could not compile what atheris puts into them.
    """
    found = []
    for name, module in list(sys.modules.items()):
        if name.startswith(prefixes):
            own = [value for value in vars(module).values()
                   if getattr(value, "__module__", None) == name and not hasattr(value, "py_func")]
            methods = [member for one in own if isinstance(one, type) for member in vars(one).values()]
            found += [_plain(one) for one in own + methods if isinstance(_plain(one), FunctionType)]
    return list(dict.fromkeys(found))


def _plain(value):
    # The function in a property, a static method, or one that is wrapped.
    value = getattr(value, "fget", None) or getattr(value, "func", None) or value
    value = getattr(value, "__func__", value)
    return getattr(value, "__wrapped__", value)
