"""Speed of whole nets, run from codes against dense libraries: JSON of benchmarks/whole_nets.py."""

from dataclasses import dataclass
from pathlib import Path

from .fields import NUMBER, check_fields
from .paper_speed import geometric_mean
from .tables import Table
from .timed import (TimedReport, check_milliseconds, checked_report, counted, first_row, plural, ratio_text,
                    setting_note, three_digits)

OURS = "ours, session"
INEXACT = 1e-3  # of the largest output: who is further off computes something else, with int8 for one
_ROW = {"net": str, "weights": str, "batch": int, "threads": int, "contender": str, "ms": NUMBER, "off": NUMBER,
        "left_out": str}
_REQUIRED = ("net", "weights", "batch", "threads", "contender")
_MAX_REMARKS, _MAX_REASON = 20, 200


@dataclass(frozen=True)
class NetSpeed:
    """A net at a batch and a number of threads. weights: "drawn" or "trained". ms: {contender: milliseconds of a call}.

    off: {contender: largest difference from the dense net, as a share of its largest output}.
    """

    net: str
    weights: str
    batch: int
    threads: int
    ms: dict
    off: dict

    def ratio(self, contender) -> float | None:
        """Time of a contender over the session's; None where one of them was not measured."""
        theirs, ours = self.ms.get(contender), self.ms.get(OURS)
        return theirs / ours if theirs and ours else None

    @property
    def libraries(self) -> list[str]:
        """The contenders that are not ours and compute the same net in float32."""
        return [name for name in self.ms if not is_ours(name) and self.off.get(name, 0) <= INEXACT]

    @property
    def speedup(self) -> float | None:
        """Time of the fastest of `libraries` over the session's; None where there is none."""
        return min((self.ratio(name) for name in self.libraries), default=None) if OURS in self.ms else None


@dataclass(frozen=True)
class NetReport(TimedReport):
    """A measured benchmark of whole nets; rows: NetSpeed. remarks: who could not run what, and why."""

    remarks: tuple[str, ...]

    kind = "whole-nets"
    title = "Speed of whole nets"

    @property
    def contenders(self) -> list[str]:
        """Names of all who were measured, ours first."""
        names = dict.fromkeys(name for row in self.rows for name in row.ms)
        return sorted(names, key=lambda name: (name != OURS, not is_ours(name)))

    def is_inexact(self, contender) -> bool:
        """Whether a contender's outputs are off by more than rounding, for one of the nets."""
        return any(row.off.get(contender, 0) > INEXACT for row in self.rows)

    def to_dict(self) -> dict:
        """As plain JSON types."""
        rows = [{**vars(row), "speedup": row.speedup, "ratios": {name: row.ratio(name) for name in row.ms}}
                for row in self.rows]
        return {"path": str(self.path), "note": self.note, "nets": rows, "remarks": list(self.remarks)}


def is_ours(contender) -> bool:
    """Whether a contender is one of ours."""
    return contender.startswith("ours")


def is_net_speed(record) -> bool:
    """True for a JSON object with rows of contenders on nets."""
    first = first_row(record)
    return {"net", "weights", "contender"} <= first.keys() and "layer" not in first


def check_net_speed(record, path) -> NetReport:
    """The NetReport of a JSON object. Raises ValueError that names the file and the field."""
    def make(rows, setting):
        groups = {}
        for i, row in enumerate(rows):
            _check_row(row, f"rows[{i}]")
            groups.setdefault(tuple(row[key] for key in _REQUIRED[:4]), []).append(row)
        return NetReport(Path(path), setting_note((), setting), tuple(map(_net, groups.values())), _remarks(rows))
    return checked_report(make, record, path)


def net_tables(report) -> list[Table]:
    """A table for each batch and number of threads."""
    return report.setting_tables(_table, _notes(report))


def _table(report, batch, threads, notes):
    nets, names = report.of(batch, threads), report.contenders
    others = [name for name in names if name != OURS]
    rows = [[row.net, row.weights, ratio_text(row.speedup), *(three_digits(row.ms.get(name)) for name in names),
             *(ratio_text(row.ratio(name)) for name in others)] for row in nets]
    if len(nets) > 1:
        means = [geometric_mean(row.ratio(name) for row in nets) for name in others]
        rows += [None, ["geometric mean", None, ratio_text(geometric_mean(row.speedup for row in nets)),
                        *[None] * len(names), *map(ratio_text, means)]]
    headings = ["net", "weights", "speedup", *(f"{name}\nms" for name in names),
                *(f"{name}\n/ session" for name in others)]
    title = f"Whole nets: speed, batch {batch}, {plural(threads, 'thread')}"
    return Table(title, headings, rows, notes, text_columns=2)


def _notes(report):
    lines = [report.note, "Medians of a call. Speedup: time of the fastest library that computes the net in float32, "
             "over the session's; the last columns: of each over the session's. Drawn weights are pruned evenly, by "
             "the net's recipe; trained ones are less even."]
    return tuple(line for line in (*lines, *report.remarks) if line)


def _remarks(rows):
    inexact = [row for row in rows if row.get("ms") is not None and (row.get("off") or 0) > INEXACT]
    found = [f"{row['net']}: {row['contender']} is off by {row['off']:.1e} of the largest output, and so no part of "
             "the speedup." for row in inexact]
    found += [f"{row['net']}: {row['contender']} left out: {row['left_out'][:_MAX_REASON]}." for row in rows
              if row.get("left_out")]
    return tuple(dict.fromkeys(found))[:_MAX_REMARKS]


def _net(rows):
    first, measured = rows[0], [row for row in rows if row.get("ms") is not None]
    return NetSpeed(first["net"], first["weights"], first["batch"], first["threads"],
                    {row["contender"]: row["ms"] for row in measured},
                    {row["contender"]: row.get("off") or 0.0 for row in measured})


def _check_row(row, where):
    check_fields(row, _ROW, where, _REQUIRED)
    for key in ("batch", "threads"):
        counted(row, key, where)
    if row.get("ms") is not None:
        check_milliseconds(row["ms"], "ms", where)
    if row.get("off") is not None and not row["off"] >= 0:
        raise ValueError(f"{where}: off is {row['off']}, expected 0 or more")
