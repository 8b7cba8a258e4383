"""A run: a task and a folder; the stages one after the other; the result."""
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from .. import nn
from ..coding import load, weights_digest
from .checkpoints import load_plain, plain_arrays, read_json, write_arrays, write_json
from .folders import locked
from .mnist_task import MnistTask
from .result import result_of, stage_row
from .settings import SCHEDULE_SYNONYMS
from .stages import STAGES
from .task import Task


# In place of the row of a stage that a given checkpoint makes needless.
SKIPPED = {"skipped": True}
OUTCOMES = {"dense": lambda run: run.file("dense.npz"), "pruned": lambda run: run.file("pruned.npz"),
            "shared": lambda run: run.file("shared.gdc"), "coded": lambda run: run.folder / "model.gdc"}


@dataclass(frozen=True)
class Run:
    """What the stages share.

    Attributes
    ----------
    task : Task
    folder : Path
        Holds model.gdc, result.json and checkpoints/.
    """

    task: Task
    folder: Path

    def file(self, name):
        """Path of a checkpoint."""
        return self.folder / "checkpoints" / name

    def bar(self, name, epochs, done):
        """Progress bar over the steps of a stage of which `done` epochs are on file."""
        steps = self.task.steps_per_epoch
        return tqdm(total=epochs * steps, initial=done * steps, desc=name, unit="step", mininterval=0.5,
                    dynamic_ncols=True, disable=not epochs)

    def errors(self, net, split):
        """Errors in percent on "validation" or "test", as {"validation_error_percent": ...}."""
        return {f"{split}_{name}": number for name, number in self.task.errors(net, split).items()}

    def finish_stage(self, name, net, history, seconds=0.0):
        """Write the stage's row of the result; its being there means that the stage is done."""
        seconds += sum(epoch["seconds"] for epoch in history)
        row = stage_row(self.task, name, net, self.errors(net, "validation"), history, seconds)
        if name == "coded":
            row["sha256"] = hashlib.sha256((self.folder / "model.gdc").read_bytes()).hexdigest()
        write_json(self.file(f"{name}.json"), row)
        self.file(f"{name}.progress.npz").unlink(missing_ok=True)


def run_pipeline(settings, dataset, folder, dense=None, pruned=None, fresh=False):
    """`run_task` of a LeNet on MNIST: `settings` a Settings, `dataset` a Dataset."""
    return run_task(MnistTask(settings, dataset), folder, dense, pruned, fresh)


def run_task(task, folder, dense=None, pruned=None, fresh=False):
    """Train, prune, share and code a network; go on with a run that was interrupted.

    Parameters
    ----------
    task : Task
    folder : path
        Gets model.gdc, result.json and checkpoints/; made where it is missing.
    dense, pruned : path, optional
        Start after that stage, from this .npz (or MXNet .params) of the plain net's weights.
    fresh : bool
        Delete what an earlier run left in `folder` instead of going on with it, once `dense` and
        `pruned` have been read.

    Returns
    -------
    dict
        The result, as written to result.json.

    Raises
    ------
    ValueError
        A pattern that matches no layer; the folder holds a run of other settings or data, or one
        that is going on; a checkpoint that does not fit.
    FloatingPointError
        The loss is not finite any more.
    RuntimeError
        A fresh process does not decode the file to the weights that were coded.
    """
    task.check_patterns()
    run = Run(task, Path(folder))
    run.folder.mkdir(parents=True, exist_ok=True)
    with locked(run.folder):
        _open_folder(run, {"dense": dense, "pruned": pruned}, fresh)
        for name, stage in STAGES.items():
            if not _is_done(run, name):
                stage(run)
        return _measure(run)


def _open_folder(run, given, fresh):
    """Make or check the run's folder; take over the checkpoints that are given."""
    adopted = {stage: _read_given(run, path) for stage, path in given.items() if path is not None}
    identity = {**run.task.identity(), **{stage: None for stage in given},
                **{stage: weights_digest(plain_arrays(net)) for stage, net in adopted.items()},
                **json.loads(json.dumps(run.task.settings.as_dict()))}
    known = run.file("run.json")
    if fresh and known.exists():
        _delete(run)
    run.file("").mkdir(exist_ok=True)
    _delete_leftovers(run)
    if known.exists() and _has_checkpoints(run):
        _check_same(read_json(known), identity, run.folder)
        return
    for stage, net in adopted.items():
        _adopt(run, stage, net)
    write_json(known, identity)


def _read_given(run, path):
    net = run.task.new_net()
    load_plain(path, net, given=True)
    return net


def _delete(run):
    """Delete what an earlier run left in the folder: checkpoints/, report/, model.gdc, result.json."""
    shutil.rmtree(run.file(""))
    shutil.rmtree(run.folder / "report", ignore_errors=True)
    for name in ("model.gdc", "result.json"):
        (run.folder / name).unlink(missing_ok=True)


def _delete_leftovers(run):
    """Delete the unfinished files of writes that were killed."""
    for folder in (run.folder, run.file("")):
        for kind in ("npz", "json", "gdc"):
            for path in folder.glob(f"*.{kind}.????????"):
                path.unlink()


def _has_checkpoints(run):
    """Whether anything was finished, be it one epoch: where nothing was, other settings or images do no harm."""
    return any(path.name != "run.json" for path in run.file("").iterdir()) or (run.folder / "model.gdc").exists()


def _check_same(known, identity, folder):
    known = {**known, "schedule": SCHEDULE_SYNONYMS.get(known.get("schedule"), known.get("schedule"))}
    differs = [f"{key} was {known.get(key)!r}, is {identity[key]!r}"
               for key in identity if known.get(key) != identity[key]]
    if differs:
        raise ValueError(f"{folder} holds a run with other settings ({'; '.join(differs)}): give "
                         "another --output-dir, or --fresh to start over")


def _adopt(run, name, net):
    """Take a net from elsewhere as the outcome of a stage, and skip those before it."""
    write_arrays(run.file(f"{name}.npz"), plain_arrays(net))
    for stage in list(STAGES)[:list(STAGES).index(name)]:
        if not run.file(f"{stage}.json").exists():
            write_json(run.file(f"{stage}.json"), SKIPPED)
    run.finish_stage(name, net, [])


def _is_done(run, name):
    """Whether a stage has left its file and its row, or is skipped."""
    row = run.file(f"{name}.json")
    return row.exists() and (OUTCOMES[name](run).exists() or read_json(row) == SKIPPED)


def _measure(run):
    """Check model.gdc in a fresh process, measure its test error, write result.json."""
    path = run.folder / "model.gdc"
    rows = [read_json(run.file(f"{name}.json")) for name in STAGES]
    stages = [row for row in rows if row != SKIPPED]
    if hashlib.sha256(path.read_bytes()).hexdigest() != stages[-1].pop("sha256", None):
        raise ValueError(f"{path}: not the file that this run has written; delete it to have it "
                         "written again")
    net = nn.restore(load(path), run.task.new_net())
    _check_fresh_process(path, weights_digest(plain_arrays(net)))
    stages[-1].update(run.errors(net, "test"))
    dense_nbytes = sum(array.nbytes for array in plain_arrays(net).values())
    if stages[0]["stage"] == "dense":
        load_plain(run.file("dense.npz"), net)
        stages[0].update(run.errors(net, "test"))
    result = result_of(run.task, stages, path, dense_nbytes)
    write_json(run.folder / "result.json", result)
    return result


def _check_fresh_process(path, expected):
    """Raise RuntimeError unless a new Python process decodes the file to weights of this digest."""
    library = str(Path(__file__).parents[2])
    inherited = os.environ.get("PYTHONPATH")
    search = os.pathsep.join([library, inherited] if inherited else [library])
    done = subprocess.run([sys.executable, "-m", "gluon_dc", "digest", str(path)], text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": search})
    if done.stdout.strip() != expected:
        raise RuntimeError(f"{path}: a fresh process does not decode it to the weights in memory "
                           f"({done.stdout.strip() or done.stderr.strip()}, expected {expected})")
