"""MXNet's Pooling as ONNX's, exactly.

What `pooling_convention="full"` adds at the end (the last window may reach beyond the input and its padding) becomes
padding here: runtimes differ on ONNX's own ceil_mode. MXNet counts declared padding in an average where
count_include_pad says so, and never what "full" adds.
"""

import numpy as np

from ..runtime.arguments import pooling_window
from ..runtime.graph import choice, flag, integers, where


def pooling(step) -> str:
    """Add the nodes of a Pooling; the output's name. ValueError for a window that lies outside of its input."""
    node, kind = step.node, choice(step.node, "pool_type", "max", ("max", "avg", "sum"))
    if flag(node, "global_pool"):
        if kind == "sum":
            return step.make("ReduceSum", [step.inputs[0], step.axes([2, 3])], keepdims=1)
        return step.make("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", step.inputs)
    kernel, stride, pad = pooling_window(node, step.shapes[0])
    after = [p + (steps - 1) * s + k - (size + 2 * p)
             for p, steps, s, k, size in zip(pad, step.out[2:], stride, kernel, step.shapes[0][2:])]
    after = [max(p, a) for p, a in zip(pad, after)]
    if any(a >= k for a, k in zip(after, kernel)):
        raise ValueError(f"{where(node)}: a window lies outside of its input, which ONNX does not allow")
    window = {"kernel_shape": kernel, "strides": stride}
    if kind == "max":
        return step.make("MaxPool", step.inputs, **window, pads=[*pad, *after])
    if kind == "sum":
        sums = step.between("AveragePool", [_padded(step, pad, after)], **window)
        return step.make("Mul", [sums, step.builder.constant(float(np.prod(kernel)))])
    if not flag(node, "count_include_pad", True):
        return step.make("AveragePool", step.inputs, **window, pads=[*pad, *after], count_include_pad=0)
    if tuple(after) == tuple(pad):
        return step.make("AveragePool", step.inputs, **window, pads=[*pad, *pad], count_include_pad=1)
    source = _padded(step, pad, pad) if any(pad) else step.inputs[0]
    extra = [a - p for a, p in zip(after, pad)]
    return step.make("AveragePool", [source], **window, pads=[0, 0, *extra], count_include_pad=0)


def adaptive_pooling(step) -> str:
    """_contrib_AdaptiveAvgPooling2D, where the windows are all of one size; ValueError where they are not."""
    sizes, outputs = step.shapes[0][2:], integers(step.node, "output_size", (1,))
    outputs = outputs * 2 if len(outputs) == 1 else outputs
    if tuple(outputs) == (1, 1):
        return step.make("GlobalAveragePool", step.inputs)
    if any(size % output for size, output in zip(sizes, outputs)):
        raise ValueError(f"{where(step.node)}: {tuple(outputs)} windows of an input of {tuple(sizes)} are not all of "
                         "one size, which ONNX cannot say")
    kernel = [size // output for size, output in zip(sizes, outputs)]
    return step.make("AveragePool", step.inputs, kernel_shape=kernel, strides=kernel)


def _padded(step, before, after):
    pads = step.axes([0, 0, *before, 0, 0, *after])
    return step.between("Pad", [step.inputs[0], pads, step.builder.constant(0.0)])
