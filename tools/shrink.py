"""A net to the smallest .gdc file for a given divergence of its outputs, or to a file of a given size, without
retraining and without labels; a few hundred photographs to calibrate by are enough.

    shrink.py --gdc squeezenet.gdc --data mini-imagenet-18 --split train --target-bytes 380000 -o smaller.gdc
    shrink.py --model squeezenet1.0 --pretrained --data photographs --divergence 0.01 -o small.gdc

Weights go to a grid a layer, each to the number that costs least in divergence and bits; errors are fed back into what
is still to come, within a layer and from layer to layer. The context coder writes the file. What takes long is kept
beside it (.curvature.npz, and .layers.npz of each try); the same command goes on from there.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("shrink.py")

from gluon_dc.report.command import command_parser, count, path_name, run_command, seed  # noqa: E402
from gluon_dc.report.outputs import check_outputs  # noqa: E402
from gluon_dc.training.net_options import (  # noqa: E402
    add_batch_size, add_data_options, add_half_option, add_net_options, images_of, inputs_of, opened_net, set_threads)


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("shrink.py", run, parse_args(argv), interrupted="the same command goes on from the last layer")


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("shrink.py", __doc__)
    add_net_options(parser)
    add_data_options(parser)
    add_half_option(parser)
    parser.add_argument("-o", "--output", required=True, metavar="OUT.gdc", help="the file to write")
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument("--target-bytes", type=count, metavar="N", help="the most that the file may take (default: any "
                      "number, see --divergence)")
    goal.add_argument("--divergence", type=float, metavar="NATS", help="that the outputs may move, as predicted "
                      "(default: 0.02, where neither --target-bytes nor --price is given)")
    goal.add_argument("--price", type=float, metavar="P", help="nats of divergence that a bit may save "
                      "(default: what leads to the divergence or the bytes)")
    parser.add_argument("--width", type=count, default=32, metavar="N", help="ways to decide a layer's row that are "
                        "kept open: more find a better file of the same bytes and take longer (default: %(default)s)")
    parser.add_argument("--tries", type=count, metavar="N", help="with --target-bytes: make so many files, at prices "
                        "nearby, and keep that of the least divergence (default: until one is near, at most 3)")
    parser.add_argument("--effort", choices=("best", "fast"), default="best", help="of the context coder "
                        "(default: %(default)s)")
    parser.add_argument("--more-data", type=path_name, action="append", default=[], metavar="PATH",
                        help="calibrate by these images "
                        "too: a folder, .csv or .rec; may be given again (of whatever classes: no label is looked at; "
                        "default: none)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of what is drawn at random "
                        "(default: %(default)s)")
    add_batch_size(parser, 16)
    return parser.parse_args(argv)


def run(args):
    """Shrink, and print what has become of each layer."""
    check_outputs([("-o", args.output)], inputs_of(args))
    set_threads(args.threads)
    from gluon_dc.data import open_images
    from gluon_dc.training.shrink import check, shrink
    check(args)
    sets = [images_of(args), *(open_images(path) for path in args.more_data)]
    opened = opened_net(args)
    print(shrink(opened, sets, args))


if __name__ == "__main__":
    sys.exit(main())
