"""Sizes of whole nets through the stages (dense, pruned, shared, coded), from zoo_sizes.json or from a run."""

from dataclasses import dataclass
from pathlib import Path

from .fields import NUMBER, check_fields
from .paper import TABLE1, paper_network
from .results import on_other_data, stages
from .sizes import size_report
from .streams import coded_tensors

STAGES = ("dense", "pruned", "shared", "coded")
REFERENCES = {"AlexNet": TABLE1["alexnet"].nbytes_ref, "VGG-16": TABLE1["vgg16"].nbytes_ref}
_NET = {
    "network": str, "weights": str, "recipe": str, "dense_nbytes": int, "nbytes": int, "ratio": NUMBER,
    "kept_percent": NUMBER, "part_nbytes": dict, "stages": dict,
}
_RATIO_TOLERANCE = 0.01
MAX_KIND = 28


@dataclass(frozen=True)
class NetSizes:
    """Bytes of one net: label to show, what is known of its weights, and {stage: bytes} of STAGES where known.

    network: name in the zoo, or None. weights: what is known of them, "" for nothing. bits: as text, "5..8"; None
    where not known, as is kept_percent (of the weights that are coded). other_data: True for a net of the paper that
    was trained on other data than the paper's.
    """

    label: str
    network: str | None
    weights: str
    stage_nbytes: dict[str, int]
    kept_percent: float | None = None
    bits: str | None = None
    recipe: str | None = None
    other_data: bool = False

    @property
    def dense_nbytes(self) -> int | None:
        """Bytes as float32."""
        return self.stage_nbytes.get("dense")

    @property
    def nbytes(self) -> int | None:
        """Bytes of the file."""
        return self.stage_nbytes.get("coded")

    @property
    def ratio(self) -> float | None:
        """Compression ratio, every byte of the file counted; None where either size is unknown."""
        return self.dense_nbytes / self.nbytes if self.dense_nbytes and self.nbytes else None

    @property
    def weights_kind(self) -> str:
        """What stands before the colon in weights, of a path the file's name: short enough for a column."""
        kind = self.weights.split(":")[0].rsplit("/", 1)[-1]
        return kind if len(kind) <= MAX_KIND else f"{kind[:MAX_KIND - 3]}..."

    def to_dict(self) -> dict:
        """The record as plain JSON types."""
        return {**vars(self), "ratio": self.ratio}


@dataclass(frozen=True)
class Zoo:
    """The nets of a zoo_sizes.json: path as given, a NetSizes each."""

    path: Path
    nets: tuple[NetSizes, ...]

    title = "The model zoo"

    def to_dict(self) -> dict:
        """The record as plain JSON types."""
        return {"path": str(self.path), "nets": [net.to_dict() for net in self.nets]}


def is_zoo(record) -> bool:
    """True for JSON that looks like a zoo_sizes.json: an object with "nets", or a list of objects with a network."""
    if isinstance(record, list):
        return bool(record) and isinstance(record[0], dict) and "network" in record[0]
    return isinstance(record, dict) and "nets" in record


def check_zoo(record, path) -> Zoo:
    """Return the Zoo of a list of nets or {"format": 1, "nets": [...]}. Raises ValueError that names file and field."""
    try:
        return Zoo(Path(path), tuple(_net(net, f"nets[{number}]") for number, net in enumerate(_nets(record))))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def run_sizes(run) -> NetSizes | None:
    """Return the sizes of a results.Run from its stages and its file; None where neither tells a size."""
    nbytes = {stage["stage"]: stage["nbytes"] for stage in stages(run.result)
              if stage.get("stage") in STAGES and stage.get("nbytes")}
    kept = None
    if run.model is not None:
        report = size_report(run.model)
        nbytes |= {"dense": report.dense_nbytes, "coded": report.nbytes}
        weights = sum(row.weights for row in report.rows[:-1])
        kept = 100 * sum(row.kept for row in report.rows[:-1]) / weights if weights else None
    if not nbytes:
        return None
    other = on_other_data(run.result, run.model)
    return NetSizes(run.label, run.network, run.weights or "", nbytes, kept, _bits(run.model), other_data=other)


def _bits(model):
    if model is None:
        return None
    widths = sorted({packed.code_bits for _, packed in coded_tensors(model) if len(packed.shape) > 1})
    return None if not widths else f"{widths[0]}" if len(widths) == 1 else f"{widths[0]}..{widths[-1]}"


def _nets(record):
    if isinstance(record, list):
        return record
    if record.get("format") != 1:
        raise ValueError(f"format {record.get('format')!r}, this reader knows 1: update gluon_dc")
    if not isinstance(record["nets"], list):
        raise ValueError(f"nets is {type(record['nets']).__name__}, expected list")
    return record["nets"]


def _net(net, where):
    check_fields(net, _NET, where, ("network", "dense_nbytes", "nbytes"))
    nbytes = {"dense": net["dense_nbytes"], "coded": net["nbytes"]}
    given = net.get("stages") or {}
    check_fields(given, dict.fromkeys(STAGES, int), f"{where}: stages")
    nbytes = {stage: given.get(stage) or nbytes.get(stage) for stage in STAGES if given.get(stage) or stage in nbytes}
    _check_agreement(net, nbytes, where)
    known = paper_network(net["network"])
    return NetSizes(
        known.network if known else net["network"], net["network"], net.get("weights") or "", nbytes,
        net.get("kept_percent"), _bits_text(net.get("bits")), net.get("recipe"),
    )


def _check_agreement(net, nbytes, where):
    if min(nbytes.values()) <= 0:
        stage = min(nbytes, key=nbytes.get)
        raise ValueError(f"{where}: {stage} takes {nbytes[stage]} bytes, expected 1 or more")
    for stage, key in (("dense", "dense_nbytes"), ("coded", "nbytes")):
        if nbytes[stage] != net[key]:
            raise ValueError(f'{where}: {key} is {net[key]:,}, but "stages" says {nbytes[stage]:,}')
    ratio = nbytes["dense"] / nbytes["coded"]
    if net.get("ratio") is not None and not abs(net["ratio"] / ratio - 1) < _RATIO_TOLERANCE:
        sizes = f"{nbytes['dense']:,} / {nbytes['coded']:,}"
        raise ValueError(f"{where}: ratio is {net['ratio']}, but {sizes} is {ratio:.2f}")


def _bits_text(bits):
    if bits is None or isinstance(bits, str):
        return bits
    numbers = list(bits.values()) if isinstance(bits, dict) else bits if isinstance(bits, list) else [bits]
    numbers = sorted(number for number in numbers if isinstance(number, NUMBER))
    if not numbers:
        return None
    return f"{numbers[0]:.3g}" if numbers[0] == numbers[-1] else f"{numbers[0]:.3g}..{numbers[-1]:.3g}"
