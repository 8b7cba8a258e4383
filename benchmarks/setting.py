"""What the benchmarks share: checks of numbers, processes with so many threads, what their JSON says of the machine."""
import json
import os
import platform
import subprocess
import time

THREAD_NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
QUIET_SECONDS = 0.01  # of which no thread worked a tenth
WARM_SECONDS = 0.01
_SAID_WHY = (1, 2, 130)  # exit codes after a line on stderr


def check_least(parser, options, **least):
    """End in a usage error where a number, or one of a list, is less than {option with underscores: least}."""
    for name, low in least.items():
        value = getattr(options, name)
        if not all(number >= low for number in (value if isinstance(value, list) else [value])):
            parser.error(f"--{name.replace('_', '-')} must be at least {low}, got {value}")


def run_child(command, threads):
    """Run a command in a process whose libraries all see this number of threads when they are imported.

    Where it fails it has told why, and this process ends with its exit code; ValueError where something has ended it.
    """
    # KMP_BLOCKTIME: ms that threads of others look for work after a call, less than the pause before the next one's.
    environment = {"KMP_BLOCKTIME": "5", **os.environ, **dict.fromkeys(THREAD_NAMES, str(threads))}
    done = subprocess.run(command, env=environment)
    if done.returncode in _SAID_WHY:
        raise SystemExit(done.returncode)
    if done.returncode:
        raise ValueError(f"the measurement with {threads} thread(s) ended with exit code {done.returncode}")


def settle():
    """Wait until no thread of this process works, or for a second: those of other libraries look for work for a while
    after a call (onnxruntime's for 35 ms), on processors that the next contender needs."""
    for _ in range(100):
        before = time.process_time()
        time.sleep(QUIET_SECONDS)
        if time.process_time() - before < QUIET_SECONDS / 10:
            return


def warm_up(call):
    """Call for a hundredth of a second, once at least: caches fill, and threads and the cores that they run on wake."""
    end = time.perf_counter() + WARM_SECONDS
    while True:
        call()
        if time.perf_counter() >= end:
            return


def processor():
    """What the machine calls its processor; where Linux gives no name, what measured choices are kept by."""
    from gluon_dc.runtime.choice_cache import machine
    return machine()["cpu"].removeprefix("model name ").partition(", cpu family ")[0]


def setting_of(options, **more):
    """Options (argparse.Namespace), more, and the machine, as JSON types."""
    return {**vars(options), **more, "processor": processor(), "cores": os.cpu_count(), "machine": platform.machine(),
            "python": platform.python_version()}


def write_json(path, found):
    """Write a JSON object, all of it or nothing; path None writes nothing."""
    if path:
        from gluon_dc.coding import write_atomically
        text = json.dumps(found, indent=1)
        write_atomically(path, lambda file: file.write(text.encode()))
