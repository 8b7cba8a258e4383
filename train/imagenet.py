#!/usr/bin/env python3
"""Deep Compression of any net on ImageNet-style data: fine-tuning, pruning with retraining, sharing with centroid
training, Huffman coding, one .gdc file.

Weights of another number of classes are taken over but for the output layer, which begins anew (transfer learning).
The numbers come from a recipe; each has an option that takes its place. Interrupt it at any time: the same command
goes on from the last finished epoch.
"""
import argparse
import sys
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("imagenet.py")

from gluon_dc.report.command import folder_name, path_name, run_training  # noqa: E402
from gluon_dc.report.outputs import check_folder  # noqa: E402
from gluon_dc.training.image_settings import ImageSettings, settings_of_recipe  # noqa: E402
from gluon_dc.training.net_options import add_root, set_threads  # noqa: E402
from gluon_dc.training.options import add_setting  # noqa: E402

# Fields with options of their own, and fields that no recipe has.
GIVEN = ("model", "recipe", "preprocessing")
NOT_IN_RECIPES = ("threads", "prune_share", "validation_share")
OPTIONS = [item for item in fields(ImageSettings) if item.name not in GIVEN]


def parser():
    """The command line: one option for every field of ImageSettings."""
    result = argparse.ArgumentParser(prog="imagenet.py", description=__doc__.partition("\n\n")[0],
                                     epilog=__doc__.partition("\n\n")[2])
    result.add_argument("--model", required=True, help="a name of GluonCV's model zoo, or module:function or "
                        "file.py:function of your own, called with classes=N")
    result.add_argument("--data", type=path_name, required=True, metavar="PATH",
                        help="folder with train and val, each a .csv list "
                        "(filename,label), a folder with a folder of images a class, or a .rec file; or one of these "
                        "alone; or the name of a folder in $GLUON_DC_DATA")
    result.add_argument("--test", type=path_name, metavar="PATH",
                        help="images for the final test; val of --data, where it has "
                        "one, is for validation then (default: val of --data, else its test, else a tenth of each "
                        "class)")
    start = result.add_mutually_exclusive_group(required=True)
    start.add_argument("--gdc", type=path_name, metavar="FILE", help="start from the weights of a .gdc file")
    start.add_argument("--params", type=path_name, metavar="FILE",
                       help="start from a .params file, or an .npz of an earlier run")
    start.add_argument("--pretrained", action="store_true", help="start from GluonCV's own weights")
    start.add_argument("--random-weights", action="store_true", help="train from random weights")
    add_root(result, "--pretrained-root")
    result.add_argument("--recipe", type=path_name, metavar="NAME_OR_FILE",
                        help="(default: the shipped one that fits the model best)")
    result.add_argument("--epochs-scale", type=float, default=1.0, metavar="X",
                        help="multiply the recipe's numbers of epochs (default: %(default)s)")
    result.add_argument("--preprocessing", metavar="NAME[:SIDE]", help="(default: what the .gdc file says, else "
                        "GluonCV's for the model)")
    result.add_argument("--output-dir", metavar="DIR", type=folder_name, help="(default: runs/MODEL-DATA-seedN)")
    result.add_argument("--fresh", action="store_true",
                        help="start over instead of going on with the run in the output folder")
    result.add_argument("--no-figures", action="store_true", help="draw no figures")
    numbers = result.add_argument_group("in place of the recipe's")
    for item in OPTIONS:
        add_setting(numbers, item, [str(item.default) if item.name in NOT_IN_RECIPES else "the recipe's"])
    return result


def main(argv=None):
    """Run the pipeline; returns the exit status."""
    return run_training("imagenet.py", _run, parser().parse_args(argv), "from the last finished epoch")


def _run(arguments):
    check_folder("--output-dir", arguments.output_dir)
    set_threads(ImageSettings().threads if arguments.threads is None else arguments.threads)
    from gluon_dc.report import headline, write_report
    from gluon_dc.training.run import run_task
    task = _task(arguments)
    print(task.splits.note, task.describe_start(), sep="\n", flush=True)
    folder = arguments.output_dir or Path("runs") / _run_name(task)
    result = run_task(task, folder, fresh=arguments.fresh)
    print(write_report(folder, figures=not arguments.no_figures))
    print(f"\n{headline(result, folder / result['file']['name'])}")


def _task(arguments):
    """What is cheap to check comes first: settings, files, patterns, all before any training."""
    from gluon_dc.data import preprocessing_for, preprocessing_named
    from gluon_dc.recipes import load_recipe, recipe_for
    from gluon_dc.training.image_data import open_splits
    from gluon_dc.training.image_task import ImageTask
    from gluon_dc.training.transfer import read_weights
    recipe = load_recipe(arguments.recipe) if arguments.recipe else recipe_for(arguments.model)
    given = {item.name: getattr(arguments, item.name) for item in OPTIONS}
    settings_of_recipe(recipe, arguments.model, "", arguments.epochs_scale, **given)
    if arguments.preprocessing:
        preprocessing_named(arguments.preprocessing)
    seed = recipe.share.seed if arguments.seed is None else arguments.seed
    share = ImageSettings().validation_share if arguments.validation_share is None else arguments.validation_share
    splits = open_splits(arguments.data, arguments.test, share, seed)
    start = read_weights(*_start(arguments), arguments.model, splits.classes)
    name = arguments.preprocessing or start.metadata.get("preprocessing")
    preprocessing = preprocessing_named(str(name)) if name else preprocessing_for(arguments.model)
    settings = settings_of_recipe(recipe, arguments.model, preprocessing.name, arguments.epochs_scale, **given)
    return ImageTask(settings, splits, preprocessing, start)


def _start(arguments):
    """Kind and path of the weights to start from."""
    for kind in ("gdc", "params"):
        if getattr(arguments, kind):
            return kind, getattr(arguments, kind)
    return ("pretrained", arguments.root) if arguments.pretrained else ("random", None)


def _run_name(task):
    model = task.network.replace("/", "-").replace(":", "-")
    return f"{model}-{task.splits.name}-seed{task.settings.seed}"


if __name__ == "__main__":
    sys.exit(main())
