"""The experiments behind the paper's Figs. 6 to 8 as tables."""

import json

from .experiments import COMPRESSION, KINDS, METHOD_NAMES, SENSITIVITY, STARTS, frontier, size_percent
from .tables import Table, count, decimal, times

LOSSES = (0, 0.5, 1)  # points of error above the dense net's
TRAINED = {True: "trained", False: "k-means", None: ""}
_MAX_SETTING = 60


def experiment_tables(experiment) -> list[Table]:
    """Return the tables of an Experiment, its points first summed up where there is a way to."""
    make = {COMPRESSION: _compression_tables, STARTS: _starts_tables, SENSITIVITY: _sensitivity_tables}
    return make[experiment.kind](experiment)


def experiment_notes(experiment) -> tuple[str, ...]:
    """Return what the errors are of: the data set's note, the images, the dense net, the seed; a line each."""
    known = [
        f"Errors measured on: {experiment.split}." if experiment.split else "",
        experiment.note,
        f"The dense net: {experiment.dense_error_percent:.2f} % error"
        + (f", {experiment.dense_nbytes:,} bytes." if experiment.dense_nbytes else "."),
        f"Seed {experiment.seed}." if experiment.seed is not None else "",
    ]
    return tuple(f"{note.rstrip('.')}." for note in known if note)


def methods_of(experiment) -> list[str]:
    """Return the methods of a compression experiment, in the order in which they first occur."""
    return list(dict.fromkeys(point["method"] for point in experiment.points))


def _compression_tables(experiment):
    return [_smallest_table(experiment), _points_table(experiment)]


def _smallest_table(experiment):
    rows, error, dense = [], experiment.chosen_by, experiment.dense_chosen_by
    for method in methods_of(experiment):
        points = [point for point in experiment.points if point["method"] == method]
        cells = [cell for loss in LOSSES for cell in _smallest(experiment, points, error, dense + loss)]
        rows.append([METHOD_NAMES.get(method, method), *cells])
    headings = ["method"]
    for loss in LOSSES:
        allowed = f"loss up to {loss:g}" if loss else "no loss"
        headings += [f"{allowed}\n% of dense", f"{allowed}\nerror %"]
    title = f"Smallest files at a loss of accuracy: {experiment.title}"
    return Table(title, headings, rows, (_choice_note(experiment), *experiment_notes(experiment)))


def _smallest(experiment, points, error, limit):
    # [size in percent, error in percent] of the smallest file: what is chosen by is not what is shown, if possible.
    fitting = [point for point in points if point[error] <= limit + 1e-9]
    if not fitting:
        return [None, None]
    best = min(fitting, key=lambda point: (size_percent(experiment, point), point[error]))
    return [decimal(size_percent(experiment, best), 2), decimal(best["error_percent"], 2)]


def _choice_note(experiment):
    if experiment.chosen_by == "error_percent":
        return ("Loss: points of the error that is shown, against the dense net's; files chosen by it look somewhat "
                "better than they are.")
    return (f"Loss: points of validation error against the dense net's {experiment.dense_chosen_by:.2f} %; the error "
            "shown chose nothing.")


def _points_table(experiment):
    rows, error = [], experiment.chosen_by
    on_validation = error != "error_percent"
    for method in methods_of(experiment):
        points = [point for point in experiment.points if point["method"] == method]
        best = {id(point) for point in frontier(points, error)}
        for point in sorted(points, key=lambda point: point["nbytes"]):
            percent = size_percent(experiment, point)
            change = point["error_percent"] - experiment.dense_error_percent
            rows.append([
                METHOD_NAMES.get(method, method), _setting(point.get("setting")),
                "best" if id(point) in best else "", count(point["nbytes"]), decimal(percent, 2),
                times(100 / percent) if percent else None,
                *([decimal(point[error], 2)] if on_validation else []),
                decimal(point["error_percent"], 2), f"{change:+.2f}",
            ])
    headings = ["method", "setting", "", "bytes", "% of dense", "ratio",
                *(["validation\nerror %"] if on_validation else []), "error %", "change"]
    where = " on the validation images" if on_validation else ""
    notes = (f"best: no other file of the method is both smaller and as accurate{where}. Change: points of error.",)
    return Table(f"Fig. 6: error against size, {experiment.title}", headings, rows, notes, text_columns=3)


def _setting(setting):
    def shown(value):
        return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)

    text = ", ".join(f"{key} {shown(value)}" for key, value in (setting or {}).items())
    return text if len(text) <= _MAX_SETTING else text[: _MAX_SETTING - 3] + "..."


def _starts_tables(experiment):
    columns = list(dict.fromkeys((point["start"], point.get("retrained")) for point in experiment.points))
    columns.sort(key=lambda column: bool(column[1]))  # stable: untrained first, starts as they came
    errors = {(point["bits"], point["start"], point.get("retrained")): point["error_percent"]
              for point in experiment.points}
    rows = [
        [str(bits), *(decimal(errors.get((bits, *column)), 2) for column in columns)]
        for bits in sorted({point["bits"] for point in experiment.points})
    ]
    headings = ["bits", *(f"{start}\n{TRAINED[retrained]}" for start, retrained in columns)]
    notes = ("Error %, after k-means alone or after training the centroids too.", *experiment_notes(experiment))
    return [Table(f"Fig. 8: error against bits, {experiment.title}", headings, rows, notes)]


def _sensitivity_tables(experiment):
    return [_layers_table(experiment, kind) for kind in KINDS
            if any(point["kind"] == kind for point in experiment.points)]


def _layers_table(experiment, kind):
    points = [point for point in experiment.points if point["kind"] == kind]
    values = sorted({point["value"] for point in points})
    errors = {(point["layer"], point["value"]): point["error_percent"] for point in points}
    rows = [
        [experiment.layer_label(layer), *(decimal(errors.get((layer, value)), 2) for value in values)]
        for layer in dict.fromkeys(point["layer"] for point in points)
    ]
    title = f"Fig. 7: error % with one layer alone at this {'sparsity' if kind == 'sparsity' else 'number of bits'}"
    return Table(f"{title}, {experiment.title}", ["layer", *(f"{value:g}" for value in values)], rows,
                 experiment_notes(experiment))
