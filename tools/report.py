"""Report on compressed nets: the paper's tables beside our numbers, every byte of the file, general compressors.

Each argument is a .gdc file, a result.json (the .gdc beside it is read too), a run's folder with model.gdc and
result.json, the JSON of an experiment (train/sweep.py, tools/sensitivity.py), zoo_sizes.json (tools/zoo_sizes.py), the
JSON of benchmarks/dense_layers.py, conv_layers.py, whole_nets.py or energy.py or of tools/mobile.py, or a folder of
such JSON. With --output-dir the report is also one page, report.html, that needs no network. What is missing is left
out: without result.json there are no errors; the dense and pruned columns of the compressors' table and the figure of
the weights come from checkpoints/ in the folder.
"""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("report.py")

from gluon_dc.report.command import command_parser, path_name, run_command  # noqa: E402
from gluon_dc.report.inputs import read_inputs  # noqa: E402
from gluon_dc.report.outputs import check_folder  # noqa: E402
from gluon_dc.report.results import Run  # noqa: E402
from gluon_dc.report.writing import (  # noqa: E402
    PAGE_NAME, compressor_nbytes, compressors_remark, item_data, item_text, overall_text, run_compressors, write_files,
)


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("report.py", report, parse_args(argv), interrupted="what was already written is whole")


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("report.py", __doc__)
    parser.add_argument("inputs", type=path_name, nargs="+", metavar="INPUT",
                        help="a .gdc, a .json of the kinds above, or a folder")
    parser.add_argument(
        "--output-dir", metavar="DIR",
        help="also write report.html (the page), report.txt, report.json and figures (PNG) there (default: "
        "only print)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--no-figures", action="store_true", help="draw nothing (then matplotlib is not needed)")
    compressors = parser.add_mutually_exclusive_group()
    compressors.add_argument(
        "--no-compressors", action="store_true", help="leave out general compressors, the slow part"
    )
    compressors.add_argument(
        "--compressors", action="store_true",
        help="general compressors for large nets too, where they take minutes (default: left out, which is said)",
    )
    return parser.parse_args(argv)


def report(args):
    """Print the report of every input, and write files if a folder is given."""
    check_folder("--output-dir", args.output_dir)
    remarks = []
    items = read_inputs(args.inputs, remarks)
    too_large = [] if args.no_compressors or args.compressors else [remark_of(item) for item in items]
    skipped = [args.no_compressors or bool(remark) for remark in too_large or [None] * len(items)]
    rows = [None if skip else compressors_of(item) for item, skip in zip(items, skipped)]
    remarks += [remark for remark in too_large if remark]
    data = [item_data(item, of_item) for item, of_item in zip(items, rows)]
    text = "\n\n\n".join([*overall(items), *map(headed_text, items, rows), *remarks])
    if args.output_dir:
        with progress("figures", unit=" figures") as advance:
            text = write_files(args.output_dir, items, rows, text, data, not args.no_figures, remarks, advance)
        print(f"report.py: the page is {Path(args.output_dir) / PAGE_NAME}", file=sys.stderr)
    print(json.dumps(data, indent=1) if args.json else text)


def overall(items):
    """Return what is to be said of all items together, in a list: nothing where there is only one."""
    text = overall_text(items) if len(items) > 1 else ""
    return [f"=== all of them ===\n\n{text}"] if text else []


def headed_text(item, rows):
    """Return the text of an item under its path."""
    return f"=== {item.path} ===\n\n{item_text(item, rows)}"


def remark_of(item):
    """Return why an item's general compressors are left out, None where they are not."""
    return compressors_remark(item) if isinstance(item, Run) else None


def compressors_of(item):
    """Return the rows of the compressors' table, with a progress bar on a terminal; None without a model."""
    if not isinstance(item, Run) or item.model is None:
        return None
    heading = f"{item.path}: general compressors"
    with progress(heading, total=compressor_nbytes(item), unit="B", unit_scale=True) as advance:
        return run_compressors(item, advance)


@contextmanager
def progress(heading, **options):
    """Show a progress bar on a terminal; give the function that advances it, or None where tqdm is missing."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:  # a bar is all that is missed
        yield None
        return
    with tqdm(desc=heading, leave=False, disable=None, **options) as bar:
        yield bar.update


if __name__ == "__main__":
    sys.exit(main())
