"""Tables: cells in, aligned lines of plain text out. `markup` makes HTML of the same tables."""

from dataclasses import dataclass

MISSING = "-"


@dataclass(frozen=True)
class Table:
    """A table with its title and notes (a line each); headings, rows and text_columns as in `format_table`.

    A row whose first cell is empty belongs to the one above it; rows after a rule (None) are totals.
    """

    title: str
    headings: list
    rows: list
    notes: tuple[str, ...] = ()
    text_columns: int = 1

    def __str__(self) -> str:
        title, *notes = map(printable, (self.title, *self.notes))
        return "\n".join([format_table(self.headings, self.rows, title, self.text_columns), *notes])


def format_table(headings, rows, title=None, text_columns=1):
    """Return an aligned text table without a final line end.

    headings: list of str, where "\\n" stacks a heading over several lines. rows: list of lists of the same length;
    a cell is a str, or None for "-"; a row that is None draws a rule. The first text_columns columns are aligned
    left, the others right. title: an optional line above. Raises ValueError for a row of another length.
    """
    for number, row in enumerate(rows):
        if row is not None and len(row) != len(headings):
            raise ValueError(f"row {number} has {len(row)} cells, but there are {len(headings)} headings")
    body = [None if row is None else [_cell(cell) for cell in row] for row in rows]
    head = _stack(headings)
    widths = [max(len(line[i]) for line in head + body if line is not None) for i in range(len(headings))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [_line(line, widths, text_columns) for line in head] + [rule]
    lines += [rule if line is None else _line(line, widths, text_columns) for line in body]
    return "\n".join(([title] if title else []) + lines)


def printable(text):
    """Return text as one printable line: names come from files and may hold line ends or terminal codes."""
    return text if text.isprintable() else ascii(text)[1:-1]


def shortened(text, length):
    """Return text as `printable`, at most so many characters of it; what is cut off shows as "..."."""
    text = printable(text)
    return text if len(text) <= length else f"{text[:length - 3]}..."


def count(number):
    """Return an integer with thousands separated: "266,200"; None stays None."""
    return None if number is None else f"{number:,}"


def decimal(number, digits):
    """Return a number with so many decimals; None stays None."""
    return None if number is None else f"{number:.{digits}f}"


def times(ratio):
    """Return a compression ratio such as "40.1x"; None stays None."""
    return None if ratio is None else f"{ratio:,.1f}x"


def size_text(nbytes) -> str:
    """Return bytes in decimal units with three digits: "27.0 KB", "552 MB"; the paper's units."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if nbytes >= 0.9995 * size:
            number = nbytes / size
            return f"{number:.{max(0, 2 - len(str(int(number))) + 1)}f} {unit}"
    return f"{nbytes:.0f} B"


def _cell(cell):
    return MISSING if cell is None else printable(cell)


def _stack(headings):
    # Headings of fewer lines sink to the bottom, next to their column.
    split = [heading.split("\n") for heading in headings]
    height = max(len(lines) for lines in split)
    padded = [[""] * (height - len(lines)) + lines for lines in split]
    return [[lines[level] for lines in padded] for level in range(height)]


def _line(cells, widths, text_columns):
    padded = [
        cell.ljust(width) if column < text_columns else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths))
    ]
    return "  ".join(padded).rstrip()
