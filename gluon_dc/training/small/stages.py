"""The stages of a run: dense, rough (optional), pruned, shared, centroids (optional).

Every stage starts from the state that the one before has left as a file, and leaves its own; one that is done is not
run again, one that was interrupted goes on from the last state that it saved.
"""
import json
import time

import numpy as np
from tqdm import tqdm

from ..checkpoints import read_arrays, write_arrays
from ..loop import cosine_rate
from .methods import Plain, RatePruning
from .sharing_methods import METHODS, CentroidTraining
from .student import Student

# A state is saved after the first epoch that ends so many seconds after the last one was.
_SAVE_EVERY_S = 20


def dense(run):
    """Train the whole net. Then biases that need no ReLU are folded forward."""
    settings, student = run.settings, run.new_student()
    history = _train(run, "dense", Plain(student), settings.dense_epochs, settings.dense_rate, settings.dense_floor)
    student.chain.fold_biases()
    _finish(run, "dense", student, history)


def rough(run):
    """Prune on the short way to `rough_kept`, so that the long stage after it has a narrow net to train."""
    settings, student = run.settings, run.student_after("dense")
    method = RatePruning(student, settings.rough_kept, settings.rough_share)
    history = _train(run, "rough", method, settings.rough_epochs, settings.rough_rate, settings.rough_floor)
    _finish(run, "rough", student, history)


def pruned(run):
    """Prune to `kept`, then train on."""
    settings, student = run.settings, run.student_after("rough" if run.settings.rough_kept else "dense")
    method = RatePruning(student, settings.kept, settings.prune_share)
    history = _train(run, "pruned", method, settings.prune_epochs, settings.prune_rate)
    _finish(run, "pruned", student, history)


def shared(run):
    """Share the weights while they train on."""
    settings, student = run.settings, run.student_after("pruned")
    method = METHODS[settings.share_method](student)
    history = _train(run, "shared", method, settings.share_epochs, settings.share_rate, settings.share_floor)
    student.chain.settle()
    _finish(run, "shared", student, history)


def centroids(run):
    """Train the centroids alone."""
    student, settings = run.student_after("shared"), run.settings
    history = _train(run, "centroids", CentroidTraining(student), settings.centroid_epochs, settings.centroid_rate)
    student.chain.settle()
    _finish(run, "centroids", student, history)


def stages_of(settings):
    """{name: stage} of what a run does, in order."""
    chosen = [dense, *([rough] if settings.rough_kept else []), pruned, shared,
              *([centroids] if settings.centroid_epochs else [])]
    return {stage.__name__: stage for stage in chosen}


def _finish(run, name, student, history):
    """Leave the stage's state, its weights as a whole net, and its row."""
    chain = student.chain
    chain.compact()
    whole = chain.expand([tensor.w for tensor in chain.tensors])
    write_arrays(run.file(f"{name}.npz"), whole)
    write_arrays(run.file(f"{name}.state.npz"), student.state())
    run.finish_stage(name, whole, history)


def _train(run, name, method, epochs, rate, floor=0.0):
    """Train from the last state on file to `epochs`; returns the history, one dict an epoch.

    The learning rate falls from `rate` to the share `floor` of it as half a cosine.
    """
    student, progress, history = method.student, run.file(f"{name}.progress.npz"), []
    if progress.exists():
        history = _load_progress(progress, method)
    saved, steps = time.monotonic(), student.steps_per_epoch
    with tqdm(total=epochs * steps, initial=len(history) * steps, desc=name, unit="step", mininterval=0.5,
              dynamic_ncols=True) as bar:
        for epoch in range(len(history), epochs):
            started = time.perf_counter()
            loss = _epoch(method, epoch, epochs, rate, floor, bar)
            if epoch + 1 == epochs:
                method.finish()
            history.append({"epoch": epoch + 1, "loss": loss, **_validated(method, name, epoch, rate),
                            "sparsity": run.sparsity(student.chain), "seconds": time.perf_counter() - started})
            bar.set_postfix_str(f"validation error {history[-1]['validation_error_percent']:.2f} %, "
                                f"{student.chain.kept:,} kept")
            if time.monotonic() - saved >= _SAVE_EVERY_S and epoch + 1 < epochs:
                _save_progress(progress, method, history)
                saved = time.monotonic()
    return history


def _epoch(method, epoch, epochs, rate, floor, bar):
    """One epoch; returns its mean loss."""
    student, steps = method.student, method.student.steps_per_epoch
    method.chain.compact()
    total = 0.0
    for step, (x, y) in enumerate(student.batches(), epoch * steps):
        done = step / (epochs * steps)
        method.before_step(done)
        method.chain.push()
        loss, gradients = student.gradients(x, y)
        total += loss
        method.update(gradients, rate * floor + cosine_rate(rate * (1 - floor), done))
        method.after_step(step + 1, epochs * steps)
        bar.update()
    return total / steps


def _validated(method, name, epoch, rate):
    method.refresh()
    method.chain.push()
    error, loss = method.student.validate()
    if not np.isfinite(loss):
        raise FloatingPointError(f"stage {name}, epoch {epoch + 1}: the loss is {loss}; take a learning rate below "
                                 f"{rate}")
    return {"validation_error_percent": error, "validation_loss": loss}


def _save_progress(path, method, history):
    write_arrays(path, {**method.student.state(), **method.state(), "history": np.array(json.dumps(history))})


def _load_progress(path, method):
    """Put a file of `_save_progress` into a method and its student; returns the history."""
    arrays = read_arrays(path)
    try:
        method.student.set_state(arrays)
        method.set_state(arrays)
        return json.loads(str(arrays["history"]))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: lacks {error}; delete it to begin its stage again") from error


def load_student(path, settings, dataset, pool, logits):
    """The student that a stage has left in a file."""
    student = Student(settings, dataset, pool, logits)
    try:
        student.set_state(read_arrays(path))
    except KeyError as error:
        raise ValueError(f"{path}: lacks {error}; delete it to have its stage run again") from error
    return student
