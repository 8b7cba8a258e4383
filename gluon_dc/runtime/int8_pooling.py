"""Which max poolings an int8 convolution does itself: its output, four times as large, is never written.

What follows a sum (factor, bias, ReLU) keeps their order, so the maxima are the same numbers.
"""

from collections import Counter
from dataclasses import dataclass, fields, replace

from .arguments import pooling_window, weight_axes
from .attributes import flag, integer, text
from .forms import Geometry
from .int8_plan import NO_WINDOW, Window
from .lowering import Step


@dataclass(frozen=True, eq=False)
class PooledStep(Step):
    """A Convolution whose output is pooled as it is made. window: int8_plan.Window. user: what makes the form its own,
    the output that it has without pooling."""

    window: Window = NO_WINDOW
    user: int = -1


def pooled_steps(steps, shapes, outputs, weights):
    """(steps, shapes) of a run in which convolutions do the poolings that follow them, where that is less work.

    steps: list of Step; shapes: of all values; outputs: values that are returned; weights: `weights.Weights`. A pooling
    of a concatenation is done by all the convolutions whose outputs are put together, or by none.
    """
    if not weights.in_bytes:
        return steps, shapes
    made_by, shapes, instead = {step.output: step for step in steps}, list(shapes), {}
    uses = Counter(value for step in steps for value in step.inputs) + Counter(outputs)
    for step in steps:
        window, before = _window(step, shapes), made_by.get(step.inputs[0])
        if window is None or before is None or uses[before.output] != 1:
            continue
        parts = [made_by.get(value) for value in before.inputs] if _puts_together(before, shapes) else [before]
        if all(part is not None and uses[part.output] == 1 and _does(part, window, shapes, weights) for part in parts):
            instead.update(_pooled(step, before, parts, window))
            for part in parts:
                shapes[part.output] = (*shapes[part.output][:2], window.rows, window.columns)
    if not instead:
        return steps, shapes
    found = [instead.get(step.output, step) for step in steps]
    return [step for step in found if step is not None], shapes


def _pooled(step, before, parts, window):
    # {output of a step: the step in its place, None for the pooling}.
    pooled = {part.output: PooledStep(*(getattr(part, field.name) for field in fields(Step)), window, part.output)
              for part in parts}
    last = pooled.get(before.output, before)
    return {**pooled, before.output: replace(last, output=step.output), step.output: None}


def _window(step, shapes):
    # The Window of a max pooling, or None where it is none that a convolution knows.
    if step.op != "Pooling" or text(step.node, "pool_type", "max") != "max" or flag(step.node, "global_pool"):
        return None
    taken, (rows, columns) = shapes[step.inputs[0]], shapes[step.output][2:]
    kernel, stride, (above, left) = pooling_window(step.node, taken)
    inside = all(2 * (many - 1) - pad < size for many, pad, size in zip((rows, columns), (above, left), taken[2:]))
    if stride != (2, 2) or kernel not in ((2, 2), (3, 3)) or max(above, left) >= kernel[0] or not inside:
        return None
    return Window(kernel[0], above, left, rows, columns)


def _puts_together(step, shapes):
    return step.op == "Concat" and integer(step.node, "dim", 1) % len(shapes[step.output]) == 1


def _does(step, window, shapes, weights):
    # Whether a step is a convolution in bytes that had better pool by itself.
    if step.op != "Convolution":
        return False
    shape, stride_and_more = shapes[step.inputs[0]], weight_axes(step.node)
    if shape[2:] == weights.shapes[step.weight][2:]:  # may run as a matrix
        return False
    form = weights.convolution(step.weight, Geometry(*stride_and_more), shape, step.scale, step.output).form
    return hasattr(form, "pools") and form.pools(shape, window)
