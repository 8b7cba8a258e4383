"""LeNets on MNIST: images resident in memory, Adam, random initial weights."""
from functools import partial

import mxnet as mx
import numpy as np

from .. import nn
from ..coding import weights_digest
from ..models import LAYER_NAMES, get_model
from .loop import batches, error_percent
from .task import STREAM, Task


class MnistTask(Task):
    """A LeNet on a `Dataset` of 28 x 28 images, by `Settings`."""

    def __init__(self, settings, dataset):
        self.settings, self.dataset, self.network = settings, dataset, settings.network
        self.layer_names = LAYER_NAMES[settings.network]

    @property
    def steps_per_epoch(self):
        return max(1, len(self.dataset.train_labels) // self.settings.batch_size)

    def new_net(self):
        net = get_model(self.network)
        net.initialize()
        net.hybridize(static_alloc=True, static_shape=True)
        return net

    def start_net(self):
        mx.random.seed(self.settings.seed)
        net = self.new_net()
        net.initialize(mx.init.Xavier(), force_reinit=True)
        return net

    def trainer(self, cls, net):
        return cls(list(net.collect_params().values()), "adam")

    def batches(self, stage, epoch):
        data, settings = self.dataset, self.settings
        rng = np.random.default_rng([settings.seed, STREAM[stage], epoch])
        return batches(data.train_images, data.train_labels, settings.batch_size, settings.shift, rng)

    def errors(self, net, split):
        images, labels = (getattr(self.dataset, f"{split}_{what}") for what in ("images", "labels"))
        return {"error_percent": error_percent(net, images, labels)}

    def dataset_row(self):
        data = self.dataset
        return {"name": data.name, "source": data.source, "note": data.note,
                "train": len(data.train_labels), "validation": len(data.validation_labels),
                "test": len(data.test_labels)}

    def identity(self):
        arrays = {f"{split}_{what}": getattr(self.dataset, f"{split}_{what}")
                  for split in ("train", "validation", "test") for what in ("images", "labels")}
        return {"dataset": f"{self.dataset.name} {weights_digest(arrays)[:16]}"}

    def pruning_steps(self, steps):
        settings = self.settings
        if settings.schedule == "one-shot":
            return {1: 0}  # all the retraining is after it; Adam's saliency needs one step
        ends = np.linspace(0, steps * settings.prune_share, settings.prune_steps + 1)[1:]
        return {max(1, int(end)): number for number, end in enumerate(ends)}

    def prune(self, net, trainer, number):
        scores = nn.adam_saliency(net, trainer) if self.settings.score == "saliency" else None
        nn.prune(net, sparsity=self.sparsity_at(number), scope=self.settings.scope, scores=scores)

    def penalty(self, net, stage):
        settings = self.settings
        if (settings.l1 or settings.l2) and stage != "shared":
            return partial(nn.penalty, net, settings.l1, settings.l2)
        return None
