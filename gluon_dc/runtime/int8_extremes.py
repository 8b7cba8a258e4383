"""Which layers' outputs a value of a net consists of, so that its largest and least number need not be looked for.

An int8 convolution notes the extremes of what it writes while it has that in registers; where all that another one
reads comes from such layers, it takes its range from them.
"""

from .attributes import text
from .lowering import ALIASES


class Extremes:
    """Arrays of extremes by value, as the steps of a plan are bound in order. steps: list of Step."""

    def __init__(self, steps):
        self._made_by = {step.output: step for step in steps}
        self._found = {}

    def put(self, value: int, arrays) -> None:
        """Note the arrays int32 (n, 2, 16) that together hold the extremes of a value."""
        self._found[value] = list(arrays)

    def of(self, value: int) -> list | None:
        """The arrays that hold the extremes of a value, or of more than it; None where nobody notes them."""
        # A loop, not a recursion: chains may be long, where a file says so.
        found, waiting, seen = [], [value], set()
        while waiting:
            value = waiting.pop()
            if value in seen:
                continue
            seen.add(value)
            step = self._made_by.get(value)
            if value in self._found:
                found += self._found[value]
            elif step is not None and _keeps_range(step):
                waiting += step.inputs
            else:
                return None
        return found


def _keeps_range(step):
    # Whether an operator gives no number beyond those of its inputs, and 0.
    if step.op == "Pooling":
        return text(step.node, "pool_type", "max") in ("max", "avg")
    return step.op in ALIASES or step.op == "Concat"
