"""The trade-off of small nets, drawn: test error against bytes, runs beside what others have published."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from .drawing import BLUE, INK, ORANGE, new_figure, panel, plain
from .published import published_for
from .results import run_title

# Where a label may stand, best first: offset in points, alignment.
_SIDES = (((0, 8), "center", "bottom"), ((0, -8), "center", "top"), ((9, 0), "left", "center"),
          ((-9, 0), "right", "center"), ((7, 6), "left", "bottom"), ((-7, 6), "right", "bottom"),
          ((7, -6), "left", "top"), ((-7, -6), "right", "top"))
_MARKER_POINTS = 12  # width of a mark and room around it
_PASSES = 3
_OUTSIDE = 3  # how much worse a piece of a label beyond the axes is than one over something


def size_curve_figure(points):
    """Return a Figure with a panel for each network of `points`.

    points: {"network", "dataset", "nbytes", "error_percent"} of each run. Raises ValueError without points.
    """
    if not points:
        raise ValueError("no points: nothing to draw")
    kinds = list(dict.fromkeys((point["network"], point["dataset"]) for point in points))
    figure = new_figure(0.9 + 3.9 * len(kinds), "Test error against bytes of the file",
                        "every byte of the file; test errors as published, or of the decoded file")
    labels = []
    for axes, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds):
        ours = [point for point in points if (point["network"], point["dataset"]) == kind]
        labels.append((axes, _draw(panel(axes), kind, ours), ours))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()  # then everything has its place but the labels
    for axes, notes, ours in labels:
        marks = [note.xy for note in notes] + [(point["nbytes"], point["error_percent"]) for point in ours]
        place_labels(axes, notes, marks, renderer)
    return figure


def place_labels(axes, notes, marks, renderer) -> None:
    """Move annotations to the sides of their points where they cover least: marks, each other, the legend, the edge.

    notes: annotations of `axes` with offsets in points. marks: (x, y) of all points. The axes are in their places.
    """
    half = _MARKER_POINTS / 2 * axes.figure.dpi / 72
    taken = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in axes.transData.transform(marks)]
    if axes.get_legend() is not None:
        taken.append(axes.get_legend().get_window_extent(renderer))
    boxes = {}

    def costs(note):
        others = taken + [box for other, box in boxes.items() if other is not note]
        return [_cost(_moved(note, side, renderer), others, axes.bbox) for side in _SIDES]
    # Those with the fewest free sides choose first.
    ordered = sorted(notes, key=lambda note: costs(note).count(0))
    for note in ordered * _PASSES:
        found = costs(note)
        boxes[note] = _moved(note, _SIDES[found.index(min(found))], renderer)


def _moved(note, side, renderer):
    (note.xyann, horizontal, vertical) = side
    note.set(ha=horizontal, va=vertical)
    return note.get_window_extent(renderer)


def _cost(box, others, inside):
    """Area in pixels of what a box covers and of what is outside, rounded: drawing the same gives the same."""
    kept = _common(box, inside)
    return round(sum(_common(box, other) for other in others) + _OUTSIDE * (box.width * box.height - kept))


def _common(one, other):
    both = Bbox.intersection(one, other)
    return both.width * both.height if both is not None else 0.0


def _draw(axes, kind, points):
    network, dataset = kind
    known = published_for(network) if dataset == "mnist" else ()
    _draw_published(axes, known)
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
    return [_label(axes, one) for one in known]


def _draw_published(axes, known):
    for from_rate, label in ((False, "published"), (True, "published, bytes worked out from a rate")):
        some = [one for one in known if one.is_from_rate == from_rate]
        if some:
            axes.plot([one.nbytes for one in some], [one.error_percent for one in some], "s", color=ORANGE, ms=7,
                      fillstyle="none" if from_rate else "full", label=label, zorder=2)


def _label(axes, one):
    text = f"{plain(one.method)}\n{plain(one.printed)}, {one.error_percent:g} %"
    note = axes.annotate(text, (one.nbytes, one.error_percent), (0, 8), textcoords="offset points", ha="center",
                         va="bottom", fontsize=8, color=INK)
    note.set_in_layout(False)  # or the axes would move for it
    return note
