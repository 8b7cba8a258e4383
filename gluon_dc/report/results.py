"""Reading what a training run leaves: result.json, model.gdc, and the arrays after each stage in checkpoints/."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..coding import CompressedModel, load
from .fields import NUMBER, check_fields, checked_list, read_json
from .npfiles import read_npz
from .paper import paper_layer_names, paper_network
from .streams import coded_tensors
from .tables import count, shortened, times

RESULT_NAME = "result.json"
MODEL_NAME = "model.gdc"
FORMAT = 1
DATASET_TITLES = {"mnist": "MNIST", "imagenet": "ImageNet"}
CLASSES = {"mnist": 10, "imagenet": 1000}
MAX_LABEL = 120  # characters of a name or note from a file's metadata that a title shows
_FIELDS = {
    "result": {"network": str, "seed": int, "seconds": NUMBER, "dataset": dict, "stages": list, "file": dict},
    "dataset": {"name": str, "note": str, "source": str},
    "file": {"name": str, "nbytes": int, "sha256": str},
    "stage": {
        "stage": str, "weights": int, "kept": int, "bits": NUMBER, "nbytes": int, "validation_error_percent": NUMBER,
        "test_error_percent": NUMBER, "validation_top5_error_percent": NUMBER, "test_top5_error_percent": NUMBER,
        "seconds": NUMBER, "epochs": list, "layers": list,
    },
    "epoch": {"epoch": NUMBER, "loss": NUMBER, "validation_error_percent": NUMBER, "sparsity": NUMBER},
    "layer": {"name": str, "paper_name": str},
}


@dataclass(frozen=True)
class Run:
    """What was found of a run: path as given, model and result where there are any, folder to look for checkpoints."""

    path: Path
    model: CompressedModel | None
    result: dict | None
    folder: Path | None

    @property
    def title(self) -> str:
        """The network, its data set, whose weights they are; or the name of the file where nothing says so."""
        return f"{self.label} ({self.weights})" if self.weights else self.label

    @property
    def label(self) -> str:
        """The title without a word on the weights."""
        if self.result:
            return run_title(self.result)
        known = paper_network(self.network)
        network = known.network if known else self.network
        return f"{network}{self.data}, {self.path.name}" if network else self.path.name

    @property
    def data(self) -> str:
        """Such as " on mini-imagenet-18 (not ImageNet)", from the result or the file's metadata; "" where not known."""
        if self.result:
            return dataset_text(self.network, (self.result.get("dataset") or {}).get("name"))
        name = _metadata(self.model, "dataset")
        if not on_other_data(None, self.model):
            return dataset_text(self.network, name) if name else ""
        known = paper_network(self.network).dataset
        if name in (None, known):  # then it is the classes that are others
            classes = self.model.metadata["classes"]
            told = f"{classes:,} classes" if type(classes) is int and 0 <= classes < 10**9 else "other classes"
            name = f"{name}, {told}" if name else told
        return dataset_text(self.network, name)

    @property
    def network(self) -> str | None:
        """Name of the network as `gluon_dc.models` knows it, from the result or the file's metadata; or None."""
        return network_of(self.result, self.model)

    @property
    def weights(self) -> str | None:
        """What the file's metadata says of the weights: where they come from, or that they are synthetic."""
        return _metadata(self.model, "weights")

    @property
    def layer_names(self) -> dict[str, str]:
        """{structural name: the paper's layer name} where known."""
        return names_of(self.result, self.model)


def read_run(path) -> Run:
    """Read a .gdc file, a result.json with the .gdc beside it, or a folder with either.

    Raises OSError for files that cannot be read, FormatError or ValueError for those that are not what they should
    be, and ValueError where result.json and the .gdc beside it are not of the same run.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if path.suffix == ".json":
        return _read_beside(path, load_result(path))
    return Run(path, load(path), None, None)


def load_result(path) -> dict:
    """Read and check a result.json. Raises OSError, or ValueError for text that is not a result."""
    result = read_json(path)
    try:
        return check_result(result)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def check_result(result) -> dict:
    """Return a result unchanged if its fields have the types that reports read; all but format and network may lack.

    Raises ValueError that names the field.
    """
    if not isinstance(result, dict) or "format" not in result:
        raise ValueError('expected an object with "format": this is not the result of a training run')
    if result["format"] != FORMAT:
        raise ValueError(f"format {result['format']!r}, this reader knows {FORMAT}: update gluon_dc")
    check_fields(result, _FIELDS["result"], "result")
    if result.get("network") is None:
        raise ValueError('"network" is missing')
    if "points" in result:
        raise ValueError('"points" are those of an experiment, but "experiment", which says of which, is missing')
    for key in ("dataset", "file"):
        check_fields(result.get(key) or {}, _FIELDS[key], key)
    for stage in checked_list(result, "stages", _FIELDS["stage"]):
        checked_list(stage, "epochs", _FIELDS["epoch"])
        checked_list(stage, "layers", _FIELDS["layer"])
    return result


def network_beside(path) -> str | None:
    """Return the network that the result.json beside a .gdc names, None where there is none that is of this very file.

    A file of train/mnist_lenet.py names no network: that costs bytes. Its run does, and the file's SHA-256 with it.
    """
    path = Path(path)
    try:
        result = load_result(path.parent / RESULT_NAME)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return None
    return result["network"] if (result.get("file") or {}).get("sha256") == digest else None


def run_title(result) -> str:
    """Return such as "LeNet-5 on MNIST", or "LeNet-5 on digits-8x8 (not MNIST)" on data other than the paper's."""
    known = paper_network(result["network"])
    text = dataset_text(result["network"], (result.get("dataset") or {}).get("name"))
    return f"{known.network if known else result['network']}{text}"


def headline(result, path) -> str:
    """Return the one line to remember of a result: bytes of the file at `path`, ratio, and its error where known."""
    file, dense = result.get("file") or {}, stage_named(result, "dense")
    parts = [f"{count(file['nbytes'])} bytes" if file.get("nbytes") else None,
             f"{times(file['ratio'])} smaller than dense" if file.get("ratio") else None]
    error, before = (stage.get("test_error_percent") for stage in (final_stage(result), dense))
    if error is not None:
        parts.append(f"test error {error:.2f} %" + (f" (dense {before:.2f} %)" if before is not None else ""))
    return f"{path}: {', '.join(part for part in parts if part)}"


def dataset_text(network, dataset) -> str:
    """Return such as " on MNIST", or " on digits-8x8 (not MNIST)" for data other than the paper's of this network.

    dataset: a name, or None.
    """
    known = paper_network(network)
    text = f" on {DATASET_TITLES.get(dataset, dataset or 'an unknown data set')}"
    return f"{text} (not {DATASET_TITLES[known.dataset]})" if known and dataset != known.dataset else text


def on_paper_dataset(result) -> bool:
    """True where network and data set are a row of Table 1, so that the errors stand on the same images."""
    known = paper_network(result["network"])
    return known is not None and (result.get("dataset") or {}).get("name") == known.dataset


def on_other_data(result, model) -> bool:
    """True where the paper has the network but these numbers are of other data than the paper's: not comparable.

    By the result, or else by the data set and the number of classes in the metadata of a CompressedModel; each may be
    None. A file that says nothing of either (weights that were drawn, a plain import) is not taken for other data.
    """
    known = paper_network(network_of(result, model))
    if known is None:
        return False
    if result:
        return not on_paper_dataset(result)
    dataset, classes = _metadata(model, "dataset"), model.metadata.get("classes")
    return dataset not in (None, known.dataset) or classes not in (None, CLASSES[known.dataset])


def layer_names(result) -> dict[str, str]:
    """Return {structural name: the paper's layer name} from a result (or None: {})."""
    layers = [layer for stage in stages(result) for layer in stage.get("layers") or []]
    return {layer["name"]: layer["paper_name"] for layer in layers if layer.get("name") and layer.get("paper_name")}


def network_of(result, model) -> str | None:
    """Return the network's name from a result, or else from the metadata of a CompressedModel; each may be None."""
    return result["network"] if result else _metadata(model, "network")


def names_of(result, model) -> dict[str, str]:
    """Return {structural name: the paper's layer name} from a result, or else from the network's own table."""
    return layer_names(result) or paper_layer_names(network_of(result, model))


def stages(result) -> list[dict]:
    """Return the stages of a result (or None: []), in order."""
    return (result or {}).get("stages") or []


def stage_named(result, name) -> dict:
    """Return the stage of a result (or None) with this name, {} where there is none."""
    return next((stage for stage in stages(result) if stage.get("stage") == name), {})


def final_stage(result) -> dict:
    """Return the stage "coded" of a result (or None), the last one where there is none, {} without stages."""
    return stage_named(result, "coded") or (stages(result) or [{}])[-1]


def checkpoint_arrays(run, stage) -> dict[str, np.ndarray] | None:
    """Return {name: array} of checkpoints/<stage>.npz, or None where there is none; ValueError for a damaged one."""
    path = run.folder / "checkpoints" / f"{stage}.npz" if run.folder else None
    if path is None or not path.is_file():
        return None
    return read_npz(path)


def start_codebooks(run) -> dict[str, np.ndarray]:
    """Return {name: centroids} after k-means and before centroid training (entry 0 left out); {} where not known."""
    path = run.folder / "checkpoints" / "clustered.gdc" if run.folder else None
    if path is None or not path.is_file():
        return {}
    return {name: packed.codebook[1:] for name, packed in coded_tensors(load(path))}


def _read_folder(folder):
    if (folder / RESULT_NAME).is_file():
        return _read_beside(folder, load_result(folder / RESULT_NAME), folder)
    if (folder / MODEL_NAME).is_file():
        return Run(folder, load(folder / MODEL_NAME), None, folder)
    raise ValueError(f"{folder}: holds neither {RESULT_NAME} nor {MODEL_NAME}: give the .gdc file itself")


def _read_beside(path, result, folder=None):
    folder = folder or path.parent
    file = result.get("file") or {}
    name = file.get("name") or MODEL_NAME
    if Path(name).name != name:
        raise ValueError(f"{path}: file name {name!r} leads out of the folder: expected a plain name")
    model_path = folder / name
    if not model_path.is_file():
        return Run(path, None, result, folder)
    digest = hashlib.sha256(model_path.read_bytes()).hexdigest()
    if file.get("sha256", digest) != digest:
        raise ValueError(
            f"{model_path} has SHA-256 {digest[:16]}..., but {RESULT_NAME} speaks of {file['sha256'][:16]}...: "
            "they are of different runs; give the .gdc alone to report on it without the result"
        )
    return Run(path, load(model_path), result, folder)


def _metadata(model, key):
    value = model.metadata.get(key) if model is not None else None
    return shortened(value, MAX_LABEL) if isinstance(value, str) and value else None
