"""The mobile question as tools/mobile.py leaves it in JSON (counts): read, checked, shown as tables."""

from dataclasses import dataclass, fields
from pathlib import Path

from .energy import FORMULAS, SOURCE, Costs, checked_costs, checked_layer, costs_line
from .fields import NUMBER, check_fields
from .mobile import KINDS, TIME_FORMULAS, Device, Net, estimate
from .tables import Table, count, shortened, size_text

FORMAT = 1
MAX_NETS, MAX_LAYERS = 1000, 2000
_NET = {"network": str, "weights": str, "file": str, "input_shape": list, "file_nbytes": int, "parameter_nbytes": int,
        "activation_nbytes": int, "other_numbers": int, "layers": list}
_REQUIRED = tuple(key for key in _NET if key not in ("weights", "file"))


@dataclass(frozen=True)
class MobileReport:
    """Nets and what is assumed of the device."""

    path: Path
    device: Device
    costs: Costs
    nets: tuple[Net, ...]

    kind = "mobile"
    title = "Is mobile processing viable?"

    @property
    def labels(self) -> list[str]:
        """What to call each net: network and file, by its path where several have the same name."""
        names = [_label(net, Path(net.file).name) for net in self.nets]
        return [_label(net, net.file) if names.count(name) > 1 else name for net, name in zip(self.nets, names)]

    def to_dict(self) -> dict:
        """As plain JSON types, estimates included."""
        device = {**vars(self.device), "memory_nbytes": list(self.device.memory_nbytes)}
        return {"path": str(self.path), "device": device, "costs": dict(vars(self.costs)),
                "formulas": [*FORMULAS, *TIME_FORMULAS], "source": SOURCE,
                "nets": [self._net(net) for net in self.nets]}

    def _net(self, net):
        layers = [{**vars(layer), "shape": list(layer.shape)} for layer in net.layers]
        return {**vars(net), "input_shape": list(net.input_shape), "layers": layers,
                **{kind: {"weights_nbytes": net.weights_nbytes(kind), "operations": net.operations(kind), "estimates": [
                    {"memory_nbytes": nbytes, **vars(estimate(net, kind, nbytes, self.device, self.costs))}
                    for nbytes in self.device.memory_nbytes]} for kind in KINDS}}


def is_mobile(record) -> bool:
    """True for a JSON object of tools/mobile.py."""
    return isinstance(record, dict) and "mobile" in record


def check_mobile(record, path) -> MobileReport:
    """The MobileReport of a JSON object. Raises ValueError that names the file and the field."""
    try:
        if record.get("format") != FORMAT:
            raise ValueError(f"format {record.get('format')!r}, this reader knows {FORMAT}: update gluon_dc")
        found = record["mobile"]
        check_fields(found, {"device": dict, "costs": dict, "nets": list}, "mobile", ("nets",))
        if not 1 <= len(found["nets"]) <= MAX_NETS:
            raise ValueError(f"mobile: {len(found['nets']):,} nets, expected 1 to {MAX_NETS:,}")
        costs = checked_costs(found.get("costs") or {}, "costs")
        return MobileReport(Path(path), _device(found.get("device") or {}), costs, tuple(
            _net(net, f"nets[{i}]") for i, net in enumerate(found["nets"])))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def mobile_tables(report) -> list[Table]:
    """What each net takes, and what running it is estimated to take."""
    return [_sizes_table(report), _estimates_table(report)]


def _label(net, file):
    # A file that does not say what network it is goes by its name.
    return f"{net.network}, {file}" if file and net.network != Path(file).name else file or net.network


def memory_text(nbytes) -> str:
    """On-chip memories come in powers of two: "256 KB" is 262,144 bytes."""
    for unit, size in (("MB", 2**20), ("KB", 2**10)):
        if nbytes >= size:
            return f"{nbytes / size:.3g} {unit}"
    return f"{nbytes} B"


def _sizes_table(report):
    named = list(zip(report.labels, report.nets))
    rows = [row for label, net in named for row in _size_rows(label, net, report.device.memory_nbytes)]
    headings = ["net", "", "file", "weights in\nmemory", "activations", "M operations\nan image",
                *(f"fits\n{memory_text(nbytes)}" for nbytes in report.device.memory_nbytes)]
    notes = (
        "Fits: yes, weights and activations together; weights, they alone; no. Weights in memory: all parameters, in "
        "the forms named beside the net; fixed width: as codes and gaps of fixed width, which need no decoding before "
        "use (an estimate: this package's own forms take more).",
        "Activations: float32 buffers of this package's own run, one image, shared as soon as a value is not needed "
        "any more. Operations: multiplications and additions; compressed: with kept weights alone.",
        *dict.fromkeys(f"{label}: {net.weights}." for label, net in named if net.weights))
    return Table(report.title, headings, rows, notes, text_columns=2)


def _size_rows(label, net, memories):
    dense = net.weights_nbytes("dense")
    for kind in KINDS:
        nbytes = net.weights_nbytes(kind)
        is_dense = kind == "dense"
        yield [label if is_dense else "", kind if is_dense else f"compressed ({shortened(net.forms, 60)})",
               count(dense if is_dense else net.file_nbytes), count(nbytes), count(net.activation_nbytes),
               f"{net.operations(kind) / 1e6:,.1f}", *(_fits(nbytes, net.activation_nbytes, n) for n in memories)]


def _fits(weights, activations, memory):
    return "yes" if weights + activations <= memory else "weights" if weights <= memory else "no"


def _estimates_table(report):
    rows = []
    for label, net in zip(report.labels, report.nets):
        for kind in KINDS:
            found = [estimate(net, kind, nbytes, report.device, report.costs) for nbytes in report.device.memory_nbytes]
            rows.append([label if kind == "dense" else "", kind,
                         *(cell for one in found for cell in (size_text(one.dram_nbytes), _number(1e3 * one.seconds),
                                                              _number(1e3 * one.joules)))])
    headings = ["net", ""]
    for nbytes in report.device.memory_nbytes:
        headings += [f"{memory_text(nbytes)} on chip\nDRAM traffic", "\nms", "\nmJ"]
    device = report.device
    notes = (f"Estimates for one image at a time, nothing measured: {device.bandwidth_gb_s:g} GB/s from DRAM, "
             f"{device.dense_gop_s:g} G operations/s dense, {device.sparse_share:g} of that where zeros are skipped.",
             costs_line(report.costs), f"Source: {SOURCE}.",
             *(f"Formula: {line}." for line in (*TIME_FORMULAS, *FORMULAS)),
             "No energy for what is idle, for control, or for anything but this net.")
    return Table("Time and energy for one image, by size of the on-chip memory", headings, rows, notes, text_columns=2)


def _number(value):
    return f"{value:.3g}" if value < 1000 else count(round(value))


def _device(record):
    check_fields(record, {"bandwidth_gb_s": NUMBER, "dense_gop_s": NUMBER, "sparse_share": NUMBER,
                          "memory_nbytes": list}, "device")
    given = {field.name: record[field.name] for field in fields(Device) if record.get(field.name) is not None}
    if "memory_nbytes" in given:
        given["memory_nbytes"] = tuple(given["memory_nbytes"])
    try:
        return Device(**given)
    except ValueError as error:
        raise ValueError(f"device: {error}") from None


def _net(record, where):
    check_fields(record, _NET, where, _REQUIRED)
    shape = record["input_shape"]
    if not 1 <= len(shape) <= 8 or not all(type(n) is int and 0 < n < 2**32 for n in shape):
        raise ValueError(f"{where}: input_shape is {shape!r:.60}, expected 1 to 8 whole numbers")
    if not 1 <= len(record["layers"]) <= MAX_LAYERS:
        raise ValueError(f"{where}: {len(record['layers']):,} layers, expected 1 to {MAX_LAYERS:,}")
    if record["other_numbers"] < 0:
        raise ValueError(f"{where}: other_numbers is {record['other_numbers']}, expected 0 or more")
    layers = tuple(checked_layer(layer, f"{where}: layers[{i}]") for i, layer in enumerate(record["layers"]))
    counts = {key: record[key] for key in ("file_nbytes", "parameter_nbytes", "activation_nbytes", "other_numbers")}
    return Net(record["network"], record.get("weights") or "", record.get("file") or "", tuple(shape), layers=layers,
               **counts)
