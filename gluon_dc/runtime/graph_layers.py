"""What a graph says of its layers before a shape of inputs is known, or anything decoded."""

import math

import numpy as np

from .arguments import weight_axes
from .attributes import flag, integers
from .forms import CONV_FORMS, INT8_FORMS, MATRIX_FORMS
from .layer_calls import is_matrix
from .lowering import LAYERS

# Operators whose output has the channels of their first input.
_KEEP_SIZES = ("BatchNorm", "Activation", "Dropout", "_copy", "BlockGrad", "Pooling", "_mul_scalar", "_plus_scalar",
               "_minus_scalar", "_div_scalar", "clip")


def possible_forms(graph, model, shapes=None, precision="float32") -> dict:
    """{name of a layer's weight: names of the forms that it may run in}.

    model: CompressedModel, or {name: tensor}. shapes: of all nodes; without them any convolution may turn out to be a
    matrix, as one that is may turn out not to be for larger inputs. What has no codes runs dense.
    """
    of_conv, found = [*CONV_FORMS, *(INT8_FORMS if precision == "int8" else ())], {}
    for i, node in enumerate(graph.nodes):
        name = graph.nodes[node.inputs[1]].name if node.op in LAYERS else None
        if name is None or name not in model:
            continue
        if isinstance(model[name], np.ndarray):
            forms = ["dense"]
        elif node.op == "FullyConnected":
            forms = MATRIX_FORMS
        else:
            may_be = shapes is None or is_matrix(node, shapes[node.inputs[0]], shapes[i])
            forms = [*MATRIX_FORMS, *of_conv] if may_be else of_conv
        found[name] = list(dict.fromkeys([*found.get(name, ()), *forms]))
    return found


def open_sizes(graph, weight_shapes) -> tuple:
    """Sizes of an input without its batch, as text where they are open, by the layer that takes it."""
    reached = set(graph.data)
    for i, node in enumerate(graph.nodes):
        if node.op == "null" or not reached.intersection(node.inputs[:1]):
            continue
        weight = weight_shapes.get(graph.nodes[node.inputs[1]].name, ()) if node.op in LAYERS else ()
        if node.op == "Convolution" and len(weight) == 4 and len(integers(node, "kernel")) == 2:
            return weight[1] * weight_axes(node)[3], "h", "w"
        if node.op == "FullyConnected" and len(weight) > 1:
            columns = weight[1:]
            return (math.prod(columns),) if flag(node, "flatten", True) else ("...", math.prod(columns))
        if node.op in _KEEP_SIZES:
            reached.add(i)
    return ("...",)
