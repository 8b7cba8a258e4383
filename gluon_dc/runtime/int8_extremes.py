"""Which layers' outputs a value of a net consists of, so that its largest and least number need not be looked for.

An int8 convolution notes the extremes of what it writes while it has that in registers; where all that another one
reads comes from such layers, it takes its range from them.
"""

from .arguments import pooling_window
from .attributes import flag, integer, text
from .lowering import ALIASES

MOST_PARTS = 16  # of a value: to look for its extremes takes less than to collect those of more


class Extremes:
    """Arrays of extremes by value, as the steps of a plan are bound in order.

    steps: list of Step. shapes: of all values.
    """

    def __init__(self, steps, shapes):
        self._made_by, self._shapes = {step.output: step for step in steps}, shapes
        self._found = {}

    def put(self, value: int, arrays) -> None:
        """Note the arrays int32 (n, 2, 16) that together hold the extremes of a value."""
        self._found[value] = list(arrays)

    def of(self, value: int) -> list | None:
        """The arrays that hold the extremes of a value, or of what its maxima are taken from.

        None where nobody notes them, or too many layers do.
        """
        # A loop, not a recursion: chains may be long, where a file says so.
        found, waiting, seen = [], [value], set()
        while waiting:
            value = waiting.pop()
            if value in seen:
                continue
            seen.add(value)
            step = self._made_by.get(value)
            if value in self._found and len(found) < MOST_PARTS:
                found += self._found[value]
            elif value not in self._found and step is not None and self._keeps_range(step):
                waiting += step.inputs
            else:
                return None
        return found

    def _keeps_range(self, step):
        # Whether the extremes of an operator's output, image by image, are those of its inputs or little less.
        taken, made = (self._shapes[value] for value in (step.inputs[0], step.output))
        if step.op == "Pooling":
            # Means have a smaller range. Of a window beyond the edges comes a number that is nowhere in the input.
            is_max = text(step.node, "pool_type", "max") == "max"
            return is_max and (flag(step.node, "global_pool") or all(
                pad + stride <= kernel for kernel, stride, pad in zip(*pooling_window(step.node, taken))))
        if step.op == "Concat":
            return integer(step.node, "dim", 1) % len(made) != 0  # else images are others than before
        return step.op in ALIASES and taken[0] == made[0]
