"""Show where every byte of a .gdc file is: by tensor positions, codes, codebook and arrays; header and checksums.

    show.py FILE.gdc
    show.py FILE.gdc --json > bytes.json

The numbers add up to the size of the file. MXNet is not needed.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("show.py")

from gluon_dc.coding import load  # noqa: E402
from gluon_dc.report.byte_table import byte_table  # noqa: E402
from gluon_dc.report.command import add_file, command_parser, run_command  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("show.py", show, parse_args(argv))


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("show.py", __doc__)
    add_file(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    decode = parser.add_mutually_exclusive_group()
    decode.add_argument("--decode", action="store_true", default=None, help="decode context-coded tensors, however "
                        "large (a second per million weights), to count the kept weights and tell positions from "
                        "codes (default: if all together have up to 8 million weights)")
    decode.add_argument("--no-decode", dest="decode", action="store_false", help="do not decode them")
    return parser.parse_args(argv)


def show(args):
    """Print the table or the JSON."""
    table = byte_table(load(args.file, args.max_decoded_nbytes), args.decode)
    size = Path(args.file).stat().st_size
    if table.nbytes != size:
        # Another writer may have chosen other forms: what our writer makes of the same model is not this file.
        raise ValueError(f"{args.file} has {size:,} bytes, but written anew it takes {table.nbytes:,}: it is by "
                         "another writer, and there is no table of it; load and save it first")
    print(json.dumps({"file": args.file, **table.to_dict()}, indent=1) if args.json else f"{args.file}: {table}")


if __name__ == "__main__":
    sys.exit(main())
