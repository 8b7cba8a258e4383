#!/usr/bin/env python3
"""Dense layers run from codes, beside dense and sparse libraries on the same layers in the same run.

    python benchmarks/dense_layers.py --json dense_layers.json
    python benchmarks/dense_layers.py --gdc net.gdc --batch 1 64 --threads 2

The layers are those of AlexNet and VGG-16 at the paper's densities, their weights drawn (Laplace-distributed, 31 shared
values, kept at random positions: rows of trained layers are less even), or the dense layers of a .gdc file. "hot" calls
one copy of the weights again and again, "cold" goes round copies of more than --cold-mb together, so that each call
finds its weights in memory and not in a cache (one copy where that is larger itself; tiny layers, of which 1,000
copies are less, in a cache further away). Times are medians over --rounds
turns of all contenders; every result is compared with the dense product first. A process for each number of threads.

"best dense" is the fastest of MXNet's Dense, NumPy, onnxruntime and torch, "best other" of these and the CSR matrices
of SciPy and torch; speedups are of the fastest of our forms, which is the one a dispatch by measured time takes.
Libraries that are not installed are left out, and the table says which.
"""
import argparse
import itertools
import json
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("dense_layers.py")

from setting import THREAD_NAMES, check_least, run_child, setting_of, settle, warm_up, write_json  # noqa: E402

# name, rows, columns, density (Han et al. 2016, tables 4 and 5)
PAPER = (("AlexNet fc6", 4096, 9216, 0.09), ("AlexNet fc7", 4096, 4096, 0.09), ("AlexNet fc8", 1000, 4096, 0.25),
         ("VGG-16 fc6", 4096, 25088, 0.04), ("VGG-16 fc7", 4096, 4096, 0.04), ("VGG-16 fc8", 1000, 4096, 0.23))
DENSE = ("MXNet Dense", "NumPy", "onnxruntime", "torch")
LIBRARIES = (*DENSE, "SciPy CSR", "torch CSR")
CALLS = 5  # timed calls of a contender in a turn
MAX_COPIES = 1000  # of a layer


@dataclass
class Contender:
    """name, bytes of its weights, and a function that makes one more copy of them: a call () -> (batch, rows)."""

    name: str
    nbytes: int
    copy: object


def main(argv=None):
    """Print a table; --json writes the same numbers."""
    from gluon_dc.report.command import run_command
    return run_command("dense_layers.py", run, parse_options(argv), (ArithmeticError,))


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--gdc", help="measure the dense layers of this file in place of drawn ones")
    parser.add_argument("--layers", nargs="+", default=None, metavar="NAME", help="only layers whose names contain one")
    parser.add_argument("--scale", type=int, default=1, help="divide rows and columns of drawn layers by this")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="rows of the input")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads of everybody")
    parser.add_argument("--libraries", nargs="*", default=list(LIBRARIES), choices=list(LIBRARIES), metavar="LIBRARY",
                        help="libraries to measure beside")
    parser.add_argument("--forms", nargs="+", default=None, help="our forms; all that fit by default")
    parser.add_argument("--rounds", type=int, default=7, help=f"turns, of {CALLS} calls hot and cold each")
    parser.add_argument("--cold-mb", type=float, default=128, help="MB of copies that are gone round, cold")
    parser.add_argument("--seed", type=int, default=0, help="seed of drawn weights and inputs")
    parser.add_argument("--json", help="write the rows there too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    from gluon_dc.report.command import check_json  # brings NumPy: not before main has set the threads
    check_least(parser, options, scale=1, rounds=1, batch=1, threads=1, seed=0)
    if not options.cold_mb > 0:
        parser.error(f"--cold-mb must be above 0, got {options.cold_mb}")
    check_json(parser, options.json, [options.gdc])
    return options


def run(options):
    """Measure in a process for each number of threads, print, write."""
    if options.child:
        Path(options.child).write_text(json.dumps(measured_rows(options)))
        return
    rows = [row for threads in options.threads for row in rows_of_child(options, threads)]
    missing = missing_libraries(options.libraries)
    setting = setting_of(options, not_installed=missing)
    print(table(rows, missing, options))
    write_json(options.json, {"setting": setting, "rows": rows})


def rows_of_child(options, threads):
    """The rows measured in a process whose libraries all see this number of threads when they are imported.

    That is this process where its environment says so, otherwise a new one.
    """
    if all(os.environ.get(name) == str(threads) for name in THREAD_NAMES):
        return measured_rows(argparse.Namespace(**{**vars(options), "threads": [threads]}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        arguments = [str(value) for name, value in vars(options).items() if name not in ("json", "child", "threads")
                     and value is not None for value in (f"--{name.replace('_', '-')}", *(
                         value if isinstance(value, list) else [value]))]
        command = [sys.executable, __file__, *arguments, "--threads", str(threads), "--child", str(path)]
        run_child(command, threads)
        return json.loads(path.read_text())


def measured_rows(options):
    """A row for each layer, batch and contender."""
    from tqdm import tqdm
    layers = list(file_layers(options.gdc)) if options.gdc else list(paper_layers(options.scale))
    layers = [layer for layer in layers if not options.layers or any(part in layer[0] for part in options.layers)]
    if not layers:
        raise ValueError(f"no layer has a name that contains one of {options.layers}")
    rows = []
    for name, make in tqdm(layers, unit="layer", disable=None):
        coded = make(options.seed)
        for batch in options.batch:
            rows += layer_rows(name, coded, batch, options)
        del coded
    return rows


def paper_layers(scale):
    """(name, function seed -> CodedTensor) of the drawn layers."""
    for name, rows, cols, density in PAPER:
        yield name, lambda seed, shape=(max(1, rows // scale), max(1, cols // scale)), d=density: drawn(*shape, d, seed)


def drawn(rows, cols, density, seed):
    """CodedTensor (rows, cols) of kept Laplace weights in 31 shared values, at random positions."""
    import numpy as np

    from gluon_dc.coding import CodedTensor
    rng = np.random.default_rng(seed)
    # Above the threshold that keeps this share, the distribution's two tails are exponential.
    tail = -np.log(density) + rng.exponential(size=2**20)
    levels = np.quantile(tail, (np.arange(31) + 0.5) / 31) * np.where(np.arange(31) % 2, 1, -1)
    codebook = np.concatenate([[0], np.sort(levels)]).astype(np.float32) / 100
    codes = np.zeros((rows, cols), np.uint8)
    for row in range(rows):
        kept = rng.random(cols, dtype=np.float32) < density
        codes[row, kept] = rng.integers(1, 32, np.count_nonzero(kept))
    return CodedTensor(codebook, codes)


def file_layers(path):
    """(name, function seed -> CodedTensor) of the coded matrices of a .gdc file."""
    from gluon_dc.coding import load, unpack
    found = [(name, tensor) for name, tensor in load(path).items()
             if hasattr(tensor, "codebook") and len(tensor.shape) == 2]
    if not found:
        raise ValueError(f"{path} holds no coded matrix to measure")
    for name, tensor in found:
        yield name, lambda seed, packed=tensor, name=name: unpack(packed, name)


def layer_rows(name, coded, batch, options):
    """The rows of all contenders for one layer and batch."""
    import numpy as np
    x = np.random.default_rng(options.seed + 1).standard_normal((batch, coded.shape[1])).astype(np.float32)
    weight = coded.decode()
    expected = x @ weight.T
    contenders = [*ours(coded, x, options), *others(weight, x, options)]
    calls = []
    for contender in contenders:
        copies = min(MAX_COPIES, max(1, math.ceil(options.cold_mb * 1e6 / contender.nbytes)))
        calls.append([contender.copy() for _ in range(copies)])
        error = np.abs(np.asarray(calls[-1][0]()) - expected).max() / max(1e-30, np.abs(expected).max())
        if not error < 1e-4:
            raise ArithmeticError(f"{name}, {contender.name}: off the dense product by {error:.1e} of its largest")
    hot, cold = timed([call[:1] for call in calls], options.rounds), timed(calls, options.rounds)
    return [{"layer": name, "rows": coded.shape[0], "cols": coded.shape[1], "density": coded.density, "batch": batch,
             "threads": options.threads[0], "drawn": not options.gdc, "contender": contender.name,
             "ours": contender.name.startswith("ours"), "nbytes": contender.nbytes, "hot_ms": hot[i] * 1e3,
             "cold_ms": cold[i] * 1e3} for i, contender in enumerate(contenders)]


def timed(calls, rounds):
    """Median seconds of each contender, given the calls of its copies; the contenders take turns."""
    import numpy as np
    seconds, turn = [[] for _ in calls], [0] * len(calls)
    for _ in range(rounds):
        for i, copies in enumerate(calls):
            settle()
            following = itertools.cycle(copies[turn[i]:] + copies[:turn[i]])
            warm_up(lambda: next(following)())  # noqa: B023: called here
            for _ in range(CALLS):
                call = next(following)
                begin = time.perf_counter()
                call()
                seconds[i].append(time.perf_counter() - begin)
            turn[i] = (turn[i] + CALLS) % len(copies)
    return [float(np.median(each)) for each in seconds]


def ours(coded, x, options):
    """Contenders of our forms that serve the layer."""
    from gluon_dc.runtime import MATRIX_FORMS
    for name in options.forms or MATRIX_FORMS:
        try:
            form_class = MATRIX_FORMS[name]
        except (ImportError, AttributeError, KeyError):
            if options.forms:
                raise ValueError(f"no form {name!r}: the forms are {', '.join(MATRIX_FORMS)}") from None
            continue
        if form_class.fits(coded, len(x)):
            yield Contender(f"ours, {name}", form_class.build(coded).nbytes,
                            lambda build=form_class.build: call_of(build(coded), x, options.threads[0]))


def call_of(form, x, threads):
    """The timed call of a form: prepared for its arrays beforehand, as a session calls it."""
    from gluon_dc.runtime.scratch import Scratch
    from gluon_dc.runtime.tasks import Program
    out = form.apply(x, threads=threads)
    program = Program(form.stages(x, None, False, out, threads, Scratch()))

    def call():
        program()
        return out
    return call


def others(weight, x, options):
    """Contenders of the libraries that are installed."""
    from dense_libraries import LAYERS
    missing = missing_libraries(options.libraries)
    for name in options.libraries:
        if name not in missing:
            yield Contender(name, *LAYERS[name](weight, x, options.threads[0]))


def missing_libraries(names):
    """Those that are not installed."""
    from dense_libraries import is_installed
    return [name for name in names if not is_installed(name)]


def table(rows, missing, options):
    """The rows as lines of text, and the geometric means of the speedups."""
    source = f"of {options.gdc}" if options.gdc else "drawn"
    lines = [f"weights {source}; medians, milliseconds; ratio: bytes in float32 / bytes kept",
             *(f"not installed, left out: {', '.join(missing)}" for _ in missing[:1])]
    for batch, threads in sorted({(row["batch"], row["threads"]) for row in rows}):
        chosen = [row for row in rows if (row["batch"], row["threads"]) == (batch, threads)]
        lines += ["", f"batch {batch}, {threads} thread(s)",
                  f"{'layer':<16} {'contender':<14} {'hot':>9} {'cold':>9} {'ratio':>7}"]
        lines += [f"{row['layer']:<16} {row['contender']:<14} {row['hot_ms']:>9.4f} {row['cold_ms']:>9.4f} "
                  f"{4 * row['rows'] * row['cols'] / row['nbytes']:>7.1f}" for row in chosen]
        lines += speedup_lines(chosen)
    return "\n".join(lines)


def speedup_lines(rows):
    """Speedups of the best of ours, by layer and their geometric means."""
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    lines = []
    for title, allowed in (("best dense", DENSE), ("best other", LIBRARIES)):
        for kind in ("hot_ms", "cold_ms"):
            best = [[min((row[kind] for row in rows if row["layer"] == layer and (
                row["ours"] if side == "ours" else row["contender"] in allowed)), default=None)
                for side in ("ours", "others")] for layer in layers]
            if all(None not in pair for pair in best):
                ratios = [theirs / mine for mine, theirs in best]
                mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
                lines.append(f"speedup over {title}, {kind[:-3]:<4}: {mean:6.1f}   (" + ", ".join(
                    f"{ratio:.1f}" for ratio in ratios) + ")")
    return lines


if __name__ == "__main__":
    sys.exit(main())
