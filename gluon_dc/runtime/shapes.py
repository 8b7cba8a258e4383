"""Shapes of all arrays in a graph: one rule for each operator that is known. Nothing is allocated here."""

import math

from ..coding import FormatError
from .arguments import (axes_of, axis_of, check_layout, expect_axes, pad_widths, pooling_window, reduced_axes,
                        slices_of, softmax_axis, transposed_axes, weight_axes)
from .attributes import choice, flag, integer, integers, number, text, where
from .reshaping import reshaped

ACTIVATIONS = ("relu", "sigmoid", "tanh", "softrelu", "softsign")
LEAKY = ("leaky", "prelu", "elu", "selu", "gelu")
# Nothing that goes into memory is larger; without bounds a hostile graph of doublings makes numbers of any length.
MAX_AXES, MAX_SIZE = 8, 2**48
LEAST_KNORM = 1e-30


def infer_shapes(graph, parameters: dict, inputs: dict) -> list[tuple[int, ...]]:
    """Shape of every node's output, in the order of `graph.nodes`.

    parameters: {name: shape} of at least the parameters that the graph uses. inputs: {name: shape} of its data.
    Raises FormatError for an operator that is not known or attributes it does not take, ValueError for shapes that do
    not go together; both name the node.
    """
    check_operators(graph)
    shapes = []
    for node in graph.nodes:
        if node.op == "null":
            shapes.append(_variable(node, parameters, inputs))
            continue
        taken = [shapes[i] for i in node.inputs]
        # MXNet has none of these; a file may have them.
        if any(not shape or 0 in shape for shape in taken):
            raise ValueError(f"{where(node)}: takes an array without axes or numbers: {', '.join(map(str, taken))}")
        shapes.append(_RULES[node.op][0](node, *taken))
        if len(shapes[-1]) > MAX_AXES or math.prod(shapes[-1]) > MAX_SIZE:
            raise ValueError(f"{where(node)}: makes an array of {len(shapes[-1])} axes and {math.prod(shapes[-1]):.3g} "
                             f"numbers, at most {MAX_AXES} and {MAX_SIZE:.3g} can be")
    return shapes


def check_operators(graph) -> None:
    """FormatError for an operator that is not known, or with another number of inputs than it takes."""
    for node in graph.nodes:
        if node.op == "null":
            continue
        if node.op not in _RULES:
            raise FormatError(f"{where(node)}: the operator {node.op!r:.80} is not known; known are "
                              f"{', '.join(OPERATORS)}")
        _, least, most = _RULES[node.op]
        if not least <= len(node.inputs) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            raise FormatError(f"{where(node)}: {len(node.inputs)} inputs, expected {expected}")


def _variable(node, parameters, inputs):
    shape = parameters.get(node.name, inputs.get(node.name))
    if shape is None:
        raise ValueError(f"graph: the shape of the variable {node.name!r:.80} is not given")
    return tuple(shape)


def _convolution(node, shape, weight, bias=None):
    expect_axes(node, shape, 4)
    stride, pad, dilate, groups = weight_axes(node)
    kernel, filters = integers(node, "kernel"), integer(node, "num_filter", least=1)
    if filters % groups or shape[1] % groups:
        raise ValueError(f"{where(node)}: {shape[1]} channels to {filters} in {groups} groups do not come out even")
    _expect_weight(node, weight, (filters, shape[1] // groups, *kernel))
    _expect_bias(node, bias, filters)
    size = [_steps(node, extent + 2 * p - d * (k - 1) - 1, s, "kernel")
            for extent, k, s, p, d in zip(shape[2:], kernel, stride, pad, dilate)]
    return shape[0], filters, *size


def _fully_connected(node, shape, weight, bias=None):
    hidden = integer(node, "num_hidden", least=1)
    if len(shape) < 2:
        raise ValueError(f"{where(node)}: takes an input of shape (n, ...), got {shape}")
    flat = flag(node, "flatten", True)
    _expect_weight(node, weight, (hidden, math.prod(shape[1:]) if flat else shape[-1]))
    _expect_bias(node, bias, hidden)
    return (shape[0], hidden) if flat else (*shape[:-1], hidden)


def _batch_norm(node, shape, *statistics):
    if integer(node, "axis", 1) != 1 or len(shape) < 2:
        raise FormatError(f"{where(node)}: only axis 1 is known")
    if number(node, "eps", 1e-3) < 0:
        raise FormatError(f"{where(node)}: eps must not be negative, got {node.attrs['eps'][:80]!r}")
    for statistic in statistics:
        if statistic != (shape[1],):
            raise ValueError(f"{where(node)}: statistics of shape {statistic} for {shape[1]} channels")
    return shape


def _pooling(node, shape):
    kernel, stride, pad = pooling_window(node, shape)
    choice(node, "pool_type", "max", ("max", "avg", "sum"))
    check_layout(node)
    if flag(node, "global_pool"):
        return (*shape[:2], 1, 1)
    if any(2 * p > k for p, k in zip(pad, kernel)):
        raise FormatError(f"{where(node)}: a pad of {pad} is more than half of the kernel {kernel}")
    full = choice(node, "pooling_convention", "valid", ("valid", "full")) == "full"
    size = [_steps(node, extent + 2 * p - k, s, "kernel", full)
            for extent, k, s, p in zip(shape[2:], kernel, stride, pad)]
    return *shape[:2], *size


def _adaptive_pooling(node, shape):
    expect_axes(node, shape, 4)
    size = integers(node, "output_size", (1,), least=1)
    if len(size) not in (1, 2):
        raise FormatError(f"{where(node)}: output_size must be one number or two, got {size}")
    return *shape[:2], size[0], size[-1]


def _same(node, shape, *others):
    return shape


def _activation(node, shape):
    choice(node, "act_type", "", ACTIVATIONS)
    return shape


def _leaky(node, shape, gamma=None):
    kind = choice(node, "act_type", "leaky", LEAKY)
    number(node, "slope", 0.25)
    if (kind == "prelu") != (gamma is not None):
        raise FormatError(f"{where(node)}: {kind} with {1 + (gamma is not None)} inputs")
    if gamma is not None and (len(shape) < 2 or gamma not in ((1,), (shape[1],))):
        raise ValueError(f"{where(node)}: slopes of shape {gamma} for an input of {shape}")
    return shape


def _clip(node, shape):
    if number(node, "a_min") > number(node, "a_max"):
        raise FormatError(f"{where(node)}: a_min {node.attrs['a_min']} is above a_max {node.attrs['a_max']}")
    return shape


def _scalar(node, shape):
    number(node, "scalar")
    return shape


def _softmax(node, shape):
    axis_of(node, softmax_axis(node), len(shape))
    if text(node, "temperature", "None") not in ("None", "1", "1.0"):
        raise FormatError(f"{where(node)}: a temperature is not known")
    return shape


def _lrn(node, shape):
    expect_axes(node, shape, 4)
    if integer(node, "nsize", least=1) % 2 == 0:
        raise FormatError(f"{where(node)}: nsize must be odd, got {node.attrs['nsize']}")
    number(node, "beta", 0.75)
    # So that no sum of squares is divided by that is 0.
    for name, default, least in (("alpha", 1e-4, 0), ("knorm", 2, LEAST_KNORM)):
        if number(node, name, default) < least:
            raise FormatError(f"{where(node)}: {name} must be at least {least}, got {node.attrs[name][:80]!r}")
    return shape


def _concat(node, *shapes):
    first = shapes[0]
    axis = axis_of(node, integer(node, "dim", 1), len(first))
    for shape in shapes:
        if len(shape) != len(first) or shape[:axis] != first[:axis] or shape[axis + 1:] != first[axis + 1:]:
            raise ValueError(f"{where(node)}: shapes {first} and {shape} do not go together along axis {axis}")
    return *first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1:]


def _elementwise(node, left, right):
    if left != right:
        raise ValueError(f"{where(node)}: shapes {left} and {right} differ")
    return left


def _broadcast(node, left, right):
    if len(left) != len(right) or any(a != b and 1 not in (a, b) for a, b in zip(left, right)):
        raise ValueError(f"{where(node)}: shapes {left} and {right} do not go together")
    return tuple(b if a == 1 else a for a, b in zip(left, right))


def _reduce(node, shape):
    axes = reduced_axes(node, len(shape))
    if flag(node, "keepdims"):
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    # MXNet has no scalars: where nothing is left, one element is.
    return tuple(size for axis, size in enumerate(shape) if axis not in axes) or (1,)


def _transpose(node, shape):
    axes = transposed_axes(node, len(shape))
    if sorted(axes) != list(range(len(shape))):
        raise FormatError(f"{where(node)}: axes {axes} are no order of those of {shape}")
    return tuple(shape[axis] for axis in axes)


def _flatten(node, shape):
    return shape[0], math.prod(shape[1:])


def _expand_dims(node, shape):
    axis = axis_of(node, integer(node, "axis"), len(shape) + 1)
    return *shape[:axis], 1, *shape[axis:]


def _squeeze(node, shape):
    axes = axes_of(node, "axis", len(shape)) if "axis" in node.attrs else [i for i, n in enumerate(shape) if n == 1]
    if any(shape[axis] != 1 for axis in axes):
        raise ValueError(f"{where(node)}: axes {tuple(axes)} of {shape} are not all 1")
    return tuple(size for axis, size in enumerate(shape) if axis not in axes) or (1,)


def _pad(node, shape):
    number(node, "constant_value", 0)
    return tuple(size + before + after for size, (before, after) in zip(shape, pad_widths(node, shape)))


def _slice(node, shape):
    return tuple(part.stop - part.start for part in slices_of(node, shape))


_RULES = {
    "Convolution": (_convolution, 2, 3), "FullyConnected": (_fully_connected, 2, 3), "BatchNorm": (_batch_norm, 5, 5),
    "Activation": (_activation, 1, 1), "LeakyReLU": (_leaky, 1, 2), "clip": (_clip, 1, 1),
    "hard_sigmoid": (_same, 1, 1), "Pooling": (_pooling, 1, 1),
    "_contrib_AdaptiveAvgPooling2D": (_adaptive_pooling, 1, 1), "LRN": (_lrn, 1, 1), "Dropout": (_same, 1, 1),
    "_copy": (_same, 1, 1), "BlockGrad": (_same, 1, 1), "softmax": (_softmax, 1, 1), "log_softmax": (_softmax, 1, 1),
    "Flatten": (_flatten, 1, 1), "Reshape": (reshaped, 1, 1), "expand_dims": (_expand_dims, 1, 1),
    "squeeze": (_squeeze, 1, 1), "transpose": (_transpose, 1, 1), "SwapAxis": (_transpose, 1, 1),
    "Concat": (_concat, 1, 2**10), "Pad": (_pad, 1, 1), "slice": (_slice, 1, 1), "slice_axis": (_slice, 1, 1),
    "mean": (_reduce, 1, 1), "sum": (_reduce, 1, 1), "max": (_reduce, 1, 1),
    **{f"elemwise_{name}": (_elementwise, 2, 2) for name in ("add", "sub", "mul", "div")},
    **{f"broadcast_{name}": (_broadcast, 2, 2) for name in ("add", "sub", "mul", "div")},
    **{f"_{name}_scalar": (_scalar, 1, 1) for name in ("plus", "minus", "rminus", "mul", "div", "rdiv", "maximum",
                                                       "minimum")},
}
OPERATORS = tuple(sorted(_RULES, key=str.lower))


def _expect_weight(node, weight, expected):
    if weight != expected:
        raise ValueError(f"{where(node)}: expected a weight of shape {expected} for this input, got {weight}")


def _expect_bias(node, bias, size):
    if (bias is None) != flag(node, "no_bias"):
        raise FormatError(f"{where(node)}: no_bias is {flag(node, 'no_bias')}, but it has {len(node.inputs)} inputs")
    if bias not in (None, (size,)):
        raise ValueError(f"{where(node)}: expected a bias of shape {(size,)}, got {bias}")


def _steps(node, reach, stride, what, full=False):
    if reach < 0:
        raise ValueError(f"{where(node)}: the {what} is larger than its input")
    return (-(-reach // stride) if full else reach // stride) + 1


