"""Layers with weights: which form runs one, and what follows in the same step (bias, batch norm, ReLU)."""

import math
from dataclasses import dataclass

from .arguments import weight_axes
from .choice import Choice
from .forms import Geometry
from .lowering import NO_CLIP
from .operators import clip_call, scale_call

_RELU = (0.0, math.inf)


@dataclass(frozen=True)
class LayerRow:
    """A line of a session's table. shape: of the weight. work: multiply-adds of the dense layer in one run.

    nbytes: what the form keeps resident. choice: why this form (`choice.Choice`).
    """

    name: str
    shape: tuple[int, ...]
    density: float
    form: str
    nbytes: int
    work: int
    choice: Choice


def bind_layer(step, x, output, weights):
    """(call, LayerRow) of a Convolution or FullyConnected step: call(threads) fills `output` from x."""
    shape = weights.shapes[step.weight]
    if _is_matrix(step, x, output, shape):
        x, made = x.reshape(-1, math.prod(shape[1:])), output.reshape(-1, shape[0])
        prepared = weights.matrix(step.weight, len(x), step.scale, step.output)
    else:
        geometry, made = Geometry(*weight_axes(step.node)), output
        prepared = weights.convolution(step.weight, geometry, x.shape, step.scale, step.output)
    row = LayerRow(step.weight, shape, prepared.density, prepared.name, prepared.form.nbytes,
                   output.size * math.prod(shape[1:]), prepared.choice)
    return _call(step, prepared, x, made, weights), row


def _is_matrix(step, x, output, shape):
    if step.op == "FullyConnected":
        return True
    # A convolution whose kernel covers its whole input, which a pooled one of 1x1 often is.
    _, pad, dilate, groups = weight_axes(step.node)
    return x.shape[2:] == shape[2:] and pad == (0, 0) and groups == 1 and output.shape[2:] == (1, 1) and (
        dilate == (1, 1) or shape[2:] == (1, 1))


def _call(step, prepared, x, output, weights):
    form = prepared.form
    if step.scale is not None and not prepared.scaled:
        channels = output.reshape(*output.shape[:2], -1)
        after = scale_call(channels, step.scale, step.shift, step.clip, channels)

        def scaled(threads):
            form.apply(x, out=output, threads=threads)
            after(threads)
        return scaled
    bias = step.shift if prepared.scaled else None if step.bias is None else weights.array(step.bias)
    relu = step.clip == _RELU
    if relu or step.clip == NO_CLIP:
        return lambda threads: form.apply(x, bias, relu, output, threads)
    clipped = clip_call(output, step.clip, output)

    def clipping(threads):
        form.apply(x, bias, False, output, threads)
        clipped(threads)
    return clipping
