"""A whole report of a run: as text, as JSON, as files."""

import json
from dataclasses import asdict
from pathlib import Path

from ..coding.files import write_atomically
from .accounting import layer_rows
from .comparison import compressors_table, report_sections
from .compressors import compressor_rows
from .paper import SOURCE, paper_network, paper_table
from .results import checkpoint_arrays, layer_names, read_run
from .sizes import size_report
from .streams import model_streams

REPORT_FOLDER = "report"
NO_MATPLOTLIB = "No figures were drawn: they need matplotlib (pip install 'gluon-dc[report]')."


def write_report(folder, figures=True) -> str:
    """Report on a finished run: write FOLDER/report/report.txt, report.json and figures (PNG), and return the text.

    folder: with result.json, the .gdc file and, if there are any, checkpoints. Where matplotlib is not installed the
    text says so instead. Raises OSError, FormatError or ValueError for files that are not what they should be.
    """
    run = read_run(folder)
    rows = run_compressors(run)
    text, data = run_text(run, rows), run_data(run, rows)
    return write_files(Path(folder) / REPORT_FOLDER, [(run, rows)] if figures else [], text, [data])


def run_compressors(run, advance=None):
    """Return the rows of the compressors' table of a results.Run, None without a model. It may take seconds a MB."""
    if run.model is None:
        return None
    return compressor_rows(run.model, checkpoint_arrays(run, "dense"), checkpoint_arrays(run, "pruned"), advance)


def run_text(run, rows=None) -> str:
    """Return the report of a results.Run as text; rows: of its compressors' table, if it is wanted."""
    sections = report_sections(run.title, run.result, run.model)
    if rows:
        sections.append(compressors_table(run.title, rows))
    return "\n\n".join(sections)


def run_data(run, rows=None) -> dict:
    """Return the numbers of a results.Run, and the paper's, as plain JSON types."""
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


def write_files(folder, drawn, text, data) -> str:
    """Write report.txt, report.json and the figures into a folder, made if need be; return the text.

    drawn: list of (results.Run, rows or None) to draw; the figures' names begin with a number where there are several.
    text gets a line where matplotlib is not installed. data: anything JSON holds.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _draw(folder, drawn)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        text += f"\n\n{NO_MATPLOTLIB}"
    write_atomically(folder / "report.txt", lambda file: file.write(f"{text}\n".encode()))
    write_atomically(folder / "report.json", lambda file: file.write(f"{json.dumps(data, indent=1)}\n".encode()))
    return text


def _draw(folder, drawn):
    if not drawn:
        return
    # Only here, so that reports without figures need no matplotlib.
    from .drawing import save_figure
    from .gallery import run_figures

    for number, (run, rows) in enumerate(drawn, start=1):
        prefix = f"{number}-" if len(drawn) > 1 else ""
        for name, figure in run_figures(run, rows).items():
            save_figure(figure, folder / f"{prefix}{name}.png")
