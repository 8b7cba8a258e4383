"""Speed of single layers, compressed against dense (the paper's Fig. 9): JSON of benchmarks/dense_layers.py."""

from dataclasses import dataclass
from pathlib import Path

from .fields import NUMBER, check_fields
from .paper_speed import CPU, geometric_mean, paper_speedup
from .tables import Table, decimal, times

WEIGHTS = ("cold", "hot")  # where a call finds the weights: in memory, or in a cache
_ROW = {"layer": str, "rows": int, "cols": int, "density": NUMBER, "batch": int, "threads": int, "drawn": bool,
        "contender": str, "ours": bool, "nbytes": int, "hot_ms": NUMBER, "cold_ms": NUMBER}
SETTING = {"cores": int, "machine": str, "processor": str, "not_installed": list, "cpu_time": bool}
MAX_ROWS = 20_000
_MAX_MACHINE = 120
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
class SpeedReport:
    """A measured benchmark of layers. note: whose weights, and on what machine."""

    path: Path
    note: str
    layers: tuple[LayerSpeed, ...]

    kind = "speed"
    title = "Speed of single layers"

    @property
    def settings(self) -> list[tuple[int, int]]:
        """(batch, threads), in order."""
        return sorted({(row.batch, row.threads) for row in self.layers})

    def of(self, batch, threads) -> list[LayerSpeed]:
        """The layers of a setting, in the file's order."""
        return [row for row in self.layers if (row.batch, row.threads) == (batch, threads)]

    def to_dict(self) -> dict:
        """As plain JSON types."""
        rows = [{**{key: value for key, value in vars(row).items() if key != "best"},
                 "best": [{"side": side, "weights": weights, "contender": name, "ms": ms,
                           "speedup": row.speedup(side, weights)} for (side, weights), (name, ms) in row.best.items()],
                 "paper_speedup": paper_speedup(row.layer, row.batch)} for row in self.layers]
        return {"path": str(self.path), "note": self.note, "layers": rows}


def is_speed(record) -> bool:
    """True for a JSON object with rows of contenders on layers."""
    rows = record.get("rows") if isinstance(record, dict) else None
    first = rows[0] if isinstance(rows, list) and rows else None
    return isinstance(first, dict) and {"layer", "contender", "cold_ms"} <= first.keys()


def check_speed(record, path) -> SpeedReport:
    """The SpeedReport of a JSON object. Raises ValueError that names the file and the field."""
    try:
        if len(record["rows"]) > MAX_ROWS:
            raise ValueError(f"{len(record['rows']):,} rows, expected at most {MAX_ROWS:,}")
        groups = {}
        for i, row in enumerate(record["rows"]):
            _check_row(row, f"rows[{i}]")
            groups.setdefault((row["layer"], row["batch"], row["threads"]), []).append(row)
        setting = record.get("setting") or {}
        check_fields(setting, SETTING, "setting")
        return SpeedReport(Path(path), setting_note(record["rows"], setting), tuple(map(_layer, groups.values())))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def speed_tables(report) -> list[Table]:
    """A table for each batch and number of threads; the notes stand under the last."""
    return [_table(report, *setting, _notes(report) * (setting == report.settings[-1])) for setting in report.settings]


def _table(report, batch, threads, notes):
    layers = report.of(batch, threads)
    rows = [_table_row(row) for row in layers]
    if len(rows) > 1:
        means = [geometric_mean(ratios) for ratios in zip(*map(_ratios, layers))]
        rows += [None, ["geometric mean", None, *map(ratio_text, means), *[None] * 7]]
    headings = ["layer", "kept %", "speedup\ncold", "speedup\nhot", "best CSR\ncold", "the\npaper's",
                "dense\ncold, ms", "ours\ncold, ms", "dense\nhot, ms", "ours\nhot, ms", "bytes of\nfloat32 / ours",
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


def setting_note(rows, setting) -> str:
    """A line on whose weights were measured (of `rows` that say whether they were drawn) and on what machine."""
    drawn = [bool(row.get("drawn")) for row in rows]
    parts = ["Weights drawn, in random positions" if all(drawn) else "Weights of a file"] * bool(drawn)
    if setting.get("cores"):
        parts.append(f"{plural(setting['cores'], 'core')}, {_machine_text(setting)}")
    parts += ["processor time of one thread"] * bool(setting.get("cpu_time"))
    missing = [str(name) for name in setting.get("not_installed") or []][:20]
    parts += [f"not installed: {', '.join(missing)}"] * bool(missing)
    return f"{'; '.join(parts)}." if parts else ""


def _machine_text(setting):
    # The processor as Linux tells it, "model name X, cpu family N, ...": the name is enough here.
    told = setting.get("processor") or setting.get("machine") or "unknown machine"
    return told.removeprefix("model name ").partition(", cpu family ")[0][:_MAX_MACHINE]


def check_milliseconds(value, key, where) -> None:
    """Raise ValueError for what is no time that was measured."""
    if not isinstance(value, NUMBER) or isinstance(value, bool) or not 1e-9 <= value <= 1e9:
        raise ValueError(f"{where}: {key} is {value!r:.60}, expected 1e-9..1e9")


def counted(row, key, where) -> None:
    """Raise ValueError for a count below 1."""
    if row[key] < 1:
        raise ValueError(f"{where}: {key} is {row[key]}, expected 1 or more")


def plural(number, what) -> str:
    """A number of things, as "1 thread" and "2 threads"."""
    return f"{number} {what}{'s' * (number != 1)}"


def three_digits(number):
    """A number with three significant digits, zeros at the end too ("1.50"); None stays None."""
    if number is None:
        return None
    return f"{number:#.3g}" if 1e-3 <= number < 99.95 else f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"


def ratio_text(number):
    """A speedup such as "1.43x"; None stays None."""
    return None if number is None else f"{three_digits(number)}x"
