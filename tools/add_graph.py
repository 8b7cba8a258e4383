"""Give a .gdc file the graph of its net, so that it runs without MXNet; its weights stay as they are, bit for bit.

    add_graph.py squeezenet.gdc -o squeezenet-runs.gdc
    add_graph.py mine.gdc --model mynets.py:build --input-shape 3,64,64 --class-names names.txt -o mine-runs.gdc
    python -m gluon_dc classify squeezenet-runs.gdc photograph.jpg

Takes 1 to 10 KB. compress.py --graph and import_net.py --graph write it in the first place.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc.report.command import image_shape, run_command  # noqa: E402
from gluon_dc.training.net_options import set_threads  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 (by argparse) for bad usage."""
    return run_command("add_graph.py", add_graph, parse_args(argv))


def parse_args(argv):
    """Return the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="add_graph.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE.gdc", help="a compressed net")
    parser.add_argument("--model", metavar="NAME", help="a gluoncv.model_zoo name, lenet-300-100, lenet-5, or "
                        "module:function or file.py:function (default: the network that the file names)")
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes (default: the file's)")
    parser.add_argument("--input-shape", type=image_shape, metavar="C,H,W", help="of one input (default: the model's, of "
                        "the size that the preprocessing makes)")
    parser.add_argument("--preprocessing", metavar="NAME[:SIDE]", help="noted in the file (default: what the file "
                        "says, else GluonCV's for the model; none for nets that take no colour images)")
    parser.add_argument("--class-names", metavar="FILE", help="names of the classes, one a line, in the order of the "
                        "net's outputs: noted in the file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.gdc", help="the file to write; it may be FILE")
    return parser.parse_args(argv)


def add_graph(args):
    """Write OUT.gdc once its bytes are known to decode to the same weights."""
    set_threads(1)
    names = read_names(args.class_names)
    from gluon_dc.training import one_shot
    from gluon_dc.training.opening import open_net
    opened = open_net(args.model, gdc=args.file, classes=args.classes)
    notes, sizes = notes_and_shape(args, opened)
    if names is not None:
        check_names(args.class_names, names, opened)
        notes["classes"] = names
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
    if sizes[0] != 3 and not args.preprocessing:
        return {}, sizes
    preprocessing = opened.preprocessing(args.preprocessing)
    side = preprocessing.crop
    return {"preprocessing": preprocessing.name}, args.input_shape or (sizes[0], side, side)


def read_names(path):
    """The lines of a text file, None for None."""
    if path is None:
        return None
    names = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    if not names or "" in names:
        raise ValueError(f"{path}: expected a name of a class on every line")
    return names


def check_names(path, names, opened):
    """Raise ValueError unless there is a name for each of the net's outputs."""
    last = opened.model[opened.model.names[-1]]
    if len(names) != last.shape[0]:
        raise ValueError(f"{path}: names {len(names)} classes, the net has {last.shape[0]}")


if __name__ == "__main__":
    sys.exit(main())
