"""A run: settings, data and a folder; the stages one after the other; the result."""
import hashlib
import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mxnet as mx
import numpy as np
from tqdm import tqdm

from .. import nn
from ..coding import load, weights_digest
from ..data import Dataset
from ..models import LAYER_NAMES, get_model
from .checkpoints import load_plain, plain_arrays, write_arrays, write_json
from .loop import error_percent
from .settings import Settings
from .stages import STAGES

RESULT_FORMAT = 1


@dataclass(frozen=True)
class Run:
    """What the stages share.

    Attributes
    ----------
    settings : Settings
    dataset : Dataset
    folder : Path, holds model.gdc, result.json and checkpoints/
    """

    settings: Settings
    dataset: Dataset
    folder: Path

    @property
    def steps_per_epoch(self):
        return len(self.dataset.train_labels) // self.settings.batch_size

    def file(self, name):
        """Path of a checkpoint."""
        return self.folder / "checkpoints" / name

    def bar(self, name, epochs, done):
        """Progress bar over the steps of a stage of which `done` epochs are on file."""
        return tqdm(total=epochs * self.steps_per_epoch, initial=done * self.steps_per_epoch,
                    desc=name, unit="step", mininterval=0.5, dynamic_ncols=True)

    def validation_error(self, net):
        """Top-1 error in percent on the validation split."""
        return error_percent(net, self.dataset.validation_images, self.dataset.validation_labels)

    def test_error(self, net):
        """Top-1 error in percent on the test split."""
        return error_percent(net, self.dataset.test_images, self.dataset.test_labels)

    def stage_row(self, name, net, history, seconds):
        """The record of a finished stage, as in result.json."""
        layers = nn.weighted_layers(net)
        rows = [self._layer_row(name, layer) for layer in layers]
        return {"stage": name, "weights": sum(row["weights"] for row in rows),
                "kept": sum(row["kept"] for row in rows), "nbytes": _nbytes(name, net),
                "validation_error_percent": self.validation_error(net),
                "test_error_percent": None, "seconds": seconds, "epochs": history,
                "layers": rows}

    def _layer_row(self, stage, layer):
        array = layer.array()
        bits = layer.coded_tensor().code_bits if layer.is_coded else 32
        return {"name": layer.name, "paper_name": LAYER_NAMES[self.settings.network][layer.name],
                "weights": array.size, "kept": int(np.count_nonzero(array)), "bits": bits}


def run_pipeline(settings, dataset, folder, dense=None, pruned=None, fresh=False):
    """Train, prune, share and code a network; go on with a run that was interrupted.

    Parameters
    ----------
    settings : Settings
    dataset : Dataset
    folder : path
        Gets model.gdc, result.json and checkpoints/; made where it is missing.
    dense, pruned : path, optional
        Start after that stage, from this .npz (or MXNet .params) of the plain net's weights.
    fresh : bool
        Delete what an earlier run left in `folder` instead of going on with it.

    Returns
    -------
    dict
        The result, as written to result.json.

    Raises
    ------
    ValueError
        The folder holds a run of other settings or data; a checkpoint that does not fit.
    """
    run = Run(settings, dataset, Path(folder))
    _open_folder(run, fresh, dense, pruned)
    for name, stage in STAGES.items():
        if not run.file(f"{name}.json").exists():
            stage(run)
    return finish(run)


def _open_folder(run, fresh, dense, pruned):
    if fresh and run.file("").exists():
        shutil.rmtree(run.file(""))
    run.file("").mkdir(parents=True, exist_ok=True)
    identity = {"settings": run.settings.as_dict(), "dataset": run.dataset.name}
    known = run.file("run.json")
    if known.exists():
        _check_same(json.loads(known.read_text()), json.loads(json.dumps(identity)), run.folder)
    write_json(known, identity)
    for name, path in (("dense", dense), ("pruned", pruned)):
        if path is not None and not run.file(f"{name}.json").exists():
            _adopt(run, name, path)


def _check_same(known, identity, folder):
    known, identity = ({"dataset": run["dataset"], **run["settings"]} for run in (known, identity))
    differs = [f"{key} was {known.get(key)!r}, is {identity[key]!r}"
               for key in identity if known.get(key) != identity[key]]
    if differs:
        raise ValueError(f"{folder} holds a run with other settings ({'; '.join(differs)}): give "
                         "another --output-dir, or --fresh to start over")


def _adopt(run, name, path):
    """Take a checkpoint from elsewhere as the outcome of a stage (and skip those before it)."""
    net = get_model(run.settings.network)
    net.initialize()
    load_plain(path, net)
    write_arrays(run.file(f"{name}.npz"), plain_arrays(net))
    for stage in list(STAGES)[:list(STAGES).index(name) + 1]:
        row = run.stage_row(stage, net, [], 0.0)
        write_json(run.file(f"{stage}.json"), {**row, "started_from": str(path)})


def _nbytes(stage, net):
    """Bytes of a file of the net as it is after a stage."""
    if stage == "dense":
        return sum(array.nbytes for array in plain_arrays(net).values())
    return nn.compress(net, coder="fixed" if stage == "shared" else "huffman").nbytes


def finish(run):
    """Check model.gdc in a fresh process, measure it on the test split, write result.json."""
    path = run.folder / "model.gdc"
    stages = [json.loads(run.file(f"{name}.json").read_text()) for name in STAGES]
    net = nn.restore(load(path), get_model(run.settings.network))
    _check_fresh_process(path, net)
    stages[-1]["test_error_percent"] = run.test_error(net)
    if run.file("dense.npz").exists():
        load_plain(run.file("dense.npz"), net)
        stages[0]["test_error_percent"] = run.test_error(net)
    result = _result(run, stages, path)
    write_json(run.folder / "result.json", result)
    return result


def _result(run, stages, path):
    data, content = run.dataset, path.read_bytes()
    return {"format": RESULT_FORMAT, "network": run.settings.network,
            "dataset": {"name": data.name, "source": data.source, "note": data.note,
                        "train": len(data.train_labels), "validation": len(data.validation_labels),
                        "test": len(data.test_labels)},
            "seed": run.settings.seed, "threads": run.settings.threads,
            "settings": run.settings.as_dict(),
            "seconds": sum(stage["seconds"] for stage in stages),
            "versions": {"python": platform.python_version(), "mxnet": mx.__version__,
                         "numpy": np.__version__},
            "stages": stages,
            "file": {"name": path.name, "nbytes": len(content),
                     "ratio": stages[0]["nbytes"] / len(content),
                     "sha256": hashlib.sha256(content).hexdigest()}}


def _check_fresh_process(path, net):
    """Raise RuntimeError unless a new Python process decodes the file to exactly the net's weights."""
    expected = weights_digest(plain_arrays(net))
    done = subprocess.run([sys.executable, "-m", "gluon_dc", "digest", str(path)],
                          capture_output=True, text=True, cwd=Path(__file__).parents[2])
    if done.stdout.split()[:1] != [expected]:
        raise RuntimeError(f"{path}: a fresh process does not decode it to the weights in memory "
                           f"({done.stdout.strip() or done.stderr.strip()}, expected {expected})")
