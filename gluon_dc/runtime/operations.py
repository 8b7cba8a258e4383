"""How much a net does in one run, from shapes alone: so that a file cannot make it run for hours unasked.

An operation is a multiply-add of a layer or a window, or a number that another operator reads or writes; functions such
as exp count for several. Known nets take, for one image: LeNet-5 2 million, AlexNet 0.7, ResNet-18 1.8, VGG-16 16
thousand million.
"""

import math

from .arguments import pooling_window, weight_axes
from .attributes import flag, integer
from .lowering import ALIASES, LAYERS

# Numbers that an exp, a division of powers and the like takes the time of.
_COSTLY = ("softmax", "log_softmax", "LeakyReLU", "LRN", "Activation", "hard_sigmoid")
_COST = 8


def operations_of(node, inputs, output) -> int:
    """Operations of an operator. inputs: shapes of all that it takes, parameters too; output: shape."""
    made = math.prod(output)
    if node.op in LAYERS:
        return made * (1 + math.prod(inputs[1][1:])) + _read(node, inputs, output)
    if node.op in ALIASES:
        return 0
    if node.op in ("slice", "slice_axis"):
        return 2 * made
    if node.op == "Pooling" and not flag(node, "global_pool"):
        # Whole rows are gone over, whatever the step along them.
        kernel = pooling_window(node, inputs[0])[0]
        return made * math.prod(kernel) + math.prod(output[:3]) * kernel[0] * inputs[0][3]
    if node.op == "_contrib_AdaptiveAvgPooling2D":
        # Neighbouring parts share a row or column at most.
        return math.prod(output[:2]) * math.prod(map(sum, zip(inputs[0][2:], output[2:])))
    touched = made + sum(map(math.prod, inputs))
    if node.op == "LRN":
        touched += made * min(integer(node, "nsize"), inputs[0][1])
    return touched * (_COST if node.op in _COSTLY else 1)


def _read(node, inputs, output):
    # Numbers of its input that a layer brings into its own order: whole rows for each tap, whatever the step along them.
    read = math.prod(inputs[0])
    if node.op == "Convolution" and weight_axes(node)[0][1] > 1:
        read += math.prod(inputs[0][:2]) * output[2] * inputs[1][2] * inputs[0][3]
    return read


def operations_of_step(step, shapes) -> int:
    """Operations of a step that `lower` gave. shapes: of all nodes."""
    return operations_of(step.node, [shapes[i] for i in step.node.inputs], shapes[step.output])


def check_operations(graph, shapes, batch: int, most: float) -> None:
    """ValueError where a run takes more than `most` operations for each of its `batch` inputs.

    All operators count, those of parameters alone too.
    """
    counts = {node.name: operations_of(node, [shapes[i] for i in node.inputs], shape)
              for node, shape in zip(graph.nodes, shapes) if node.op != "null"}
    total = sum(counts.values())
    if total > most * batch:
        largest = max(counts, key=counts.get)
        raise ValueError(f"a run takes {total / batch:.3g} operations an input ({counts[largest] / batch:.3g} of them "
                         f"in {largest!r:.80}), at most {most:.3g} are allowed; where the file is to be trusted, raise "
                         "max_operations")
