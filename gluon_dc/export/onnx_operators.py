"""MXNet's operators as ONNX's: one function for each kind; pooling has a module of its own."""

import math
from dataclasses import dataclass

import numpy as np

from ..coding import FormatError
from ..runtime.arguments import pad_widths, reduced_axes, slices_of, softmax_axis, transposed_axes, weight_axes
from ..runtime.graph import Node, choice, flag, integer, number, where
from .onnx_builder import Builder

_TO_THE_END = 2**63 - 1


@dataclass(frozen=True)
class Step:
    """One operator to convert. inputs: names in ONNX; parameters: {index of an input: function that gives its array}.

    shapes, out: of the inputs and the output for a batch of one size; other_shapes, other_out: of another, so that axes
    which differ are known to depend on it.
    """

    node: Node
    builder: Builder
    inputs: tuple[str, ...]
    parameters: dict
    shapes: tuple
    out: tuple
    other_shapes: tuple
    other_out: tuple
    compact: bool

    def make(self, op: str, inputs, **attributes) -> str:
        """The node that gives the operator's output."""
        return self.builder.node(op, inputs, self.node.name, **attributes)

    def between(self, op: str, inputs, **attributes) -> str:
        """A node on the way there."""
        return self.builder.node(op, inputs, f"{self.node.name}_{op}", **attributes)

    def axes(self, values) -> str:
        """A constant of int64."""
        return self.builder.constant(list(values), np.int64)


def convert(step: Step) -> str:
    """Add the nodes of one operator; the output's name. FormatError for an operator that is not known here."""
    if step.node.op not in CONVERTERS:
        raise FormatError(f"{where(step.node)}: cannot be exported to ONNX; operators that can are "
                          f"{', '.join(sorted(CONVERTERS, key=str.lower))}")
    return CONVERTERS[step.node.op](step)


def reshape(step: Step, source: str, make=None) -> str:
    """Reshape to the output's shape, one axis of which may depend on the batch size. ValueError where two do."""
    dynamic = [axis for axis, (a, b) in enumerate(zip(step.out, step.other_out)) if a != b]
    if len(step.out) != len(step.other_out) or len(dynamic) > 1:
        raise ValueError(f"{where(step.node)}: more than one axis of its output depends on the batch size, which ONNX "
                         "cannot say")
    sizes = [-1 if axis in dynamic else size for axis, size in enumerate(step.out)]
    return (make or step.make)("Reshape", [source, step.axes(sizes)])


def _convolution(step):
    stride, pad, dilate, groups = weight_axes(step.node)
    return step.make("Conv", step.inputs, strides=stride, pads=pad * 2, dilations=dilate, group=groups)


def _fully_connected(step):
    data, weight, *bias = step.inputs
    rank = len(step.shapes[0])
    if rank == 2 or flag(step.node, "flatten", True):
        flat = data if rank == 2 else step.between("Flatten", [data], axis=1)
        return step.make("Gemm", [flat, weight, *bias], transB=1)
    turned = step.between("Transpose", [weight], perm=[1, 0])
    if not bias:
        return step.make("MatMul", [data, turned])
    return step.make("Add", [step.between("MatMul", [data, turned]), *bias])


def _batch_norm(step):
    if any(i not in step.parameters for i in range(1, 5)):
        raise FormatError(f"{where(step.node)}: its statistics must be parameters")
    gamma, beta, mean, variance = (step.parameters[i]() for i in range(1, 5))
    eps = number(step.node, "eps", 1e-3)
    if flag(step.node, "fix_gamma", True):
        gamma = np.ones_like(gamma)
    if step.compact:  # two vectors instead of four; the other two are of one number, spread out when it is loaded
        with np.errstate(all="ignore"):
            scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + eps)
            shift = beta - mean * scale
        size = step.axes(gamma.shape)
        zeros, ones = (step.builder.node("Expand", [step.builder.constant([value]), size]) for value in (0.0, 1.0))
        vectors = [step.builder.constant(scale.astype(np.float32)), step.builder.constant(shift.astype(np.float32)),
                   zeros, ones]
        return step.make("BatchNormalization", [step.inputs[0], *vectors], epsilon=0.0)
    gamma = step.builder.constant(gamma) if flag(step.node, "fix_gamma", True) else step.inputs[1]
    return step.make("BatchNormalization", [step.inputs[0], gamma, *step.inputs[2:]], epsilon=eps)


def _activation(step):
    kinds = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus", "softsign": "Softsign"}
    return step.make(kinds[choice(step.node, "act_type", "", tuple(kinds))], step.inputs[:1])


def _leaky(step):
    kind = choice(step.node, "act_type", "leaky", ("leaky", "prelu", "elu", "selu", "gelu"))
    data, slope = step.inputs[0], number(step.node, "slope", 0.25)
    if kind == "prelu":  # its slopes belong to axis 1; ONNX lines axes up from the last
        sizes = step.axes([-1] + [1] * (len(step.shapes[0]) - 2))
        return step.make("PRelu", [data, step.between("Reshape", [step.inputs[1], sizes])])
    if kind == "gelu":  # x / 2 (1 + erf(x / sqrt 2))
        erf = step.between("Erf", [step.between("Div", [data, step.builder.constant(math.sqrt(2))])])
        half = step.between("Mul", [data, step.builder.constant(0.5)])
        return step.make("Mul", [half, step.between("Add", [erf, step.builder.constant(1.0)])])
    if kind == "selu":
        return step.make("Selu", [data])
    return step.make("LeakyRelu" if kind == "leaky" else "Elu", [data], alpha=slope)


def _clip(step):
    bounds = [step.builder.constant(number(step.node, name)) for name in ("a_min", "a_max")]
    return step.make("Clip", [step.inputs[0], *bounds])


def _hard_sigmoid(step):
    alpha, beta = number(step.node, "alpha", 0.2), number(step.node, "beta", 0.5)
    return step.make("HardSigmoid", step.inputs, alpha=alpha, beta=beta)


def _lrn(step):
    alpha, beta, knorm = (number(step.node, name, default)
                          for name, default in (("alpha", 1e-4), ("beta", 0.75), ("knorm", 2)))
    return step.make("LRN", step.inputs, size=integer(step.node, "nsize"), alpha=alpha, beta=beta, bias=float(knorm))


def _nothing(step):
    return step.inputs[0]  # dropout and the like: the input itself


def _softmax(step):
    op = "Softmax" if step.node.op == "softmax" else "LogSoftmax"
    return step.make(op, step.inputs, axis=softmax_axis(step.node))


def _concat(step):
    return step.make("Concat", step.inputs, axis=integer(step.node, "dim", 1))


def _transpose(step):
    return step.make("Transpose", step.inputs, perm=transposed_axes(step.node, len(step.shapes[0])))


def _pad(step):
    widths = pad_widths(step.node, step.shapes[0])
    mode = choice(step.node, "mode", "constant", ("constant", "edge", "reflect"))
    pads = step.axes([before for before, _ in widths] + [after for _, after in widths])
    value = step.builder.constant(number(step.node, "constant_value", 0))
    return step.make("Pad", [step.inputs[0], pads, value], mode=mode)


def _slice(step):
    cuts, others = (slices_of(step.node, shapes[0]) for shapes in (step.shapes, step.other_shapes))
    starts, ends, axes = [], [], []
    for axis, (cut, other) in enumerate(zip(cuts, others)):
        size, other_size = step.shapes[0][axis], step.other_shapes[0][axis]
        if cut.start != other.start or cut.stop != other.stop and (cut.stop, other.stop) != (size, other_size):
            raise ValueError(f"{where(step.node)}: what it cuts out depends on the batch size, which ONNX cannot say")
        if (cut.start, cut.stop) != (0, size):
            starts, ends, axes = [*starts, cut.start], [*ends, cut.stop], [*axes, axis]
            if cut.stop == size:
                ends[-1] = _TO_THE_END
    if not axes:
        return step.inputs[0]
    return step.make("Slice", [step.inputs[0], step.axes(starts), step.axes(ends), step.axes(axes)])


def _reduce(step):
    axes, rank = reduced_axes(step.node, len(step.shapes[0])), len(step.shapes[0])
    keep = flag(step.node, "keepdims")
    to_one = not keep and len(axes) == rank  # MXNet has no scalars: (1,)
    make = step.between if to_one else step.make
    if step.node.op == "sum":
        found = make("ReduceSum", [step.inputs[0], step.axes(axes)], keepdims=int(keep))
    else:
        op = "ReduceMean" if step.node.op == "mean" else "ReduceMax"
        found = make(op, step.inputs, axes=list(axes), keepdims=int(keep))
    return step.make("Reshape", [found, step.axes([1])]) if to_one else found


def _two(op):
    return lambda step: step.make(op, step.inputs)


def _scalar(op, turned=False):
    def converted(step):
        pair = [step.inputs[0], step.builder.constant(number(step.node, "scalar"))]
        return step.make(op, pair[::-1] if turned else pair)
    return converted


def _reshape(step):
    return reshape(step, step.inputs[0])


def _flatten(step):
    return step.make("Flatten", step.inputs, axis=1)


CONVERTERS = {
    "Convolution": _convolution, "FullyConnected": _fully_connected, "BatchNorm": _batch_norm,
    "Activation": _activation, "LeakyReLU": _leaky, "clip": _clip, "hard_sigmoid": _hard_sigmoid, "LRN": _lrn,
    "Dropout": _nothing, "_copy": _nothing, "BlockGrad": _nothing, "softmax": _softmax, "log_softmax": _softmax,
    "Flatten": _flatten, "Reshape": _reshape, "expand_dims": _reshape, "squeeze": _reshape, "transpose": _transpose,
    "SwapAxis": _transpose, "Concat": _concat, "Pad": _pad, "slice": _slice, "slice_axis": _slice, "mean": _reduce,
    "sum": _reduce, "max": _reduce,
    **{f"{kind}_{name}": _two(op) for kind in ("elemwise", "broadcast")
       for name, op in (("add", "Add"), ("sub", "Sub"), ("mul", "Mul"), ("div", "Div"))},
    **{f"_{name}_scalar": _scalar(op, name.startswith("r")) for name, op in (
        ("plus", "Add"), ("minus", "Sub"), ("rminus", "Sub"), ("mul", "Mul"), ("div", "Div"), ("rdiv", "Div"),
        ("maximum", "Max"), ("minimum", "Min"))},
}
