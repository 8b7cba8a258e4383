"""Command-line options that several tools share: which net with which weights, on which images."""
import os

from ..data import HALVES, PREPROCESSING, half, open_images
from ..report.command import count, input_shape, path_name

MAX_THREADS = 1024


def add_net_options(parser):
    """--model, --gdc | --params | --pretrained, --root, --classes, --preprocessing, --threads."""
    parser.add_argument("--model", metavar="NAME", help="a gluoncv.model_zoo name, or module:function or "
                        "file.py:function that returns a net (default: the network that the .gdc file names)")
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument("--gdc", type=path_name, metavar="FILE", help="weights of a .gdc file")
    weights.add_argument("--params", type=path_name, metavar="FILE", help="weights of a .params file")
    weights.add_argument("--pretrained", action="store_true", help="GluonCV's weights, downloaded if need be")
    add_root(parser)
    parser.add_argument("--classes", type=count, metavar="N", help="number of classes (default: the .gdc file's, else "
                        "the model's own)")
    parser.add_argument("--preprocessing", metavar="NAME[:SIDE]", help=f"one of {', '.join(PREPROCESSING)}; SIDE in "
                        "pixels for another input (default: what the .gdc file says, else GluonCV's for the model)")
    parser.add_argument("--threads", type=count, default=1, metavar="N", help="of MXNet (default: %(default)s)")


def add_root(parser, *other_names):
    """--root."""
    parser.add_argument("--root", *other_names, type=path_name, metavar="DIR",
                        help="folder of GluonCV's files (default: "
                        "$MXNET_HOME/models, else ~/.mxnet/models)")


def add_input_shape(parser, default, more=""):
    """--input-shape; default: what it is in words, more: what else the help says."""
    parser.add_argument("--input-shape", type=input_shape, metavar="C,H,W", help="shape of one input, such as "
                        f"3,224,224 or 784{more} (default: {default})")


def add_data_options(parser):
    """--data, --split, --class-list, --limit."""
    parser.add_argument("--data", type=path_name, required=True, metavar="PATH",
                        help="a folder with one folder of images a class, a "
                        ".csv list (filename,label) or a .rec file; here or in $GLUON_DC_DATA")
    parser.add_argument("--split", metavar="NAME", help="NAME.csv, NAME/ or NAME.rec in the folder, such as val "
                        "(default: the folder itself)")
    parser.add_argument("--class-list", type=path_name, metavar="FILE",
                        help="classes in the order of the net's outputs, one a line "
                        "(default: synsets.txt of the folder, else sorted)")
    parser.add_argument("--limit", type=count, metavar="N", help="only N images, spread evenly over the set (default: "
                        "all)")


def add_half_option(parser):
    """--half."""
    parser.add_argument("--half", choices=HALVES, help="only every second image, from the first or from the second on "
                        "(default: all)")


def add_batch_size(parser, default):
    """--batch-size."""
    parser.add_argument("--batch-size", type=count, default=default, metavar="N", help="images at a time (default: "
                        "%(default)s)")


def set_threads(threads):
    """For MXNet, which reads it when it is first imported; two spinning threads starve each other on a busy machine."""
    if not 1 <= threads <= MAX_THREADS:  # MXNet ends the process where it cannot read the number
        raise ValueError(f"--threads must be at least 1 and at most {MAX_THREADS}, got {threads}")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def inputs_of(args):
    """The files to read that the options name, as `check_outputs` takes them."""
    return [(f"--{name.replace('_', '-')}", getattr(args, name)) for name in ("gdc", "params", "data", "class_list")]


def images_of(args):
    """The ImageSet that the options name; raises as `open_images`, ValueError for a bad limit."""
    images = open_images(args.data, args.class_list, args.split)
    if getattr(args, "half", None):
        images = half(images, args.half)
    if args.limit is not None:
        if args.limit < 1:
            raise ValueError(f"--limit must be at least 1, got {args.limit}")
        count = min(args.limit, len(images))
        images = images.subset([i * len(images) // count for i in range(count)],
                               f"{images.note}; {count} of them, evenly spread")
    return images


def opened_net(args):
    """The OpenedNet that the options name, to be measured: ValueError where its weights are known not to be trained."""
    from .opening import check_trained, open_net  # brings in MXNet, after its threads are set
    opened = open_net(args.model, args.gdc, args.params, args.pretrained, args.classes, args.root)
    check_trained(opened)
    return opened
