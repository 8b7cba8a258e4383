#!/usr/bin/env python3
"""What files decode to and what their nets compute, written down on one machine and compared with another's.

    python tests/portability/net_outputs.py run arm.npz lenet-5.gdc squeezenet.gdc --batch 1 --form rule dense
    python tests/portability/net_outputs.py compare x86.npz arm.npz

The inputs are drawn from whole numbers, so they are the same bits everywhere. `compare` asks for equal digests of the
decoded weights and for outputs within float32 rounding: TOLERANCE of the largest. Needs NumPy and numba only.
"""
import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

TOLERANCE = 2e-6  # some 16 roundings of float32, of the largest output


def main(argv=None):
    """Run or compare; the exit code is 1 where a comparison fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="decode and run files")
    command.add_argument("output", help="the .npz file to write")
    command.add_argument("files", nargs="+", help=".gdc files; those without a graph are only decoded")
    command.add_argument("--batch", type=int, nargs="*", default=[1], help="inputs of a run; none: decode only")
    command.add_argument("--form", nargs="+", default=["rule"], 
                         help="forms to force; rule: those that the rule takes; int8: convolutions in 8 bits")
    command.add_argument("--threads", type=int, default=1, help="threads of a run")
    command = commands.add_parser("compare", help="compare two such files")
    command.add_argument("one")
    command.add_argument("other")
    options = parser.parse_args(argv)
    return run(options) if options.command == "run" else compare(options.one, options.other)


def run(options):
    """Write digests and outputs; 0."""
    from gluon_dc.coding import load, weights_digest
    found = {}
    for path in options.files:
        name, model = Path(path).stem, load(path)
        _say(f"{name}: decoding")
        found[f"{name}/digest"] = np.array(weights_digest(model.decode()))
        if model.graph is None:
            continue
        for form in options.form:
            for batch in options.batch:
                _say(f"{name}: {form}, batch {batch}")
                found[f"{name}/{form}/{batch}"] = outputs(path, form, batch, options.threads)
                np.savez(options.output, **found)  # what is done stays, whatever comes
    np.savez(options.output, **found)
    return 0


def outputs(path, form, batch, threads):
    """Outputs (batch, classes) of a net for drawn inputs: multiples of 1/128 in [-1, 1)."""
    import gluon_dc as dc
    how = {"rule": {}, "int8": {"precision": "int8", "force": "int8"}}.get(form, {"force": form})
    session = dc.session(path, threads=threads, batch=batch, measure=False, **how)
    drawn = np.random.RandomState(batch).randint(-128, 128, (batch, *session.input_shape))
    return session.run((drawn / 128).astype(np.float32))


def compare(one, other):
    """Print a line for everything that both files hold; 1 where something differs by more than it may."""
    failed = 0
    with np.load(one) as first, np.load(other) as second:
        for name in sorted(set(first) & set(second)):
            if name.endswith("/digest"):
                good, text = first[name] == second[name], f"{str(second[name])[:16]}..."
            else:
                off = np.abs(first[name].astype(np.float64) - second[name]).max() / np.abs(first[name]).max()
                good, text = off <= TOLERANCE, f"off by {off:.1e} of the largest"
            failed += not good
            print(f"{'equal' if good else 'DIFFERENT':10} {name:40} {text}")
        alone = sorted(set(first) ^ set(second))
    if alone:
        print(f"only in one of them: {', '.join(alone)}")
    return 1 if failed else 0


def _say(text):
    print(f"{time.strftime('%H:%M:%S')} {platform.machine()} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
