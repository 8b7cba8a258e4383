"""Experiments over many settings of one net (the paper's Figs. 6 to 8), as train/sweep.py and tools/sensitivity.py
leave them in JSON."""

from dataclasses import dataclass
from pathlib import Path

from .fields import NUMBER, check_fields, checked_list
from .paper import paper_layer_names, paper_network
from .results import DATASET_TITLES

FORMAT = 1
COMPRESSION, STARTS, SENSITIVITY = "compression", "starts", "sensitivity"
TITLES = {
    COMPRESSION: "Accuracy against compression",
    STARTS: "Accuracy against bits, for each start of the centroids",
    SENSITIVITY: "Sensitivity of each layer alone",
}
# Methods of a compression experiment and what people call them.
METHOD_NAMES = {"pruning": "pruning only", "sharing": "sharing only", "pruning+sharing": "pruning + sharing",
                "svd": "truncated SVD"}
_FIELDS = {
    "experiment": {"experiment": str, "network": str, "dataset": dict, "seed": int, "split": str, "dense": dict,
                   "points": list},
    "dataset": {"name": str, "note": str},
    "dense": {"nbytes": int, "error_percent": NUMBER, "validation_error_percent": NUMBER, "top5_error_percent": NUMBER},
    COMPRESSION: {"method": str, "setting": dict, "nbytes": int, "size_percent": NUMBER, "error_percent": NUMBER,
                  "validation_error_percent": NUMBER},
    STARTS: {"start": str, "bits": int, "retrained": bool, "error_percent": NUMBER, "nbytes": int},
    SENSITIVITY: {"layer": str, "kind": str, "value": NUMBER, "error_percent": NUMBER, "top5_error_percent": NUMBER},
}
_REQUIRED = {
    COMPRESSION: ("method", "nbytes", "error_percent"),
    STARTS: ("start", "bits", "error_percent"),
    SENSITIVITY: ("layer", "kind", "value", "error_percent"),
}
KINDS = ("sparsity", "bits")
_VALIDATION = "validation_error_percent"
MAX_POINTS = 20_000


@dataclass(frozen=True)
class Experiment:
    """A checked experiment: path as given, kind (one of TITLES), and the JSON's own fields.

    dense_error_percent: of the untouched net on the same images. points: dicts; for "compression" with method, nbytes,
    error_percent; for "starts" start, bits, retrained, error_percent; for "sensitivity" layer, kind, value,
    error_percent. split: which images the errors are of. dense_validation_error_percent: on validation images, as
    "validation_error_percent" of compression points; None where not known.
    """

    path: Path
    kind: str
    network: str
    dataset: str
    note: str
    seed: int | None
    split: str
    dense_nbytes: int | None
    dense_error_percent: float
    points: tuple[dict, ...]
    dense_validation_error_percent: float | None = None

    @property
    def chosen_by(self) -> str:
        """Key of a point's error by which files are chosen: on validation images where the net and all points have it.

        Who chooses by the errors that are shown, shows errors that are too low.
        """
        known = [self.dense_validation_error_percent, *(point.get(_VALIDATION) for point in self.points)]
        return "error_percent" if None in known else _VALIDATION

    @property
    def dense_chosen_by(self) -> float:
        """The untouched net's error in percent on the images of `chosen_by`."""
        return self.dense_error_percent if self.chosen_by != _VALIDATION else self.dense_validation_error_percent

    @property
    def title(self) -> str:
        """Such as "LeNet-300-100 on MNIST"."""
        known = paper_network(self.network)
        dataset = DATASET_TITLES.get(self.dataset, self.dataset or "an unknown data set")
        return f"{known.network if known else self.network} on {dataset}"

    def layer_label(self, layer) -> str:
        """Return what to call a layer: "ip1 (0.weight)" where the paper has a name for it."""
        known = paper_layer_names(self.network).get(layer)
        return f"{known} ({layer})" if known else layer

    def to_dict(self) -> dict:
        """The experiment as plain JSON types."""
        return {**vars(self), "path": str(self.path), "points": list(self.points)}


def is_experiment(record) -> bool:
    """True for a JSON object that says it is an experiment."""
    return isinstance(record, dict) and "experiment" in record


def check_experiment(record, path) -> Experiment:
    """Return the Experiment of a JSON object. Raises ValueError that names the file and the field."""
    try:
        return _checked(record, Path(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def size_percent(experiment, point) -> float:
    """Return a compression point's bytes in percent of the dense net's, from the bytes where both are known."""
    if experiment.dense_nbytes:
        return 100 * point["nbytes"] / experiment.dense_nbytes
    return point["size_percent"]


def frontier(points, error="error_percent") -> list[dict]:
    """Return the compression points that no other one beats in both size and error, by size: what a method can do.

    error: key of the error that decides, such as `Experiment.chosen_by`.
    """
    best, chosen = float("inf"), []
    for point in sorted(points, key=lambda point: (point["nbytes"], point[error])):
        if point[error] < best:
            best = point[error]
            chosen.append(point)
    return chosen


def _checked(record, path):
    if record.get("format") != FORMAT:
        raise ValueError(f"format {record.get('format')!r}, this reader knows {FORMAT}: update gluon_dc")
    check_fields(record, _FIELDS["experiment"], "experiment",
                 ("experiment", "network", "dense", "points"))
    kind = record["experiment"]
    if kind not in TITLES:
        raise ValueError(f"experiment {kind!r:.60}, expected one of {', '.join(TITLES)}")
    dataset = record.get("dataset") or {}
    check_fields(dataset, _FIELDS["dataset"], "dataset")
    dense = record["dense"]
    check_fields(dense, _FIELDS["dense"], "dense", ("error_percent",))
    points = checked_list(record, "points", _FIELDS[kind], required=_REQUIRED[kind])
    if len(points) > MAX_POINTS:
        raise ValueError(f"{len(points):,} points, expected at most {MAX_POINTS:,}")
    for number, point in enumerate(points):
        _check_point(kind, point, dense, f"points[{number}]")
    return Experiment(
        path, kind, record["network"], dataset.get("name") or "", dataset.get("note") or "", record.get("seed"),
        record.get("split") or "", dense.get("nbytes"), dense["error_percent"], tuple(points),
        dense.get(_VALIDATION),
    )


def _check_point(kind, point, dense, where):
    if kind == COMPRESSION and not dense.get("nbytes") and point.get("size_percent") is None:
        raise ValueError(f'{where}: neither "size_percent" nor the "nbytes" of "dense" is given')
    if kind == STARTS and not 1 <= point["bits"] <= 32:
        raise ValueError(f"{where}: bits is {point['bits']}, expected 1..32")
    if kind == SENSITIVITY and point["kind"] not in KINDS:
        raise ValueError(f"{where}: kind is {point['kind']!r:.60}, expected one of {', '.join(KINDS)}")
    if kind == SENSITIVITY and not 0 <= point["value"] <= (1 if point["kind"] == "sparsity" else 32):
        expected = "0..1" if point["kind"] == "sparsity" else "0..32"
        raise ValueError(f"{where}: value is {point['value']}, expected {expected}")
