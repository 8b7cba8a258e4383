"""A run for the smallest file: a recipe and a folder; the stages one after the other; the file and the result."""
import hashlib
import platform
import shutil
import time
from pathlib import Path

import mxnet as mx
import numpy as np

from ... import __version__, nn
from ...coding import load, weights_digest, write_atomically
from ...models import LAYER_NAMES, get_model
from ..checkpoints import plain_arrays, read_arrays, read_json, write_json
from ..folders import locked
from ..loop import error_percent
from ..result import RESULT_FORMAT
from ..run import _check_fresh_process
from .coded import choose_rounding, smallest_model, whole_tensors
from .pool import dataset_identity, load_pool
from .settings import METHOD
from .stages import load_student, stages_of
from .student import Student
from .teacher import load_teacher


class SmallRun:
    """What the stages share: settings, data, folder; the pool and the teacher, loaded when they are first needed.

    The folder holds model.gdc, result.json and checkpoints/.
    """

    def __init__(self, settings, dataset, folder, cache):
        self.settings, self.dataset, self.folder, self.cache = settings, dataset, Path(folder), Path(cache)
        self.layer_names = LAYER_NAMES[settings.network]
        self._material = None

    def file(self, name):
        """Path of a checkpoint."""
        return self.folder / "checkpoints" / name

    def material(self):
        """(pool, the teacher's logits on it), made where they are not there."""
        if self._material is None:
            pool = load_pool(self.settings, self.dataset, self.cache)
            self._material = pool, load_teacher(self.settings, self.dataset, pool, self.cache)[0]
        return self._material

    def new_student(self):
        """A student with random weights."""
        return Student(self.settings, self.dataset, *self.material())

    def student_after(self, stage):
        """The student that a stage has left."""
        return load_student(self.file(f"{stage}.state.npz"), self.settings, self.dataset, *self.material())

    def sparsity(self, chain):
        """Share of the whole net's weights, biases not counted, that are not kept."""
        weights = sum(int(np.prod(spec.shape)) for spec in chain.specs)
        return 1 - sum(weight.kept.size for weight in chain.weights) / weights

    def finish_stage(self, name, whole, history, **more):
        """Write the stage's row of the result; its being there means that the stage is done."""
        last = history[-1] if history else {}
        row = {**self._row(name, whole), "validation_error_percent": last.get("validation_error_percent"),
               "validation_loss": last.get("validation_loss"), "test_error_percent": None,
               "seconds": sum(epoch["seconds"] for epoch in history), "epochs": history, **more}
        write_json(self.file(f"{name}.json"), row)
        self.file(f"{name}.progress.npz").unlink(missing_ok=True)

    def _row(self, name, whole, bits=None, nbytes=None):
        """Weights, kept ones and bits, in all and by layer. whole: {name: array}; bits, nbytes: {name: number}."""
        layers = [{"name": layer, "paper_name": paper, "weights": whole[layer].size,
                   "kept": int(np.count_nonzero(whole[layer])), "bits": (bits or {}).get(layer, 32),
                   "nbytes": (nbytes or {}).get(layer, whole[layer].nbytes if name == "dense" else None)}
                  for layer, paper in self.layer_names.items()]
        kept = sum(layer["kept"] for layer in layers)
        return {"stage": name, "weights": sum(layer["weights"] for layer in layers), "kept": kept,
                "bits": sum(layer["kept"] * layer["bits"] for layer in layers) / max(kept, 1),
                "nbytes": sum(array.nbytes for array in whole.values()) if name == "dense" else None, "layers": layers}

    def coded(self):
        """Round, order and code the shared weights into model.gdc."""
        started, last = time.perf_counter(), list(stages_of(self.settings))[-1]
        student = self.student_after(last)
        rounding, narrow = choose_rounding(student)
        tensors = whole_tensors(student.chain, narrow)
        order, model, packed = smallest_model(student.chain.specs, tensors, self.settings.effort)
        model.save(self.folder / "model.gdc")
        nbytes = {name: sum(parts.values()) for name, parts in model.part_nbytes().items()}
        row = self._row("coded", model.decode(), {name: coded.code_bits for name, coded in tensors.items()}, nbytes)
        write_json(self.file("coded.json"), {
            **row, "nbytes": model.nbytes, "epochs": [], "rounding": rounding, "order": order,
            "seconds": time.perf_counter() - started, "sha256": _sha256(self.folder / "model.gdc"),
            "weights_digest": weights_digest(packed)})

    def net_of(self, arrays):
        """The paper's net with these weights."""
        net = get_model(self.settings.network)
        net.initialize()
        for name, parameter in net._collect_params_with_prefix().items():
            parameter.set_data(mx.nd.array(arrays[name]))
        net.hybridize(static_alloc=True, static_shape=True)
        return net

    def error(self, net, split):
        """Error in percent of a net on a split."""
        return error_percent(net, *(getattr(self.dataset, f"{split}_{what}") for what in ("images", "labels")))


def run_small(settings, dataset, folder, cache, fresh=False, fork=None):
    """Train, prune, share and code a LeNet into the smallest file; go on with a run that was interrupted.

    Parameters
    ----------
    settings : SmallSettings
    dataset : Dataset
    folder : path
        Gets model.gdc, result.json and checkpoints/; made where it is missing.
    cache : path
        Where the pool and the teacher are, or are made; runs may share it.
    fresh : bool
        Delete what an earlier run left in `folder` instead of going on with it; the cache stays.
    fork : path, optional
        Folder of another run: its stages whose settings and data are the same are taken over, where nothing has been
        done yet.

    Returns
    -------
    dict
        The result, as written to result.json. Validation images choose; test images are looked at once, at the end.

    Raises
    ------
    ValueError
        The folder holds a run of other settings or data, or one that is going on; a checkpoint that is damaged.
    FloatingPointError
        The loss is not finite any more.
    RuntimeError
        A fresh process does not decode the file to the weights that were coded.
    """
    run = SmallRun(settings, dataset, folder, cache)
    run.folder.mkdir(parents=True, exist_ok=True)
    with locked(run.folder):
        _open_folder(run, fresh)
        if fork is not None:
            _take_over(run, Path(fork))
        for name, stage in stages_of(settings).items():
            if not (run.file(f"{name}.json").exists() and run.file(f"{name}.state.npz").exists()):
                stage(run)
        if not (run.file("coded.json").exists() and (run.folder / "model.gdc").exists()):
            run.coded()
        return _measure(run)


def _open_folder(run, fresh):
    """Make or check the run's folder."""
    identity = _identity(run, "coded")
    known = run.file("run.json")
    if fresh and known.exists():
        for path in (run.file(""), run.folder / "report"):
            shutil.rmtree(path, ignore_errors=True)
        for name in ("model.gdc", "result.json"):
            (run.folder / name).unlink(missing_ok=True)
    run.file("").mkdir(exist_ok=True)
    for folder in (run.folder, run.file("")):
        for kind in ("npz", "json", "gdc"):
            for path in folder.glob(f"*.{kind}.????????"):  # of a write that was killed
                path.unlink()
    if known.exists() and any(path != known for path in run.file("").iterdir()):
        _check_same(read_json(known), identity, run.folder)
    else:
        write_json(known, identity)


def _identity(run, stage):
    """What decides the outcome of a stage."""
    return {"method": METHOD, **dataset_identity(run.dataset), **run.settings.deciding(stage)}


def _take_over(run, fork):
    """Copy the files of the first stages of another run that have been done with the same settings."""
    known = read_json(fork / "checkpoints" / "run.json")
    for stage in stages_of(run.settings):
        names = [f"{stage}.{kind}" for kind in ("npz", "state.npz", "json")]
        same = all(known.get(key) == value for key, value in _identity(run, stage).items())
        if not same or not all((fork / "checkpoints" / name).exists() for name in names):
            break
        if not run.file(names[-1]).exists():
            for name in names:
                write_atomically(run.file(name), lambda file: file.write((fork / "checkpoints" / name).read_bytes()))


def _check_same(known, identity, folder):
    differs = [f"{key} was {known.get(key)!r}, is {value!r}" for key, value in identity.items()
               if known.get(key) != value]
    if differs:
        raise ValueError(f"{folder} holds a run with other settings ({'; '.join(differs)}): give another --output-dir, "
                         "or --fresh to start over")


def _measure(run):
    """Check model.gdc in a fresh process, measure errors of the decoded file, write result.json."""
    path = run.folder / "model.gdc"
    stages = [read_json(run.file(f"{name}.json")) for name in (*stages_of(run.settings), "coded")]
    digest = _checked_digest(path, stages[-1])
    net = nn.restore(load(path), get_model(run.settings.network))
    _check_fresh_process(path, digest)
    dense = run.net_of(read_arrays(run.file("dense.npz")))
    for split in ("validation", "test"):
        stages[-1][f"{split}_error_percent"] = run.error(net, split)
    stages[0]["test_error_percent"] = run.error(dense, "test")
    result = _result(run, stages, path)
    write_json(run.folder / "result.json", result)
    return result


def _checked_digest(path, row):
    """What the weights of model.gdc must be, as the row of its stage says; takes that, and the file's hash, out of it."""
    if _sha256(path) != row.pop("sha256", None):
        raise ValueError(f"{path}: not the file that this run has written; delete it to have it written again")
    if "weights_digest" not in row:
        raise ValueError(f"{path}: written by an earlier version, which did not note what it decodes to; delete it to "
                         "have it written again")
    return row.pop("weights_digest")


def _result(run, stages, path):
    settings, data, content = run.settings, run.dataset, path.read_bytes()
    return {"format": RESULT_FORMAT, "method": "smallest", "network": settings.network,
            "dataset": {"name": data.name, "source": data.source, "note": data.note,
                        **{split: len(getattr(data, f"{split}_labels")) for split in ("train", "validation", "test")}},
            "seed": settings.seed, "threads": settings.threads, "settings": settings.as_dict(),
            "seconds": sum(stage["seconds"] for stage in stages),
            "versions": {"gluon_dc": __version__, "python": platform.python_version(), "mxnet": mx.__version__,
                         "numpy": np.__version__},
            "stages": stages,
            "file": {"name": path.name, "nbytes": len(content), "ratio": stages[0]["nbytes"] / len(content),
                     "sha256": hashlib.sha256(content).hexdigest()}}


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
