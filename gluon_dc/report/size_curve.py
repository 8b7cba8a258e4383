"""The trade-off of small nets, drawn: test error against bytes, runs beside what others have published."""

from math import log

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .drawing import BLUE, INK, ORANGE, new_figure, panel, plain
from .published import published_for
from .results import run_title


def size_curve_figure(points):
    """Return a Figure with a panel for each network of `points`.

    points: {"network", "dataset", "nbytes", "error_percent"} of each run. Raises ValueError without points.
    """
    if not points:
        raise ValueError("no points: nothing to draw")
    kinds = list(dict.fromkeys((point["network"], point["dataset"]) for point in points))
    figure = new_figure(0.9 + 3.9 * len(kinds), "Test error against bytes of the file",
                        "every byte of the file; test errors as published, or of the decoded file")
    for axes, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds):
        _draw(panel(axes), kind, [point for point in points if (point["network"], point["dataset"]) == kind])
    return figure


def _draw(axes, kind, points):
    network, dataset = kind
    known = published_for(network) if dataset == "mnist" else ()
    _draw_published(axes, known, [(point["nbytes"], point["error_percent"]) for point in points])
    axes.plot([point["nbytes"] for point in points], [point["error_percent"] for point in points], "o", color=BLUE,
              ms=6, alpha=0.8, label="gluon_dc", zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.14, y=0.35)
    axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))
    axes.set(xlabel="bytes of the file (log scale)", ylabel="test error (%)")
    axes.set_title(plain(run_title({"network": network, "dataset": {"name": dataset}})), fontsize=10.5, loc="left",
                   color=INK)
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _draw_published(axes, known, others):
    for from_rate, label in ((False, "published"), (True, "published, bytes worked out from a rate")):
        some = [one for one in known if one.is_from_rate == from_rate]
        if some:
            axes.plot([one.nbytes for one in some], [one.error_percent for one in some], "s", color=ORANGE, ms=7,
                      fillstyle="none" if from_rate else "full", label=label, zorder=2)
    places = [(one.nbytes, one.error_percent) for one in known]
    for one, place in zip(known, places):
        is_above = _is_above_its_neighbour(place, [other for other in places + others if other != place])
        text = f"{plain(one.method)}\n{plain(one.printed)}, {one.error_percent:g} %"
        axes.annotate(text, place, (0, 8 if is_above else -8), textcoords="offset points", ha="center",
                      va="bottom" if is_above else "top", fontsize=8, color=INK)


def _is_above_its_neighbour(place, others):
    """Whether (bytes, error) lies above that of others whose size is next to its own: its label belongs on that side."""
    nearest = min(others, key=lambda other: abs(log(other[0] / place[0])), default=place)
    return place[1] >= nearest[1]
