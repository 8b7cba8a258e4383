"""Turn a network that the authors of Deep Compression released (.net) into a .gdc file: the same weights, bit for bit.

    import_net.py compressed_SqueezeNet.net --model squeezenet1.0 -o squeezenet.gdc

A .net file does not say which network it is, so --model must. (The authors' AlexNet is Caffe's, in two groups, and not
GluonCV's alexnet: --model gluon_dc.models.caffe_alexnet:alexnet.) The first layer's input channels are BGR there and
are turned round, so that the net takes RGB; tools/evaluate.py finds in the file which preprocessing it wants.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("import_net.py")

from gluon_dc.coding import CODERS, EFFORTS  # noqa: E402
from gluon_dc.report.command import NOTHING_WRITTEN, command_parser, count, run_command  # noqa: E402
from gluon_dc.report.outputs import check_outputs  # noqa: E402
from gluon_dc.training.net_options import set_threads  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("import_net.py", import_file, parse_args(argv), interrupted=NOTHING_WRITTEN)


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("import_net.py", __doc__)
    parser.add_argument("input", metavar="FILE.net", help="a network as the authors released it")
    parser.add_argument("--model", required=True, metavar="NAME", help="the network it is: squeezenet1.0, alexnet, "
                        "..., or module:function that returns one")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.gdc", help="the file to write")
    parser.add_argument("--classes", type=count, metavar="N", help="number of classes (default: the model's own)")
    parser.add_argument("--keep-channels", action="store_true", help="leave the first layer's input channels as they "
                        "are")
    parser.add_argument("--preprocessing", metavar="NAME", default="caffe", help="noted in the file for those who "
                        "evaluate it (default: %(default)s, the authors')")
    parser.add_argument("--coder", choices=CODERS, default="huffman", help="context makes the smallest files "
                        "(default: %(default)s)")
    parser.add_argument("--effort", choices=EFFORTS, default="best", help="of the context coder (default: "
                        "%(default)s)")
    parser.add_argument("--graph", action="store_true", help="the net's graph goes into the file too, about 1 KB, and "
                        "it runs without MXNet: python -m gluon_dc classify")
    return parser.parse_args(argv)


def import_file(args):
    """Write OUT.gdc once its bytes are known to decode to the same weights, and print the sizes."""
    check_outputs([("-o", args.output)], [("the .net file to read", args.input)])
    set_threads(1)
    from gluon_dc.data import preprocessing_named
    from gluon_dc.models import zoo
    from gluon_dc.models.net_import import import_net
    from gluon_dc.nn import restore
    from gluon_dc.training import one_shot
    from gluon_dc.training.net_shapes import net_shapes
    crop = preprocessing_named(args.preprocessing).crop
    net = zoo.build(args.model, args.classes)
    shapes = net_shapes(net, zoo.input_shape(args.model))
    metadata = {"network": args.model, "weights": f"{Path(args.input).name}, the authors' release",
                "preprocessing": args.preprocessing}
    graph = one_shot.graph_of(net, args.model, (3, crop, crop)) if args.graph else None
    model = import_net(args.input, shapes, not args.keep_channels, args.coder, metadata, args.effort)
    restore(model, net)
    check_restored(args, net, shapes)
    model = one_shot.write_verified(args.output, replace(model, graph=graph), net)
    print(describe(args, model))


def check_restored(args, net, shapes):
    """Raise ValueError unless the net has the weights of the .net file, bit for bit."""
    from gluon_dc.models import zoo
    from gluon_dc.models.net_format import read_net
    coded, biases = read_net(args.input, shapes)
    expected = {name: tensor.decode() for name, tensor in coded.items()} | biases_by_name(biases)
    first = next(iter(coded))
    if not args.keep_channels:
        expected[first] = expected[first][:, ::-1]
    for name, parameter in zoo.named_parameters(net).items():
        if parameter.data().asnumpy().tobytes() != expected[name].tobytes():
            raise ValueError(f"{args.input}: {name} does not decode to its weights; nothing was written: please "
                             "report this with the file")


def biases_by_name(biases):
    """The biases under their own names: read_net has them under those of the weights."""
    return {name.removesuffix("weight") + "bias": bias for name, bias in biases.items()}


def describe(args, model):
    """The sizes as text: their file, ours, and what no coder of single symbols goes below."""
    from gluon_dc.report.compressors import entropy_nbytes
    from gluon_dc.report.streams import model_streams, packed_tensors, recode
    theirs, ours = Path(args.input).stat().st_size, Path(args.output).stat().st_size
    with_index = model if packed_tensors(model) else recode(model, "huffman")
    streams = model_streams(with_index)
    dense = sum(array.nbytes for array in model.decode().values())
    weights = sum(stream.symbols for stream in streams if stream.kind == "codes")
    rows = [("dense float32", dense), (f"{args.input}", theirs), (f"{args.output}", ours),
            ("  codes and gaps at their entropy, the rest as it is", entropy_nbytes(with_index))]
    lines = [f"{what:<56} {nbytes:>12,} bytes {dense / nbytes:>7.2f}x" for what, nbytes in rows]
    layers = sum(stream.kind == "codes" for stream in streams)
    return "\n".join([*lines, f"{weights:,} entries in {layers} layers; the file decodes to the same weights, bit for "
                      "bit."])


if __name__ == "__main__":
    sys.exit(main())
