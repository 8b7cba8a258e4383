"""A sweep as text: its points in a table, and what they say in a line or two. Needs no MXNet."""
import math

from ..report.tables import count, decimal, format_table


def sweep_text(result):
    """The text of the content of experiment.json."""
    rows = {"compression": _compression_rows, "starts": _start_rows, "sensitivity": _sensitivity_rows}
    headings, lines, text_columns = rows[result["experiment"]](result["points"])
    dense = result["dense"]
    title = (f"{result['experiment']}, {result['network']} on {result['dataset']['name']}, seed {result['seed']}; "
             f"errors on the {result['split']} images\ndense: {dense['nbytes']:,} bytes, error "
             f"{dense['error_percent']:.2f} %, validation error {dense['validation_error_percent']:.2f} %\n")
    text = format_table(headings, lines, title, text_columns)
    return text + ("\n\n" + _smallest(result) if result["experiment"] == "compression" else "")


def _compression_rows(points):
    headings = ["method", "setting", "file\nbytes", "% of\ndense", "validation\nerror %", "error %"]
    return headings, [[point["method"], _setting(point), count(point["nbytes"]), decimal(point["size_percent"], 2),
                       decimal(point["validation_error_percent"], 2), decimal(point["error_percent"], 2)]
                      for point in points], 2


def _start_rows(points):
    """One row for each start, trained or not, one column for each number of bits."""
    bits = sorted({point["bits"] for point in points})
    found = {(point["start"], point["retrained"], point["bits"]): point["error_percent"] for point in points}
    kinds = list(dict.fromkeys((point["start"], point["retrained"]) for point in points))
    kinds.sort(key=lambda kind: kind[1])
    return (["start", "centroids", *(f"{number} bits" for number in bits)],
            [[start, "trained" if retrained else "as clustered",
              *(decimal(found.get((start, retrained, number)), 2) for number in bits)]
             for start, retrained in kinds], 2)


def _sensitivity_rows(points):
    layers = list(dict.fromkeys(point["layer"] for point in points))
    found = {(point["kind"], point["value"], point["layer"]): point["error_percent"] for point in points}
    values = sorted({(point["kind"], point["value"]) for point in points},
                    key=lambda pair: (pair[0] == "bits", pair[1]))
    return (["kind", "value", *layers],
            [[kind, f"{value:g}", *(decimal(found.get((kind, value, layer)), 2) for layer in layers)]
             for kind, value in values], 1)


def _setting(point):
    return ", ".join(f"{name} {number:g}" for name, number in point["setting"].items())


def _smallest(result):
    """For each method the smallest file whose validation error is within a standard error of the dense net's.

    Chosen on the validation split, so that the test errors printed beside it choose nothing.
    """
    dense, images = result["dense"]["validation_error_percent"], result["dataset"]["validation"]
    limit = dense + 100 * standard_error(dense / 100, images)
    lines = [f"Smallest file with a validation error of at most {limit:.2f} % (dense + one standard error):"]
    for method in dict.fromkeys(point["method"] for point in result["points"]):
        fitting = [point for point in result["points"]
                   if point["method"] == method and point["validation_error_percent"] <= limit]
        best = min(fitting, key=lambda point: point["nbytes"], default=None)
        lines.append(f"  {method}: " + (f"{best['nbytes']:,} bytes, {best['size_percent']:.2f} % of dense "
                                        f"({_setting(best)}), error {best['error_percent']:.2f} %" if best else "none"))
    return "\n".join(lines)


def standard_error(share, images):
    """Of an error rate in [0, 1] that was measured on so many images: sqrt(p (1 - p) / n)."""
    return math.sqrt(share * (1 - share) / images)
