"""The stages of the method: dense training, pruning with retraining, sharing, coding (paper Fig. 1).

Every stage starts from the file the one before has left, and leaves its own; one that is done is
not run again, one that was interrupted goes on from its last epoch.
"""
import time

import mxnet as mx
import numpy as np
from mxnet import gluon

from .. import nn
from ..coding import load
from .checkpoints import load_plain, load_progress, plain_arrays, save_progress, write_arrays
from .loop import cosine_rate, softmax_loss, train_step
from .task import STREAM

# Percentage points that rounding to float16 may cost: two of MNIST's 5,000 validation images, as
# many as rounding moves either way by chance.
_FLOAT16_POINTS = 0.04


def dense(run):
    """Train the plain net. Leaves dense.npz."""
    task = run.task
    net = task.start_net()
    trainer = task.trainer(gluon.Trainer, net)
    history = _train(run, "dense", net, trainer, task.settings.dense_epochs, task.settings.dense_rate)
    write_arrays(run.file("dense.npz"), plain_arrays(net))
    run.finish_stage("dense", net, history)


def pruned(run):
    """Prune and retrain (section 2). Leaves pruned.npz: the plain weights, the pruned ones 0.0."""
    task, net = run.task, run.task.new_net()
    load_plain(run.file("dense.npz"), net)
    nn.prune(net, sparsity=0.0)
    trainer = task.trainer(gluon.Trainer, net)
    pruning = _Pruning(task, net, trainer)
    pruning(0)
    history = _train(run, "pruned", net, trainer, task.settings.prune_epochs, task.settings.prune_rate,
                     pruning)
    nn.zero_unused_units(nn.unwrap(net))
    nn.sort_units(net)
    write_arrays(run.file("pruned.npz"), plain_arrays(net))
    run.finish_stage("pruned", net, history)


def shared(run):
    """Share the kept weights and train the centroids (section 3). Leaves shared.gdc.

    clustered.gdc is the net right after k-means.
    """
    task, settings, net = run.task, run.task.settings, run.task.new_net()
    load_plain(run.file("pruned.npz"), net)
    nn.prune(net, threshold=np.finfo(np.float32).tiny)
    found = nn.quantize(net, settings.bits, start=settings.start, seed=settings.seed)
    task.follow_masks(net)
    nn.compress(net).save(run.file("clustered.gdc"))
    # Where no layer is to be shared, this is more retraining of the pruned net.
    trainer = task.trainer(nn.CentroidTrainer if found else gluon.Trainer, net)
    history = _train(run, "shared", net, trainer, settings.share_epochs, settings.share_rate)
    nn.compress(net).save(run.file("shared.gdc"))
    run.finish_stage("shared", net, history)


def coded(run):
    """Code the net into model.gdc (section 4).

    Biases and codebooks go to float16 unless that costs validation accuracy.
    """
    started = time.perf_counter()
    net = nn.restore(load(run.file("shared.gdc")), run.task.new_net(), coded=True)
    before = run.errors(net, "validation")["validation_error_percent"]
    nn.round_to_float16(net)
    if run.errors(net, "validation")["validation_error_percent"] > before + _FLOAT16_POINTS:
        net = nn.restore(load(run.file("shared.gdc")), run.task.new_net(), coded=True)
    nn.compress(net, **run.task.coding()).save(run.folder / "model.gdc")
    run.finish_stage("coded", net, [], time.perf_counter() - started)


STAGES = {"dense": dense, "pruned": pruned, "shared": shared, "coded": coded}


class _Pruning:
    """Called after every training step: prunes further when the schedule says so."""

    def __init__(self, task, net, trainer):
        self.task, self.net, self.trainer = task, net, trainer
        self.at = task.pruning_steps(task.steps_per_epoch * task.settings.prune_epochs)

    def __call__(self, step):
        if step in self.at:
            self.task.prune(self.net, self.trainer, self.at[step])
            self.task.follow_masks(self.net)


def _train(run, name, net, trainer, epochs, rate, after_step=None):
    """Train from the last epoch on file to `epochs`; returns the history, one dict an epoch."""
    progress = run.file(f"{name}.progress.npz")
    history = []
    if progress.exists():
        history = load_progress(progress, net, trainer)
        run.task.follow_masks(net)
    with run.bar(name, epochs, len(history)) as bar:
        for epoch in range(len(history), epochs):
            started = time.perf_counter()
            loss = _epoch(run, name, net, trainer, epoch, epochs, rate, after_step, bar)
            _check_finite(loss, name, epoch, rate)
            history.append({"epoch": epoch + 1, "loss": loss, **run.errors(net, "validation"),
                            "sparsity": _sparsity(net), "seconds": time.perf_counter() - started})
            bar.set_postfix_str(_describe(history[-1]))
            save_progress(progress, net, trainer, history)
    return history


def _epoch(run, name, net, trainer, epoch, epochs, rate, after_step, bar):
    """One epoch; returns its mean loss."""
    task = run.task
    # Dropout draws from here; a stream for each epoch makes an interrupted run end with the same bytes.
    mx.random.seed(int(np.random.default_rng([task.settings.seed, STREAM[name], epoch, 1]).integers(2**31)))
    loss, total, steps = softmax_loss(), mx.nd.zeros(1), task.steps_per_epoch
    penalty = task.penalty(net, name)
    for step, (x, y) in enumerate(task.batches(name, epoch)):
        done = epoch * steps + step
        trainer.set_learning_rate(cosine_rate(rate, done / (epochs * steps)))
        losses = train_step(net, trainer, loss, x, y, penalty)
        total += losses.mean()
        if after_step:
            after_step(done + 1)
        if (step + 1) % task.read_loss_every == 0:
            mean = float(total.asscalar()) / (step + 1)
            _check_finite(mean, name, epoch, rate)
            bar.set_description_str(f"{name}: loss {mean:.4f}")
        bar.update()
    return float(total.asscalar()) / steps


def _check_finite(loss, name, epoch, rate):
    if not np.isfinite(loss):
        raise FloatingPointError(f"stage {name}, epoch {epoch + 1}: the loss is {loss}; "
                                 f"take a learning rate below {rate}")


def _sparsity(net):
    layers = nn.weighted_layers(net)
    kept = sum(int(layer.mask().sum()) for layer in layers)
    return 1 - kept / sum(layer.mask().size for layer in layers)


def _describe(epoch):
    return (f"validation error {epoch['validation_error_percent']:.2f} %, "
            f"sparsity {epoch['sparsity']:.4f}")
