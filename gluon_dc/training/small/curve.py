"""Error against bytes of many runs, as text, JSON and a figure. Needs no MXNet."""
import json
from pathlib import Path
from statistics import median

from ...coding import write_atomically
from ...report.published import published_for
from ...report.results import RESULT_NAME, final_stage, load_result, run_title
from ...report.tables import count, decimal, format_table, times


def write_curve(folders, output):
    """Write curve.png, curve.txt and curve.json of runs to the folder `output`; returns the text.

    Raises
    ------
    ValueError
        A folder without a result, or with a damaged one.
    """
    points = read_points(folders)
    text = curve_text(points)
    from ...report.drawing import save_figure
    from ...report.size_curve import size_curve_figure
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    record = {"format": 1, "points": points, "published": [
        vars(one) for network in _networks(points) for one in published_for(network)]}
    write_atomically(output / "curve.json", lambda file: file.write((json.dumps(record, indent=1) + "\n").encode()))
    write_atomically(output / "curve.txt", lambda file: file.write((text + "\n").encode()))
    save_figure(size_curve_figure(points), output / "curve.png")
    return text


def read_points(folders):
    """One point for each run in folders, smallest file first."""
    paths = [path for folder in folders for path in _results_in(Path(folder))]
    points = [_point(load_result(path), path) for path in dict.fromkeys(paths)]
    return sorted(points, key=lambda point: (point["network"], point["dataset"], point["nbytes"], point["folder"]))


def _results_in(folder):
    if (folder / RESULT_NAME).is_file():
        return [folder / RESULT_NAME]
    found = sorted(folder.glob(f"*/{RESULT_NAME}")) if folder.is_dir() else []
    if not found:
        raise ValueError(f"{folder}: no {RESULT_NAME} in it or in a folder of it: give folders of finished runs of "
                         "train/smallest.py or train/mnist_lenet.py")
    return found


def _point(result, path):
    file, stage = result.get("file") or {}, final_stage(result)
    if file.get("nbytes") is None or stage.get("test_error_percent") is None:
        raise ValueError(f"{path}: holds no bytes of a file or no test error of it")
    return {"folder": str(path.parent), "network": result["network"],
            "dataset": (result.get("dataset") or {}).get("name"), "seed": result.get("seed"),
            "kept": stage.get("kept"), "nbytes": file["nbytes"], "ratio": file.get("ratio"),
            "validation_error_percent": stage.get("validation_error_percent"),
            "error_percent": stage["test_error_percent"]}


def _networks(points):
    return list(dict.fromkeys(point["network"] for point in points if point["dataset"] == "mnist"))


def curve_text(points):
    """The points and what others have published, as a table for each network and data set."""
    kinds = dict.fromkeys((point["network"], point["dataset"]) for point in points)
    return "\n\n".join(_table(*kind, [point for point in points if (point["network"], point["dataset"]) == kind])
                       for kind in kinds)


def _table(network, dataset, points):
    rows = [[f"ours, {Path(point['folder']).name}", count(point["nbytes"]),
             times(point["ratio"]) if point["ratio"] else None, decimal(point["error_percent"], 2),
             decimal(point["validation_error_percent"], 2)] for point in points]
    known = published_for(network) if dataset == "mnist" else ()
    rows += [[f"{one.method}, {one.printed}{', hence bytes' * one.is_from_rate}", count(one.nbytes), None,
              decimal(one.error_percent, 2), None] for one in known]
    rows.sort(key=lambda row: int(row[1].replace(",", "")))
    title = run_title({"network": network, "dataset": {"name": dataset}}) + ", smallest first\n"
    text = format_table(["", "bytes", "ratio", "test\nerror %", "validation\nerror %"], rows, title, 1)
    return text + "".join(f"\n{one.method}: {one.source}" for one in {one.method: one for one in known}.values())


def median_text(results):
    """One line: the medians of bytes and test error of several seeds."""
    seeds = ", ".join(str(result["seed"]) for result in results)
    nbytes = median(result["file"]["nbytes"] for result in results)
    ratio = median(result["file"]["ratio"] for result in results)
    error = median(final_stage(result)["test_error_percent"] for result in results)
    return f"median of seeds {seeds}: {nbytes:,.0f} bytes, {ratio:,.0f}x smaller than dense, test error {error:.2f} %"
