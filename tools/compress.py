"""Compress any net in one go: build it, prune, share, code, and write a .gdc file that decodes to it bit for bit.

    compress.py --model alexnet --pretrained -o alexnet.gdc
    compress.py --model vgg16 --random-weights --recipe vgg16-paper -o vgg16.gdc
    compress.py --model mynets:build --params best.params --sparsity "features.0=none,*=0.8" --bits 5 -o my.gdc

Nothing is retrained, so no accuracy follows from it: tools/evaluate.py measures that of the file, and
train/imagenet.py retrains between the stages as the paper does.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("compress.py")

from gluon_dc.recipes.records import CODERS, EFFORTS, SCOPES, STARTS  # noqa: E402
from gluon_dc.report.command import (  # noqa: E402
    NOTHING_WRITTEN, command_parser, count, path_name, run_command, seed,
)
from gluon_dc.report.outputs import check_outputs  # noqa: E402
from gluon_dc.training.net_options import add_input_shape, add_root  # noqa: E402
from gluon_dc.training.settings import parse_per_layer  # noqa: E402

NOT_RETRAINED = "Pruned and shared in one go, nothing retrained: the accuracy is not measured here."


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    args = parse_args(argv)
    action = list_recipes if args.list_recipes else list_layers if args.list_layers else compress
    return run_command("compress.py", action, args, interrupted=NOTHING_WRITTEN)


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("compress.py", __doc__)
    parser.add_argument("--model", metavar="NAME", help="a gluoncv.model_zoo name, lenet-300-100, lenet-5, or "
                        "module:function or file.py:function that returns a net (default: none)")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--params", type=path_name, metavar="FILE", help="weights of one's own, a .params file")
    weights.add_argument("--pretrained", action="store_true", help="GluonCV's weights, downloaded if need be")
    weights.add_argument("--random-weights", action="store_true", help="drawn, not trained: for sizes only")
    add_root(parser)
    parser.add_argument("--classes", type=count, metavar="N", help="number of classes (default: the model's own)")
    add_input_shape(parser, "the model's, 3,224,224 for nets of one's own", "; for --graph, and for a net of one's own "
                    "with open shapes and --random-weights")
    parser.add_argument("--graph", action="store_true", help="the net's graph goes into the file too, 1 to 10 KB, and "
                        "it runs without MXNet: python -m gluon_dc classify")
    add_settings(parser)
    parser.add_argument("--list-recipes", action="store_true", help="print the recipes that come along, and stop")
    parser.add_argument("--list-layers", action="store_true", help="print the model's layers and what the recipe does "
                        "with them, and stop")
    parser.add_argument("-o", "--output", metavar="OUT.gdc", help="the file to write (default: none)")
    args = parser.parse_args(argv)
    check_usage(parser, args)
    return args


def add_settings(parser):
    """Add the options that take the place of a recipe's settings."""
    group = parser.add_argument_group("settings", "a number, none, or PATTERN=NUMBER,PATTERN=none by layer")
    group.add_argument("--recipe", type=path_name, metavar="NAME|FILE",
                       help="a recipe's name or .yaml file (default: the one made "
                       "for the model, else 'default')")
    group.add_argument("--sparsity", type=per_layer, default=argparse.SUPPRESS, metavar="S",
                       help="share of weights to prune (default: the recipe's)")
    group.add_argument("--scope", choices=SCOPES, help="of the sparsity (default: the recipe's)")
    group.add_argument("--bits", type=per_layer, default=argparse.SUPPRESS, metavar="B",
                       help="bits of a code, 1 to 8 (default: the recipe's)")
    group.add_argument("--start", choices=STARTS, help="where k-means starts (default: the recipe's)")
    group.add_argument("--rel-bits", type=per_layer, default=argparse.SUPPRESS, metavar="R",
                       help="bits of a gap, 0 to 8; none is the best for each layer (default: the recipe's)")
    group.add_argument("--coder", choices=CODERS, help="context makes the smallest files (default: the recipe's)")
    group.add_argument("--effort", choices=EFFORTS, help="of the context coder: best takes seconds per million weights "
                       "(default: the recipe's)")
    group.add_argument("--seed", type=seed, metavar="N", help="of drawn weights and random starts (default: "
                       "the recipe's)")


def check_usage(parser, args):
    """Stop with exit code 2 where something is left out that has no default."""
    if args.list_recipes or args.list_layers and args.model:
        return
    if not args.model or not args.output:
        parser.error("--model and --output are needed (or --list-recipes, or --model with --list-layers)")
    if not (args.params or args.pretrained or args.random_weights):
        parser.error("say where the weights come from: --params FILE, --pretrained or --random-weights")


def per_layer(text):
    """A number, None for "none", or a dict by pattern, for argparse."""
    try:
        return None if text.strip() == "none" else parse_per_layer(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a number, none, or PATTERN=NUMBER,PATTERN=NUMBER; got {text!r}") from None


def list_recipes(args):
    """Print name, models and note of every recipe."""
    from gluon_dc.recipes import load_recipe, recipe_names
    for name in recipe_names():
        recipe = load_recipe(name)
        print(f"{name:16} for {recipe.model or 'any net':18} {recipe.note}")


def list_layers(args):
    """Print the layers that can be compressed, with the recipe's settings of each."""
    from gluon_dc.training import one_shot
    recipe, _ = chosen_recipe(args)
    print(one_shot.layers_table(args.model, args.classes, recipe, args.input_shape))


def compress(args):
    """Make the file."""
    from gluon_dc.training import one_shot
    recipe, given = chosen_recipe(args)
    check_outputs([("-o", args.output)], [("--params", args.params), ("--recipe", args.recipe)])
    watch = one_shot.Stopwatch()
    net, settings, origin = open_weights(args, recipe, watch)
    graph = one_shot.graph_of(net, args.model, args.input_shape) if args.graph else None
    metadata = {"network": args.model, "weights": origin, "recipe": recipe.name, "retrained": False, **given}
    metadata |= run_notes(args)
    with bar_of(one_shot.weight_count(net), "prune and share", 2) as bar, watch("prune and share"):
        one_shot.shrink_net(net, settings, recipe, lambda name, weights: step(bar, name, weights))
    # Only the context coder takes long enough for a bar.
    weights = one_shot.weight_count(net) if recipe.code.coder == "context" else None
    with bar_of(weights, "code") as bar, watch("code"):
        model = one_shot.code_net(net, settings, recipe.code.coder, metadata, recipe.code.effort, bar.update)
    with watch("write and verify"):
        model = one_shot.write_verified(args.output, replace(model, graph=graph), net)
    print_report(args, recipe, origin, model, watch)


def run_notes(args):
    """What the metadata say of a file that runs: the preprocessing, where the net takes photographs."""
    if not args.graph:
        return {}
    from gluon_dc.data import preprocessing_for
    from gluon_dc.models import zoo
    shape = args.input_shape or zoo.input_shape(args.model)
    return {"preprocessing": preprocessing_for(args.model).name} if zoo.takes_photographs(shape) else {}


def chosen_recipe(args):
    """The Recipe with the options in their place, and what was given of them: for the metadata."""
    from gluon_dc.recipes import load_recipe, recipe_for
    recipe = load_recipe(args.recipe) if args.recipe else recipe_for(args.model)
    given = {key: getattr(args, key) for key in ("sparsity", "bits", "rel_bits") if hasattr(args, key)}
    given |= {key: getattr(args, key) for key in ("scope", "start", "seed", "coder", "effort")
              if getattr(args, key) is not None}
    if args.classes is not None:
        given["classes"] = args.classes
    prune, share, code = ({key: given[key] for key in keys if key in given} for keys in (
        ("sparsity", "scope"), ("bits", "start", "seed"), ("rel_bits", "coder", "effort")))
    if "sparsity" in prune:
        prune["quality"] = None
    if code.get("coder") == "context":
        code.setdefault("rel_bits", None)  # it stores no gaps, whatever the recipe says of them
    return replace(recipe, prune=replace(recipe.prune, **prune), share=replace(recipe.share, **share),
                   code=replace(recipe.code, **code)), given


def open_weights(args, recipe, watch):
    """The net with its weights, the settings of its layers, and where the weights come from."""
    from gluon_dc.training import one_shot
    kind = "params" if args.params else "pretrained" if args.pretrained else "random"
    weights = one_shot.Weights(kind, args.params or args.root, recipe.share.seed, args.input_shape)
    with bar_of(None, "weights") as bar, watch("build and weights"):
        return one_shot.open_net(args.model, args.classes, recipe, weights, bar.update)


def bar_of(weights, what, stages=1):
    """A progress bar on stderr over weights, each handled in so many stages, from two seconds on."""
    from tqdm import tqdm
    return tqdm(total=weights and weights * stages, unit="weight", unit_scale=True, desc=what, delay=2, leave=False,
                dynamic_ncols=True, disable=None)


def step(bar, name, weights):
    """One layer done."""
    bar.set_postfix_str(name, refresh=False)
    bar.update(weights)


def print_report(args, recipe, origin, model, watch):
    """Print where every byte went, the paper's table where there is one, and the seconds."""
    from gluon_dc.report import size_report
    from gluon_dc.report.comparison import accounting_table
    from gluon_dc.report.paper import paper_table
    report = size_report(model)
    print(f"{args.output}: {args.model}, {origin}, recipe {recipe.name}\n\n{report}\n")
    if paper_table(args.model) and report.rows:
        print(f"{accounting_table(f'{args.model}: {origin}', None, model)}\n")
    print(NOT_RETRAINED)
    print("seconds: " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in watch.seconds.items()))
    # Last, where it does not scroll away behind a row for every tensor of a deep net.
    print(f"\n{args.output}: {report.nbytes:,} bytes, {report.ratio:,.1f}x smaller than {report.dense_nbytes:,} dense")


if __name__ == "__main__":
    sys.exit(main())
