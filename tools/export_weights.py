"""Write the decoded weights of a .gdc file as .safetensors, .npz or MXNet's .params; bit for bit, names as in the file.

    export_weights.py FILE.gdc -o OUT.safetensors
    export_weights.py FILE.gdc -o OUT.npz            numpy.load("OUT.npz")["features.0.weight"]
    export_weights.py FILE.gdc -o OUT.params         net.load_parameters("OUT.params")

MXNet is not needed. One tensor at a time is in memory (a context-coded file's codes besides, a byte a weight).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("export_weights.py")

from gluon_dc.coding import load  # noqa: E402
from gluon_dc.data.progress import progress_steps  # noqa: E402
from gluon_dc.export.weights import FORMATS, decoded_nbytes, export_weights, format_of  # noqa: E402
from gluon_dc.report.command import NOTHING_WRITTEN, add_file, command_parser, run_command  # noqa: E402
from gluon_dc.report.outputs import check_outputs  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("export_weights.py", export, parse_args(argv), interrupted=NOTHING_WRITTEN)


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("export_weights.py", __doc__)
    add_file(parser)
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="the file to write; its ending, one of "
                        f"{', '.join(FORMATS)}, says the format")
    return parser.parse_args(argv)


def export(args):
    """Write OUT and say what was written."""
    format_of(args.output)
    check_outputs([("-o", args.output)], [("the file to read", args.file)])
    model = load(args.file, args.max_decoded_nbytes)
    with progress_steps(decoded_nbytes(model), "export", "B") as step:
        nbytes = export_weights(model, args.output, step)
    print(f"{args.output}: {len(model)} tensors, {nbytes:,} bytes ({Path(args.file).stat().st_size:,} in {args.file})")


if __name__ == "__main__":
    sys.exit(main())
