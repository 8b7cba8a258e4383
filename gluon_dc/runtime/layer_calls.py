"""Layers with weights: which form runs one, and what follows in the same step (bias, batch norm, ReLU)."""

import math
from dataclasses import dataclass

from .arguments import weight_axes
from .attributes import integers
from .choice import Choice
from .forms import Geometry, conv_work
from .int8_pooling import PooledStep
from .lowering import NO_CLIP
from .operators import clip_stages, scale_stages

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


def bind_layer(step, x, output, weights, threads, scratch, extremes):
    """(stages, LayerRow) of a Convolution or FullyConnected step: the stages (`tasks`) fill `output` from x.

    extremes: `int8_extremes.Extremes` of the steps so far.
    """
    shape = weights.shapes[step.weight]
    if is_matrix(step.node, x.shape, output.shape):
        x, made = x.reshape(-1, math.prod(shape[1:])), output.reshape(-1, shape[0])
        prepared, work = weights.matrix(step.weight, len(x), step.scale, step.output), len(x) * math.prod(shape)
    else:
        geometry, made = Geometry(*weight_axes(step.node)), output
        prepared = weights.convolution(step.weight, geometry, x.shape, step.scale, getattr(step, "user", step.output))
        work = conv_work(shape, x.shape, geometry)
    row = LayerRow(step.weight, shape, prepared.density, prepared.name, prepared.form.nbytes, work, prepared.choice)
    return _stages(step, prepared, x, made, weights, threads, scratch, extremes), row


def is_matrix(node, input_shape, output_shape) -> bool:
    """Whether a Convolution or FullyConnected is a multiplication by a matrix."""
    if node.op == "FullyConnected":
        return True
    # A convolution whose kernel covers its whole input, which a pooled one of 1x1 often is.
    _, pad, dilate, groups = weight_axes(node)
    kernel = integers(node, "kernel")
    covers = tuple(input_shape[2:]) == kernel and tuple(output_shape[2:]) == (1, 1)
    return covers and pad == (0, 0) and groups == 1 and (dilate == (1, 1) or kernel == (1, 1))


def _stages(step, prepared, x, output, weights, threads, scratch, extremes):
    form, (low, high) = prepared.form, step.clip
    finishes = getattr(form, "finishes", False) and low in (0.0, -math.inf)
    if step.scale is not None and not prepared.scaled and not finishes:
        channels = output.reshape(*output.shape[:2], -1)
        after = scale_stages(channels, step.scale, step.shift, step.clip, channels)
        return form.stages(x, None, False, output, threads, scratch) + after(threads)
    bias = step.shift if step.scale is not None else None if step.bias is None else weights.array(step.bias)
    if finishes:
        scale = None if prepared.scaled else step.scale
        return form.stages(x, bias, low == 0.0, output, threads, scratch, scale, high)
    if hasattr(form, "stages_between"):
        window = (step.window,) if isinstance(step, PooledStep) else ()
        stages, found = form.stages_between(x, bias, step.clip, output, threads, scratch, extremes.of(step.inputs[0]),
                                            *window)
        extremes.put(step.output, found)
        return stages
    relu = step.clip == _RELU
    stages = form.stages(x, bias, relu, output, threads, scratch)
    return stages if relu or step.clip == NO_CLIP else stages + clip_stages(output, step.clip, output)(threads)
