#!/usr/bin/env python3
"""Deep Compression of LeNet-300-100 or LeNet-5 on MNIST: dense training, pruning with retraining,
sharing with centroid training, Huffman coding, one .gdc file.

Interrupt it at any time: the same command goes on from the last finished epoch. Where MNIST is not
given, cached or downloadable, it runs on scikit-learn's small digits and says so everywhere.
"""
import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

if __name__ == "__main__":
    # NumPy's BLAS reads it when NumPy is imported, which the lines below do: on one thread, whatever MXNet gets later.
    os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc.report.command import UsageError, run_training  # noqa: E402
from gluon_dc.training.options import add_setting  # noqa: E402
from gluon_dc.training.settings import NETWORKS, RECIPES, Settings, settings_for  # noqa: E402


def parser():
    """The command line: one option for every field of Settings."""
    result = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0],
                                     epilog=__doc__.partition("\n\n")[2])
    result.add_argument("--network", choices=NETWORKS, default="lenet-300-100",
                        help="default: %(default)s")
    result.add_argument("--recipe", choices=list(RECIPES), default="default",
                        help="default: as small as the paper's accuracy allows; paper: the paper's "
                             "sparsity and bits of every layer (default: %(default)s)")
    result.add_argument("--data-dir", metavar="DIR", help="folder with MNIST's four IDX files (default: "
                        "$GLUON_DC_DATA, else ~/.mxnet/datasets/mnist, else a download)")
    result.add_argument("--output-dir", metavar="DIR", type=Path,
                        help="default: runs/NETWORK-RECIPE-seedN, with the data's name where it is not MNIST")
    result.add_argument("--dense", metavar="FILE", help="start from this dense net (.npz of an "
                        "earlier run's checkpoints, or .params)")
    result.add_argument("--pruned", metavar="FILE", help="start from this pruned net, likewise")
    result.add_argument("--fresh", action="store_true",
                        help="start over instead of going on with the run in the output folder")
    result.add_argument("--no-figures", action="store_true", help="draw no figures")
    for item in fields(Settings):
        if item.name != "network":
            add_setting(result, item, _defaults(item))
    return result


def _defaults(item):
    """The defaults of one setting, of both networks where they differ."""
    defaults = {name: str(getattr(settings_for(name), item.name)) for name in NETWORKS}
    if len(set(defaults.values())) == 1:
        return list(defaults.values())
    return [f"{name} {default}" for name, default in defaults.items()]


def main(argv=None):
    """Run the pipeline; returns the exit status."""
    return run_training("mnist_lenet.py", _run, parser().parse_args(argv), "from the last finished epoch")


def _settings(arguments):
    given = {item.name: getattr(arguments, item.name) for item in fields(Settings)}
    try:
        return settings_for(given.pop("network"), arguments.recipe, **given)
    except ValueError as error:
        raise UsageError(error) from None


def _run(arguments):
    settings = _settings(arguments)
    # MXNet reads both when it is imported; two spinning threads starve each other on a busy machine.
    os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from gluon_dc.data import load_mnist
    from gluon_dc.report import headline, write_report
    from gluon_dc.training.run import run_pipeline
    dataset = load_mnist(arguments.data_dir)
    print(dataset.note, flush=True)
    name = f"{settings.network}-{arguments.recipe}-seed{settings.seed}"
    folder = arguments.output_dir or Path("runs") / (
        name if dataset.name == "mnist" else f"{name}-{dataset.name}")
    result = run_pipeline(settings, dataset, folder, dense=arguments.dense, pruned=arguments.pruned,
                          fresh=arguments.fresh)
    print(write_report(folder, figures=not arguments.no_figures))
    print(f"\n{headline(result, folder / result['file']['name'])}")


if __name__ == "__main__":
    sys.exit(main())
