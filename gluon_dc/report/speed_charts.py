"""Figures on running: speed by layer (the paper's Fig. 9) and net, energy by layer (Fig. 10), energy of whole nets."""

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from .conv_speed import DENSE, DIRECT, ConvReport
from .drawing import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, new_figure, panel, plain
from .energy import PARTS
from .energy_report import EnergyReport, energy_ratio
from .mobile import KINDS, SpentOn, spent_on
from .mobile_report import MobileReport, memory_text
from .net_speed import OURS, NetReport
from .paper_speed import CPU, paper_speedup
from .speed import SpeedReport
from .tables import shortened
from .timed import plural

MAX_LAYERS, MAX_NETS, MAX_PANELS = 60, 20, 6
MAX_LABEL = 26
_MANY_BARS, _LEAST_PLACES = 26, 4
_COLOURS = (BLUE, SKY, ORANGE, GREEN, PINK, GREY)
_PART_COLOURS = dict(zip((*PARTS, "other"), (BLUE, SKY, GREEN, ORANGE, PINK, GREY)))
_PART_NAMES = {"arithmetic": "arithmetic", "operands": "fetching operands", "decoding": "codebook, positions",
               "weights": "reading weights", "activations": "activations", "other": "all else"}


def hardware_figure(item):
    """The figure of one of `hardware.KINDS`."""
    return _FIGURES[type(item)](item)


def speed_figure(report):
    """Speedup over the fastest dense library, a panel for each batch, at the fewest threads (Fig. 9)."""
    threads = report.settings[0][1]
    batches = [batch for batch, of_setting in report.settings if of_setting == threads]
    rows = {batch: report.of(batch, threads)[:MAX_LAYERS] for batch in batches}
    figure = new_figure(1.2 + 2.6 * len(batches), "Speed of layers, compressed over dense",
                        f"{plural(threads, 'thread')}; {report.note}")
    for axes, batch in zip(_panels(figure, len(batches)), batches):
        layers = rows[batch]
        groups = {"ours, weights cold": (BLUE, [row.speedup("ours", "cold") for row in layers]),
                  "ours, weights hot": (SKY, [row.speedup("ours", "hot") for row in layers]),
                  "best CSR library, cold": (ORANGE, [row.speedup("sparse", "cold") for row in layers]),
                  f"the paper, {CPU}": (GREY, [paper_speedup(row.layer, batch) for row in layers])}
        _draw_groups(axes, groups, [row.layer for row in layers], f"speedup, batch {batch}")
    _legend(figure)
    return figure


def conv_figure(report):
    """Speedup of convolutions over the fastest library, a panel for each net, at the smallest batch and fewest threads.

    Of several densities each is a colour, of one our dense form is shown too.
    """
    batch, threads = report.settings[0]
    layers = report.of(batch, threads)
    nets = list(dict.fromkeys(row.net for row in layers))[:MAX_PANELS]
    figure = new_figure(1.2 + 2.6 * len(nets), "Speed of convolutions, ours over the fastest library",
                        f"batch {batch}, {plural(threads, 'thread')}; {report.note}")
    for axes, net in zip(_panels(figure, len(nets)), nets):
        mine = [row for row in layers if row.net == net]
        names = list(dict.fromkeys(row.layer for row in mine))[:MAX_LAYERS]
        _draw_groups(axes, _conv_groups(report, mine, names), names, f"speedup, {plain(shortened(net, MAX_LABEL))}")
    _legend(figure)
    return figure


def _conv_groups(report, layers, names):
    densities = report.densities[:len(_COLOURS)]
    found = {(row.layer, row.asked_density): row for row in layers}

    def speedups(density, form):
        rows = [found.get((name, density)) for name in names]
        return [row and row.speedup(form) for row in rows]
    if len(densities) > 1:
        return {f"from codes, {100 * density:.3g} % kept" if density is not None else "from codes, of a file": (
            colour, speedups(density, DIRECT)) for colour, density in zip(_COLOURS, densities)}
    return {"ours, from codes": (BLUE, speedups(densities[0], DIRECT)),
            "ours, decoded": (SKY, speedups(densities[0], DENSE))}


def net_figure(report):
    """Time of each contender over the session's, a panel for each batch and number of threads."""
    settings = [setting for setting in report.settings if any(row.ms for row in report.of(*setting))][:MAX_PANELS]
    others = [name for name in report.contenders if name != OURS][:len(_COLOURS)]
    figure = new_figure(1.2 + 2.6 * max(1, len(settings)), "Speed of whole nets: time of each library over ours",
                        report.note)
    for axes, setting in zip(_panels(figure, max(1, len(settings))), settings):
        nets = report.of(*setting)[:MAX_NETS]
        names = [f"{row.net}, {row.weights}" for row in nets]
        groups = {f"{plain(shortened(name, MAX_LABEL))}{', inexact' * report.is_inexact(name)}": (
            colour, [row.ratio(name) for row in nets]) for colour, name in zip(_COLOURS, others)}
        _draw_groups(axes, groups, names, "time / session's")
        axes.set_title(f"batch {setting[0]}, {plural(setting[1], 'thread')}", fontsize=10, loc="left", color=INK)
    _legend(figure)
    return figure


def energy_figure(report):
    """Dense energy / compressed energy, a panel for each batch (Fig. 10)."""
    layers = report.layers[:MAX_LAYERS]
    figure = new_figure(1.2 + 2.6 * len(report.batches), "Energy of layers, dense over compressed", report.title)
    kinds = {"estimate, weights on chip": (BLUE, "on_chip"), "estimate, weights in DRAM": (SKY, "compressed"),
             "measured": (GREEN, "measured"), f"the paper, {CPU}, measured": (GREY, "paper")}
    for axes, batch in zip(_panels(figure, len(report.batches)), report.batches):
        groups = {name: (colour, [energy_ratio(report, layer, batch, key) for layer in layers])
                  for name, (colour, key) in kinds.items()}
        _draw_groups(axes, groups, [layer.name for layer in layers], f"energy ratio, batch {batch}",
                     batch == report.batches[-1])
    axes.set_xlabel("dense energy / compressed energy, for one input: a ratio, no joules; above 1 compressed takes "
                    "less",
                    fontsize=9, loc="left")
    _legend(figure)
    return figure


def mobile_figure(report):
    """Energy of each net by what it is spent on, dense = 100, with the largest on-chip memory."""
    nets, memory = report.nets[:MAX_NETS], max(report.device.memory_nbytes)
    figure = new_figure(1.5 + 0.75 * len(nets), "Estimated energy for one image",
                        f"{memory_text(memory)} of on-chip memory; estimate from counts")
    axes = panel(figure.add_subplot())
    axes.grid(axis="y", visible=False)
    labels, places = [], []
    for number, (label, net) in enumerate(zip(report.labels, nets)):
        found = {kind: spent_on(net, kind, memory, report.device, report.costs) for kind in KINDS}
        whole = found["dense"].joules or 1.0
        for kind in KINDS:
            place = 2.5 * number + KINDS.index(kind)
            _draw_parts(axes, place, found[kind], 100 / whole)
            places.append(place)
            labels.append(f"{plain(_end_of(label, MAX_LABEL + 10))}, {kind}")
    axes.set_yticks(places, labels, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.16 * axes.dataLim.x1)
    axes.set_xlabel("energy for one image; bars are scaled, each dense net to 100;\nnumbers beside them are not",
                    fontsize=9, loc="left")
    axes.tick_params(axis="y", length=0)
    _legend(figure)
    return figure


def _draw_parts(axes, place, spent: SpentOn, scale):
    left = 0.0
    for part, joules in spent.parts.items():
        axes.barh(place, joules * scale, left=left, color=_PART_COLOURS[part], height=0.82, lw=0,
                  label=_PART_NAMES[part] if place == 0 else None)
        left += joules * scale
    axes.text(left + 1, place, f"{1e3 * spent.joules:.3g} mJ", va="center", fontsize=8.5, color=INK)


def _draw_groups(axes, groups, names, ylabel, labelled=True):
    # A bar above 1 is a gain: bars grow from 1 in both directions.
    panel(axes)
    groups = {name: found for name, found in groups.items() if any(value is not None for value in found[1])}
    width = 0.84 / max(1, len(groups))
    axes.set_yscale("log")
    values = [value for _, found in groups.values() for value in found if value]
    for number, (name, (colour, found)) in enumerate(groups.items()):
        known = [(i, value) for i, value in enumerate(found) if value]
        places = [i + (number - (len(groups) - 1) / 2) * width for i, _ in known]
        axes.bar(places, [value - 1 for _, value in known], width * 0.94, bottom=1, color=colour, lw=0, label=name)
        if len(names) <= 12:
            for place, (_, value) in zip(places, known):
                shown = _short(value, 2 + (len(names) * len(groups) <= _MANY_BARS))
                axes.text(place, value * (1.06 if value >= 1 else 0.94), shown, ha="center", fontsize=7.5,
                          va="bottom" if value >= 1 else "top", color=INK)
    axes.axhline(1, color=INK, lw=0.9)
    axes.set_ylim(min([0.8, *values]) / 1.5, max([1.5, *values]) * 1.7)
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 12 * low else (1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", visible=False)
    many = len(names) > 8
    shown = [plain(shortened(name.removesuffix(".weight"), MAX_LABEL)) for name in names]
    # Long labels stand under the last panel alone: all have the same layers.
    axes.set_xticks(range(len(names)), shown if labelled or not many else [""] * len(names), fontsize=8 if many else 9,
                    rotation=60 if many else 0, ha="right" if many else "center")
    aside = max(0, _LEAST_PLACES - len(names)) / 2  # a single net is no bar as wide as the figure
    axes.set_xlim(-0.6 - aside, len(names) - 0.4 + aside)
    axes.set_ylabel(ylabel)


def _end_of(label, length):
    # Of a path the end tells more.
    return label if len(label) <= length else f"...{label[3 - length:]}"


def _short(value, digits):
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 1 else f"{value:#.{digits}g}".rstrip(".")


def _panels(figure, count):
    return np.atleast_1d(figure.subplots(count, 1))


def _legend(figure):
    found = {}
    for axes in figure.axes:
        found |= dict(zip(*axes.get_legend_handles_labels()[::-1]))
    columns = 2 if len(found) == 4 else 3
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=9)


_FIGURES = {SpeedReport: speed_figure, ConvReport: conv_figure, NetReport: net_figure, EnergyReport: energy_figure,
            MobileReport: mobile_figure}
