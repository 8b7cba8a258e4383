"""Compress nets of the model zoo at full size and set their sizes beside the paper's, net by net.

    zoo_sizes.py --output-dir sizes                          Tables 4 and 5 (AlexNet, VGG-16) and other networks
    zoo_sizes.py --output-dir sizes --networks alexnet googlenet --params-dir weights

Weights are, in this order: MODEL.params (or GluonCV's MODEL-HASH.params) in --params-dir, GluonCV's file in its own
folder, and otherwise drawn at random, which is good for sizes only and labelled so. Each net goes by the recipe made
for it, in one go, nothing retrained. Writes a .gdc file for each net, zoo_sizes.json (which tools/report.py draws)
and zoo_sizes.txt; run again, it goes on with the nets that are missing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("zoo_sizes.py")

from gluon_dc.coding.files import write_atomically  # noqa: E402
from gluon_dc.report.command import command_parser, path_name, run_command, seed  # noqa: E402
from gluon_dc.report.outputs import check_folder  # noqa: E402
from gluon_dc.training.net_options import add_root  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("zoo_sizes.py", sizes, parse_args(argv),
                       interrupted="the same command goes on with the nets that are missing")


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("zoo_sizes.py", __doc__)
    parser.add_argument("--output-dir", required=True, metavar="DIR", help="folder for the files, made if need be")
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="names as for compress.py --model "
                        "(default: AlexNet, VGG-16, GoogLeNet, SqueezeNets, ResNets, MobileNets)")
    parser.add_argument("--recipe", type=path_name, metavar="NAME|FILE",
                        help="one recipe for all (default: the one made for each)")
    parser.add_argument("--params-dir", type=path_name, metavar="DIR",
                        help="folder with weights of one's own (default: none)")
    add_root(parser)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of drawn weights (default: %(default)s)")
    return parser.parse_args(argv)


def sizes(args):
    """Measure what is missing, then print and write the tables."""
    check_folder("--output-dir", args.output_dir)
    from gluon_dc.training import zoo_sizes
    jobs = plan(args, zoo_sizes)
    Path(args.output_dir).mkdir(parents=True, exist_ok=True)
    entries = zoo_sizes.read_entries(args.output_dir)
    for number, (model, recipe, weights) in enumerate(jobs, 1):
        made_from = zoo_sizes.identity(model, recipe, weights)
        if zoo_sizes.is_done(entries.get(model), made_from, args.output_dir):
            print(f"{model}: done before", file=sys.stderr)
            continue
        entry = measured(f"{number}/{len(jobs)} {model}", zoo_sizes, model, recipe, weights, args.output_dir)
        entries[model] = {**entry, "made_from": made_from}
        zoo_sizes.write_entries(args.output_dir, entries)
    text = tables([entries[model] for model, _, _ in jobs], args.output_dir, zoo_sizes)
    write_atomically(Path(args.output_dir) / "zoo_sizes.txt", lambda file: file.write(text.encode() + b"\n"))
    print(text)


def plan(args, zoo_sizes):
    """(model, recipe, weights) of every net, each name known and each pattern matching, before the work begins."""
    from gluon_dc.models import zoo
    from gluon_dc.recipes import load_recipe, recipe_for
    from gluon_dc.training.one_shot import layer_settings
    jobs = []
    for model in args.networks or zoo_sizes.NETWORKS:
        recipe = load_recipe(args.recipe) if args.recipe else recipe_for(model)
        layer_settings(zoo.build(model), recipe)
        jobs.append((model, recipe, zoo_sizes.weights_of(model, args.params_dir, args.root, args.seed)))
    return jobs


def measured(title, zoo_sizes, model, recipe, weights, folder):
    """The entry of one net, with a progress bar."""
    from tqdm import tqdm
    with tqdm(desc=title, unit="weight", unit_scale=True, delay=2, leave=False, dynamic_ncols=True,
              disable=None) as bar:
        def started(total):
            bar.total = total
            bar.refresh()
        return zoo_sizes.measure(model, recipe, weights, folder, bar.update, started)


def tables(entries, folder, zoo_sizes):
    """All tables as text."""
    return "\n\n".join(map(str, [*zoo_sizes.paper_tables(folder, entries), zoo_sizes.against_table(entries)]))


if __name__ == "__main__":
    sys.exit(main())
