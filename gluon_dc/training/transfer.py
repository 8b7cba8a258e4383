"""The weights that a run starts from: a file's, GluonCV's own, or random ones; and what of them a net can take over."""
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import mxnet as mx
import numpy as np

from ..coding import load, weights_digest
from ..models import zoo
from ..models.params import some
from ..nn.parameters import assign, value
from .checkpoints import plain_arrays, read_arrays

PARAMS, GDC, PRETRAINED, RANDOM = "params", "gdc", "pretrained", "random"
_SCORE_STD = 0.25


@dataclass(frozen=True)
class StartWeights:
    """Weights by structural name.

    arrays: {name: float array} of a net of any class count, None for random ones. note: where they are from.
    metadata: of a .gdc file, else {}.
    """

    note: str
    arrays: dict | None = field(default=None, repr=False)
    metadata: dict = field(default_factory=dict)

    def digest(self):
        """SHA-256 of the weights, for telling two runs apart; "random" for random ones."""
        return RANDOM if self.arrays is None else weights_digest(self.arrays)


def read_weights(kind, path, model, classes):
    """Read the weights that a run starts from.

    kind : "params" (a .params file, or .npz of an earlier run's checkpoints), "gdc", "pretrained" or "random"
    path : of the file; the folder with GluonCV's files for "pretrained", None for its own
    model : str
        As for `zoo.build`.
    classes : int
        Of the net to come; a .params file may be of another number.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or is of another network.
    """
    if kind == RANDOM:
        return StartWeights("random initial weights")
    if kind == PRETRAINED:
        return StartWeights("GluonCV's own", plain_arrays(zoo.load_pretrained(model, root=path)))
    if kind == GDC:
        compressed = load(path)
        return StartWeights(_named(path), compressed.decode(), dict(compressed.metadata or {}))
    if Path(path).suffix == ".npz":
        return StartWeights(_named(path), read_arrays(path, given=True))
    return StartWeights(_named(path), plain_arrays(_net_of_params(path, model, classes)))


def take_over(net, start, classes):
    """Put the weights into a plain, initialized net, all but an output layer of another number of classes.

    Returns
    -------
    tuple of str
        Names of the parameters that were not taken over; they keep the values they had. All for random weights.

    Raises
    ------
    ValueError
        The weights are of another network: names, or shapes that differ in more than the number of classes. The net
        is unchanged then.
    """
    parameters = zoo.named_parameters(net)
    if start.arrays is None:
        return tuple(parameters)
    _check_names(parameters, net._collect_params_with_prefix(), start)
    differ = {name: (tuple(start.arrays[name].shape), tuple(parameter.shape))
              for name, parameter in parameters.items() if start.arrays[name].shape != tuple(parameter.shape)}
    _check_heads(differ, start.note, classes)
    for name, parameter in parameters.items():
        if name not in differ:
            parameter.set_data(mx.nd.array(start.arrays[name], dtype=parameter.dtype))
    return tuple(differ)


def fit_head(net, names, x):
    """Scale a new output layer to the net that feeds it, in place, so that no class starts far ahead or dead.

    Its random weights are made small enough that the scores of one batch have a standard deviation of at most
    _SCORE_STD: features may be of any size, and a loss that starts at ten times the log of the number of classes spends
    its first steps on undoing the draw. Where a ReLU follows the layer (SqueezeNet) its bias becomes 1, since a class
    whose scores are all cut off learns nothing more.

    names : of the layer's parameters. x : NDArray, one batch of images.
    """
    parameters = zoo.named_parameters(net)
    scores = net(x).asnumpy()
    factor = min(1.0, _SCORE_STD / max(float(scores.std()), 1e-30))
    for name in names:
        parameter = parameters[name]
        if name.endswith("bias"):
            assign(parameter, np.full(parameter.shape, float(scores.min() >= 0), np.float32))
        else:
            assign(parameter, value(parameter) * np.float32(factor))


def _named(path):
    """The file's name and the beginning of its SHA-256: the same in whatever folder it lies."""
    return f"{Path(path).name} (SHA-256 {hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]})"


def _net_of_params(path, model, classes):
    try:
        return zoo.load_params(path, zoo.build(model, classes))
    except ValueError as error:
        try:
            # Of another class count, then: the length of the last array, which is the output layer's bias.
            last = list(mx.nd.load(str(path)).values())[-1]
            return zoo.load_params(path, zoo.build(model, int(last.shape[0])))
        except Exception:  # whatever a file of something else leads to: the first error says it best
            raise error from None


def _check_names(parameters, aliases, start):
    missing = [name for name in parameters if name not in start.arrays]
    unknown = [name for name in start.arrays if name not in aliases]
    if missing or unknown:
        raise ValueError(f"{start.note} is of another network: it lacks {some(missing)}; the net lacks "
                         f"{some(unknown)} ({len(missing)} and {len(unknown)} of {len(parameters)} parameters)")


def _check_heads(differ, note, classes):
    """Only the first axis may differ, from one and the same class count to that of the net."""
    counts = {(old[:1], new[:1]) for old, new in differ.values()}
    in_outputs_only = all(old[1:] == new[1:] for old, new in differ.values())
    if differ and not (in_outputs_only and len(counts) == 1 and next(iter(counts))[1] == (classes,)):
        name, (old, new) = next(iter(differ.items()))
        raise ValueError(f"{note} is of another network: {name} is {old}, expected {new} ({len(differ)} parameters "
                         "differ in shape, and not in the number of classes alone)")
