"""From a graph to steps: what runs, in order, with batch norm and ReLU folded into the layer before them."""

import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from ..coding import FormatError
from .attributes import flag, number, where

NO_CLIP = (-math.inf, math.inf)
LAYERS = ("Convolution", "FullyConnected")
# What leaves its input as it is in inference, but for the shape.
ALIASES = ("Dropout", "_copy", "BlockGrad", "Flatten", "Reshape", "expand_dims", "squeeze")
_UNCHANGED = ("Dropout", "_copy", "BlockGrad")
# Operators whose loop can clip what it writes.
_CLIPPING = (*LAYERS, "BatchNorm", "elemwise_add", "broadcast_add")


@dataclass(frozen=True, eq=False)
class Step:
    """One thing to do. node: the operator. inputs: indices of nodes whose values it reads. output: the one it makes.

    weight, bias: names of a layer's parameters. scale, shift: float32 (channels,), what a batch norm multiplies and
    adds after the layer (its bias included), or None. clip: (low, high).
    """

    node: object
    inputs: tuple[int, ...]
    output: int
    weight: str | None = None
    bias: str | None = None
    scale: np.ndarray | None = None
    shift: np.ndarray | None = None
    clip: tuple[float, float] = NO_CLIP

    @property
    def op(self) -> str:
        return self.node.op


def lower(graph, array_of) -> list[Step]:
    """The steps of a graph, in order.

    array_of: function from a parameter's name to its float32 array. Shapes need not be right yet; where those of a
    batch norm are not, it stays a step of its own for `infer_shapes` to refuse. FormatError for a layer whose weight is
    no parameter.
    """
    users = _users(graph)
    steps, absorbed = [], set()
    for i, node in enumerate(graph.nodes):
        if node.op == "null" or i in absorbed:
            continue
        step = _first(graph, i, array_of)
        if node.op in _CLIPPING:
            step = _with_followers(graph, step, users, absorbed, array_of)
        steps.append(step)
    return _needed(graph, steps)


def _users(graph):
    """{node: the only node that reads its value, or None where there are others or it is an output}."""
    count = Counter(j for node in graph.nodes for j in node.inputs) + Counter(graph.outputs)
    of = {j: i for i, node in enumerate(graph.nodes) for j in node.inputs}
    return {j: of[j] for j in of if count[j] == 1 and j not in graph.outputs}


def _first(graph, i, array_of):
    node = graph.nodes[i]
    if node.op in LAYERS:
        names = [_parameter(graph, node, j) for j in node.inputs[1:]]
        return Step(node, node.inputs[:1], i, names[0] if names else None, names[1] if len(names) > 1 else None)
    if node.op == "BatchNorm":
        scale, shift = _norm(graph, node, array_of)
        return Step(node, node.inputs[:1], i, scale=scale, shift=shift)
    return Step(node, node.inputs, i)


def _with_followers(graph, step, users, absorbed, array_of):
    while step.output in users:
        i = users[step.output]
        node = graph.nodes[i]
        if node.op in _UNCHANGED:
            step = replace(step, output=i)
        elif node.op == "BatchNorm" and node.inputs[:1] == (step.output,) and _takes_norm(step):
            scale, shift = _norm(graph, node, array_of)
            bias = 0 if step.bias is None else array_of(step.bias)
            if np.shape(bias) not in ((), scale.shape):
                return step
            step = replace(step, output=i, scale=scale, shift=(shift + bias * scale.astype(float)).astype(np.float32))
        elif _clip_of(node) and step.clip == NO_CLIP:
            step = replace(step, output=i, clip=_clip_of(node))
        else:
            return step
        absorbed.add(i)
    return step


def _takes_norm(step):
    # A dense layer over the last axis of many has its outputs there; a batch norm's channels are on axis 1.
    along_last = step.op == "FullyConnected" and not flag(step.node, "flatten", True)
    return step.op in LAYERS and not along_last and step.scale is None and step.clip == NO_CLIP


def _clip_of(node):
    if node.op == "Activation" and node.attrs.get("act_type") == "relu":
        return 0.0, math.inf
    if node.op == "clip":
        return number(node, "a_min"), number(node, "a_max")
    return None


def _norm(graph, node, array_of):
    """(scale, shift) of a BatchNorm in inference: gamma / sqrt(variance + eps), beta - mean * scale."""
    names = [_parameter(graph, node, j) for j in node.inputs[1:]]
    if len(names) != 4:
        raise FormatError(f"{where(node)}: {len(node.inputs)} inputs, expected 5")
    gamma, beta, mean, variance = (array_of(name).astype(np.float64) for name in names)
    if not gamma.shape == beta.shape == mean.shape == variance.shape or gamma.ndim != 1:
        raise ValueError(f"{where(node)}: statistics of shapes {gamma.shape}, {beta.shape}, {mean.shape} and "
                         f"{variance.shape}, expected one number a channel in each")
    with np.errstate(all="ignore"):
        deviation = np.sqrt(variance + number(node, "eps", 1e-3))
        scale = (1.0 if flag(node, "fix_gamma", True) else gamma) / deviation
        return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _parameter(graph, node, j):
    source = graph.nodes[j]
    if source.op != "null" or j in graph.data:
        raise FormatError(f"{where(node)}: takes {source.name!r:.80} where a parameter is expected")
    return source.name


def _needed(graph, steps):
    """The steps that outputs depend on."""
    wanted, kept = set(graph.outputs), []
    for step in reversed(steps):
        if step.output in wanted:
            wanted.update(step.inputs)
            kept.append(step)
    return kept[::-1]
