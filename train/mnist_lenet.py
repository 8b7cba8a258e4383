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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("mnist_lenet.py")
    # NumPy's BLAS reads it when NumPy is imported, which the lines below do: on one thread, whatever MXNet gets later.
    os.environ["OMP_NUM_THREADS"] = "1"

from gluon_dc.report.command import folder_name, run_training  # noqa: E402
from gluon_dc.report.outputs import check_folder  # noqa: E402
from gluon_dc.training.folders import mnist_folder  # noqa: E402
from gluon_dc.training.net_options import set_threads  # noqa: E402
from gluon_dc.training.options import add_mnist_option, add_setting, usage  # noqa: E402
from gluon_dc.training.settings import NETWORKS, RECIPES, Settings, settings_for  # noqa: E402


def parser():
    """The command line: one option for every field of Settings."""
    result = argparse.ArgumentParser(prog="mnist_lenet.py", description=__doc__.partition("\n\n")[0],
                                     epilog=__doc__.partition("\n\n")[2])
    result.add_argument("--network", choices=NETWORKS, default="lenet-300-100",
                        help="(default: %(default)s)")
    result.add_argument("--recipe", choices=list(RECIPES), default="default",
                        help="default is as small as the paper's accuracy allows; paper has the paper's "
                             "sparsity and bits of every layer (default: %(default)s)")
    add_mnist_option(result)
    result.add_argument("--output-dir", metavar="DIR", type=folder_name,
                        help="(default: runs/NETWORK-RECIPE-seedN, with the data's name where it is not MNIST)")
    result.add_argument("--dense", metavar="FILE", help="start from this dense net (.npz of an "
                        "earlier run's checkpoints, or .params; default: train one)")
    result.add_argument("--pruned", metavar="FILE", help="start from this pruned net, likewise (default: prune "
                        "the dense one)")
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
    with usage():
        return settings_for(given.pop("network"), arguments.recipe, **given)


def _run(arguments):
    settings = _settings(arguments)
    check_folder("--output-dir", arguments.output_dir)
    set_threads(settings.threads)
    from gluon_dc.data import load_mnist
    from gluon_dc.report import headline, write_report
    from gluon_dc.training.run import run_pipeline
    dataset = load_mnist(arguments.data_dir)
    print(dataset.note, flush=True)
    folder = mnist_folder(arguments.output_dir, f"{settings.network}-{arguments.recipe}-seed{settings.seed}", dataset)
    result = run_pipeline(settings, dataset, folder, dense=arguments.dense, pruned=arguments.pruned,
                          fresh=arguments.fresh)
    print(write_report(folder, figures=not arguments.no_figures))
    print(f"\n{headline(result, folder / result['file']['name'])}")


if __name__ == "__main__":
    sys.exit(main())
