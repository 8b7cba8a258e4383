"""What a run trains and on what: the part of it that differs between MNIST and ImageNet-style data."""
from abc import ABC, abstractmethod

from .. import nn
from ..nn.patterns import resolve

# Seeds of the random streams of the stages, so that no two draw the same numbers.
STREAM = {"dense": 0, "pruned": 1, "shared": 2}


class Task(ABC):
    """A network, its data and its settings, as the stages need them.

    Attributes
    ----------
    settings : StageSettings
    network : str
        For the result and the report.
    layer_names : dict
        {structural name of a weight that can be compressed: the paper's name of its layer, or None}.
    read_loss_every : int
        Steps between two looks at the loss; every look waits for the queue of operations to run dry.
    """

    settings = network = layer_names = None
    read_loss_every = 50

    @property
    @abstractmethod
    def steps_per_epoch(self):
        """Minibatches of one epoch; the images left over wait for the next shuffle."""

    @abstractmethod
    def new_net(self):
        """A plain net with all shapes known, initialized with anything, hybridized."""

    @abstractmethod
    def start_net(self):
        """A net as dense training starts from it: with random weights, or with those given."""

    @abstractmethod
    def trainer(self, cls, net):
        """A trainer `cls` (`gluon.Trainer` or `CentroidTrainer`) of the net.

        Give it a list: it keeps the order of the layers, by which the states in a checkpoint find
        their parameters.
        """

    @abstractmethod
    def batches(self, stage, epoch):
        """Iterate over one epoch's shuffled, varied minibatches (x float32, y) as NDArrays."""

    @abstractmethod
    def errors(self, net, split):
        """Errors in percent on "validation" or "test": {"error_percent"} and, where there is a sense in
        it, "top5_error_percent"."""

    @abstractmethod
    def dataset_row(self):
        """The data set in result.json: name, source, note, and the number of images of every split."""

    @abstractmethod
    def identity(self):
        """{name: JSON-able} of everything but the settings that decides the outcome of the run."""

    @abstractmethod
    def pruning_steps(self, steps):
        """{training step: number of the pruning} of a retraining of so many steps.

        Step n is after the n-th update, 0 before the first. Pruning number k goes to the k-th sparsity
        of the schedule.
        """

    @abstractmethod
    def prune(self, net, trainer, number):
        """Prune the net in place, for the `number`-th time."""

    def penalty(self, net, stage):
        """A function to add to the loss of every image, or None."""

    def follow_masks(self, net):
        """Adapt the net to masks that have just been set or read from a checkpoint, in place."""
        nn.adjust_dropout(net)

    def coding(self):
        """Keyword arguments of `nn.compress` for the file."""
        return {}

    def notes(self):
        """{name: JSON-able} that result.json says about the run beside its settings and data."""
        return {}

    def check_patterns(self):
        """Raise ValueError for a pattern of a per-layer setting that matches no layer, with the layers' names."""
        names = list(self.layer_names)
        for what in ("sparsity", "bits"):
            resolve(getattr(self.settings, what), names, what)

    def sparsity_at(self, number, final=None):
        """The sparsity of the `number`-th pruning: the settings' own, on its way along the schedule."""
        final = self.settings.sparsity if final is None else final
        if isinstance(final, dict):
            return {pattern: value if value is None else self.sparsity_at(number, value)
                    for pattern, value in final.items()}
        return final and nn.sparsity_schedule(self.settings.schedule, final, self.settings.prune_steps)[number]
