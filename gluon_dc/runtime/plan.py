"""One way through a net for inputs of one shape: all arrays allocated, all layers in their forms, ready to be run."""

import math
import time

import numpy as np

from .arguments import weight_axes
from .buffers import Layout
from .graph import infer_shapes
from .layer_calls import bind_layer
from .lowering import LAYERS
from .operators import bind


class Plan:
    """Runs a net for inputs of one shape, by one thread at a time.

    graph: Graph. steps: as `lower` gives them. weights: Weights. shape: of the input. max_nbytes: most bytes that
    activations may take. Raises ValueError for shapes that do not go through the net, and for more bytes than that,
    before they are allocated; as `Weights` for weights that do not decode.
    """

    def __init__(self, graph, steps, weights, shape, max_nbytes):
        data = graph.nodes[graph.data[0]]
        shapes = infer_shapes(graph, weights.shapes, {data.name: shape})
        constants = [i for i, node in enumerate(graph.nodes) if node.op == "null" and i not in graph.data]
        layout = Layout(steps, shapes, graph.data, graph.outputs, constants)
        self.nbytes = layout.nbytes
        _check_nbytes(self.nbytes + _margins(steps, shapes), shape, max_nbytes)
        self._arrays = layout.allocate()
        self._weights, self._graph = weights, graph
        self._layout, self._shapes = layout, shapes
        self._input = self._array(graph.data[0])
        self.rows, self._calls, self.names = [], [], []
        for step in _with_progress(steps):
            if not layout.is_alias(step):
                self._calls.append(self._bound(step))
                self.names.append(step.weight or step.node.name)
        self._outputs = [self._array(i) for i in graph.outputs]

    def run(self, x, threads) -> list[np.ndarray]:
        """New arrays of the net's outputs for x."""
        np.copyto(self._input, x)
        for call in self._calls:
            call(threads)
        return [output.copy() for output in self._outputs]

    def profile(self, x, threads, rounds) -> list[float]:
        """Median seconds of each step, in the order of `names`."""
        np.copyto(self._input, x)
        seconds = np.zeros((rounds, len(self._calls)))
        for of_round in seconds:
            for i, call in enumerate(self._calls):
                begin = time.perf_counter()
                call(threads)
                of_round[i] = time.perf_counter() - begin
        return np.median(seconds, axis=0).tolist()

    def _bound(self, step):
        inputs, output = [self._array(i) for i in step.inputs], self._array(step.output)
        if step.op not in LAYERS:
            return bind(step, inputs, output)
        call, row = bind_layer(step, inputs[0], output, self._weights)
        self.rows.append(row)
        return call

    def _array(self, i):
        if i in self._arrays:
            return self._arrays[i]
        # A parameter, or a view of one.
        name = self._graph.nodes[self._layout.constant_of(i)].name
        return self._weights.array(name).reshape(self._shapes[i])


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
        raise ValueError(f"an input of shape {shape} ({math.prod(shape):,} numbers) makes activations of {nbytes:,} "
                         f"bytes, at most {max_nbytes:,} are allowed: run fewer at a time, or raise max_nbytes")


def _with_progress(steps):
    # Layers are prepared, and measured where they are new to this machine: a bar on a terminal after two seconds.
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    return tqdm(steps, desc="preparing layers", unit="step", delay=2, leave=False, disable=None)
