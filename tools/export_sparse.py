"""Export a .gdc file to SciPy's sparse matrices, and such a folder back to dense arrays.

    export_sparse.py MODEL.gdc FOLDER              CSR and CSC files that scipy.sparse.load_npz reads
    export_sparse.py FOLDER DENSE.npz --to dense   the arrays of the model, bit for bit

FOLDER gets, for each coded weight, NNN-NAME.csr.npz and NNN-NAME.csc.npz; a .npy for each tensor that travels
losslessly (biases and the like); and index.json with names, original shapes and files. A weight of shape (out, ...)
becomes a matrix (out, product of the rest): a convolution's is (out, in * kh * kw). Every kept weight is stored, even
where its centroid is 0.0, so a matrix has the pattern of the mask. Nothing is pickled.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc.coding import load  # noqa: E402
from gluon_dc.report.command import run_command  # noqa: E402
from gluon_dc.report.sparse import LAYOUTS, read_sparse, write_dense, write_sparse  # noqa: E402
from gluon_dc.report.tables import count  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 (by argparse) for bad usage."""
    return run_command("export_sparse.py", export, parse_args(argv))


def parse_args(argv):
    """Return the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="export_sparse.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="SOURCE", help="MODEL.gdc, or the FOLDER of an earlier export")
    parser.add_argument("target", metavar="TARGET", help="FOLDER to write, or DENSE.npz with --to dense")
    parser.add_argument("--to", choices=("sparse", "dense"), default="sparse", help="what to write (default sparse)")
    parser.add_argument("--layout", choices=(*LAYOUTS, "both"), default="both", help="sparse files (default both)")
    return parser.parse_args(argv)


def export(args):
    """Write TARGET from SOURCE and say what was written."""
    if args.to == "dense":
        arrays = read_sparse(args.source)
        write_dense(arrays, args.target)
        print(f"{args.target}: {len(arrays)} arrays of {count(sum(array.size for array in arrays.values()))} values")
        return
    layouts = LAYOUTS if args.layout == "both" else (args.layout,)
    paths = write_sparse(load(args.source), args.target, layouts)
    print(f"{args.target}: {len(paths)} files, {count(sum(path.stat().st_size for path in paths))} bytes")


if __name__ == "__main__":
    sys.exit(main())
