"""Any net on photographs: decoded as they are needed, by a recipe, from given or random weights."""
from contextlib import closing
from functools import cached_property
from itertools import islice

import mxnet as mx
from tqdm import tqdm

from .. import nn
from ..data.images import batches
from ..models import zoo
from ..models.params import first_line
from ..nn.patterns import resolve
from .evaluate import evaluate
from .image_data import in_memory
from .one_shot import naming_recipe
from .task import STREAM, Task
from .transfer import RANDOM, fit_head, take_over


class ImageTask(Task):
    """A net of the zoo, or of one's own, on `ImageSplits`, by `ImageSettings`, from `StartWeights`.

    Attributes
    ----------
    replaced : tuple of str
        Names of the output layer's parameters where the given weights are of another number of classes; they start
        at random.

    Raises
    ------
    ValueError
        Weights of another network; a net that does not give one score for each class, or cannot take the images;
        an output layer that would stay untrained.
    """

    read_loss_every = 1  # a step takes much longer than waiting for its loss

    def __init__(self, settings, splits, preprocessing, start):
        self.settings, self.network = settings, settings.model
        self.preprocessing, self.start = preprocessing, start
        self.splits = splits
        net = self.new_net()
        _check_outputs(net, self._input_shape, settings.model, splits.classes)
        paper_names = zoo.layer_names(settings.model)
        self.layer_names = {layer.name: paper_names.get(layer.name) for layer in nn.weighted_layers(net)}
        self.check_patterns()
        self.replaced = take_over(net, start, splits.classes)
        if self.replaced and not settings.dense_epochs:
            raise ValueError(f"{self.describe_start()}: that needs training before anything is pruned, and there are 0 "
                             f"epochs of it (recipe {settings.recipe}); give --dense-epochs")

    @cached_property
    def _measured(self):
        """The splits whose validation and test images are decoded already: they are gone through every epoch."""
        return in_memory(self.splits, self.preprocessing)

    @property
    def _input_shape(self):
        return (3, self.preprocessing.crop, self.preprocessing.crop)

    @property
    def steps_per_epoch(self):
        return max(1, len(self.splits.train) // self.settings.batch_size)

    def new_net(self):
        net = zoo.build(self.network, self.splits.classes)
        zoo.initialize(net, self._input_shape, seed=self.settings.seed)
        net.hybridize(static_alloc=True)
        return net

    def start_net(self):
        net = self.new_net()
        replaced = take_over(net, self.start, self.splits.classes)
        if replaced and self.start.arrays is not None:
            fit_head(net, replaced, self._first_batch())
            parameters = zoo.named_parameters(net)
            for name in replaced:
                parameters[name].lr_mult = self.settings.head_rate
        return net

    def _first_batch(self):
        found = batches(self.splits.train, self.preprocessing, self.settings.batch_size, seed=self.settings.seed)
        with closing(found):
            return mx.nd.array(next(found)[0])

    def trainer(self, cls, net):
        settings, options = self.settings, {"wd": self.settings.weight_decay}
        if settings.optimizer == "sgd":
            options["momentum"] = settings.momentum
        return cls(list(net.collect_params().values()), settings.optimizer, options)

    def batches(self, stage, epoch):
        settings = self.settings
        found = batches(self.splits.train, self.preprocessing, settings.batch_size, settings.augment,
                        seed=[settings.seed, STREAM[stage], epoch])
        with closing(found):
            for x, y in islice(found, self.steps_per_epoch):
                yield mx.nd.array(x), mx.nd.array(y)

    def errors(self, net, split):
        images = getattr(self._measured, split)
        with tqdm(total=len(images), desc=f"{split} images", unit="image", delay=2, leave=False,
                  dynamic_ncols=True) as bar:
            found = evaluate(net, images, self.preprocessing, progress=bar.update)
        top5 = found.top5_error_percent
        return {"error_percent": found.top1_error_percent, **({} if top5 is None else {"top5_error_percent": top5})}

    def dataset_row(self):
        splits = self.splits
        return {"name": splits.name, "source": splits.source, "note": splits.note, "train": len(splits.train),
                "validation": len(splits.validation), "test": len(splits.test)}

    def identity(self):
        return {"dataset": f"{self.splits.name} {self.splits.digest()}", "weights": self.start.digest()}

    def pruning_steps(self, steps):
        """The first pruning before any training, the last after `prune_share` of it, the others evenly between."""
        settings = self.settings
        if settings.sparsity is None and settings.quality is None:
            return {}
        between = steps * settings.prune_share / max(1, settings.prune_steps - 1)
        return {int(number * between): number for number in range(settings.prune_steps)}

    def prune(self, net, trainer, number):
        settings = self.settings
        if settings.quality is not None:
            nn.prune(net, quality=_scaled(settings.quality, (number + 1) / settings.prune_steps), scope=settings.scope)
        else:
            nn.prune(net, sparsity=self.sparsity_at(number), scope=settings.scope)

    def follow_masks(self, net):
        if self.settings.adjust_dropout:
            super().follow_masks(net)

    def coding(self):
        settings = self.settings
        metadata = {"network": self.network, "classes": self.splits.classes, "preprocessing": self.preprocessing.name,
                    "dataset": self.splits.name, "weights": f"{self.start.note}, trained on {self.splits.name}",
                    "recipe": settings.recipe, "retrained": True}
        return {"coder": settings.coder, "rel_bits": settings.rel_bits, "metadata": metadata, "effort": settings.effort}

    def notes(self):
        return {"weights": self.start.note, "replaced": list(self.replaced) if self.start.arrays is not None else [],
                "recipe": self.settings.recipe, "preprocessing": self.preprocessing.describe()}

    def check_patterns(self):
        names, settings = list(self.layer_names), self.settings
        with naming_recipe(settings.recipe):
            super().check_patterns()
            resolve(settings.quality, names, "quality")
            if settings.rel_bits is not None:
                resolve(settings.rel_bits, list(resolve(settings.bits, names, "bits")), "rel_bits (of shared layers)")

    def describe_start(self):
        """One line: which weights the run starts from, and which layer is new."""
        if self.start.arrays is None:
            return f"{self.network} from {RANDOM} weights"
        if not self.replaced:
            return f"{self.network} from {self.start.note}, all layers"
        layer, classes = self.replaced[0].rpartition(".")[0], self.start.arrays[self.replaced[0]].shape[0]
        return (f"{self.network} from {self.start.note}; layer {layer} is of {classes} classes there and begins anew "
                f"for {self.splits.classes}")


def _scaled(setting, factor):
    if isinstance(setting, dict):
        return {pattern: value if value is None else value * factor for pattern, value in setting.items()}
    return setting * factor


def _check_outputs(net, shape, model, classes):
    try:
        found = net(mx.nd.zeros((1, *shape)))
        found = found.shape if isinstance(found, mx.nd.NDArray) else type(found).__name__
    except (mx.MXNetError, AssertionError) as error:
        raise ValueError(f"{model} does not take images of shape {shape}: {first_line(error)}") from error
    if found != (1, classes):
        raise ValueError(f"{model}: expected scores of shape (1, {classes}), one for each class of the images; got "
                         f"{found}: the net must take the number of classes and return scores")
