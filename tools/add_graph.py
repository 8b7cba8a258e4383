"""Give a .gdc file the graph of its net, so that it runs without MXNet; its weights stay as they are, bit for bit.

    add_graph.py squeezenet.gdc -o squeezenet-runs.gdc
    add_graph.py mine.gdc --model mynets.py:build --input-shape 3,64,64 --class-names names.txt -o mine-runs.gdc
    python -m gluon_dc classify squeezenet-runs.gdc photograph.jpg

Takes 1 to 10 KB. compress.py --graph and import_net.py --graph write it in the first place.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("add_graph.py")

from gluon_dc.coding.errors import located  # noqa: E402
from gluon_dc.report.command import NOTHING_WRITTEN, command_parser, count, run_command  # noqa: E402
from gluon_dc.report.outputs import check_outputs  # noqa: E402
from gluon_dc.training.net_options import add_input_shape, set_threads  # noqa: E402

MAX_NAMES_NBYTES = 2**24


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("add_graph.py", add_graph, parse_args(argv), interrupted=NOTHING_WRITTEN)


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("add_graph.py", __doc__)
    parser.add_argument("file", metavar="FILE.gdc", help="a compressed net")
    parser.add_argument("--model", metavar="NAME", help="a gluoncv.model_zoo name, lenet-300-100, lenet-5, or "
                        "module:function or file.py:function (default: the network that the file names, or the "
                        "result.json of its run beside it)")
    parser.add_argument("--classes", type=count, metavar="N", help="number of classes (default: the file's)")
    add_input_shape(parser, "the model's, of the size that the preprocessing makes")
    parser.add_argument("--preprocessing", metavar="NAME[:SIDE]", help="noted in the file (default: what the file "
                        "says, else GluonCV's for the model; none for nets that take no colour images)")
    parser.add_argument("--class-names", metavar="FILE", help="a text file (UTF-8) with the names of the classes, one "
                        "a line, in the order of the net's outputs: noted in OUT.gdc (default: as in FILE.gdc)")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.gdc", help="the file to write; it may be FILE")
    return parser.parse_args(argv)


def add_graph(args):
    """Write OUT.gdc once its bytes are known to decode to the same weights."""
    check_outputs([("-o", args.output)], [("--class-names", args.class_names)])
    set_threads(1)
    names = read_names(args.class_names)
    from gluon_dc.training import one_shot
    from gluon_dc.training.opening import open_net
    opened = open_net(args.model, gdc=args.file, classes=args.classes)
    notes, sizes = notes_and_shape(args, opened)
    if names is not None:
        check_names(args.class_names, names, opened)
        notes["classes"] = names
    with located(args.file):
        graph = one_shot.graph_of(opened.net, opened.name, sizes)
    before = Path(args.file).stat().st_size
    model = replace(opened.model, graph=graph, metadata={**opened.metadata, "network": opened.name, **notes})
    one_shot.write_verified(args.output, model, opened.net)
    after = Path(args.output).stat().st_size
    print(f"{args.output}: {after:,} bytes, {after - before:,} more than {args.file}; input {sizes}, "
          f"{notes.get('preprocessing', 'no preprocessing noted')}")


def notes_and_shape(args, opened):
    """What the metadata are to say, and the shape of one input."""
    from gluon_dc.models import zoo
    sizes = args.input_shape or zoo.input_shape(opened.name)
    if not zoo.takes_photographs(sizes) and not args.preprocessing:
        return {}, sizes
    preprocessing = opened.preprocessing(args.preprocessing)
    side = preprocessing.crop
    return {"preprocessing": preprocessing.name}, args.input_shape or (sizes[0], side, side)


def read_names(path):
    """The lines of a text file, None for None."""
    if path is None:
        return None
    with open(path, "rb") as file:
        content = file.read(MAX_NAMES_NBYTES + 1)
    expected = "expected a text file (UTF-8) with the name of a class on every line"
    if len(content) > MAX_NAMES_NBYTES:
        raise ValueError(f"{path}: {expected}, got more than {MAX_NAMES_NBYTES:,} bytes")
    try:
        names = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {expected}, got bytes that are no such text (0x{content[error.start]:02x} at byte "
                         f"{error.start:,})") from None
    if not names or "" in names:
        raise ValueError(f"{path}: {expected}, got none on line {names.index('') + 1 if names else 1}")
    return names


def check_names(path, names, opened):
    """Raise ValueError unless there is a name for each of the net's outputs."""
    last = opened.model[opened.model.names[-1]]
    if len(names) != last.shape[0]:
        raise ValueError(f"{path}: names {len(names)} classes, the net has {last.shape[0]}: one line for each, in the "
                         "order of its outputs")


if __name__ == "__main__":
    sys.exit(main())
