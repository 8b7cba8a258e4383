"""Speed of convolutions, run from codes against dense libraries: JSON of benchmarks/conv_layers.py."""

from dataclasses import dataclass
from pathlib import Path

from .fields import NUMBER, check_fields
from .paper_speed import geometric_mean
from .tables import Table, decimal, times
from .timed import (TimedReport, check_milliseconds, checked_report, counted, first_row, plural, ratio_text,
                    setting_note, three_digits)

DIRECT, DENSE = "direct", "dense"  # our forms in the JSON: from codes, skipping zeros; decoded
_ROW = {"net": str, "layer": str, "shape": list, "size": int, "stride": int, "batch": int, "density": NUMBER,
        "asked_density": NUMBER, "drawn": bool, "threads": int, "multiply_adds": int, "direct_nbytes": int, "ms": dict}
_OPTIONAL = ("asked_density", "drawn", "size", "stride")
_MAX_CONTENDERS = 20


@dataclass(frozen=True)
class ConvSpeed:
    """A convolution at a batch and a number of threads. shape: (filters, channels, kernel height, kernel width).

    asked_density: what weights were drawn with, None for those of a file. multiply_adds: with all weights. nbytes: of
    our form. ms: {contender: milliseconds of a call}; DIRECT and DENSE are ours, all others are libraries.
    """

    net: str
    layer: str
    shape: tuple[int, int, int, int]
    density: float
    asked_density: float | None
    batch: int
    threads: int
    multiply_adds: int
    nbytes: int
    ms: dict

    @property
    def name(self) -> str:
        """Net and layer."""
        return f"{self.net} {self.layer}"

    @property
    def best_library(self) -> tuple[str, float] | None:
        """(name, milliseconds) of the fastest library; None where none was measured."""
        return min(((name, ms) for name, ms in self.ms.items() if name not in (DIRECT, DENSE)),
                   key=lambda pair: pair[1], default=None)

    def speedup(self, form=DIRECT) -> float | None:
        """Time of the fastest library over that of one of our forms; None where one of them was not measured."""
        best, ours = self.best_library, self.ms.get(form)
        return best[1] / ours if best and ours else None


@dataclass(frozen=True)
class ConvReport(TimedReport):
    """A measured benchmark of convolutions; rows: ConvSpeed."""

    kind = "convolutions"
    title = "Speed of convolutions"

    @property
    def densities(self) -> list[float | None]:
        """Densities that were asked for, in order; [None] for weights of a file."""
        return sorted({row.asked_density for row in self.rows}, key=lambda density: (density is not None, density))

    def to_dict(self) -> dict:
        """As plain JSON types."""
        rows = [{**vars(row), "shape": list(row.shape), "speedup": row.speedup(), "dense_speedup": row.speedup(DENSE)}
                for row in self.rows]
        return {"path": str(self.path), "note": self.note, "layers": rows}


def is_conv_speed(record) -> bool:
    """True for a JSON object with rows of the times of many on convolutions."""
    return {"layer", "shape", "ms", "direct_nbytes"} <= first_row(record).keys()


def check_conv_speed(record, path) -> ConvReport:
    """The ConvReport of a JSON object. Raises ValueError that names the file and the field."""
    def make(rows, setting):
        layers = tuple(_layer(row, f"rows[{i}]") for i, row in enumerate(rows))
        return ConvReport(Path(path), setting_note(rows, setting), layers)
    return checked_report(make, record, path)


def conv_tables(report) -> list[Table]:
    """A table for each batch and number of threads."""
    return report.setting_tables(_table, _notes(report))


def mean_speedup(layers, form=DIRECT) -> float | None:
    """Geometric mean over layers; None where one of them has none."""
    return geometric_mean(row.speedup(form) for row in layers)


def _table(report, batch, threads, notes):
    layers = report.of(batch, threads)
    names = list(dict.fromkeys(name for row in layers for name in row.ms if name not in (DIRECT, DENSE)))
    rows = [_row(row, names) for row in layers]
    if len(layers) > 1:
        rows += [None, *_means(layers, len(names))]
    headings = ["layer", "kernel", "kept %", "speedup\nfrom codes", "speedup\ndecoded",
                *(f"{name}\nms" for name in names), "decoded\nms", "from codes\nms", "10^9 kept\nMACs / s",
                "bytes of\nfloat32\n/ ours"]
    return Table(f"Convolutions: speed, batch {batch}, {plural(threads, 'thread')}", headings, rows, notes)


def _row(row, names):
    direct = row.ms.get(DIRECT)
    rate = direct and row.multiply_adds * row.density / direct / 1e6
    return [row.name, f"{row.shape[2]}x{row.shape[3]}", decimal(100 * row.density, 1), ratio_text(row.speedup()),
            ratio_text(row.speedup(DENSE)), *(three_digits(row.ms.get(name)) for name in (*names, DENSE, DIRECT)),
            three_digits(rate), times(4 * _size(row.shape) / row.nbytes) if row.nbytes else None]


def _means(layers, count):
    # Of all, of each net, of each size of kernel; and so for each density that was asked for.
    for density in dict.fromkeys(row.asked_density for row in layers):
        mine = [row for row in layers if row.asked_density == density]
        groups = {"all": mine}
        for row in mine:
            groups.setdefault(row.net, []).append(row)
            groups.setdefault(f"{row.shape[2]}x{row.shape[3]}", []).append(row)
        groups = {name: group for name, group in groups.items() if name == "all" or 1 < len(group) < len(mine)}
        kept = None if density is None else decimal(100 * density, 1)
        for name, group in groups.items():
            yield [f"geometric mean, {name}", None, kept, ratio_text(mean_speedup(group)),
                   ratio_text(mean_speedup(group, DENSE)), *[None] * (count + 4)]


def _notes(report):
    return (report.note, "Speedup: time of the fastest library over ours; weights are as warm as the contenders' turns "
            "leave them. From codes: zeros skipped, codes looked up in each call. Decoded: our dense convolution. "
            "MACs: multiply-adds.", "The paper has no times of convolutions.")


def _layer(row, where):
    check_fields(row, _ROW, where, tuple(key for key in _ROW if key not in _OPTIONAL))
    shape = row["shape"]
    if len(shape) != 4 or not all(type(size) is int and 1 <= size < 2**32 for size in shape):
        raise ValueError(f"{where}: shape is {shape!r:.60}, expected 4 whole numbers from 1 on")
    for key in ("batch", "threads", "multiply_adds"):
        counted(row, key, where)
    for key in ("density", "asked_density"):
        if row.get(key) is not None and not 0 <= row[key] <= 1:
            raise ValueError(f"{where}: {key} is {row[key]}, expected 0..1")
    if not 1 <= len(row["ms"]) <= _MAX_CONTENDERS:
        raise ValueError(f"{where}: ms has {len(row['ms'])} contenders, expected 1 to {_MAX_CONTENDERS}")
    for name, value in row["ms"].items():
        check_milliseconds(value, f"ms of {name!r:.60}", where)
    return ConvSpeed(row["net"], row["layer"], tuple(shape), row["density"], row.get("asked_density"), row["batch"],
                     row["threads"], row["multiply_adds"], row["direct_nbytes"], dict(row["ms"]))


def _size(shape):
    return shape[0] * shape[1] * shape[2] * shape[3]
