#!/usr/bin/env python3
"""Many small experiments from one dense LeNet: the paper's Figs. 6, 7 and 8, as experiment.json for tools/report.py.

compression: test error against file size for pruning alone, sharing alone, both together, and truncated SVD; every
point starts from the same dense net, gets the same number of epochs, and is a real file that is decoded again.
starts: test error against bits for the starts of k-means, right after clustering and with trained centroids, on the
net at the paper's sparsity. sensitivity: validation error with one layer alone pruned or shared, nothing retrained.

Interrupt it at any time: the same command goes on after the last finished point. With other --points the new ones are
added. Where MNIST is not given, cached or downloadable, it runs on scikit-learn's small digits and says so everywhere.

On one thread of a 2-core machine, LeNet-300-100 takes 6 minutes for compression and 3 for starts, LeNet-5, at 11
seconds an epoch, about 40 and 20; sensitivity takes half a minute and two minutes, most of it the dense training.
"""
import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("sweep.py")
    # NumPy's BLAS reads it when NumPy is imported, which the lines below do: on one thread, whatever MXNet gets later.
    os.environ["OMP_NUM_THREADS"] = "1"

from gluon_dc.report.command import folder_name, run_training  # noqa: E402
from gluon_dc.report.outputs import check_folder  # noqa: E402
from gluon_dc.training.folders import mnist_folder  # noqa: E402
from gluon_dc.training.net_options import set_threads  # noqa: E402
from gluon_dc.training.options import add_mnist_option, add_setting, usage  # noqa: E402
from gluon_dc.training.settings import NETWORKS  # noqa: E402
from gluon_dc.training.sweep_settings import (  # noqa: E402
    DEFAULT_POINTS, EXPERIMENTS, VALUES, SweepSettings, parse_points, sweep_settings_for)


def parser():
    """The command line: one option for every field of SweepSettings."""
    result = argparse.ArgumentParser(prog="sweep.py", description=__doc__, epilog=_points_help(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("experiment", choices=list(EXPERIMENTS), help="which one")
    result.add_argument("--network", choices=NETWORKS, default="lenet-300-100", help="(default: %(default)s)")
    add_mnist_option(result)
    result.add_argument("--output-dir", metavar="DIR", type=folder_name,
                        help="(default: runs/sweep-EXPERIMENT-NETWORK-seedN, "
                        "with the data's name where it is not MNIST)")
    result.add_argument("--dense", metavar="FILE", help="start from this dense net (checkpoints/dense.npz of a run of "
                        "train/mnist_lenet.py, nets/dense.npz of this script, or .params; default: train one)")
    result.add_argument("--points", nargs="+", metavar="KIND=VALUE,...", help="what to measure (default: as "
                        "listed below)")
    result.add_argument("--fresh", action="store_true", help="start over instead of going on with the sweep in the "
                        "output folder")
    for item in fields(SweepSettings):
        if item.name not in ("experiment", "network"):
            add_setting(result, item, _defaults(item.name))
    return result


def _defaults(name):
    """The default of a setting as the help shows it, by network where they differ."""
    defaults = {network: getattr(sweep_settings_for("compression", network), name) for network in NETWORKS}
    alike = len(set(defaults.values())) == 1
    return [str(default) if alike else f"{network} {default}" for network, default in defaults.items()]


def _points_help():
    lines = ["points:"]
    for experiment, kinds in DEFAULT_POINTS.items():
        lines.append(f"  {experiment} (KIND: value; default values)")
        for kind, values in kinds.items():
            shown = ",".join(":".join(f"{number:g}" for number in (value if isinstance(value, tuple) else (value,)))
                             for value in values)
            lines.append(f"    {kind}: {VALUES[kind]}; {shown}")
    return "\n".join(lines)


def main(argv=None):
    """Run the sweep; returns the exit status."""
    return run_training("sweep.py", _run, parser().parse_args(argv), "after the last finished point")


def _settings(arguments):
    """Settings, and the points to measure or None for the default ones."""
    given = {item.name: getattr(arguments, item.name) for item in fields(SweepSettings)}
    with usage():
        settings = sweep_settings_for(given.pop("experiment"), given.pop("network"), **given)
        return settings, parse_points(settings.experiment, arguments.points) if arguments.points else None


def _run(arguments):
    settings, points = _settings(arguments)
    check_folder("--output-dir", arguments.output_dir)
    set_threads(settings.threads)
    from gluon_dc.data import load_mnist
    from gluon_dc.training.sweep_text import sweep_text
    from gluon_dc.training.sweeps import FILE, run_sweep
    dataset = load_mnist(arguments.data_dir)
    print(dataset.note, flush=True)
    name = f"sweep-{settings.experiment}-{settings.network}-seed{settings.seed}"
    folder = mnist_folder(arguments.output_dir, name, dataset)
    print(sweep_text(run_sweep(settings, dataset, folder, points, arguments.dense, arguments.fresh)))
    print(f"\nwritten to {folder / FILE}")


if __name__ == "__main__":
    sys.exit(main())
