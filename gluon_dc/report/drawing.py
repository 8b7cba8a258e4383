"""What all figures share: size, colours, panels and the file. Nothing here touches pyplot's global state."""

from matplotlib.figure import Figure

from ..coding.files import write_atomically
from .tables import printable

# The Okabe-Ito palette: told apart with any colour vision.
BLUE, ORANGE, GREEN, RED, PINK, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY, INK = "#8C8C8C", "#333333"
WIDTH_INCHES = 8
DPI = 150
MAX_TITLE = 90  # characters that fit in the width


def new_figure(height_inches, heading, title) -> Figure:
    """Return a Figure with a bold heading and the title of the run below it."""
    figure = Figure(figsize=(WIDTH_INCHES, height_inches + 0.25), layout="constrained")
    figure.suptitle(f"{heading}\n", fontsize=12, x=0.01, ha="left", va="top", fontweight="bold", color=INK,
                    linespacing=1.5)
    shown = title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 3] + "..."
    # Below the heading's own line; the constrained layout leaves room for the empty second line.
    below = 1 - 0.28 / figure.get_figheight()
    figure.text(0.01, below, plain(shown), fontsize=10.5, ha="left", va="top", color=INK)
    return figure


def panel(axes):
    """Give axes the house look and return them."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK)
    return axes


def plain(text) -> str:
    """Return text safe to draw: names come from files, and a dollar sign would start a formula."""
    return printable(text).replace("$", r"\$")


def save_figure(figure, path):
    """Write a Figure as PNG, 1200 pixels wide; atomic."""
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=DPI))
