"""Operators without weights: each turns a step and its arrays into stages (`tasks`) that fill the output.

The arrays are C-contiguous float32 of the shapes that `infer_shapes` gave, and stay where they are: whoever made the
plan writes the inputs before the stages run. A binder gives a function from the number of threads to stages. Nothing
makes an array as large as its input on the way. NaN and infinities go through; who runs stages silences NumPy's
warnings.
"""

import math
from functools import partial

import numpy as np

from . import kernels
from .arguments import pad_widths, pooling_window, reduced_axes, slices_of, softmax_axis, transposed_axes
from .attributes import flag, integer, number, text
from .lowering import NO_CLIP
from .max_pooling import max_pool_strips, pools_in_strips
from .tasks import shared, stage_of

# Elements below which a second thread costs more than it brings.
ALONE = 2**17
_PART = 2**13  # numbers that NumPy goes over at a time: with what it makes on the way they stay in the first cache


def bind(step, inputs, output, threads) -> list[tuple]:
    """The stages that compute a step, on up to so many threads."""
    return _BINDERS[step.op](step, inputs, output)(threads)


def _shared(work, count, kernel, *arguments):
    """Stages of kernel(*arguments, begin, end) for shares of 0..count."""
    return lambda threads: shared(kernel, lambda share: arguments, count, threads if work >= ALONE else 1)


def _alone(function, *arguments):
    """The stage of a Python function."""
    return lambda threads: stage_of([partial(function, *arguments)])


def _floats(*numbers):
    return tuple(np.float32(number) for number in numbers)


def _numpy(function):
    """Binder of an operator that NumPy does in one call: function(node, *inputs, output)."""
    return lambda step, inputs, output: _alone(function, step.node, *inputs, output)


def _by_parts(function):
    """Binder of an operator of each number by itself: function(node, x, output), of flat parts. Only of a part there
    are arrays on the way: `max_nbytes` bounds what a run takes."""
    def compute(node, x, output):
        x, output = x.reshape(-1), output.reshape(-1)
        for begin in range(0, x.size, _PART):
            function(node, x[begin:begin + _PART], output[begin:begin + _PART])
    return _numpy(compute)


def clip_stages(x, clip, output):
    """Function threads -> stages of clip(x), x and output of one shape."""
    return _shared(x.size, x.size, kernels.clip_flat, x.reshape(-1), *_floats(*clip), output.reshape(-1))


def scale_stages(x, scale, shift, clip, output):
    """Function threads -> stages of clip(x * scale + shift) by channel (axis 1)."""
    planes = x.shape[0] * x.shape[1]
    return _shared(x.size, planes, kernels.scale_planes, x.reshape(planes, -1), scale, shift, *_floats(*clip),
                   output.reshape(planes, -1))


def _batch_norm(step, inputs, output):
    return scale_stages(inputs[0], step.scale, step.shift, step.clip, output)


def _clip(step, inputs, output):
    return clip_stages(inputs[0], (number(step.node, "a_min"), number(step.node, "a_max")), output)


def _add(step, inputs, output):
    x, y = inputs
    if x.shape != y.shape:
        return _binary(np.add)(step, inputs, output)
    return _shared(x.size, x.size, kernels.add_flat, x.reshape(-1), y.reshape(-1), *_floats(*step.clip),
                   output.reshape(-1))


def _multiply(step, inputs, output):
    x, factors = inputs if inputs[0].size >= inputs[1].size else inputs[::-1]
    if x.ndim == 4 and factors.shape == (*x.shape[:2], 1, 1):
        planes = x.shape[0] * x.shape[1]
        return _shared(x.size, planes, kernels.scale_by_plane, x.reshape(planes, -1), factors.reshape(-1),
                       output.reshape(planes, -1))
    return _binary(np.multiply)(step, inputs, output)


def _binary(function):
    def compute(inputs, output):
        function(*inputs, out=output)

    def binder(step, inputs, output):
        computed = _alone(compute, inputs, output)
        if step.clip == NO_CLIP:
            return computed
        clipped = clip_stages(output, step.clip, output)
        return lambda threads: computed(threads) + clipped(threads)
    return binder


def _scalar(function):
    return lambda step, inputs, output: _alone(function, inputs[0], np.float32(number(step.node, "scalar")), output)


def _activation(step, inputs, output):
    kind = step.node.attrs["act_type"]
    if kind == "relu":
        return clip_stages(inputs[0], (0, math.inf), output)
    return _by_parts(_ACTIVATIONS[kind])(step, inputs, output)


def _sigmoid(node, x, output):
    np.negative(x, out=output)
    np.exp(output, out=output)
    output += 1
    np.reciprocal(output, out=output)


def _softsign(node, x, output):
    np.divide(x, 1 + np.abs(x), out=output)


_ACTIVATIONS = {
    "sigmoid": _sigmoid, "tanh": lambda node, x, output: np.tanh(x, out=output), "softsign": _softsign,
    "softrelu": lambda node, x, output: np.logaddexp(x, np.float32(0), out=output),
}


def _leaky(step, inputs, output):
    kind, x = text(step.node, "act_type", "leaky"), inputs[0]
    if kind == "gelu":
        return _shared(x.size, x.size, kernels.gelu_flat, x.reshape(-1), output.reshape(-1))
    if kind == "elu":
        return _by_parts(_elu)(step, inputs, output)
    if kind == "selu":
        return _by_parts(_selu)(step, inputs, output)
    # prelu has a slope for each channel, axis 1, or one for all.
    slopes = inputs[1].reshape(-1) if kind == "prelu" else np.array([number(step.node, "slope", 0.25)], np.float32)
    planes = math.prod(x.shape[:max(1, min(2, x.ndim - (slopes.size == 1)))])
    return _shared(x.size, planes, kernels.leaky_planes, x.reshape(planes, -1), slopes, output.reshape(planes, -1))


def _elu(node, x, output):
    low = np.float32(number(node, "slope", 0.25)) * np.expm1(x)
    np.copyto(output, np.where(x > 0, x, low))


def _selu(node, x, output):
    low = np.float32(1.0507009873554805 * 1.6732632423543772) * np.expm1(x)
    np.copyto(output, np.where(x > 0, np.float32(1.0507009873554805) * x, low))


def _hard_sigmoid(node, x, output):
    np.clip(x * np.float32(number(node, "alpha", 0.2)) + np.float32(number(node, "beta", 0.5)), 0, 1, out=output)


def _pooling(step, inputs, output):
    node, x = step.node, inputs[0]
    kind, average = text(node, "pool_type", "max"), text(node, "pool_type", "max") == "avg"
    (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w) = pooling_window(node, x.shape)
    planes = x.shape[0] * x.shape[1]
    images, made = x.reshape(planes, *x.shape[2:]), output.reshape(planes, *output.shape[2:])
    whole = (kernel_h, kernel_w, pad_h, pad_w) == (*x.shape[2:], 0, 0)
    if average and (whole or flag(node, "global_pool")):
        return _shared(x.size, planes, kernels.plane_means, x.reshape(planes, -1), output.reshape(-1))
    window = (kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w)
    inside = 2 * made.shape[1] <= images.shape[1] and 2 * made.shape[2] <= images.shape[2]
    if kind == "max" and window == (2, 2, 2, 2, 0, 0) and inside:
        return _shared(x.size, planes, kernels.max_pool_twos, images, made)
    if kind == "max" and pools_in_strips(window[:2], window[2:4]):
        return _shared(x.size, planes, max_pool_strips, x, stride_h, (pad_h, pad_w), output)
    if kind == "max":
        return _shared(x.size, planes, kernels.max_pool, images, *window, made)
    count_pad = flag(node, "count_include_pad", True)
    return _shared(x.size, planes, kernels.sum_pool, images, *window, average, count_pad, made)


def _adaptive_pooling(step, inputs, output):
    x = inputs[0]
    planes = x.shape[0] * x.shape[1]
    if output.shape[2:] == (1, 1):
        return _shared(x.size, planes, kernels.plane_means, x.reshape(planes, -1), output.reshape(-1))
    return _shared(x.size, planes, kernels.adaptive_means, x.reshape(planes, *x.shape[2:]),
                   output.reshape(planes, *output.shape[2:]))


def _lrn(step, inputs, output):
    node, x = step.node, inputs[0]
    nsize = integer(node, "nsize")
    numbers = _floats(number(node, "alpha", 1e-4) / nsize, number(node, "beta", 0.75), number(node, "knorm", 2))
    as_three = (x.shape[0], x.shape[1], -1)
    return _shared(x.size, x.shape[0], kernels.local_response, x.reshape(as_three), nsize // 2, *numbers,
                   output.reshape(as_three))


def _softmax(node, x, output):
    axis = softmax_axis(node)
    most = x.max(axis, keepdims=True)
    np.subtract(x, most, out=output)
    np.exp(output, out=output)
    total = output.sum(axis, keepdims=True)
    if node.op == "log_softmax":  # once more from the beginning, in place of an array beside the output
        np.subtract(x, most, out=output)
        output -= np.log(total)
    else:
        output /= total


def _concat(step, inputs, output):
    axis, begin, copies = integer(step.node, "dim", 1) % output.ndim, 0, []
    for x in inputs:
        part = output[(slice(None),) * axis + (slice(begin, begin + x.shape[axis]),)]
        begin += x.shape[axis]
        # What the plan has put there is not copied.
        if part.ctypes.data != x.ctypes.data or not part.flags.c_contiguous:
            copies.append((part, x))

    return lambda threads: [(partial(np.copyto, part, x),) for part, x in copies]


def _pad(node, x, output):
    mode, widths = text(node, "mode", "constant"), pad_widths(node, x.shape)
    if mode == "constant":
        output.fill(number(node, "constant_value", 0))
    output[tuple(slice(before, before + size) for (before, _), size in zip(widths, x.shape))] = x
    for axis, (before, after) in enumerate(widths if mode != "constant" else ()):
        # Along the axes before this one there are margins already, of the others only the middle counts.
        _fill_margins(np.moveaxis(output, axis, 0), before, x.shape[axis], after, mode == "edge")


def _fill_margins(output, before, size, after, is_edge):
    end = before + size
    if is_edge:
        output[:before], output[end:] = output[before], output[end - 1]
    else:  # nearest first, without the edge itself
        output[:before] = output[before + 1:2 * before + 1][::-1]
        output[end:] = output[end - 1 - after:end - 1][::-1]


def _reduce(function):
    def reduce(node, x, output):
        function(x, axis=reduced_axes(node, x.ndim), keepdims=True, out=output.reshape(
            [1 if axis in reduced_axes(node, x.ndim) else size for axis, size in enumerate(x.shape)]))
    return _numpy(reduce)


_transpose = _numpy(lambda node, x, output: np.copyto(output, x.transpose(transposed_axes(node, x.ndim))))
_slice = _numpy(lambda node, x, output: np.copyto(output, x[slices_of(node, x.shape)]))
_arithmetic = {"sub": _binary(np.subtract), "div": _binary(np.divide), "mul": _multiply, "add": _add}

_BINDERS = {
    "BatchNorm": _batch_norm, "Activation": _activation, "LeakyReLU": _leaky, "clip": _clip,
    "hard_sigmoid": _by_parts(_hard_sigmoid), "Pooling": _pooling, "_contrib_AdaptiveAvgPooling2D": _adaptive_pooling,
    "LRN": _lrn, "softmax": _numpy(_softmax), "log_softmax": _numpy(_softmax), "Concat": _concat,
    "Pad": _numpy(_pad), "transpose": _transpose, "SwapAxis": _transpose, "slice": _slice, "slice_axis": _slice,
    "mean": _reduce(np.mean), "sum": _reduce(np.sum), "max": _reduce(np.amax),
    **{f"{kind}_{name}": binder for kind in ("elemwise", "broadcast") for name, binder in _arithmetic.items()},
    "_plus_scalar": _scalar(np.add), "_minus_scalar": _scalar(np.subtract), "_mul_scalar": _scalar(np.multiply),
    "_div_scalar": _scalar(np.divide), "_maximum_scalar": _scalar(np.maximum),
    "_minimum_scalar": _scalar(np.minimum),
    "_rminus_scalar": _scalar(lambda x, value, output: np.subtract(value, x, out=output)),
    "_rdiv_scalar": _scalar(lambda x, value, output: np.divide(value, x, out=output)),
}
