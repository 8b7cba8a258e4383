"""Export a .gdc file to SciPy's sparse matrices, and such a folder back to dense arrays.

    export_sparse.py MODEL.gdc FOLDER              CSR and CSC files that scipy.sparse.load_npz reads
    export_sparse.py FOLDER DENSE.npz --to dense   the arrays of the model, bit for bit

FOLDER gets, for each coded weight, NNN-NAME.csr.npz and NNN-NAME.csc.npz; a .npy for each tensor that travels
losslessly (biases and the like); and index.json with names, original shapes and files. A weight of shape (out, ...)
becomes a matrix (out, product of the rest): a convolution's is (out, in * kh * kw). Every kept weight is stored, even
where its centroid is 0.0, so a matrix has the pattern of the mask. Nothing is pickled.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("export_sparse.py")

from gluon_dc.coding import load  # noqa: E402
from gluon_dc.report.command import NOTHING_WRITTEN, command_parser, path_name, run_command  # noqa: E402
from gluon_dc.report.outputs import check_folder, check_outputs  # noqa: E402
from gluon_dc.report.sparse import INDEX_NAME, LAYOUTS, read_sparse, write_dense, write_sparse  # noqa: E402
from gluon_dc.report.tables import count  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    args = parse_args(argv)
    left = NOTHING_WRITTEN if args.to == "dense" else f"{args.target} has no {INDEX_NAME}, the same command begins anew"
    return run_command("export_sparse.py", export, args, interrupted=left)


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("export_sparse.py", __doc__)
    parser.add_argument("source", type=path_name, metavar="SOURCE",
                        help="MODEL.gdc, or the FOLDER of an earlier export")
    parser.add_argument("target", type=path_name, metavar="TARGET",
                        help="FOLDER to write, or DENSE.npz with --to dense")
    parser.add_argument("--to", choices=("sparse", "dense"), default="sparse", help="what to write "
                        "(default: %(default)s)")
    parser.add_argument("--layout", choices=(*LAYOUTS, "both"), default="both", help="sparse files "
                        "(default: %(default)s)")
    return parser.parse_args(argv)


def export(args):
    """Write TARGET from SOURCE and say what was written."""
    if args.to == "dense":
        check_outputs([("TARGET", args.target)])
        if not is_export(args.source):
            raise ValueError(f"{args.source}: is no folder of an earlier export: expected an {INDEX_NAME} of one in it")
        arrays = read_sparse(args.source)
        write_dense(arrays, args.target)
        print(f"{args.target}: {len(arrays)} arrays of {count(sum(array.size for array in arrays.values()))} values")
        return
    check_folder("TARGET", args.target)
    if (Path(args.target) / INDEX_NAME).exists() and not is_export(args.target):
        raise ValueError(f"{args.target}: its {INDEX_NAME} is of something else and would be lost: give another folder")
    if Path(args.source).is_dir():
        raise ValueError(f"{args.source}: is a folder, expected MODEL.gdc; an earlier export becomes dense arrays with "
                         "--to dense")
    layouts = LAYOUTS if args.layout == "both" else (args.layout,)
    paths = write_sparse(load(args.source), args.target, layouts)
    print(f"{args.target}: {len(paths)} files, {count(sum(path.stat().st_size for path in paths))} bytes")


def is_export(folder):
    """Whether a folder has the index of an export."""
    try:
        index = json.loads((Path(folder) / INDEX_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(index, dict) and "format" in index and isinstance(index.get("tensors"), list)


if __name__ == "__main__":
    sys.exit(main())
