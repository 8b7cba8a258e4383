"""What conv_layers.py measured, as text."""

import math

from conv_libraries import LIBRARIES

OURS = ("dense", "direct")


def table(rows, setting):
    """The rows as lines of text, geometric means of the speedups, and the sweep of densities."""
    libraries = [name for name in LIBRARIES if name in rows[0]["ms"]]
    lines = [f"weights {'drawn' if rows[0]['drawn'] else 'of ' + setting['gdc']}, batch {rows[0]['batch']}; medians, "
             f"milliseconds{' of processor time' if setting['cpu_time'] else ''}; G/s: multiply-adds of kept weights"]
    lines += [f"not installed, left out: {', '.join(setting['not_installed'])}"] * bool(setting["not_installed"])
    lines += ["depthwise layers (/dw) are not pruned and run dense"] * any(row["depthwise"] for row in rows)
    for threads in dict.fromkeys(row["threads"] for row in rows):
        lines += ["", f"{threads} thread(s)", f"{'layer':<31} {'density':>7}" + "".join(
            f" {name:>11}" for name in (*libraries, *OURS)) + f" {'G/s':>6} {'speedup':>8} {'dense':>6}"]
        lines += [line_of(row, libraries) for row in rows if row["threads"] == threads]
        lines += means([row for row in rows if row["threads"] == threads])
    return "\n".join(lines)


def line_of(row, libraries):
    """One layer."""
    times = "".join(f" {row['ms'][name]:>11.4f}" if name in row["ms"] else f" {'-':>11}"
                    for name in (*libraries, *OURS))
    rate = row["multiply_adds"] * row["density"] / row["ms"].get("direct", row["ms"]["dense"]) / 1e6
    return (f"{row['net'] + ' ' + row['layer']:<31} {row['density']:>7.3f}{times} {rate:>6.0f} {ratio(row, 'direct')} "
            f"{ratio(row, 'dense')[2:]}")


def ratio(row, form):
    """Speedup of one of our forms over the best library, as text of 8 characters."""
    value = speedup(row, form)
    return f"{'' if value is None else '-' if math.isnan(value) else f'{value:.2f}':>8}"


def speedup(row, form):
    """Speedup of one of our forms over the best library; None where there is none, NaN where the form was left out."""
    others = [row["ms"][name] for name in LIBRARIES if name in row["ms"]]
    return min(others) / row["ms"].get(form, math.nan) if others else None


def means(rows):
    """Geometric means by net and kernel, for each density asked for (layers of a file: all together)."""
    if speedup(rows[0], "dense") is None:
        return ["no library to compare with"]
    lines = []
    for density in dict.fromkeys(row["asked_density"] for row in rows):
        mine = [row for row in rows if row["asked_density"] == density]
        pruned, depthwise = ([row for row in mine if row["depthwise"] is wanted] for wanted in (False, True))
        about = "" if density is None else f" at density {density}"
        if pruned:
            text = ", ".join(f"{name} {mean(group, 'direct'):.2f}" for name, group in groups_of(pruned).items())
            lines.append(f"geometric mean of speedups{about}: {text}; our dense form {mean(pruned, 'dense'):.2f}")
        if depthwise:
            text = ", ".join(f"{name} {mean(group, 'dense'):.2f}" for name, group in groups_of(depthwise).items())
            lines.append(f"geometric mean of speedups of depthwise layers: {text}")
    return lines


def groups_of(rows):
    """{name: rows} of all, of each net and of each kernel."""
    groups = {"all": rows}
    for row in rows:
        groups.setdefault(row["net"], []).append(row)
        groups.setdefault(f"{row['shape'][2]}x{row['shape'][2]}", []).append(row)
    return groups


def mean(rows, form):
    """Geometric mean of speedups."""
    return math.exp(sum(math.log(speedup(row, form)) for row in rows) / len(rows))
