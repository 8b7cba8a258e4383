#!/usr/bin/env python3
"""Time of a training step of a pruned or shared net, relative to the plain net's, side by side in one run.

    python benchmarks/training_step.py --json step.json

Steps of the kinds take turns, so that a busy moment of the machine hits all of them; each time is the median.
"""
import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("training_step.py")

from setting import check_least, setting_of, write_json  # noqa: E402

KINDS = ("plain", "masked", "lookup", "scatter", "dense gradient")


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    options = parse_options(argv)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    from gluon_dc.report.command import run_command
    return run_command("training_step.py", run, options)


def run(options):
    """Print a table: milliseconds of a step, and its ratio to the plain net's; --json writes the same numbers."""
    from gluon_dc.report.outputs import check_outputs
    check_outputs([("--json", options.json)])
    rows = [row for network in options.networks for row in measure(network, options)]
    print(f"batch {options.batch_size}, density {options.density}, {options.threads} thread(s), "
          f"median of {options.steps} steps")
    print(f"{'network':<15} {'layers':<15} {'ms':>8} {'ratio':>7}")
    for row in rows:
        print(f"{row['network']:<15} {row['kind']:<15} {row['milliseconds']:8.2f} {row['ratio']:7.2f}")
    write_json(options.json, {"setting": setting_of(options), "rows": rows})


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["lenet-300-100", "lenet-5"], help="of gluon_dc.models")
    parser.add_argument("--density", type=float, default=0.08, help="share of weights kept, above 0")
    parser.add_argument("--batch-size", type=int, default=128, help="images a step")
    parser.add_argument("--steps", type=int, default=40, help="steps of each kind that are timed")
    parser.add_argument("--threads", type=int, default=1, help="OMP_NUM_THREADS")
    parser.add_argument("--json", help="write the rows there too")
    options = parser.parse_args(argv)
    check_least(parser, options, batch_size=1, steps=1, threads=1)
    if not 0 < options.density <= 1:
        parser.error(f"--density must be above 0 and at most 1, got {options.density}")
    return options


def measure(network, options):
    """One row a kind."""
    import mxnet as mx
    x = mx.nd.random.uniform(shape=(options.batch_size, 1, 28, 28))
    y = mx.nd.arange(options.batch_size) % 10
    steps = {kind: step_of(kind, network, options.density, x, y) for kind in KINDS}
    times = {kind: [] for kind in KINDS}
    for number in range(options.steps + 3):
        for kind, step in steps.items():
            started = time.perf_counter()
            step()
            mx.nd.waitall()
            if number >= 3:  # the first ones build graphs
                times[kind].append(1e3 * (time.perf_counter() - started))
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    return [{"network": network, "kind": kind, "milliseconds": median,
             "ratio": median / medians["plain"]} for kind, median in medians.items()]


def step_of(kind, network, density, x, y):
    """A function that makes one training step of a net whose layers are of a kind."""
    import mxnet as mx
    from mxnet import gluon

    from gluon_dc import nn
    from gluon_dc.models import get_model
    from gluon_dc.nn import layers
    from gluon_dc.training.loop import softmax_loss, train_step
    net = get_model(network)
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    if kind != "plain":
        nn.prune(net, sparsity=1 - density)
    trainer_class = gluon.Trainer
    if kind in ("lookup", "scatter", "dense gradient"):
        chosen, layers.SCATTER_DENSITY = layers.SCATTER_DENSITY, 1.0 if kind == "scatter" else 0.0
        nn.quantize(net, 5, gradient="dense" if kind == "dense gradient" else "centroid")
        layers.SCATTER_DENSITY = chosen
        trainer_class = nn.CentroidTrainer
    trainer = trainer_class(net.collect_params(), "adam")
    loss = softmax_loss()
    return lambda: train_step(net, trainer, loss, x, y)


if __name__ == "__main__":
    sys.exit(main())
