"""Speed of single layers, compressed against dense (the paper's Fig. 9): JSON of benchmarks/dense_layers.py."""

from dataclasses import dataclass
from pathlib import Path

from .fields import NUMBER, check_fields
from .paper_speed import CPU, geometric_mean, paper_speedup
from .tables import Table, decimal, times
from .timed import (TimedReport, check_milliseconds, checked_report, counted, first_row, plural, ratio_text,
                    setting_note, three_digits)

WEIGHTS = ("cold", "hot")  # where a call finds the weights: in memory, or in a cache
_ROW = {"layer": str, "rows": int, "cols": int, "density": NUMBER, "batch": int, "threads": int, "drawn": bool,
        "contender": str, "ours": bool, "nbytes": int, "hot_ms": NUMBER, "cold_ms": NUMBER}
_SPARSE = "CSR"  # in the names of contenders that multiply by a sparse matrix


@dataclass(frozen=True)
class LayerSpeed:
    """A layer at a batch and a number of threads. best: {(side, weights): (contender, milliseconds of a call)}, side
    "ours", "dense" (the fastest dense library) or "sparse" (the fastest with a sparse matrix), weights "cold" or "hot".
    nbytes: of the form of ours that is fastest cold.
    """

    layer: str
    density: float
    batch: int
    threads: int
    dense_nbytes: int
    nbytes: int
    best: dict

    def speedup(self, side, weights) -> float | None:
        """Time of the best dense library / time of a side; None where one of them was not measured."""
        dense, other = (self.best.get((one, weights)) for one in ("dense", side))
        return dense[1] / other[1] if dense and other else None


@dataclass(frozen=True)
class SpeedReport(TimedReport):
    """A measured benchmark of layers; rows: LayerSpeed."""

    kind = "speed"
    title = "Speed of single layers"

    def to_dict(self) -> dict:
        """As plain JSON types."""
        rows = [{**{key: value for key, value in vars(row).items() if key != "best"},
                 "best": [{"side": side, "weights": weights, "contender": name, "ms": ms,
                           "speedup": row.speedup(side, weights)} for (side, weights), (name, ms) in row.best.items()],
                 "paper_speedup": paper_speedup(row.layer, row.batch)} for row in self.rows]
        return {"path": str(self.path), "note": self.note, "layers": rows}


def is_speed(record) -> bool:
    """True for a JSON object with rows of contenders on layers."""
    return {"layer", "contender", "cold_ms"} <= first_row(record).keys()


def check_speed(record, path) -> SpeedReport:
    """The SpeedReport of a JSON object. Raises ValueError that names the file and the field."""
    def make(rows, setting):
        groups = {}
        for i, row in enumerate(rows):
            _check_row(row, f"rows[{i}]")
            groups.setdefault((row["layer"], row["batch"], row["threads"]), []).append(row)
        return SpeedReport(Path(path), setting_note(rows, setting), tuple(map(_layer, groups.values())))
    return checked_report(make, record, path)


def speed_tables(report) -> list[Table]:
    """A table for each batch and number of threads."""
    return report.setting_tables(_table, _notes(report))


def _table(report, batch, threads, notes):
    layers = report.of(batch, threads)
    rows = [_table_row(row) for row in layers]
    if len(rows) > 1:
        means = [geometric_mean(ratios) for ratios in zip(*map(_ratios, layers))]
        rows += [None, ["geometric mean", None, *map(ratio_text, means), *[None] * 7]]
    headings = ["layer", "kept %", "speedup\ncold", "speedup\nhot", "best CSR\ncold", "the\npaper's",
                "dense\ncold, ms", "ours\ncold, ms", "dense\nhot, ms", "ours\nhot, ms", "bytes of\nfloat32\n/ ours",
                "best\ndense", "ours"]
    return Table(f"Fig. 9: speed, batch {batch}, {plural(threads, 'thread')}", headings, rows, notes)


def _notes(report):
    return (report.note, "Cold: weights come from memory, hot: from a cache. Speedup: time of the fastest dense "
            "library over that of the fastest of our forms, dense among them; names: the fastest cold.",
            f"The paper's: {CPU}, MKL dense and CSR, pruned but not quantized (Table 8).")


def _table_row(row):
    names = [(row.best.get((side, "cold")) or ("", 0))[0] for side in ("dense", "ours")]
    cells = [row.best.get((side, weights)) for weights in WEIGHTS for side in ("dense", "ours")]
    return [row.layer, decimal(100 * row.density, 1), *map(ratio_text, _ratios(row)),
            *(cell and three_digits(cell[1]) for cell in cells),
            times(row.dense_nbytes / row.nbytes) if row.nbytes else None,
            *(name.removeprefix("ours, ") or None for name in names)]


def _ratios(row):
    # Ours cold and hot, the best CSR library cold, the paper's.
    return (row.speedup("ours", "cold"), row.speedup("ours", "hot"), row.speedup("sparse", "cold"),
            paper_speedup(row.layer, row.batch))


def _layer(rows):
    first, best = rows[0], {}
    for row in rows:
        side = "ours" if row["ours"] else "sparse" if _SPARSE in row["contender"] else "dense"
        for weights in WEIGHTS:
            ms = row[f"{weights}_ms"]
            if (side, weights) not in best or ms < best[side, weights][1]:
                best[side, weights] = (row["contender"], ms)
    chosen = best.get(("ours", "cold"), ("", 0))[0]
    nbytes = next((row["nbytes"] for row in rows if row["contender"] == chosen), 0)
    return LayerSpeed(first["layer"], first["density"], first["batch"], first["threads"],
                      4 * first["rows"] * first["cols"], nbytes, best)


def _check_row(row, where):
    check_fields(row, _ROW, where, tuple(key for key in _ROW if key != "drawn"))
    for key in ("hot_ms", "cold_ms"):
        check_milliseconds(row[key], key, where)
    for key in ("rows", "cols", "batch", "threads"):
        counted(row, key, where)
    if not 0 <= row["density"] <= 1:
        raise ValueError(f"{where}: density is {row['density']}, expected 0..1")
