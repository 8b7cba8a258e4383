"""A net through the whole method at once, by a recipe and without retraining: for the size of its file alone.

`train/imagenet.py` retrains between the stages, as the paper does.
"""
import time
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from .. import nn
from ..coding import CodedTensor, FormatError, loads, unpack
from ..coding.context_tensor import decode_groups
from ..coding.files import write_atomically
from ..models import zoo
from ..models.pretrained import pretrained_file
from ..models.synthetic import SYNTHETIC, draw_weights
from ..nn.graph import check_axes
from ..nn.patterns import resolve
from ..nn.walk import WeightedLayer, plain_parameters
from ..report.tables import Table, count
from ..runtime.graph import infer_shapes, read_graph


@dataclass(frozen=True)
class LayerSettings:
    """A recipe's settings of each layer of a net: {structural name: number}; layers left alone are not in it.

    names: of all layers that could be compressed. prune: keyword of `nn.prune` ("sparsity" or "quality") -> settings;
    {} where nothing is pruned.
    """

    names: tuple
    prune: dict
    bits: dict
    rel_bits: dict

    @property
    def work(self):
        """Names of the layers that something is done to, in the net's order."""
        pruned = {name for numbers in self.prune.values() for name in numbers}
        return [name for name in self.names if name in self.bits or name in pruned]


def layer_settings(net, recipe):
    """Resolve a recipe's patterns against a net, which need not be initialized.

    Raises
    ------
    ValueError
        A pattern that matches nothing, with the names there are and the name of the recipe.
    """
    with naming_recipe(recipe.name):
        return _layer_settings(net, recipe)


@contextmanager
def naming_recipe(name):
    """Context that adds to a ValueError, one about a pattern, from which recipe that may be; name: "" for none."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{error}; see recipe {name}, or the option in its place" if name else str(error)) from None


def _layer_settings(net, recipe):
    names = [layer.name for layer in nn.weighted_layers(net, ready=False)]
    given = {"sparsity": recipe.prune.sparsity, "quality": recipe.prune.quality}
    prune = {kind: resolve(value, names, kind) for kind, value in given.items() if value is not None}
    bits = {} if recipe.share.bits is None else resolve(recipe.share.bits, names, "bits")
    # Which are shared is known already: so a pattern of rel_bits for any other is found here, not after the work.
    rel_bits = {} if recipe.code.rel_bits is None or not bits else resolve(
        recipe.code.rel_bits, list(bits), "rel_bits (of shared layers)")
    return LayerSettings(tuple(names), prune, bits, rel_bits)


def layers_table(model, classes, recipe, input_shape=None):
    """Table of a model's layers that can be compressed: name, shape, and the recipe's settings of each."""
    net = zoo.build(model, classes)
    settings = layer_settings(net, recipe)
    zoo.infer_shapes(net, input_shape or zoo.input_shape(model))
    prune = {name: f"{number:g}" for numbers in settings.prune.values() for name, number in numbers.items()}
    rows = [
        [layer.name, zoo.layer_names(model).get(layer.name), "x".join(map(str, layer.shape)),
         count(int(np.prod(layer.shape))), prune.get(layer.name),
         *(None if numbers.get(layer.name) is None else str(numbers[layer.name])
           for numbers in (settings.bits, settings.rel_bits))]
        for layer in nn.weighted_layers(net, ready=False)
    ]
    headings = ["layer", "in the paper", "shape", "weights", next(iter(settings.prune), "sparsity"), "bits", "gap bits"]
    return Table(f"{model}, recipe {recipe.name}", headings, rows, text_columns=2)


@dataclass(frozen=True)
class Weights:
    """Where a net's weights come from.

    kind: "params" (`path` is the file), "pretrained" (`path` is GluonCV's folder, or None) or "random" (drawn, see
    `models.synthetic`). input_shape: (channels, height, width), for nets whose function leaves shapes open.
    """

    kind: str
    path: str | None = None
    seed: int = 0
    input_shape: tuple | None = None


def open_net(model, classes, recipe, weights, progress=None):
    """Build a net, check a recipe's patterns against it, and only then get its weights; it has no gradients.

    Returns (net, LayerSettings, what the weights are in words: for the metadata).

    Raises
    ------
    ValueError, OSError
        As `zoo.build`, `layer_settings`, `zoo.load_params`, `pretrained_file`.
    """
    net = zoo.without_gradients(zoo.build(model, classes))
    settings = layer_settings(net, recipe)
    if weights.kind == "random":
        zoo.infer_shapes(net, weights.input_shape or zoo.input_shape(model))
        return draw_weights(net, weights.seed, progress), settings, SYNTHETIC
    path = weights.path if weights.kind == "params" else pretrained_file(model, weights.path)
    zoo.load_params(path, net)
    name = str(path).replace("\\", "/").rpartition("/")[2]
    return net, settings, name if weights.kind == "params" else f"GluonCV's {name}"


def weight_count(net):
    """Number of values in all parameters of a net whose shapes are known."""
    return sum(int(np.prod(parameter.shape, dtype=np.int64)) for parameter in zoo.named_parameters(net).values())


def prune_net(net, settings, recipe, progress=None):
    """Prune a net in place; `progress(name, weights)` after each layer."""
    for kind, numbers in settings.prune.items():  # one at most
        if recipe.prune.scope == "global" and numbers:
            nn.prune(net, **{kind: numbers}, scope="global")
            _by_layer(net, numbers, progress, lambda one: None)
        else:
            _by_layer(net, numbers, progress, lambda one: nn.prune(net, **{kind: one}))


def share_net(net, settings, recipe, progress=None):
    """Share a net's weights in place; `progress` as for `prune_net`."""
    share = recipe.share
    _by_layer(net, settings.bits, progress, lambda one: nn.quantize(net, one, start=share.start, seed=share.seed))


def code_net(net, settings, coder, metadata=None, effort="best", progress=None):
    """The CompressedModel of a pruned and shared net."""
    return nn.compress(net, coder=coder, rel_bits=settings.rel_bits or None, metadata=metadata, effort=effort,
                       progress=progress)


def graph_of(net, model, input_shape=None):
    """The graph of a net of this name, with the shape of its input: that of `model` where it is not given.

    Its shapes must be known. Raises ValueError for a net that cannot be traced, takes another input, or has operators
    that `gluon_dc.session` does not know: before the work, where it is called first.
    """
    shape = tuple(input_shape or zoo.input_shape(model))
    text = nn.graph_of(net, shape)
    shapes = {name: tuple(parameter.shape) for name, parameter in plain_parameters(net, ready=False).items()}
    graph = read_graph(text, shapes)
    check_axes(graph)
    infer_shapes(graph, shapes, {graph.nodes[i].name: (1, *shape) for i in graph.data})
    return text


def shrink_net(net, settings, recipe, progress=None):
    """`prune_net` and `share_net`, layer by layer where the recipe allows, so that one layer at a time has a mask.

    The result is the same. `progress(name, weights)` after each layer and stage.
    """
    if recipe.prune.scope == "global":
        prune_net(net, settings, recipe, progress)
        share_net(net, settings, recipe, progress)
        return
    for name in settings.work:
        prune = {kind: {name: numbers[name]} for kind, numbers in settings.prune.items() if name in numbers}
        bits = {name: settings.bits[name]} if name in settings.bits else {}
        one = LayerSettings((name,), prune, bits, {})
        prune_net(net, one, recipe, progress)
        share_net(net, one, recipe, progress)


def _by_layer(net, numbers, progress, verb):
    sizes = {layer.name: int(np.prod(layer.shape)) for layer in nn.weighted_layers(net)} if progress else {}
    for name, number in numbers.items():
        verb({name: number})
        if progress:
            progress(name, sizes[name])


def write_verified(path, model, net):
    """Write a model's file once its bytes are known to decode to the net's weights, bit for bit; returns it, read back.

    Raises
    ------
    FormatError
        They do not: then nothing was written, and an earlier file is as it was.
    OSError
        The file cannot be written, or the disk gives other bytes back.
    """
    data = model.dumps()
    found = loads(data)
    decode_groups(found.tensors)  # on several threads
    _check_equal(found, net)
    write_atomically(path, lambda file: file.write(data))
    with open(path, "rb") as file:
        if file.read() != data:
            raise OSError(f"{path}: the bytes read back are not those written; the disk is not to be trusted")
    return found


def _check_equal(model, net):
    parameters = plain_parameters(net)
    if list(model) != list(parameters):
        raise FormatError(f"the file has the tensors {list(model)[:3]} ..., the net {list(parameters)[:3]} ...")
    for name, tensor in model.items():
        if not _is_equal(tensor if isinstance(tensor, np.ndarray) else unpack(tensor, name), parameters[name]):
            raise FormatError(f"{name} does not decode to the net's weights; please report this")


def _is_equal(tensor, parameter):
    """Whether a file's tensor has the bits of a net's: == would call NaN unequal and -0.0 equal."""
    layer = isinstance(parameter, WeightedLayer)
    if isinstance(tensor, CodedTensor) and layer and parameter.is_coded:
        own = parameter.coded_tensor()  # codes take a quarter of the memory of what they decode to
        if np.array_equal(tensor.codebook, own.codebook) and np.array_equal(tensor.codes, own.codes):
            return True
    found = tensor.decode() if isinstance(tensor, CodedTensor) else tensor
    array = parameter.array() if layer else parameter.list_data()[0].asnumpy()
    return found.dtype == array.dtype and found.shape == array.shape and np.array_equal(_bits(found), _bits(array))


def _bits(array):
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


class Stopwatch:
    """Seconds by stage, in order: ``with watch("prune"): ...``; a stage entered twice adds up."""

    def __init__(self):
        self.seconds = {}
        self._running = None

    def __call__(self, stage):
        self._running = stage
        return self

    def __enter__(self):
        self._stage, self._begin = self._running, time.perf_counter()

    def __exit__(self, *error):
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + time.perf_counter() - self._begin
