"""Figures of a training run and of comparisons: curves over the stages, rates beside the paper's, other compressors."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from .accounting import layer_rows
from .compressors import ENTROPY, FIXED, HUFFMAN, RAW
from .drawing import BLUE, GREEN, GREY, INK, ORANGE, RED, largest, log_axis, new_figure, panel, plain
from .paper import paper_layer
from .results import names_of, network_of, stages

MAX_LAYERS = 40
_CURVES = {
    "validation_error_percent": ("validation\nerror (%)", BLUE),
    "loss": ("training\nloss", ORANGE),
    "sparsity": ("sparsity", GREEN),
}


def training_figure(result, title):
    """Return validation error, loss and sparsity over the epochs of all stages; ValueError where there are none."""
    epochs, ends = _epochs(result)
    curves = {key: curve for key, curve in _CURVES.items() if any(epoch.get(key) is not None for epoch in epochs)}
    if not curves:
        raise ValueError("the result lists no epochs: nothing to draw")
    figure = new_figure(1.6 + 1.75 * len(curves), "Training", title)
    panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (key, (label, colour)) in zip(panels, curves.items()):
        values = np.array([np.nan if epoch.get(key) is None else epoch[key] for epoch in epochs], float)
        _draw_curve(panel(axes), values, ends, colour)
        if key == "validation_error_percent":
            _mark_tests(axes, result)
            figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
        # A loss of 0 has no logarithm, and one that diverged is NaN.
        if key == "loss" and (values > 0).any() and not (values <= 0).any():
            log_axis(axes.yaxis, axes.set_yscale)
        else:
            axes.margins(y=0.1)
            axes.set_ylim(bottom=0)
        axes.set_ylabel(label)
    _mark_stages(panels[0], ends)
    panels[-1].set(xlabel="epoch, counted over all stages", xlim=(0.5, len(epochs) + 0.5))
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def rate_figure(result, model, title):
    """Return each layer's storage in percent of float32, P+Q and P+Q+H, ours beside the paper's where it has it.

    Of many layers, the 40 largest and the total are drawn; ValueError where nothing is coded.
    """
    rows = layer_rows(model, names_of(result, model))
    if not rows:
        raise ValueError("no tensor is coded: nothing to draw")
    heading = "Storage of each layer"
    if len(rows) > MAX_LAYERS + 1:
        heading = f"Storage of the {MAX_LAYERS} largest layers"
        rows = largest(rows[:-1], MAX_LAYERS, key=lambda row: row.weights) + rows[-1:]
    network = network_of(result, model)
    printed = [paper_layer(network, row.layer) for row in rows]
    figure = new_figure(1.7 + 0.55 * len(rows), heading, title)
    axes = panel(figure.add_subplot())
    _draw_rates(axes, rows, -0.16 if any(printed) else 0, BLUE, "ours")
    if any(printed):
        _draw_rates(axes, printed, 0.16, ORANGE, "paper")
    axes.set(xlabel="% of dense float32 weights, paper accounting (log scale)", yticks=range(len(rows)))
    axes.set_yticklabels([plain(row.layer) for row in rows])
    log_axis(axes.xaxis, axes.set_xscale)
    axes.margins(x=0.1, y=0.1)
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def compressor_figure(rows, title):
    """Return the bytes that each method of `compressors.compressor_rows` makes of the shared parameters."""
    rows = [row for row in rows if row.method != RAW]
    colours = {FIXED: BLUE, HUFFMAN: BLUE, ENTROPY: GREEN}
    figure = new_figure(1.4 + 0.42 * len(rows), "The same weights in other compressors", title)
    axes = panel(figure.add_subplot())
    bar_colours = [colours.get(row.method, GREY) for row in rows]
    axes.barh(range(len(rows)), [row.shared for row in rows], height=0.7, color=bar_colours)
    longest = max(row.shared for row in rows)
    for number, row in enumerate(rows):
        axes.text(row.shared + 0.01 * longest, number, f"{row.shared:,}", va="center", fontsize=9, color=INK)
    axes.set(xlim=(0, 1.14 * longest), xlabel="bytes after pruning and weight sharing", yticks=range(len(rows)))
    axes.set_yticklabels([row.method for row in rows])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    return figure


def _draw_rates(axes, rows, offset, colour, whose):
    drawn = [(y + offset, row) for y, row in enumerate(rows) if row is not None and row.rate_percent is not None]
    heights = [y for y, _ in drawn]
    fixed = [row.rate_percent for _, row in drawn]
    coded = [row.rate_percent_huffman for _, row in drawn]
    axes.hlines(heights, coded, fixed, color=colour, lw=2.2)
    axes.plot(fixed, heights, "o", mfc="white", mec=colour, mew=1.6, ms=7, label=f"{whose}, P+Q")
    axes.plot(coded, heights, "o", color=colour, ms=7, label=f"{whose}, P+Q+H")
    for y, rate in zip(heights, coded):
        axes.annotate(f"{rate:.2f}", (rate, y), (-8, 0), textcoords="offset points", ha="right", va="center",
                      fontsize=8, color=INK)


def _epochs(result):
    epochs, ends = [], []
    for stage in stages(result):
        if stage.get("epochs"):
            epochs += stage["epochs"]
            ends.append((stage, len(epochs)))
    return epochs, ends


def _draw_curve(axes, values, ends, colour):
    # Each stage is a line of its own: between two of them the net is changed at once.
    start = 0
    for _, end in ends:
        axes.plot(np.arange(start, end) + 1, values[start:end], color=colour, lw=1.8, marker="o", ms=3)
        start = end
    for _, end in ends[:-1]:
        axes.axvline(end + 0.5, color=GREY, lw=1, ls="--")


def _mark_stages(axes, ends):
    start = 0
    for stage, end in ends:
        axes.text((start + end + 1) / 2, 1.04, plain(str(stage.get("stage", ""))), ha="center", fontsize=10,
                  color=INK, transform=axes.get_xaxis_transform())
        start = end


def _mark_tests(axes, result):
    # A stage without epochs, such as coding, is tested where the one before it ended.
    tested, end = [], 0
    for stage in stages(result):
        end += len(stage.get("epochs") or [])
        if stage.get("test_error_percent") is not None:
            tested.append((end, stage["test_error_percent"]))
    axes.lines[0].set_label("after each epoch")
    if tested:
        axes.plot(*zip(*tested), "D", color=RED, ms=6, clip_on=False, label="test error after the stage")
