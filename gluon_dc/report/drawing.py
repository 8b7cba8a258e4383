"""What all figures share: size, colours, panels and the file. Nothing here touches pyplot's global state."""

import io
import re

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import LogLocator

from ..coding.files import write_atomically
from .tables import printable

# The Okabe-Ito palette: told apart with any colour vision.
BLUE, ORANGE, GREEN, RED, PINK, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY, INK = "#8C8C8C", "#333333"
GRID = "#DDDDDD"
# Numbers on coloured bars: as good as white and black, but not the page's own, which change with its theme.
ON_DARK, ON_LIGHT = "#FEFEFE", "#101010"
WIDTH_INCHES = 8
DPI = 150
HEADING = "heading"  # the mark of what a page shows as its own heading
HEADING_INCHES = 0.5
# Colour in a figure -> the page's variable, so that figures follow the page's theme.
_THEMED = {INK: "--ink", "#000000": "--ink", GRID: "--line", "#FFFFFF": "--card", BLUE: "--blue"}
_DIGITS = re.compile(r"\d+\.\d{3,}")
MAX_TITLE = 90  # characters that fit in the width


def new_figure(height_inches, heading, title) -> Figure:
    """Return a Figure with a bold heading and the title of the run below it."""
    figure = Figure(figsize=(WIDTH_INCHES, height_inches + 0.25), layout="constrained")
    head = figure.suptitle(f"{heading}\n", fontsize=12, x=0.01, ha="left", va="top", fontweight="bold", color=INK,
                           linespacing=1.5)
    shown = title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 3] + "..."
    # Below the heading's own line; the constrained layout leaves room for the empty second line.
    below = 1 - 0.28 / figure.get_figheight()
    line = figure.text(0.01, below, plain(shown), fontsize=10.5, ha="left", va="top", color=INK)
    for artist in (head, line):
        artist.set_gid(HEADING)
    return figure


def panel(axes):
    """Give axes the house look and return them."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK)
    return axes


def plain(text) -> str:
    """Return text safe to draw: names come from files, and a dollar sign would start a formula."""
    return printable(text).replace("$", r"\$")


def largest(items, limit, key=lambda tensor: tensor.nbytes) -> list:
    """Return the limit largest items by a key, in their own order: what is drawn of many."""
    chosen = sorted(range(len(items)), key=lambda i: -key(items[i]))[:limit]
    return [items[i] for i in sorted(chosen)]


def save_figure(figure, path):
    """Write a Figure as PNG, 1200 pixels wide; atomic."""
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=DPI))


def bars(places, heights, colour, width=0.86) -> PathPatch:
    """Return upright bars as one patch (hundreds would make a page heavy); the axes' limits are left alone."""
    left, top = np.asarray(places, float) - width / 2, np.asarray(heights, float)
    corners = [(left, 0 * top), (left, top), (left + width, top), (left + width, 0 * top), (left, 0 * top)]
    vertices = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(left))
    return PathPatch(Path(vertices, codes), facecolor=colour, lw=0)


def log_axis(axis, set_scale):
    """Make an axis logarithmic, with ticks at 1, 2 and 5 in plain digits. set_scale: of its Axes."""
    set_scale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def svg_figure(figure, prefix) -> str:
    """Return a Figure as an <svg> element to stand in a page: no heading, text as text, colours of the page's theme.

    prefix: put before every id, so that several figures can share a page. The Figure is changed. Equal figures give
    equal text.
    """
    for artist in figure.findobj(lambda artist: artist.get_gid() == HEADING):
        artist.set_visible(False)
        artist.set_in_layout(False)
    figure.set_figheight(figure.get_figheight() - HEADING_INCHES)
    target = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gluon_dc"}):
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Only what is referred to needs its id, and a hundredth of a point is finer than any screen.
    text = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", text)
    text = re.sub(r' (?:d|x|y|transform|points)="[^"]*"', lambda found: _DIGITS.sub(_rounded, found[0]), text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"((?:font: (?:\d+ )?[\d.]+px|font-family:) )[^;\"]*", r"\1var(--font)", text)
    for colour, variable in _THEMED.items():
        text = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var({variable})", text, flags=re.IGNORECASE)
    return text.strip()


def _rounded(found):
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
