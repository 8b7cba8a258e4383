"""Top-1 and top-5 accuracy of a net on photographs: of a .gdc file, of a .params file, of GluonCV's own weights.

    evaluate.py --model squeezenet1.0 --gdc squeezenet.gdc --data imagenet-sample
    evaluate.py --model resnet18_v1 --params mine.params --classes 18 --data mini-imagenet-18 --split val
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("evaluate.py")

from gluon_dc.report.command import command_parser, run_command  # noqa: E402
from gluon_dc.training.net_options import (  # noqa: E402
    add_batch_size, add_data_options, add_half_option, add_net_options, images_of, opened_net, set_threads)


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("evaluate.py", measure, parse_args(argv))


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("evaluate.py", __doc__)
    add_net_options(parser)
    add_data_options(parser)
    add_half_option(parser)
    add_batch_size(parser, 50)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser.parse_args(argv)


def measure(args):
    """Print the accuracy."""
    set_threads(args.threads)
    images = images_of(args)
    opened = opened_net(args)
    from gluon_dc.data.progress import progress_steps
    from gluon_dc.training.evaluate import evaluate
    preprocessing = opened.preprocessing(args.preprocessing)
    opened.net.hybridize(static_alloc=True, static_shape=True)
    with progress_steps(len(images), "evaluating", "image") as progress:
        found = evaluate(opened.net, images, preprocessing, args.batch_size, progress)
    if args.json:
        print(json.dumps({
            "network": opened.name, "weights": opened.weights, "data": images.note,
            "preprocessing": preprocessing.describe(), "images": found.n,
            "top1_percent": found.top1_percent, "top5_percent": found.top5_percent,
            "top1_error_percent": found.top1_error_percent, "top5_error_percent": found.top5_error_percent,
        }, indent=1))
        return
    print(f"{opened.name}, {opened.weights}\n{images.note}\n{preprocessing.describe()}")
    top5 = "" if found.top5_percent is None else f", top-5 {found.top5_percent:.2f} %"
    error5 = "" if found.top5_percent is None else f", top-5 {found.top5_error_percent:.2f} %"
    print(f"{found.n:,} images: accuracy top-1 {found.top1_percent:.2f} %{top5}; "
          f"error top-1 {found.top1_error_percent:.2f} %{error5}")


if __name__ == "__main__":
    sys.exit(main())
