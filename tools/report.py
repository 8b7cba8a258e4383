"""Report on compressed nets: the paper's tables beside our numbers, every byte of the file, general compressors.

Each argument is a .gdc file, a result.json (the .gdc beside it is read too), or a folder with model.gdc and
result.json. What is missing is left out: without result.json there are no errors and no rows of the paper; the
dense and pruned columns of the compressors' table and the figure of the weights come from checkpoints/ in the folder.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from gluon_dc.coding.files import write_atomically
from gluon_dc.report import compressor_rows, compressors_table, read_run, report_sections, size_report
from gluon_dc.report.accounting import layer_rows
from gluon_dc.report.command import run_command
from gluon_dc.report.compressors import input_nbytes
from gluon_dc.report.paper import SOURCE, paper_network, paper_table
from gluon_dc.report.results import checkpoint_arrays, layer_names
from gluon_dc.report.streams import model_streams


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 (by argparse) for bad usage."""
    return run_command("report.py", report, parse_args(argv))


def parse_args(argv):
    """Return the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="report.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="+", metavar="RESULT_OR_GDC", help="a .gdc, a result.json, or a folder")
    parser.add_argument("--output-dir", metavar="DIR", help="also write report.txt, report.json and figures (PNG) there")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--no-figures", action="store_true", help="draw nothing (then matplotlib is not needed)")
    parser.add_argument("--no-compressors", action="store_true", help="leave out the general compressors, the slow part")
    return parser.parse_args(argv)


def report(args):
    """Print the report of every input, and write files if a folder is given."""
    runs = [read_run(path) for path in args.inputs]
    rows = [None if args.no_compressors else compressors_of(run) for run in runs]
    text = "\n\n\n".join(run_text(run, of_run) for run, of_run in zip(runs, rows)) + "\n"
    data = json.dumps([run_data(run, of_run) for run, of_run in zip(runs, rows)], indent=1) + "\n"
    sys.stdout.write(data if args.json else text)
    if args.output_dir:
        folder = Path(args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "report.txt", lambda file: file.write(text.encode()))
        write_atomically(folder / "report.json", lambda file: file.write(data.encode()))
        if not args.no_figures:
            draw(runs, rows, folder)


def compressors_of(run):
    """Return the rows of the compressors' table, with a progress bar on a terminal; None without a model."""
    if run.model is None:
        return None
    dense, pruned = (checkpoint_arrays(run, stage) for stage in ("dense", "pruned"))
    total = input_nbytes(dense, pruned, run.model.decode())
    with tqdm(total=total, unit="B", unit_scale=True, desc=f"{run.path}: compressors", leave=False, disable=None) as bar:
        return compressor_rows(run.model, dense, pruned, bar.update)


def run_text(run, rows):
    """Return the sections of one run as text."""
    sections = [f"=== {run.path} ===", *report_sections(run.title, run.result, run.model)]
    if rows:
        sections.append(compressors_table(run.title, rows))
    return "\n\n".join(sections)


def run_data(run, rows):
    """Return the numbers of one run, and the paper's, as plain JSON types."""
    network = run.result["network"] if run.result else None
    table, printed = paper_table(network), paper_network(network)
    data = {
        "path": str(run.path), "title": run.title, "result": run.result,
        "paper": {"source": SOURCE, "table1": printed and asdict(printed), "layers": table and asdict(table)},
        "compressors": rows and [asdict(row) for row in rows],
    }
    if run.model is not None:
        data["layers"] = [row.to_dict() for row in layer_rows(run.model, layer_names(run.result))]
        data["sizes"] = size_report(run.model).to_dict()
        data["streams"] = [stream.to_dict() for stream in model_streams(run.model)]
    return data


def draw(runs, rows, folder):
    """Write the figures of all runs; their names begin with a number where there are several runs."""
    from gluon_dc.report.drawing import save_figure
    from gluon_dc.report.gallery import run_figures

    for number, (run, of_run) in enumerate(zip(runs, rows), start=1):
        prefix = f"{number}-" if len(runs) > 1 else ""
        for name, figure in run_figures(run, of_run).items():
            save_figure(figure, folder / f"{prefix}{name}.png")


if __name__ == "__main__":
    sys.exit(main())
