"""A whole report: as text, as JSON, as files, as a page."""

import json
from dataclasses import asdict
from pathlib import Path

from ..coding.files import write_atomically
from .accounting import layer_rows
from .comparison import compressors_table, report_sections
from .compressors import compressor_rows, input_nbytes
from .experiment_tables import experiment_tables
from .experiments import Experiment
from .hardware import KINDS as HARDWARE
from .hardware import hardware_tables
from .overview import bits_table, methods_table, nets_of, overview_table, runs_of, sizes_table
from .page import page
from .paper import SOURCE, paper_network, paper_table
from .results import Run, checkpoint_arrays, read_run
from .sizes import size_report
from .streams import model_streams

REPORT_FOLDER = "report"
PAGE_NAME = "report.html"
NO_MATPLOTLIB = "No figures were drawn: they need matplotlib (pip install 'gluon-dc[report]')."
# The strongest settings take a second or two a megabyte: beyond this they are left out unless asked for.
MAX_COMPRESSOR_NBYTES = 150_000_000


def write_report(folder, figures=True) -> str:
    """Report on a finished run: write report.txt, .json, .html and figures (PNG) into FOLDER/report; return the text.

    folder: with result.json, the .gdc file and, if there are any, checkpoints. Where matplotlib is not installed the
    text says so instead; a net too large for general compressors is reported without them. Raises OSError, FormatError
    or ValueError for files that are not what they should be.
    """
    run = read_run(folder)
    remark = compressors_remark(run)
    rows = None if remark else run_compressors(run)
    remarks = [remark] if remark else []
    text = "\n\n".join([run_text(run, rows), *remarks])
    return write_files(Path(folder) / REPORT_FOLDER, [run], [rows], text, [run_data(run, rows)], figures, remarks)


def compressor_nbytes(run) -> int:
    """Bytes that `run_compressors` will put through general compressors, about; 0 without a model."""
    if run.model is None:
        return 0
    stages = [checkpoint_arrays(run, "dense"), checkpoint_arrays(run, "pruned")]
    shared = 4 * 4 * sum(tensor.size for _, tensor in run.model.items())
    return input_nbytes(*stages) + shared


def compressors_remark(run) -> str | None:
    """Return why general compressors are left out of a Run's report: it is too large; None where they are not."""
    nbytes = compressor_nbytes(run)
    if nbytes <= MAX_COMPRESSOR_NBYTES:
        return None
    return (f"General compressors are left out of {run.title}: they would read {nbytes / 1e6:,.0f} MB, which takes "
            "minutes; --compressors includes them.")


def run_compressors(run, advance=None):
    """Return the rows of the compressors' table of a results.Run, None without a model. It may take seconds a MB."""
    if run.model is None:
        return None
    return compressor_rows(run.model, checkpoint_arrays(run, "dense"), checkpoint_arrays(run, "pruned"), advance)


def run_text(run, rows=None) -> str:
    """Return the report of a results.Run as text; rows: of its compressors' table, if it is wanted."""
    sections = report_sections(run.title, run.result, run.model)
    if rows:
        sections.append(str(compressors_table(run.title, rows)))
    return "\n\n".join(sections)


def item_text(item, rows=None) -> str:
    """Return the text on one item of `inputs.read_inputs`; rows: of its compressors' table, if it is a run's."""
    if isinstance(item, Run):
        return run_text(item, rows)
    if isinstance(item, HARDWARE):
        return "\n\n".join(map(str, hardware_tables(item)))
    tables = experiment_tables(item) if isinstance(item, Experiment) else [sizes_table(item.nets)]
    return "\n\n".join(map(str, tables))


def overall_text(items) -> str:
    """Return the tables over several items: all nets beside Table 1, sizes, Tables 6 and 7; "" for no net."""
    runs, nets = runs_of(items), nets_of(items)
    if not nets:
        return ""
    tables = [overview_table(items), sizes_table(nets)]
    if any(run.model is not None for run in runs):
        tables.append(bits_table(runs))
    return "\n\n".join(map(str, [*tables, methods_table(nets, runs)]))


def item_data(item, rows=None) -> dict:
    """Return the numbers of one item as plain JSON types; "kind" is "run", "experiment", "zoo", or one of those of
    `hardware.KINDS`."""
    if isinstance(item, Run):
        return run_data(item, rows)
    if isinstance(item, HARDWARE):
        return {**item.to_dict(), "title": item.title, "kind": item.kind}
    kind = {"kind": "experiment", "experiment": item.kind} if isinstance(item, Experiment) else {"kind": "zoo"}
    return {**item.to_dict(), "title": item.title, **kind}


def run_data(run, rows=None) -> dict:
    """Return the numbers of a results.Run, and the paper's, as plain JSON types."""
    table, printed = paper_table(run.network), paper_network(run.network)
    data = {
        "kind": "run", "path": str(run.path), "title": run.title, "network": run.network, "weights": run.weights,
        "result": run.result,
        "paper": {"source": SOURCE, "table1": printed and asdict(printed), "layers": table and asdict(table)},
        "compressors": rows and [asdict(row) for row in rows],
    }
    if run.model is not None:
        data["layers"] = [row.to_dict() for row in layer_rows(run.model, run.layer_names)]
        data["sizes"] = size_report(run.model).to_dict()
        data["streams"] = [stream.to_dict() for stream in model_streams(run.model)]
    return data


def write_files(folder, items, compressors, text, data, figures=True, remarks=(), advance=None) -> str:
    """Write report.txt, report.json, report.html and the figures into a folder, made if need be; return the text.

    items, compressors: as in `page.page`. text gets a line where matplotlib is not installed. data: anything JSON
    holds. remarks: lines on what was left out, for the page. advance(), if given, is called after each figure.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    try:
        drawn = _draw(folder, items, compressors, advance) if figures else {}
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        text, remarks = f"{text}\n\n{NO_MATPLOTLIB}", (*remarks, NO_MATPLOTLIB)
    contents = {"report.txt": f"{text}\n", "report.json": f"{json.dumps(data, indent=1)}\n",
                PAGE_NAME: page(items, compressors, drawn, remarks)}
    for name, content in contents.items():
        write_atomically(folder / name, lambda file, content=content: file.write(content.encode()))
    return text


def _draw(folder, items, compressors, advance):
    # Only here, so that reports without figures need no matplotlib.
    from .drawing import save_figure, svg_figure
    from .gallery import figures

    drawn = {}
    for key, name, figure in figures(items, compressors):
        save_figure(figure, folder / f"{name}.png")
        drawn[key] = svg_figure(figure, f"f{key}")
        if advance:
            advance()
    return drawn
