"""Write the net of a .gdc file as an ONNX model, which onnxruntime and others run; MXNet is not needed.

    export_onnx.py FILE.gdc -o OUT.onnx                   dense float32 weights
    export_onnx.py FILE.gdc -o OUT.onnx --compact         codebooks and codes: the file stays small
    export_onnx.py FILE.gdc -o OUT.onnx --check random    compare what onnxruntime makes of it with our own runtime

The .gdc file must have a graph (compress.py --graph, add_graph.py). A compact model's weights are made by ONNX
operators from packed codes and positions; onnxruntime does that once, when it loads the model, and then runs as fast as
on the dense one (docs/export.md). Needs the package onnx, --check onnxruntime too: pip install -r requirements-onnx.txt
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from gluon_dc.coding import load, write_atomically  # noqa: E402
from gluon_dc.coding.container import MAX_DECODED_NBYTES  # noqa: E402
from gluon_dc.data.progress import progress_steps  # noqa: E402
from gluon_dc.export.onnx_check import TOLERANCE, differences, gzip_nbytes, is_same  # noqa: E402
from gluon_dc.export.onnx_export import to_onnx  # noqa: E402
from gluon_dc.report.command import UsageError, run_command  # noqa: E402
from gluon_dc.training.folders import check_apart  # noqa: E402

RANDOM = "random"
RANDOM_INPUTS = 4


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    args = parse_args(argv)
    try:
        return run_command("export_onnx.py", export, args)
    except KeyboardInterrupt:
        print(f"\nstopped: {args.output} is as it was", file=sys.stderr)
        return 130


def parse_args(argv):
    """Return the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="export_onnx.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", help="a .gdc file with a graph")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.onnx", help="the file to write")
    parser.add_argument("--compact", action="store_true", help="weights stay codes and codebooks in the file (default: "
                        "dense float32)")
    parser.add_argument("--input-shape", metavar="C,H,W", help="of one input (default: as noted in the graph)")
    parser.add_argument("--check", metavar="IMAGE", nargs="+", help="compare outputs on these images, or on "
                        f"{RANDOM_INPUTS} inputs of noise with the word {RANDOM}; a model that differs is not written")
    parser.add_argument("--no-gzip", dest="gzip", action="store_false", help="do not find out what gzip makes of it")
    parser.add_argument("--max-decoded-nbytes", type=int, metavar="N", default=MAX_DECODED_NBYTES,
                        help="refuse a file whose tensors would take more bytes (default: %(default)s)")
    return parser.parse_args(argv)


def export(args):
    """Write OUT.onnx and print the sizes."""
    shape = parse_shape(args.input_shape)
    check_packages(["onnx"] + ["onnxruntime"] * bool(args.check))
    images = [("an image to read", path) for path in args.check or () if path != RANDOM]
    check_apart([("-o", args.output)], [("the file to read", args.file), *images])
    model = load(args.file, args.max_decoded_nbytes)
    with progress_steps(sum(int(np.prod(tensor.shape)) for _, tensor in model.items()), "weights", "") as step:
        made = to_onnx(model, shape, args.compact, step)
    found = write(args, model, made)
    print(describe(args, made, made if not args.compact else to_onnx(model, shape)))
    if found:
        print(f"largest difference between onnxruntime and gluon_dc.session over {len(found)} inputs: "
              f"{max(one for one, _ in found):.2g}, beside outputs of up to {max(largest for _, largest in found):.4g}")


def parse_shape(text):
    """(3, 224, 224) for "3,224,224", None for None; UsageError for others."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) < 2**31 for part in parts):
        raise UsageError(f"--input-shape: expected numbers from 1 on, as in 3,224,224, got {text!r}")
    return tuple(map(int, parts))


def check_packages(names):
    """Raise ValueError for a package that is not installed, before any work."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"needs {' and '.join(missing)}: pip install -r requirements-onnx.txt")


def write(args, model, made):
    """Write the file, checked if that is asked for; the differences that were found."""
    def save(path):
        with progress_steps(sum(tensor.nbytes for tensor in made.tensors), "write", "B") as step:
            write_atomically(path, lambda file: made.write(file, step))
    if not args.check:
        save(args.output)
        return []
    unchecked = f"{args.output}.unchecked"
    try:
        save(unchecked)
        found = checked(args, model, unchecked)
        os.replace(unchecked, args.output)
    finally:
        Path(unchecked).unlink(missing_ok=True)
    return found


def checked(args, model, path):
    """The differences, input by input; ValueError where one is more than rounding."""
    from gluon_dc.classify import preprocessor, read_image
    from gluon_dc.runtime.session import session
    net = session(model, input_shape=parse_shape(args.input_shape), force="dense")
    if args.check == [RANDOM]:
        rng = np.random.default_rng(0)
        batches = range(1, RANDOM_INPUTS + 1)
        inputs = [rng.normal(size=(batch, *net.input_shape)).astype(np.float32) for batch in batches]
    else:
        to_input = preprocessor(net)
        inputs = [to_input(read_image(image)) for image in args.check]
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
