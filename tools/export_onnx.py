"""Write the net of a .gdc file as an ONNX model, which onnxruntime and others run; MXNet is not needed.

    export_onnx.py FILE.gdc -o OUT.onnx                   dense float32 weights
    export_onnx.py FILE.gdc -o OUT.onnx --compact         codebooks and codes: the file stays small
    export_onnx.py FILE.gdc -o OUT.onnx --check random    compare what onnxruntime makes of it with our own runtime

The .gdc file must have a graph (compress.py --graph, add_graph.py). A compact model's weights are made by ONNX
operators from packed codes and positions; onnxruntime does that once, when it loads the model, and then runs as fast as
on the dense one (docs/export.md). Needs the package onnx, --check onnxruntime too: pip install -r requirements-onnx.txt
"""

import importlib.util
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("export_onnx.py")

import numpy as np  # noqa: E402

from gluon_dc.classify import preprocessor, read_image  # noqa: E402
from gluon_dc.coding import load  # noqa: E402
from gluon_dc.coding.errors import located  # noqa: E402
from gluon_dc.data.progress import progress_steps  # noqa: E402
from gluon_dc.export.onnx_check import TOLERANCE, differences, gzip_nbytes, is_same  # noqa: E402
from gluon_dc.export.onnx_export import to_onnx  # noqa: E402
from gluon_dc.report.command import NOTHING_WRITTEN, UsageError, add_file, command_parser, run_command  # noqa: E402
from gluon_dc.report.outputs import check_outputs  # noqa: E402
from gluon_dc.runtime.session import session  # noqa: E402
from gluon_dc.training.net_options import add_input_shape  # noqa: E402

ENDING = ".onnx"
RANDOM = "random"
RANDOM_INPUTS = 4


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("export_onnx.py", export, parse_args(argv), interrupted=NOTHING_WRITTEN)


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("export_onnx.py", __doc__)
    add_file(parser, "a .gdc file with a graph")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.onnx", help="the file to write")
    parser.add_argument("--compact", action="store_true", help="weights stay codes and codebooks in the file (default: "
                        "dense float32)")
    add_input_shape(parser, "as noted in the graph")
    parser.add_argument("--check", metavar="IMAGE", action="append", default=[], help="compare outputs on this image, "
                        f"or with the word {RANDOM} on {RANDOM_INPUTS} inputs of noise; may be given again; a model "
                        "that differs is not written (default: no comparison)")
    parser.add_argument("--no-gzip", dest="gzip", action="store_false", help="do not find out what gzip makes of it")
    return parser.parse_args(argv)


def export(args):
    """Write OUT.onnx and print the sizes."""
    check_packages(["onnx"] + ["onnxruntime"] * bool(args.check))
    check_ending(args.output)
    images = [("an image to read", path) for path in args.check if path != RANDOM]
    check_outputs([("-o", args.output), ("the file to check, beside -o,", unchecked(args))],
                  [("the file to read", args.file), *images])
    args.images = [read_image(path) for _, path in images]
    model, shape = load(args.file, args.max_decoded_nbytes), args.input_shape
    with progress_steps(sum(int(np.prod(tensor.shape)) for _, tensor in model.items()), "weights", "") as step:
        with located(args.file):
            made = to_onnx(model, shape, args.compact, step)
    found = write(args, model, made)
    print(describe(args, made, made if not args.compact else to_onnx(model, shape)))
    if found:
        print(f"largest difference between onnxruntime and gluon_dc.session over {len(found)} inputs: "
              f"{max(one for one, _ in found):.2g}, beside outputs of up to {max(largest for _, largest in found):.4g}")


def check_ending(path):
    """Raise UsageError for a name by which nobody would know the file."""
    if Path(path).suffix.lower() != ENDING:
        raise UsageError(f"{path}: a name must end in {ENDING}, got {Path(path).suffix or 'nothing'!r}; weights alone: "
                         "tools/export_weights.py")


def check_packages(names):
    """Raise ValueError for a package that is not installed, before any work."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"needs {' and '.join(missing)}: pip install -r requirements-onnx.txt")


def write(args, model, made):
    """Write the file, checked if that is asked for; the differences that were found."""
    def save(path):
        with progress_steps(sum(tensor.nbytes for tensor in made.tensors), "write", "B") as step:
            made.write(path, step)
    if not args.check:
        save(args.output)
        return []
    try:
        save(unchecked(args))
        found = checked(args, model, unchecked(args))
        os.replace(unchecked(args), args.output)
    finally:
        Path(unchecked(args)).unlink(missing_ok=True)
    return found


def unchecked(args):
    """Where the model is until it is known to be right; None where that is not looked at."""
    return f"{args.output}.unchecked" if args.check else None


def checked(args, model, path):
    """The differences, input by input; ValueError where one is more than rounding."""
    with located(args.file):
        net = session(model, input_shape=args.input_shape, force="dense")
    rng, inputs = np.random.default_rng(0), []
    if RANDOM in args.check:
        batches = range(1, RANDOM_INPUTS + 1)
        inputs += [rng.normal(size=(batch, *net.input_shape)).astype(np.float32) for batch in batches]
    if args.images:
        with located(args.file):
            to_input = preprocessor(net)
        inputs += [to_input(image) for image in args.images]
    found = differences(path, net.run, inputs)
    for i, (difference, largest) in enumerate(found):
        if not is_same(difference, largest):
            raise ValueError(f"the ONNX model differs by {difference:.3g} from gluon_dc.session on input {i + 1}, "
                             f"beside outputs of up to {largest:.4g} (allowed: {TOLERANCE:g} of that): nothing was "
                             "written; please report this with the file")
    return found


def describe(args, made, dense):
    """The sizes as text."""
    written = Path(args.output).stat().st_size
    rows = [(args.file, Path(args.file).stat().st_size), ("ONNX, dense float32", dense.nbytes),
            (f"{args.output} ({'compact' if args.compact else 'dense'})", written)]
    if args.gzip:
        with progress_steps(written, "gzip", "B") as step:
            rows.append(("  the same after gzip -6", gzip_nbytes(args.output, step)))
    width = max(len(what) for what, _ in rows)
    return "\n".join(f"{what:<{width}} {nbytes:>13,} bytes {dense.nbytes / nbytes:>8.2f}x" for what, nbytes in rows)


if __name__ == "__main__":
    sys.exit(main())
