"""HTML of the parts of a page. Whatever text comes in is escaped here, once: names and notes come from files."""

import re
from html import escape

from .tables import MISSING, Table, printable

MIN_SORTED = 3  # groups of rows from which on a table can be sorted
MIN_WIDE = 9  # columns from which on a table is set tighter
_NOT_IN_IDS = re.compile(r"[^a-z0-9]+")


def text(value) -> str:
    """Return text escaped for element content and for quoted attributes; line ends and controls made visible."""
    return escape(printable(str(value)), quote=True)


def identifier(value) -> str:
    """Return an id made of text: lower-case letters, digits and dashes."""
    return _NOT_IN_IDS.sub("-", str(value).lower()).strip("-")[:60] or "x"


def table(content: Table, level=3, titled=True) -> str:
    """Return a tables.Table in a box of its own that scrolls sideways, with heading and notes.

    Rows whose first cell is empty stay with the row above; rows after a rule are totals and are not sorted. Each
    heading is a button that sorts, where there is enough to sort. level: of the heading, which titled=False leaves out
    (a label for screen readers stays).
    """
    groups, totals = _groups(content.rows)
    sorts = len(groups) >= MIN_SORTED
    head = "".join(_heading(heading, column, content.text_columns, sorts)
                   for column, heading in enumerate(content.headings))
    body = "".join(f"<tbody>{''.join(_row(row, content.text_columns) for row in group)}</tbody>" for group in groups)
    foot = f"<tfoot>{''.join(_row(row, content.text_columns) for row in totals)}</tfoot>" if totals else ""
    classes = _classes(sorts=sorts, wide=len(content.headings) >= MIN_WIDE)
    return (
        (f"<h{level}>{text(content.title)}</h{level}>" if titled else "")
        + f'<div class="scroll" role="region" tabindex="0" aria-label="{text(content.title)}">'
        + f"<table{classes}><thead><tr>{head}</tr></thead>{body}{foot}</table></div>"
        + notes(content.notes)
    )


def notes(lines) -> str:
    """Return a paragraph of notes, "" for none."""
    return f'<p class="notes">{" ".join(text(line) for line in lines)}</p>' if lines else ""


def figure(svg, caption) -> str:
    """Return a figure in a box that scrolls sideways. svg: an <svg> element, trusted; caption: text."""
    return (
        f'<figure><div class="scroll" role="img" tabindex="0" aria-label="{text(caption)}">{svg}</div>'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def section(key, heading, parts, level=2) -> str:
    """Return a <section> with an id, a heading and parts of HTML."""
    return f'<section id="{key}"><h{level}>{text(heading)}</h{level}>{"".join(parts)}</section>'


def details(summary, parts, is_open=False) -> str:
    """Return parts of HTML that fold away under a summary."""
    return f'<details{" open" if is_open else ""}><summary>{text(summary)}</summary>{"".join(parts)}</details>'


def _classes(**found):
    names = " ".join(name for name, is_so in found.items() if is_so)
    return f' class="{names}"' if names else ""


def _groups(rows):
    rule = rows.index(None) if None in rows else len(rows)
    groups = []
    for row in rows[:rule]:
        if groups and not row[0]:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups, [row for row in rows[rule:] if row is not None]


def _heading(heading, column, text_columns, sorts):
    kind = "" if column >= text_columns else ' class="t"'
    if not heading:
        return f"<td{kind}></td>"
    label = "<br>".join(text(line) for line in heading.split("\n"))
    return f'<th scope="col"{kind}>{f"<button type=button>{label}</button>" if sorts else label}</th>'


def _row(row, text_columns):
    cells = []
    for column, cell in enumerate(row):
        shown = text(MISSING if cell is None else cell)
        kind = ' class="t"' if column < text_columns else ""
        is_header = column == 0 and shown
        cells.append(f'<th scope="row"{kind}>{shown}</th>' if is_header else f"<td{kind}>{shown}</td>")
    return f'<tr{" class=paper" if "paper" in row[:2] else ""}>{"".join(cells)}</tr>'
