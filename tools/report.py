"""Report on compressed nets: the paper's tables beside our numbers, every byte of the file, general compressors.

Each argument is a .gdc file, a result.json (the .gdc beside it is read too), or a folder with model.gdc and
result.json. What is missing is left out: without result.json there are no errors and no rows of the paper; the
dense and pruned columns of the compressors' table and the figure of the weights come from checkpoints/ in the folder.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc.report.command import run_command  # noqa: E402
from gluon_dc.report.compressors import input_nbytes  # noqa: E402
from gluon_dc.report.results import checkpoint_arrays, read_run  # noqa: E402
from gluon_dc.report.writing import run_compressors, run_data, run_text, write_files  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 (by argparse) for bad usage."""
    return run_command("report.py", report, parse_args(argv))


def parse_args(argv):
    """Return the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="report.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="+", metavar="RESULT_OR_GDC", help="a .gdc, a result.json, or a folder")
    parser.add_argument("--output-dir", metavar="DIR", help="also write report.txt, report.json and PNG figures there")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--no-figures", action="store_true", help="draw nothing (then matplotlib is not needed)")
    parser.add_argument("--no-compressors", action="store_true", help="leave out general compressors, the slow part")
    return parser.parse_args(argv)


def report(args):
    """Print the report of every input, and write files if a folder is given."""
    runs = [read_run(path) for path in args.inputs]
    rows = [None if args.no_compressors else compressors_of(run) for run in runs]
    data = [run_data(run, of_run) for run, of_run in zip(runs, rows)]
    texts = [f"=== {run.path} ===\n\n{run_text(run, of_run)}" for run, of_run in zip(runs, rows)]
    text = "\n\n\n".join(texts)
    if args.output_dir:
        drawn = [] if args.no_figures else list(zip(runs, rows))
        text = write_files(args.output_dir, drawn, text, data)
    print(json.dumps(data, indent=1) if args.json else text)


def compressors_of(run):
    """Return the rows of the compressors' table, with a progress bar on a terminal; None without a model."""
    if run.model is None:
        return None
    total = input_nbytes(checkpoint_arrays(run, "dense"), checkpoint_arrays(run, "pruned"), run.model.decode())
    heading = f"{run.path}: general compressors"
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:  # a bar is all that is missed
        return run_compressors(run)
    with tqdm(total=total, unit="B", unit_scale=True, desc=heading, leave=False, disable=None) as bar:
        return run_compressors(run, bar.update)


if __name__ == "__main__":
    sys.exit(main())
