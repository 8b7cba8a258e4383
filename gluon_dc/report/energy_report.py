"""Energy of layers, dense against compressed (the paper's Fig. 10): from the JSON of benchmarks/energy.py."""

from dataclasses import dataclass
from pathlib import Path

from .energy import (DRAM, FORMULAS, ON_CHIP, SOURCE, Costs, Layer, checked_costs, checked_layer, compressed_energy,
                     costs_line, dense_energy)
from .fields import NUMBER, check_fields, checked_list
from .paper_speed import CPU, geometric_mean, paper_energy_mj, paper_energy_ratio
from .tables import Table, count, decimal

FORMAT = 1
MAX_LAYERS, MAX_BATCH = 2000, 2**16
_FIELDS = {"title": str, "note": str, "machine": str, "not_measured": str, "batches": list, "costs": dict,
           "layers": list, "measured": list}
_MEASURED = {"layer": str, "batch": int, "dense_mj": NUMBER, "compressed_mj": NUMBER, "dense_ms": NUMBER,
             "compressed_ms": NUMBER}


@dataclass(frozen=True)
class EnergyReport:
    """What is known of layers: Layer each, for `batches`; measured: {(layer, batch): dict of _MEASURED}, of one image.

    not_measured: why nothing was. note: whose weights they are.
    """

    path: Path
    title: str
    note: str
    machine: str
    not_measured: str
    batches: tuple[int, ...]
    costs: Costs
    layers: tuple[Layer, ...]
    measured: dict

    kind = "energy"

    def estimates(self, layer, batch) -> dict:
        """{"dense", "compressed", "on_chip"}: Energy of one image: float32 from DRAM, compressed from DRAM and from
        on-chip memory."""
        return {"dense": dense_energy(layer, self.costs, batch),
                "compressed": compressed_energy(layer, self.costs, batch, DRAM),
                "on_chip": compressed_energy(layer, self.costs, batch, ON_CHIP)}

    def to_dict(self) -> dict:
        """As plain JSON types, estimates included."""
        rows = [{"layer": layer.name, "batch": batch,
                 **{key: energy.to_dict() for key, energy in self.estimates(layer, batch).items()}}
                for batch in self.batches for layer in self.layers]
        return {**vars(self), "path": str(self.path), "costs": dict(vars(self.costs)),
                "layers": [{**vars(layer), "shape": list(layer.shape)} for layer in self.layers],
                "batches": list(self.batches), "measured": list(self.measured.values()), "estimates_pj": rows,
                "formulas": list(FORMULAS), "source": SOURCE}


def is_energy(record) -> bool:
    """True for a JSON object that says it is about energy."""
    return isinstance(record, dict) and "energy" in record


def check_energy(record, path) -> EnergyReport:
    """The EnergyReport of a JSON object. Raises ValueError that names the file and the field."""
    try:
        return _checked(record, Path(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def energy_tables(report) -> list[Table]:
    """A table for each batch; the notes stand under the last."""
    return [_table(report, batch, _notes(report) * (batch == report.batches[-1])) for batch in report.batches]


def energy_ratio(report, layer, batch, key) -> float | None:
    """Dense energy / compressed energy: key "compressed" or "on_chip" of the estimates, "measured", or "paper" (its
    CPU); None where it is not known."""
    if key == "paper":
        return paper_energy_ratio(layer.name, batch, CPU)
    if key == "measured":
        found = report.measured.get((layer.name, batch))
        return found["dense_mj"] / found["compressed_mj"] if found and found["compressed_mj"] else None
    found = report.estimates(layer, batch)
    return found["dense"].total / found[key].total if found[key].total else None


def _table(report, batch, notes):
    rows = [_row(report, layer, batch) for layer in report.layers]
    means = [geometric_mean(energy_ratio(report, layer, batch, key) for layer in report.layers)
             for key in ("compressed", "on_chip", "measured", "paper")]
    if len(report.layers) > 1:
        rows += [None, _together(report, batch), [
            "geometric mean", *[None] * 5, *map(_times, means[:2]), None, None, _times(means[2]), None, None,
            _times(means[3])]]
    headings = ["layer", "kept %", "MACs\ndense,\nM", "estimate,\nmJ,\ndense", "compressed,\nDRAM",
                "compressed,\non chip", "ratio,\nDRAM", "ratio,\non chip", "measured,\nmJ,\ndense", "compressed",
                "ratio", "paper,\nmJ,\ndense", "pruned", "ratio"]
    used = [i for i in range(len(headings)) if i < 8 or any(row and row[i] for row in rows)]
    rows = [row and [row[i] for i in used] for row in rows]
    return Table(f"Fig. 10: energy for one input, batch {batch}, {report.title}", [headings[i] for i in used], rows,
                 notes)


def _together(report, batch):
    # Once through all layers: what a net's layers take.
    found = [report.estimates(layer, batch) for layer in report.layers]
    sums = [sum(energies[key].total for energies in found) for key in ("dense", "compressed", "on_chip")]
    return ["together", None, decimal(sum(layer.dense_macs for layer in report.layers) / 1e6, 1),
            *(_mj(total / 1e9) for total in sums), *(_times(sums[0] / total) if total else None for total in sums[1:]),
            *[None] * 6]


def _row(report, layer, batch):
    found = report.estimates(layer, batch)
    measured = report.measured.get((layer.name, batch)) or {}
    paper = paper_energy_mj(layer.name, batch, CPU) or (None, None)
    return [layer.name, decimal(100 * layer.density, 1), decimal(layer.dense_macs / 1e6, 1),
            *(_mj(energy.total / 1e9) for energy in found.values()),
            *(_times(energy_ratio(report, layer, batch, key)) for key in ("compressed", "on_chip")),
            _mj(measured.get("dense_mj")), _mj(measured.get("compressed_mj")),
            _times(energy_ratio(report, layer, batch, "measured")), *map(_mj, paper),
            _times(energy_ratio(report, layer, batch, "paper"))]


def _notes(report):
    lines = [report.note, costs_line(report.costs), f"Source: {SOURCE}.", *(f"Formula: {line}." for line in FORMULAS),
             "DRAM, on chip: where the weights are read from; activations lie on chip in all of them.",
             f"Measured on {report.machine}, processor and memory, idle power included." if report.measured else "",
             f"Not measured: {report.not_measured}." if report.not_measured else ""]
    if any(paper_energy_ratio(layer.name, 1) for layer in report.layers):
        lines.append(f"Paper: {CPU}, time x power of Tables 8 and 9, pruned weights as CSR, no quantization.")
    return tuple(line if line.endswith(".") else f"{line}." for line in lines if line)


def _checked(record, path):
    if record.get("format") != FORMAT:
        raise ValueError(f"format {record.get('format')!r}, this reader knows {FORMAT}: update gluon_dc")
    found = record["energy"]
    check_fields(found, _FIELDS, "energy", ("title", "batches", "layers"))
    if not 1 <= len(found["layers"]) <= MAX_LAYERS:
        raise ValueError(f"energy: {len(found['layers']):,} layers, expected 1 to {MAX_LAYERS:,}")
    layers = tuple(checked_layer(layer, f"layers[{i}]") for i, layer in enumerate(found["layers"]))
    batches = found["batches"]
    if not 1 <= len(batches) <= 16 or not all(type(batch) is int and 1 <= batch <= MAX_BATCH for batch in batches):
        raise ValueError(f"energy: batches is {batches!r:.60}, expected whole numbers of at least 1")
    measured = {}
    for i, row in enumerate(checked_list(found, "measured", _MEASURED, "measured", ("layer", "batch", "dense_mj",
                                                                                   "compressed_mj"))):
        for key in ("dense_mj", "compressed_mj"):
            if not 1e-12 <= row[key] <= 1e12:
                raise ValueError(f"measured[{i}]: {key} is {row[key]}, expected 1e-12..1e12")
        measured[row["layer"], row["batch"]] = {key: row[key] for key in _MEASURED if key in row}
    texts = [found.get(key) or "" for key in ("title", "note", "machine", "not_measured")]
    costs = checked_costs(found.get("costs") or {}, "costs")
    return EnergyReport(path, *texts, tuple(batches), costs, layers, measured)


def _mj(number):
    return None if number is None else f"{number:.3g}" if number < 100 else count(round(number))


def _times(ratio):
    return None if ratio is None else f"{ratio:.3g}x"
