"""The stages of the method: dense training, pruning with retraining, sharing, coding (paper Fig. 1).

Every stage starts from the file the one before has left, and leaves its own; one that is done is
not run again, one that was interrupted goes on from its last epoch.
"""
import time
from functools import partial

import mxnet as mx
import numpy as np
from mxnet import gluon

from .. import nn
from ..coding import load
from ..models import get_model
from .checkpoints import load_plain, load_progress, plain_arrays, save_progress, write_arrays
from .loop import batches, cosine_rate, softmax_loss, train_step

# Seeds of the random streams of the stages, so that no two draw the same numbers.
_STREAM = {"dense": 0, "pruned": 1, "shared": 2}
# Percentage points that rounding to float16 may cost: two of MNIST's 5,000 validation images, as
# many as rounding moves either way by chance.
_FLOAT16_POINTS = 0.04
_READ_LOSS_EVERY = 50  # steps; every read waits for the queue of operations to run dry


def dense(run):
    """Train the plain net. Leaves dense.npz."""
    mx.random.seed(run.settings.seed)
    net = _new_net(run)
    net.initialize(mx.init.Xavier(), force_reinit=True)
    trainer = _adam(gluon.Trainer, net)
    history = _train(run, "dense", net, trainer, run.settings.dense_epochs,
                     run.settings.dense_rate)
    write_arrays(run.file("dense.npz"), plain_arrays(net))
    run.finish_stage("dense", net, history)


def pruned(run):
    """Prune and retrain (section 2). Leaves pruned.npz: the plain weights, the pruned ones 0.0."""
    net = _new_net(run)
    load_plain(run.file("dense.npz"), net)
    nn.prune(net, sparsity=0.0)
    trainer = _adam(gluon.Trainer, net)
    settings = run.settings
    history = _train(run, "pruned", net, trainer, settings.prune_epochs, settings.prune_rate,
                     _Pruning(run, net, trainer))
    nn.zero_unused_units(nn.unwrap(net))
    nn.sort_units(net)
    write_arrays(run.file("pruned.npz"), plain_arrays(net))
    run.finish_stage("pruned", net, history)


def shared(run):
    """Share the kept weights and train the centroids (section 3). Leaves shared.gdc.

    clustered.gdc is the net right after k-means.
    """
    settings, net = run.settings, _new_net(run)
    load_plain(run.file("pruned.npz"), net)
    nn.prune(net, threshold=np.finfo(np.float32).tiny)
    nn.quantize(net, settings.bits, start=settings.start, seed=settings.seed)
    nn.compress(net).save(run.file("clustered.gdc"))
    trainer = _adam(nn.CentroidTrainer, net)
    history = _train(run, "shared", net, trainer, settings.share_epochs, settings.share_rate)
    nn.compress(net).save(run.file("shared.gdc"))
    run.finish_stage("shared", net, history)


def coded(run):
    """Code the net into model.gdc (section 4).

    Biases and codebooks go to float16 unless that costs validation accuracy.
    """
    started = time.perf_counter()
    net = nn.restore(load(run.file("shared.gdc")), _new_net(run), coded=True)
    before = run.error(net, "validation")
    nn.round_to_float16(net)
    if run.error(net, "validation") > before + _FLOAT16_POINTS:
        net = nn.restore(load(run.file("shared.gdc")), _new_net(run), coded=True)
    nn.compress(net).save(run.folder / "model.gdc")
    run.finish_stage("coded", net, [], time.perf_counter() - started)


STAGES = {"dense": dense, "pruned": pruned, "shared": shared, "coded": coded}


class _Pruning:
    """Called after every training step: prunes further when the schedule says so."""

    def __init__(self, run, net, trainer):
        self.settings, self.net, self.trainer = run.settings, net, trainer
        steps = run.steps_per_epoch * self.settings.prune_epochs
        ends = np.linspace(0, steps * self.settings.prune_share, self.settings.prune_steps + 1)[1:]
        self.at = {max(1, int(end)): number for number, end in enumerate(ends)}

    def __call__(self, step):
        if step not in self.at:
            return
        settings, number = self.settings, self.at[step]
        scores = nn.adam_saliency(self.net, self.trainer) if settings.score == "saliency" else None
        nn.prune(self.net, sparsity=self._at(settings.sparsity, number), scope=settings.scope,
                 scores=scores)
        nn.adjust_dropout(self.net)

    def _at(self, final, number):
        if isinstance(final, dict):
            return {pattern: self._at(value, number) for pattern, value in final.items()}
        settings = self.settings
        return final and nn.sparsity_schedule(settings.schedule, final, settings.prune_steps)[number]


def _new_net(run):
    net = get_model(run.settings.network)
    net.initialize()
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def _adam(cls, net):
    # A list keeps the order of the layers, by which the states in a checkpoint find their parameters.
    return cls(list(net.collect_params().values()), "adam")


def _train(run, name, net, trainer, epochs, rate, after_step=None):
    """Train from the last epoch on file to `epochs`; returns the history, one dict an epoch."""
    progress = run.file(f"{name}.progress.npz")
    history = load_progress(progress, net, trainer) if progress.exists() else []
    with run.bar(name, epochs, len(history)) as bar:
        for epoch in range(len(history), epochs):
            started = time.perf_counter()
            loss = _epoch(run, name, net, trainer, epoch, epochs, rate, after_step, bar)
            if not np.isfinite(loss):
                raise FloatingPointError(f"stage {name}, epoch {epoch + 1}: the loss is {loss}; "
                                         f"take a learning rate below {rate}")
            history.append({"epoch": epoch + 1, "loss": loss,
                            "validation_error_percent": run.error(net, "validation"),
                            "sparsity": _sparsity(net), "seconds": time.perf_counter() - started})
            bar.set_postfix_str(_describe(history[-1]))
            save_progress(progress, net, trainer, history)
    return history


def _epoch(run, name, net, trainer, epoch, epochs, rate, after_step, bar):
    """One epoch; returns its mean loss."""
    data, settings = run.dataset, run.settings
    rng = np.random.default_rng([settings.seed, _STREAM[name], epoch])
    loss, total, steps = softmax_loss(), mx.nd.zeros(1), run.steps_per_epoch
    penalty = None
    if (settings.l1 or settings.l2) and name != "shared":
        penalty = partial(nn.penalty, net, settings.l1, settings.l2)
    for step, (x, y) in enumerate(batches(data.train_images, data.train_labels,
                                          settings.batch_size, settings.shift, rng)):
        done = epoch * steps + step
        trainer.set_learning_rate(cosine_rate(rate, done / (epochs * steps)))
        losses = train_step(net, trainer, loss, x, y, penalty)
        total += losses.mean()
        if after_step:
            after_step(done + 1)
        if (step + 1) % _READ_LOSS_EVERY == 0:
            bar.set_description_str(f"{name}: loss {float(total.asscalar()) / (step + 1):.4f}")
        bar.update()
    return float(total.asscalar()) / steps


def _sparsity(net):
    layers = nn.weighted_layers(net)
    kept = sum(int(layer.mask().sum()) for layer in layers)
    return 1 - kept / sum(layer.mask().size for layer in layers)


def _describe(epoch):
    return (f"validation error {epoch['validation_error_percent']:.2f} %, "
            f"sparsity {epoch['sparsity']:.4f}")
