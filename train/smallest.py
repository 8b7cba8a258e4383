#!/usr/bin/env python3
"""The smallest files: a LeNet on MNIST, taught by a larger net, pruned by what its weights cost to store, shared with
few centroids, coded with the context coder into one .gdc file. `smallest.py curve RUN_FOLDERS...` draws error against
bytes, with what others have published.

Interrupt it at any time: the same command goes on from the last state on file (every stage, and within stages every
20 seconds). The pool of varied images and the teacher are made once for all seeds, in --cache-dir. Where MNIST is not
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
    ctrl_c.end_at_once("smallest.py")
    # NumPy's BLAS reads it when NumPy is imported, which the lines below do: on one thread, whatever MXNet gets later.
    os.environ["OMP_NUM_THREADS"] = "1"

from gluon_dc.report.command import NOTHING_WRITTEN, folder_name, run_command, run_training  # noqa: E402
from gluon_dc.report.outputs import check_folder  # noqa: E402
from gluon_dc.training.folders import mnist_folder  # noqa: E402
from gluon_dc.training.net_options import set_threads  # noqa: E402
from gluon_dc.training.options import add_mnist_option, usage  # noqa: E402


def parser():
    """The command line of a run."""
    result = argparse.ArgumentParser(prog="smallest.py", description=__doc__.partition("\n\n")[0],
                                     epilog=__doc__.partition("\n\n")[2])
    result.add_argument("--recipe", default="lenet-300-100", metavar="NAME", help="lenet-300-100, lenet-5-074 or "
                        "lenet-5-096 (the error to hold, in hundredths of a percent), or a .yaml file; keys in "
                        "docs/smallest.md (default: %(default)s)")
    seeds = result.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, metavar="N", help="seed (default: the recipe's, 0 unless it says otherwise)")
    seeds.add_argument("--seeds", type=_numbers, metavar="N,N,...", help="several seeds, one after the other; at the "
                       "end their median is printed")
    add_mnist_option(result)
    result.add_argument("--output-dir", metavar="DIR", type=folder_name,
                        help="with --seeds, of the folders seedN (default: "
                        "runs/smallest-RECIPE-seedN, with the data's name where it is not MNIST)")
    result.add_argument("--cache-dir", metavar="DIR", type=folder_name, default=Path("runs/cache-smallest"),
                        help="where the pool and the teacher are, half a gigabyte (default: %(default)s)")
    result.add_argument("--fresh", action="store_true",
                        help="start over instead of going on with the run in the output folder")
    result.add_argument("--fork", metavar="DIR", type=folder_name,
                        help="take over the first stages of the run in this folder "
                        "(with --seeds: of those in its folders seedN), as far as their settings are the same "
                        "(default: none)")
    result.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="other values for keys of the recipe, such as kept=2600 prune_epochs=80 (default: "
                        "the recipe's)")
    result.add_argument("--keys", action="store_true", help="print every key, its value in this recipe and what it is, "
                        "and do nothing else")
    return result


def _numbers(text):
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected whole numbers such as 0,1,2; got {text!r}") from None
    if len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"a seed is there twice: {text}")
    return numbers


def curve_parser():
    """The command line of the curve."""
    result = argparse.ArgumentParser(prog="smallest.py curve", description="Draw test error against bytes of runs, "
                                     "beside what others have published: curve.png, curve.txt, curve.json.")
    result.add_argument("folders", nargs="+", type=folder_name, metavar="RUN_FOLDER",
                        help="with a result.json, or with "
                        "folders that have one")
    result.add_argument("--output-dir", metavar="DIR", type=folder_name, default=Path("runs/curve-smallest"),
                        help="default: %(default)s")
    return result


def main(argv=None):
    """Run the command; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["curve"]:
        return run_command("smallest.py", _curve, curve_parser().parse_args(argv[1:]), interrupted=NOTHING_WRITTEN)
    return run_training("smallest.py", _runs, parser().parse_args(argv), "from the last state on file")


def _curve(arguments):
    check_folder("--output-dir", arguments.output_dir)
    from gluon_dc.training.small.curve import write_curve
    print(write_curve(arguments.folders, arguments.output_dir))
    print(f"\nwritten to {arguments.output_dir / 'curve.png'}")


def _runs(arguments):
    from gluon_dc.training.small import small_settings
    seeds = arguments.seeds or [arguments.seed]
    with usage():
        chosen = [small_settings(arguments.recipe, arguments.set, **({} if seed is None else {"seed": seed}))
                  for seed in seeds]
    if arguments.keys:
        print("\n".join(f"{item.name}: {getattr(chosen[0], item.name)}  # {item.metadata['help']}"
                        for item in fields(chosen[0])))
        return
    check_folder("--output-dir", arguments.output_dir)
    check_folder("--cache-dir", arguments.cache_dir)
    forks = _forks(arguments, chosen)
    set_threads(chosen[0].threads)
    from gluon_dc.data import load_mnist
    from gluon_dc.report import headline
    from gluon_dc.training.small.curve import median_text
    from gluon_dc.training.small.run import run_small
    dataset = load_mnist(arguments.data_dir)
    print(dataset.note, flush=True)
    results = []
    for settings, fork in zip(chosen, forks):
        folder = _folder(arguments, settings, dataset)
        results.append(run_small(settings, dataset, folder, arguments.cache_dir, arguments.fresh, fork))
        print(headline(results[-1], folder / "model.gdc"), flush=True)
    if len(results) > 1:
        print(median_text(results))


def _forks(arguments, chosen):
    """The folder to take stages over from, or None, for each of the settings; ValueError for one without a run."""
    if arguments.fork is None:
        return [None] * len(chosen)
    folders = [arguments.fork / f"seed{settings.seed}" if arguments.seeds else arguments.fork for settings in chosen]
    for folder in folders:
        if not (folder / "checkpoints" / "run.json").is_file():
            raise ValueError(f"{folder}: --fork: no checkpoints/run.json in it, expected the folder of a run of "
                             "train/smallest.py")
    return folders


def _folder(arguments, settings, dataset):
    given = arguments.output_dir
    if given and arguments.seeds:
        given = given / f"seed{settings.seed}"
    return mnist_folder(given, f"smallest-{Path(arguments.recipe).stem}-seed{settings.seed}", dataset)


if __name__ == "__main__":
    sys.exit(main())
