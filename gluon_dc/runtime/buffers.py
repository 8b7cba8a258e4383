"""Where the arrays of a run lie: values share memory as soon as nobody reads them any more."""

import bisect
import math
from collections import Counter

from .attributes import integer
from .lowering import ALIASES
from .simd import ALIGNMENT, aligned

# Operators whose loop may write over its (first) input.
_IN_PLACE = ("Activation", "clip", "BatchNorm", "elemwise_add", "elemwise_sub", "elemwise_mul", "_plus_scalar",
             "_minus_scalar", "_mul_scalar", "_div_scalar")


class Layout:
    """The places of all values of a run.

    steps: list of Step. shapes: by node. data: nodes that a run begins with. outputs: nodes that it returns. constants:
    nodes that have an array of their own. Nothing is allocated before `allocate`.
    """

    def __init__(self, steps, shapes, data, outputs, constants):
        self._steps, self._shapes, self._constants = steps, shapes, set(constants)
        self._data, self._outputs = tuple(data), tuple(outputs)
        self._inside = {}  # value -> (the value that it lies in, offset in floats)
        self._place()
        self._slots, self.sizes = self._share()

    @property
    def nbytes(self) -> int:
        """Bytes that `allocate` takes."""
        return 4 * sum(self.sizes)

    def allocate(self):
        """{node: float32 array}: views of a few 64-byte aligned buffers."""
        buffers = [aligned(size) for size in self.sizes]
        arrays = {}
        for value in [*self._data, *(step.output for step in self._steps)]:
            root, offset = self._root(value)
            if root not in self._constants:
                size, shape = math.prod(self._shapes[value]), self._shapes[value]
                arrays[value] = buffers[self._slots[root]][offset:offset + size].reshape(shape)
        return arrays

    def is_alias(self, step) -> bool:
        """Whether a step has nothing to do: its output is its input, seen otherwise."""
        return step.op in ALIASES

    def constant_of(self, value):
        """The constant that a value is a view of, or None."""
        root, _ = self._root(value)
        return root if root in self._constants else None

    def _root(self, value):
        # As in a union-find: the path is made short on the way, or a long chain of views would be walked many times.
        path, offsets = [], []
        while value in self._inside:
            path.append(value)
            value, offset = self._inside[value]
            offsets.append(offset)
        total = 0
        for inner, offset in zip(path[::-1], offsets[::-1]):
            total += offset
            self._inside[inner] = (value, total)
        return value, total

    def _place(self):
        uses = Counter(i for step in self._steps for i in step.inputs) + Counter(self._outputs)
        made_by = {step.output: step for step in self._steps}
        for step in self._steps:
            first = step.inputs[0]
            maker = made_by.get(first)
            if self.is_alias(step):
                self._inside[step.output] = (first, 0)
            elif step.op == "Concat":
                self._place_parts(step, made_by)
            elif (step.op in _IN_PLACE and uses[first] == 1 and first not in self._inside and maker is not None
                    and maker.op != "Concat" and self._shapes[first] == self._shapes[step.output]):
                # Not over a concatenation: its parts may lie in it and be read by others.
                self._inside[first] = (step.output, 0)

    def _place_parts(self, step, made_by):
        # Inputs of a concatenation are made in their place where that is one piece of memory.
        shape = self._shapes[step.output]
        axis = integer(step.node, "dim", 1) % len(shape)
        if math.prod(shape[:axis]) != 1:
            return
        offset = 0
        for value in step.inputs:
            if value in made_by and value not in self._inside:
                self._inside[value] = (step.output, offset)
            offset += math.prod(self._shapes[value])

    def _share(self):
        """({root: number of its buffer}, [floats of each buffer]): first come, best fit."""
        begin, end = self._lives()
        starting, ending = {}, {}
        for root in begin:
            starting.setdefault(begin[root], []).append(root)
            ending.setdefault(end[root], []).append(root)
        slots, sizes, free = {}, [], []
        for time in range(-1, len(self._steps) + 1):
            for root in starting.get(time, ()):
                size = _rounded(math.prod(self._shapes[root]))
                slots[root] = _take(free, sizes, size)
            for root in ending.get(time, ()):
                bisect.insort(free, (sizes[slots[root]], slots[root]))
        return slots, sizes

    def _lives(self):
        """First and last step at which each root is in use; -1 is before the first step."""
        begin, end = {}, {}
        last = len(self._steps)
        uses = [(-1, self._data)]
        uses += [(time, (*step.inputs, step.output)) for time, step in enumerate(self._steps)]
        uses.append((last, self._outputs))
        for time, values in uses:
            for value in values:
                root, _ = self._root(value)
                if root not in self._constants:
                    begin.setdefault(root, time)
                    end[root] = time
        return begin, end


def _rounded(size):
    # Whole cache lines, and one element at least.
    floats = ALIGNMENT // 4
    return max(1, -(-size // floats)) * floats


def _take(free, sizes, size):
    """The smallest free buffer that is large enough; else the largest free one made larger; else a new one."""
    at = bisect.bisect_left(free, (size, -1))
    if at < len(free):
        return free.pop(at)[1]
    if free:
        slot = free.pop()[1]
        sizes[slot] = size
        return slot
    sizes.append(size)
    return len(sizes) - 1
