"""One way through a net for inputs of one shape: all arrays allocated, all layers in their forms, ready to be run."""

import math
import time

import numpy as np

from .arguments import weight_axes
from .buffers import Layout
from .int8_extremes import Extremes
from .int8_pooling import pooled_steps
from .layer_calls import bind_layer
from .lowering import LAYERS
from .operations import operations_of_step
from .operators import bind
from .scratch import Scratch
from .tasks import Program

# Operations of a call that nothing interrupts: some milliseconds.
_MOST_WORK = 2**28


class Plan:
    """Runs steps of a net for inputs of one shape, by one thread at a time.

    graph: Graph. steps: of those that `lower` gives. weights: Weights. shapes: of all nodes (`infer_shapes`). source:
    the node that the steps begin with; results: nodes that they give. threads: that a run may use. max_nbytes: most
    bytes that activations, buffers of layers and results may take; ValueError for more, before it is allocated; as
    `Weights` for weights that do not decode.
    """

    def __init__(self, graph, steps, weights, shapes, source, results, threads, max_nbytes):
        constants = [i for i, node in enumerate(graph.nodes) if node.op == "null" and i not in graph.data]
        layout = Layout(steps, shapes, (source,), results, constants)
        self.shape, self._activations_nbytes = tuple(shapes[source]), layout.nbytes + 4 * sum(
            math.prod(shapes[i]) for i in results)
        _check_nbytes(self._activations_nbytes + _margins(steps, shapes), self.shape, max_nbytes)
        # Fewer activations, never more: the forms that pool are made once it is known that all is in bounds.
        pooled, shapes = pooled_steps(steps, shapes, results, weights)
        if pooled is not steps:
            steps, layout = pooled, Layout(pooled, shapes, (source,), results, constants)
            self._activations_nbytes = layout.nbytes + 4 * sum(math.prod(shapes[i]) for i in results)
        self._arrays = layout.allocate()
        self._weights, self._graph, self._threads = weights, graph, threads
        self._layout, self._shapes = layout, shapes
        self.source = self._array(source)
        self.rows, self.names, self._stages = [], [], []
        self._scratch = Scratch(limit=max_nbytes - self._activations_nbytes)
        self._extremes = Extremes(steps, shapes)
        executed = [step for step in steps if not layout.is_alias(step)]
        for step in _with_progress(executed):
            self._stages.append(self._bound(step))
            self.names.append(step.weight or step.node.name)
        self._programs = [Program([stage for i in group for stage in self._stages[i]])
                          for group in _groups([operations_of_step(step, shapes) for step in executed])]
        self.results = [self._array(i) for i in results]

    @property
    def nbytes(self) -> int:
        """Bytes of all that a run works in: activations, buffers of layers, and the results that it gives."""
        return self._activations_nbytes + self._scratch.nbytes

    def run(self, x) -> list[np.ndarray]:
        """New arrays of the results for x."""
        self.source[...] = x
        self.fill()
        return [result.copy() for result in self.results]

    def fill(self) -> None:
        """Compute `results`, arrays, from what stands in `source`. NaN and infinities go through without a warning."""
        with np.errstate(all="ignore"):  # of this thread alone
            for program in self._programs:
                program()

    def profile(self, x, rounds) -> list[float]:
        """Median seconds of each step, in the order of `names`."""
        self.source[...] = x
        programs = [Program(stages) for stages in self._stages]
        seconds = np.zeros((rounds, len(programs)))
        with np.errstate(all="ignore"):
            for of_round in seconds:
                for i, program in enumerate(programs):
                    begin = time.perf_counter()
                    program()
                    of_round[i] = time.perf_counter() - begin
        return np.median(seconds, axis=0).tolist()

    def _bound(self, step):
        inputs, output = [self._array(i) for i in step.inputs], self._array(step.output)
        if step.op not in LAYERS:
            return bind(step, inputs, output, self._threads)
        stages, row = bind_layer(step, inputs[0], output, self._weights, self._threads, self._scratch,
                                 self._extremes)
        self.rows.append(row)
        return stages

    def _array(self, i):
        if i in self._arrays:
            return self._arrays[i]
        # A parameter, or a view of one.
        name = self._graph.nodes[self._layout.constant_of(i)].name
        return self._weights.array(name).reshape(self._shapes[i])


def _groups(works):
    # Steps whose work in one call is little enough that Ctrl-C does not wait for it: ranges of their numbers.
    groups, total = [], math.inf
    for i, work in enumerate(works):
        if total + work > _MOST_WORK:
            groups.append([])
            total = 0
        groups[-1].append(i)
        total += work
    return groups


def _margins(steps, shapes):
    # Forms copy a convolution's input into planes with margins: those of the largest.
    found = [0]
    for step in steps:
        if step.op == "Convolution":
            n, channels, height, width = shapes[step.inputs[0]]
            _, pad, _, _ = weight_axes(step.node)
            found.append(4 * n * channels * (height + 2 * pad[0]) * (width + 2 * pad[1]))
    return max(found)


def _check_nbytes(nbytes, shape, max_nbytes):
    if nbytes > max_nbytes:
        raise ValueError(f"an input of shape {shape} ({math.prod(shape):,} numbers) makes activations and results "
                         f"of {nbytes:,} bytes, at most {max_nbytes:,} are allowed: run fewer at a time, or raise "
                         "max_nbytes")


def _with_progress(steps):
    # Layers are prepared, and measured where they are new to this machine: a bar on a terminal after two seconds.
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    return tqdm(steps, desc="preparing layers", unit="step", delay=2, leave=False, disable=None)
