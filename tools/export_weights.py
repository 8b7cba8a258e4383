"""Write the decoded weights of a .gdc file as .safetensors, .npz or MXNet's .params; bit for bit, names as in the file.

    export_weights.py FILE.gdc -o OUT.safetensors
    export_weights.py FILE.gdc -o OUT.npz            numpy.load("OUT.npz")["features.0.weight"]
    export_weights.py FILE.gdc -o OUT.params         net.load_parameters("OUT.params")

MXNet is not needed. One tensor at a time is in memory (a context-coded file's codes besides, a byte a weight).
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc.coding import load  # noqa: E402
from gluon_dc.coding.container import MAX_DECODED_NBYTES  # noqa: E402
from gluon_dc.data.progress import progress_steps  # noqa: E402
from gluon_dc.export.weights import FORMATS, decoded_nbytes, export_weights, format_of  # noqa: E402
from gluon_dc.report.command import run_command  # noqa: E402
from gluon_dc.training.folders import check_apart  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 (by argparse) for bad usage, 130 for Ctrl-C."""
    args = parse_args(argv)
    try:
        return run_command("export_weights.py", export, args)
    except KeyboardInterrupt:
        print(f"\nstopped: {args.output} is as it was", file=sys.stderr)
        return 130


def parse_args(argv):
    """Return the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="export_weights.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", help="a .gdc file of any version")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="the file to write; its ending, one of "
                        f"{', '.join(FORMATS)}, says the format")
    parser.add_argument("--max-decoded-nbytes", type=int, metavar="N", default=MAX_DECODED_NBYTES,
                        help="refuse a file whose tensors would take more bytes (default: %(default)s)")
    return parser.parse_args(argv)


def export(args):
    """Write OUT and say what was written."""
    format_of(args.output)
    check_apart([("-o", args.output)], [("the file to read", args.file)])
    model = load(args.file, args.max_decoded_nbytes)
    with progress_steps(decoded_nbytes(model), "export", "B") as step:
        nbytes = export_weights(model, args.output, step)
    print(f"{args.output}: {len(model)} tensors, {nbytes:,} bytes ({Path(args.file).stat().st_size:,} in {args.file})")


if __name__ == "__main__":
    sys.exit(main())
