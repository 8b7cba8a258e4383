"""Figures over many settings or many nets: the paper's Figs. 6, 7 and 8, and sizes on a logarithmic axis."""

import textwrap
from itertools import cycle

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from ..coding import STARTS as KMEANS_STARTS
from .drawing import BLUE, GREEN, GREY, GRID, INK, ORANGE, PINK, RED, SKY, log_axis, new_figure, panel, plain
from .experiment_tables import TRAINED, methods_of
from .experiments import COMPRESSION, KINDS, METHOD_NAMES, SENSITIVITY, STARTS, frontier, size_percent
from .nets import REFERENCES, STAGES
from .tables import printable, size_text

COLOURS = (BLUE, RED, GREEN, ORANGE, PINK, SKY)
MARKERS = "os^DvPX<>"
STAGE_COLOURS = {"dense": GREY, "pruned": SKY, "shared": ORANGE, "coded": BLUE}
# The colours and markers that the sweep's own methods have in every report, and those that are left for others.
_METHOD_STYLES = {"pruning+sharing": (BLUE, "o"), "pruning": (GREEN, "s"), "sharing": (ORANGE, "^"), "svd": (RED, "D")}
_OTHER_STYLES = ((PINK, "v"), (SKY, "P"), (GREY, "X"), (INK, "<"))
SHOWN_LOSS = 5.0  # points of error below which Fig. 6 is cut: what is worse is in the table
MAX_NETS = 60  # groups of bars that fit in an image
MAX_COLOURED = 6  # layers that stand out in Fig. 7; the others are grey


def experiment_figure(experiment):
    """Return the figure of an Experiment; ValueError where it has no points yet."""
    if not experiment.points:
        raise ValueError(f"{experiment.path}: no points yet: nothing to draw")
    make = {COMPRESSION: compression_figure, STARTS: starts_figure, SENSITIVITY: sensitivity_figure}
    return make[experiment.kind](experiment)


def compression_figure(experiment):
    """Return change of accuracy against size in percent of the dense net, a curve for each method (Fig. 6)."""
    figure = new_figure(4.6, "Accuracy against size of the file", experiment.title)
    axes = panel(figure.add_subplot())
    axes.axhline(0, color=INK, lw=1, ls="--")
    lowest, error = 0, experiment.chosen_by
    for method, (colour, marker) in _method_styles(methods_of(experiment)).items():
        points = [point for point in experiment.points if point["method"] == method]
        best = frontier(points, error)
        x, y = _sizes_and_changes(experiment, points)
        axes.plot(x, y, marker, color=colour, ms=4.5, alpha=0.35, mew=0)
        x, y = _sizes_and_changes(experiment, best)
        axes.plot(x, y, marker, ls="-", color=colour, ms=6, lw=1.8,
                  label=plain(METHOD_NAMES.get(method, method)))
        lowest = min(lowest, min(y, default=0))
    bottom = -SHOWN_LOSS if lowest < -SHOWN_LOSS else 1.1 * lowest - 0.1
    axes.set(ylabel="change of accuracy (points)", xlabel="size of the file in % of the dense net (log scale)")
    axes.set_ylim(bottom, max(axes.get_ylim()[1] if lowest >= -SHOWN_LOSS else 0, _highest(experiment) * 1.15 + 0.1))
    log_axis(axes.xaxis, axes.set_xscale)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _method_styles(methods):
    """{method: (colour, marker)} in the order given; which style a method has does not depend on that order."""
    others = sorted(method for method in methods if method not in _METHOD_STYLES)
    styles = {**_METHOD_STYLES, **dict(zip(others, cycle(_OTHER_STYLES)))}
    return {method: styles[method] for method in methods}


def starts_figure(experiment):
    """Return error against bits, a curve for each start of the centroids; a panel with and one without training."""
    trained = sorted({point.get("retrained") for point in experiment.points}, key=bool)
    figure = new_figure(4.2, "Error against bits of a weight", experiment.title)
    panels = figure.subplots(1, len(trained), sharey=True, squeeze=False)[0]
    starts = _start_numbers(list(dict.fromkeys(point["start"] for point in experiment.points)))
    for axes, retrained in zip(panels, trained):
        panel(axes).axhline(experiment.dense_error_percent, color=INK, lw=1, ls="--", label="dense net")
        for start, number in starts.items():
            points = sorted((point["bits"], point["error_percent"]) for point in experiment.points
                            if point["start"] == start and point.get("retrained") == retrained)
            if points:
                axes.plot(*zip(*points), MARKERS[number % len(MARKERS)], ls="-", ms=5.5, lw=1.6, label=plain(start),
                          color=COLOURS[number % len(COLOURS)])
        title = {"trained": "centroids trained", "k-means": "k-means alone", "": ""}[TRAINED[retrained]]
        axes.set_title(title, loc="left", fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("bits")
    _error_axis(panels, [point["error_percent"] for point in experiment.points])
    _legend_once(figure, panels, 6)
    return figure


def _start_numbers(starts):
    """{start: number of its colour and marker} in the order given; that of a known start never changes."""
    known = [*KMEANS_STARTS, *sorted(set(starts) - set(KMEANS_STARTS))]
    return {name: known.index(name) for name in starts}


def sensitivity_figure(experiment):
    """Return error against sparsity and against bits, a curve for each layer alone (Fig. 7); the most sensitive ones
    stand out."""
    kinds = [kind for kind in KINDS if any(point["kind"] == kind for point in experiment.points)]
    layers = _by_sensitivity(experiment)
    figure = new_figure(4.6, "Error with one layer alone pruned or shared", experiment.title)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds):
        panel(axes).axhline(experiment.dense_error_percent, color=INK, lw=1, ls="--", label="dense net")
        for place, layer in enumerate(layers):
            _draw_layer(axes, experiment, kind, layer, place)
        axes.set_xlabel("sparsity of the layer" if kind == "sparsity" else "bits of the layer's weights")
        if kind == "bits":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _error_axis(panels, [point["error_percent"] for point in experiment.points])
    _legend_once(figure, panels, 3)
    return figure


def sizes_figure(nets):
    """Return a group of bars for each nets.NetSizes, one a stage, on a log axis with the dense AlexNet and VGG-16."""
    drawn = [net for net in nets if net.stage_nbytes][:MAX_NETS]
    if not drawn:
        raise ValueError("no net has a size: nothing to draw")
    sizes = [nbytes for net in drawn for nbytes in net.stage_nbytes.values()]
    figure = new_figure(1.9 + 0.72 * len(drawn), "Bytes from stage to stage", _weights_note(drawn))
    axes = panel(figure.add_subplot())
    left = 10 ** np.floor(np.log10(min(sizes)) - 0.05)
    for row, net in enumerate(drawn):
        _draw_net(axes, row, net, left)
        _draw_label(axes, row, net.label)
    for name, nbytes in REFERENCES.items():
        axes.axvline(nbytes, color=INK, lw=1, ls=":")
        axes.text(nbytes, 1.005, f"{name}\n{size_text(nbytes)}", transform=axes.get_xaxis_transform(), fontsize=8,
                  color=INK, ha="right" if name == "AlexNet" else "left", va="bottom")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=20))
    axes.xaxis.set_major_formatter(lambda value, _: size_text(value).replace(".00", "").replace(".0 ", " "))
    axes.set(xlim=(left, max(*sizes, *REFERENCES.values()) * 6), xlabel="bytes (log scale)", yticks=range(len(drawn)),
             ylim=(len(drawn) - 0.45, -0.55))
    axes.set_yticklabels([])
    axes.grid(axis="y", visible=False)
    handles = [axes.barh(0, 0, color=STAGE_COLOURS[stage], label=stage) for stage in STAGES
               if any(stage in net.stage_nbytes for net in drawn)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _draw_net(axes, row, net, left):
    known = [stage for stage in STAGES if stage in net.stage_nbytes]
    height = 0.8 / len(known)
    for number, stage in enumerate(known):
        nbytes = net.stage_nbytes[stage]
        y = row - 0.4 + height * (number + 0.5)
        # A bar on a log axis has no zero to begin at: it begins at the frame.
        axes.barh(y, nbytes - left, left=left, height=0.88 * height, color=STAGE_COLOURS[stage])
        text = size_text(nbytes) + (f"  ({net.ratio:,.1f}x)" if stage == "coded" and net.ratio else "")
        axes.text(nbytes * 1.06, y, text, va="center", fontsize=8, color=INK,
                  fontweight="bold" if stage == "coded" else "normal")


def _draw_layer(axes, experiment, kind, layer, place):
    points = sorted((point["value"], point["error_percent"]) for point in experiment.points
                    if point["layer"] == layer and point["kind"] == kind)
    if not points:
        return
    stands_out = place < MAX_COLOURED
    style = {"color": COLOURS[place], "lw": 1.8, "marker": MARKERS[place], "ms": 4.5} if stands_out else {
        "color": GREY, "lw": 0.8, "alpha": 0.6}
    label = plain(experiment.layer_label(layer)) if stands_out else "other layers" if place == MAX_COLOURED else None
    # Those that matter are drawn over the others.
    axes.plot(*zip(*points), label=label, zorder=3 - place / 1000, **style)


def _by_sensitivity(experiment):
    worst = {}
    for point in experiment.points:
        worst.setdefault(point["layer"], []).append(point["error_percent"])
    return sorted(worst, key=lambda layer: -sum(worst[layer]) / len(worst[layer]))


def _sizes_and_changes(experiment, points):
    return ([size_percent(experiment, point) for point in points],
            [experiment.dense_error_percent - point["error_percent"] for point in points])


def _highest(experiment):
    return max(0, *(experiment.dense_error_percent - point["error_percent"] for point in experiment.points))


def _error_axis(panels, errors):
    panels[0].set_ylabel("error (%)")
    if min(errors) > 0 and max(errors) > 8 * min(errors):
        log_axis(panels[0].yaxis, panels[0].set_yscale)
        panels[0].set_ylabel("error (%, log scale)")
    for axes in panels:  # a change of scale takes the lines of shared axes away
        axes.grid(axis="y", color=GRID, lw=0.7)


def _legend_once(figure, panels, columns):
    handles = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    place = {"loc": "outside lower center", "ncols": columns, "frameon": False, "fontsize": 9}
    figure.legend(handles.values(), handles.keys(), **place)


def _weights_note(nets):
    notes = sorted({net.weights for net in nets if net.weights.startswith("synthetic")})
    return f"{'; '.join(notes)}: {', '.join(net.label for net in nets if net.weights in notes)}" if notes else \
        "every byte of real files; beside the dense AlexNet and VGG-16 of the paper"


def _draw_label(axes, row, label):
    # Each line is a text of its own: as one text, the lines would end where matplotlib's own font lets them end.
    lines = textwrap.wrap(printable(label), 32, max_lines=3, placeholder="...", break_on_hyphens=False)
    for number, line in enumerate(lines):
        y = row + 0.22 * (number - (len(lines) - 1) / 2)
        axes.text(-0.015, y, plain(line), transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=9,
                  color=INK)
