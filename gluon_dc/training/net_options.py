"""Command-line options that several tools share: which net with which weights, on which images."""
import os

from ..data import HALVES, PREPROCESSING, half, open_images


def add_net_options(parser):
    """--model, --gdc | --params | --pretrained, --root, --classes, --preprocessing, --threads."""
    parser.add_argument("--model", metavar="NAME", help="a gluoncv.model_zoo name, or module:function or "
                        "file.py:function that returns a net (default: the network that the .gdc file names)")
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument("--gdc", metavar="FILE", help="weights of a .gdc file")
    weights.add_argument("--params", metavar="FILE", help="weights of a .params file")
    weights.add_argument("--pretrained", action="store_true", help="GluonCV's weights, downloaded if need be")
    parser.add_argument("--root", metavar="DIR", help="folder of GluonCV's files (default: ~/.mxnet/models; "
                        "$MXNET_HOME/models goes before it)")
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes (default: the .gdc file's, else "
                        "the model's own)")
    parser.add_argument("--preprocessing", metavar="NAME[:SIDE]", help=f"one of {', '.join(PREPROCESSING)}; SIDE in "
                        "pixels for another input (default: what the .gdc file says, else GluonCV's for the model)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of MXNet (default: %(default)s)")


def add_data_options(parser):
    """--data, --split, --class-list, --limit."""
    parser.add_argument("--data", required=True, metavar="PATH", help="a folder with one folder of images a class, a "
                        ".csv list (filename,label) or a .rec file; here or in $GLUON_DC_DATA")
    parser.add_argument("--split", metavar="NAME", help="SPLIT.csv, SPLIT/ or SPLIT.rec in the folder, such as val")
    parser.add_argument("--class-list", metavar="FILE", help="classes in the order of the net's outputs, one a line "
                        "(default: synsets.txt of the folder, else sorted)")
    parser.add_argument("--limit", type=int, metavar="N", help="only N images, spread evenly over the set")


def add_half_option(parser):
    """--half."""
    parser.add_argument("--half", choices=HALVES, help="only every second image, from the first or from the second on")


def set_threads(threads):
    """For MXNet, which reads it when it is first imported; two spinning threads starve each other on a busy machine."""
    if threads < 1:
        raise ValueError(f"--threads must be at least 1, got {threads}")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
