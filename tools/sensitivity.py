"""What each layer of a net can bear alone: error against sparsity and against bits, the other layers untouched, nothing
retrained (the idea of the paper's Fig. 7). Then, with --output, how far the whole net can be compressed without
retraining, within --budget points of top-1 error.

    sensitivity.py --gdc squeezenet.gdc --data imagenet-sample --json sensitivity.json
    sensitivity.py --gdc squeezenet.gdc --data imagenet-sample --json sensitivity.json --budget 1 -o smaller.gdc

Everything is measured and chosen on the first half of the images (even positions); the second half is only for the
final comparison. Each point is on disk as soon as it is measured; the same command goes on from there.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("sensitivity.py")

from gluon_dc.report.command import command_parser, run_command  # noqa: E402
from gluon_dc.report.outputs import check_outputs  # noqa: E402
from gluon_dc.training.net_options import (  # noqa: E402
    add_batch_size, add_data_options, add_net_options, images_of, inputs_of, opened_net, set_threads)


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("sensitivity.py", run, parse_args(argv),
                       interrupted="the same command goes on from the last point")


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("sensitivity.py", __doc__)
    add_net_options(parser)
    add_data_options(parser)
    parser.add_argument("--json", required=True, metavar="FILE", help="where the points are kept")
    parser.add_argument("--sparsities", type=numbers(float), default="0.3,0.5,0.6,0.7,0.8,0.9,0.95", metavar="LIST",
                        help="shares of a layer to prune (default: %(default)s)")
    parser.add_argument("--bits", type=numbers(int), default="1,2,3,4,5,6", metavar="LIST",
                        help="bits of a code to share a layer with (default: %(default)s)")
    add_batch_size(parser, 25)
    budget = parser.add_argument_group("compress further, without retraining")
    budget.add_argument("-o", "--output", metavar="OUT.gdc", help="the file to write (default: none, measure only)")
    budget.add_argument("--budget", type=float, default=1.0, metavar="POINTS", help="of top-1 error on the first half "
                        "that the file may lose (default: %(default)s)")
    return parser.parse_args(argv)


def numbers(kind):
    """A parser of comma-separated numbers."""
    def parse(text):
        try:
            return tuple(kind(part) for part in text.split(","))
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected numbers with commas between, got {text!r}") from None
    return parse


def run(args):
    """Measure; with --output, compress."""
    check_outputs([("--json", args.json), ("-o", args.output)], inputs_of(args))
    set_threads(args.threads)
    from gluon_dc.training.allocate import check_files, compress_further
    from gluon_dc.training.sensitivity import check_settings
    check_files(args)
    check_settings(args.sparsities, args.bits)
    if not args.budget >= 0:
        raise ValueError(f"--budget must be at least 0 points, got {args.budget:g}")
    images = images_of(args)
    opened = opened_net(args)
    from gluon_dc.training.sensitivity_run import measure_layers
    text, record = measure_layers(opened, images, args)
    print(text)
    if args.output:
        print(compress_further(opened, images, record, args))


if __name__ == "__main__":
    sys.exit(main())
