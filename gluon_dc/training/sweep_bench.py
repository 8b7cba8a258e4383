"""What the points of a sweep share: the dense net, pruned nets, training for a while, and measuring a real file."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mxnet import gluon
from tqdm import tqdm

from .. import nn
from ..coding import loads
from .checkpoints import load_plain, plain_arrays, write_arrays
from .kept_values import with_index, without_index
from .loop import cosine_rate, softmax_loss, train_step
from .mnist_task import MnistTask

# Sparsity grows over this share of the steps, this many times, cubically.
GROWING_SHARE, GROWING_STEPS = 0.6, 30


@dataclass(frozen=True)
class Bench:
    """The net, data and folder of a sweep, and what can be done with them.

    Attributes
    ----------
    task : MnistTask
        Its settings are a SweepSettings.
    folder : Path
        Holds nets/ with dense.npz and the pruned nets that several points start from.
    """

    task: MnistTask
    folder: Path

    @property
    def settings(self):
        """The SweepSettings."""
        return self.task.settings

    def file(self, name):
        """Path of a net that points start from."""
        return self.nets / f"{name}.npz"

    @property
    def nets(self):
        """The folder of those nets; not that of a run's checkpoints, in case both are in one folder."""
        return self.folder / "nets"

    def net_of(self, name):
        """The plain net of that name in nets/."""
        net = self.task.new_net()
        load_plain(self.file(name), net)
        return net

    def make_dense(self):
        """Train the dense net; leaves dense.npz."""
        net = self.task.start_net()
        self.train("dense", "dense net", net, self.settings.dense_epochs, self.settings.dense_rate)
        write_arrays(self.file("dense"), plain_arrays(net))

    def pruned_net(self, name, sparsity, scope, score):
        """The plain net pruned and retrained for prune_epochs, from nets/ where it is there."""
        if not self.file(name).exists():
            net = self.net_of("dense")
            self.prune(net, self.settings.prune_epochs, sparsity, scope, score)
            write_arrays(self.file(name), plain_arrays(nn.unwrap(net)))
        return self.net_of(name)

    def prune(self, net, epochs, sparsity, scope="global", score="saliency"):
        """Prune a dense net gradually while it is trained for so many epochs.

        sparsity, scope: as for `gluon_dc.prune`. score: "saliency" (weight squared times Adam's mean squared
        gradient) or "magnitude".
        """
        nn.prune(net, sparsity=0.0)
        growing = _growing(net, epochs * self.task.steps_per_epoch, sparsity, scope, score)
        self.train("pruned", f"pruning to {_brief(sparsity)}", net, epochs, self.settings.prune_rate, growing)

    def train_centroids(self, net, epochs):
        """Train the codebooks (and biases) of a shared net."""
        self.train("shared", "centroids", net, epochs, self.settings.share_rate)

    def train(self, stage, label, net, epochs, rate, after_step=None):
        """Train for so many epochs, the learning rate falling from `rate` to 0 as a cosine.

        stage: "dense", "pruned" or "shared"; decides what is trained, and the order of the images.
        after_step: called with the trainer and the number of steps done, after each.
        FloatingPointError when the loss is not finite any more.
        """
        trainer = self.task.trainer(nn.CentroidTrainer if stage == "shared" else gluon.Trainer, net)
        loss, steps, done = softmax_loss(), epochs * self.task.steps_per_epoch, 0
        with tqdm(total=steps, desc=label, unit="step", leave=False, mininterval=0.5, dynamic_ncols=True) as bar:
            for x, y in (batch for epoch in range(epochs) for batch in self.task.batches(stage, epoch)):
                trainer.set_learning_rate(cosine_rate(rate, done / steps))
                losses = train_step(net, trainer, loss, x, y)
                done += 1
                if after_step:
                    after_step(trainer, done)
                if done % self.task.read_loss_every == 0 or done == steps:
                    _check_loss(float(losses.mean().asscalar()), label, rate)
                bar.update()

    def error(self, net, split):
        """Top-1 error in percent on "validation" or "test"."""
        return self.task.errors(net, split)["error_percent"]

    def measure(self, net, blank):
        """Bytes of the file of a net, and the errors of what that file decodes to.

        blank: a plain net of the same structure, which the file is decoded into. Weights that are pruned only are in
        the file as a relative index and the kept values.
        """
        content = with_index(nn.compress(net)).dumps()
        decoded = nn.restore(without_index(loads(content)), blank)
        return {"nbytes": len(content), "error_percent": self.error(decoded, "test"),
                "validation_error_percent": self.error(decoded, "validation")}


def _check_loss(loss, label, rate):
    if not np.isfinite(loss):
        raise FloatingPointError(f"{label}: the loss is {loss}; take a learning rate below {rate}")


def _growing(net, steps, sparsity, scope, score):
    """What to call after every step so that sparsity grows to its end."""
    ends = np.linspace(0, steps * GROWING_SHARE, GROWING_STEPS + 1)[1:]
    number_at = {max(1, int(end)): number for number, end in enumerate(ends)}

    def at(final, number):
        if isinstance(final, dict):
            return {pattern: at(value, number) for pattern, value in final.items()}
        return nn.sparsity_schedule("gradual", final, GROWING_STEPS)[number]

    def after_step(trainer, step):
        if step in number_at:
            scores = nn.adam_saliency(net, trainer) if score == "saliency" else None
            nn.prune(net, sparsity=at(sparsity, number_at[step]), scope=scope, scores=scores)
    return after_step


def _brief(sparsity):
    return "the paper's sparsity" if isinstance(sparsity, dict) else f"{sparsity:g}"
