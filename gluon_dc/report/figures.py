"""Figures of a compressed net: where its bytes go, how its symbols and its weights are distributed.

Each function returns a matplotlib Figure; titles carry the network and its data set.
"""

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from .drawing import (
    BLUE, GREEN, GREY, INK, ON_DARK, ON_LIGHT, ORANGE, PINK, RED, SKY, bars, largest, new_figure, panel, plain,
)
from .sizes import size_report
from .streams import paper_form, tensor_streams

# Group of parts -> keys of SizeReport.part_nbytes, its colour, and the colour of numbers on it.
STORAGE_GROUPS = {
    "weights (codes)": (("codes",), BLUE, ON_DARK),
    "index (gaps)": (("gaps",), ORANGE, ON_LIGHT),
    "codebooks": (("codebook",), GREEN, ON_DARK),
    "Huffman tables": (("tables",), PINK, ON_LIGHT),
    "biases, lossless": (("arrays",), SKY, ON_LIGHT),
    "header, checksums": (("header", "checksums", "graph", "metadata"), GREY, ON_DARK),
}
MAX_ROWS = 8  # tensors drawn where each takes a row of panels: the largest ones
MAX_BARS = 24
MAX_CURVE_POINTS = 250


def storage_figure(model, title, labels=None):
    """Return the split of storage as in the paper's Fig. 11, for the whole file and for each of the largest tensors.

    labels: {name: what to call it}, here and below.
    """
    report = size_report(model)
    coded = largest([tensor for tensor in report.tensors if tensor.kind == "coded"], MAX_BARS)
    bars = [("whole file", report.part_nbytes)] + [(tensor.name, tensor.part_nbytes) for tensor in coded]
    figure = new_figure(2.1 + 0.42 * len(bars), "Where the bytes go", title)
    axes = panel(figure.add_subplot())
    left = np.zeros(len(bars))
    totals = np.array([sum(parts.values()) for _, parts in bars])
    for group, (keys, colour, ink) in STORAGE_GROUPS.items():
        nbytes = np.array([sum(parts.get(key, 0) for key in keys) for _, parts in bars])
        if nbytes.any():
            percent = 100 * nbytes / np.maximum(1, totals)
            axes.barh(range(len(bars)), percent, left=left, color=colour, label=group, height=0.72)
            _label_segments(axes, percent, left, ink)
            left += percent
    for row, total in enumerate(totals):
        axes.text(101, row, f"{total:,} B", va="center", fontsize=9, color=INK)
    axes.set(xlim=(0, 100), xlabel="share of the bytes in the file (%)", yticks=range(len(bars)))
    axes.set_yticklabels([plain(_label(name, labels)) for name, _ in bars])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def histogram_figure(model, title, labels=None):
    """Return histograms of codes and gaps as in the paper's Fig. 5: a row for each of the largest coded tensors.

    Tensors without entries have nothing to count; ValueError where there is no other.
    """
    filled = [(name, packed) for name, packed in paper_form(model) if packed.entries]
    if not filled:
        raise ValueError("no coded tensor has an entry: nothing to draw")
    rows = largest(filled, MAX_ROWS, key=lambda pair: pair[1].size)
    figure = new_figure(1.3 + 2.1 * len(rows), "How often each code and each gap occurs", title)
    panels = figure.subplots(len(rows), 2, squeeze=False)
    with_gaps = None
    for (name, packed), (left, right) in zip(rows, panels):
        streams = {stream.kind: stream for stream in tensor_streams(name, packed)}
        _draw_stream(left, streams["codes"], BLUE, f"{_label(name, labels)}: codes")
        if "gaps" in streams:
            _draw_stream(right, streams["gaps"], ORANGE, f"{_label(name, labels)}: gaps")
            with_gaps = right
        else:
            right.set_axis_off()
            right.text(0.5, 0.5, "dense mode: every weight is an entry,\nno gaps are stored", ha="center", va="center")
    panels[-1][0].set_xlabel("code, ascending by centroid (grey: code 0)")
    if with_gaps:
        with_gaps.set_xlabel("gap (zeros skipped before an entry)")
    return figure


def weight_figure(pruned, before, after, title, labels=None):
    """Return the distribution of kept weights and the centroids before and after training (paper, Fig. 4, right).

    pruned: {name: array} after pruning, zeros not kept. before, after: {name: centroids}, `before` may lack names.
    A row for each of the largest tensors in both `pruned` and `after` with a kept weight; ValueError for none.
    """
    known = [name for name in after if name in pruned and pruned[name].any()]
    rows = largest(known, MAX_ROWS, key=lambda name: pruned[name].size)
    if not rows:
        raise ValueError("no coded tensor has its pruned weights: nothing to draw")
    figure = new_figure(1.7 + 2.5 * len(rows), "Kept weights and their centroids", title)
    panels = figure.subplots(len(rows), 2, squeeze=False, sharex="row")
    for name, (left, right) in zip(rows, panels):
        kept = np.sort(pruned[name][pruned[name] != 0].astype(np.float64).reshape(-1))
        centroids = [(np.asarray(before.get(name, [])), "x", GREEN), (np.asarray(after[name]), "o", RED)]
        _draw_density(left, kept, centroids, _label(name, labels))
        _draw_cumulative(right, kept, centroids, _label(name, labels))
    for axes in panels[-1]:
        axes.set_xlabel("weight")
    handles = panels[0][1].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_density(axes, kept, centroids, name):
    panel(axes).hist(kept, bins=_bins(kept), density=True, color=BLUE, alpha=0.55, histtype="stepfilled")
    axes.set_title(plain(f"{name}: density"), loc="left", fontsize=10)
    top = axes.get_ylim()[1]
    # The two rows of marks stand below the axis, so that neither hides the other.
    for level, (values, marker, colour) in zip((-0.07, -0.17), centroids):
        axes.plot(values, np.full(len(values), level * top), marker, ms=4.5, color=colour, mew=1.3)
        axes.vlines(values, level * top, 0, color=colour, lw=0.5, alpha=0.5)
    axes.axhline(0, color=INK, lw=0.8)
    axes.set(ylim=(-0.24 * top, top), ylabel="density")
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= top])


def _draw_cumulative(axes, kept, centroids, name):
    # Of millions of weights, a few hundred places along the curve are all that can be seen.
    drawn = np.unique(np.linspace(0, kept.size - 1, min(kept.size, MAX_CURVE_POINTS)).astype(int))
    panel(axes).plot(kept[drawn], 100 * (drawn + 1) / kept.size, color=BLUE, lw=1.6, label="kept weights")
    for (values, marker, colour), when in zip(centroids, ("before training", "after training")):
        if len(values):
            at = 100 * np.searchsorted(kept, values, side="right") / kept.size
            axes.plot(values, at, marker, ms=5, color=colour, mew=1.4, label=f"centroids {when}")
    axes.set_title(plain(f"{name}: cumulative"), loc="left", fontsize=10)
    axes.set(ylim=(-4, 104), ylabel="weights below (%)")
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0, symbol=""))


def _draw_stream(axes, stream, colour, heading):
    used = np.flatnonzero(stream.counts)
    last = int(used[-1])
    zero = int(stream.kind == "codes")
    panel(axes).add_patch(bars(range(zero), stream.counts[:zero], GREY))
    axes.add_patch(bars(range(zero, last + 1), stream.counts[zero : last + 1], colour))
    per_symbol = stream.to_dict()
    axes.set_title(plain(heading), loc="left", fontsize=10)
    axes.set_title(
        f"{per_symbol['entropy_bits_per_symbol']:.2f} of {stream.fixed_bits} bits", loc="right", fontsize=9, color=INK
    )
    axes.set(xlim=(-0.9, last + 0.9), ylim=(0, 1.05 * stream.counts.max()), ylabel="entries")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="x", visible=False)


def _label_segments(axes, percent, left, ink):
    for row, (width, start) in enumerate(zip(percent, left)):
        if width >= 6:
            axes.text(start + width / 2, row, f"{width:.0f}", ha="center", va="center", color=ink, fontsize=9)


def _bins(values):
    # Enough to show the hole in the middle of pruned weights; the far tails must not stretch them.
    return np.linspace(values[0], values[-1], 81) if values[0] < values[-1] else 10


def _label(name, labels):
    return (labels or {}).get(name, name)
