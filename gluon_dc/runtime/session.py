"""A compressed net that runs by itself: from the graph and the weights of a .gdc file, without MXNet."""

import os
import threading
from collections import OrderedDict

import numpy as np

from ..coding import CompressedModel, FormatError
from ..coding.container import load
from ..coding.context_tensor import decode_groups
from .attributes import integers
from .batch_plan import make_plan
from .choice import checked_force
from .compiling import compiling_shown
from .graph import check_operators, infer_shapes, read_graph
from .graph_layers import open_sizes, possible_forms
from .lowering import lower
from .operations import check_operations
from .settings import MAX_NBYTES, MAX_OPERATIONS, Settings
from .weights import Weights

MAX_SHAPES = 4
MAX_IDLE = 4


def session(model, threads=1, force=None, batch=1, input_shape=None, max_nbytes=MAX_NBYTES,
            measure=True, progress=None, max_operations=MAX_OPERATIONS, precision="float32") -> "Session":
    """Make a compressed net ready to run, without MXNet.

    Parameters
    ----------
    model : CompressedModel, or path of a .gdc file
        With a graph: made by ``gluon_dc.compress(net, graph=True)``, or by tools/add_graph.py.
    threads : int >= 1
        That a run may use.
    force : str or dict, optional
        The form that layers run in, in place of the one chosen: one name ("dense", "sliced", "window", "panels",
        "direct"), which layers of another kind ignore, or {pattern: name} over names of weights, where each pattern
        matches a layer that may run so.
    batch : int >= 1
        Inputs of a run, to choose forms for before the first one; any other number runs too.
    input_shape : tuple of int, optional
        Of one input, such as (3, 224, 224), where the graph does not say or for another. Without both the layers are
        prepared by the first run.
    max_nbytes : int
        Most bytes that one run may work in: activations, buffers of layers, results.
    measure : bool
        Whether each layer's forms are timed, once, for the fastest (milliseconds a layer, remembered in the user's cache
        folder: ``runtime.choice_cache``); else forms are chosen by rule.
    progress : callable, optional
        ``progress(weights)`` after each part that the context coder has decoded, a second for a million weights; from
        any thread.
    max_operations : int
        Most multiply-adds, and numbers touched by operators without weights, that a run may take for each input: a
        small file may describe a net that runs for hours. LeNet-5 takes 2 million, VGG-16 16 thousand million.
    precision : "float32" or "int8"
        "int8": convolutions may run in bytes, several times as fast where the processor multiplies bytes (AVX-512
        VNNI), and off by about a hundredth of a layer's largest output; else results are those of the dense net, to
        float32 rounding. docs/runtime.md says more.

    Returns
    -------
    Session

    Raises
    ------
    FormatError
        The file is damaged, has no graph, or one with operators that are not known; the message names them.
    ValueError
        Settings out of range; an input shape that the net does not take.
    OSError
        The file cannot be read.
    """
    settings = Settings(threads, force, batch, input_shape, max_nbytes, measure, max_operations, precision)
    if isinstance(model, CompressedModel):
        with compiling_shown():
            return Session(model, None, settings, progress)
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(f"session takes a CompressedModel or the path of a file, got {type(model).__name__}: "
                        "gluon_dc.loads(data) reads bytes, gluon_dc.compress(net, graph=True) takes a net")
    path = os.fspath(model)
    with compiling_shown():
        return _of_file(path, settings, progress)


def _of_file(path, settings, progress):
    found = load(path)  # refuses what is no .gdc file before it reads all of it
    with open(path, "rb") as file:
        data = file.read()
    try:
        return Session(found, data, settings, progress)
    except FormatError as error:  # other errors are about settings
        raise FormatError(f"{path}: {error}") from None


class Session:
    """A net that runs. `gluon_dc.session` makes one; several threads may call `run` at the same time.

    Attributes
    ----------
    input_shape : tuple of int, or None
        Shape of one input, where it is known.
    metadata : dict
        The file's.
    """

    def __init__(self, model, data, settings, progress=None):
        if model.graph is None:
            raise FormatError("this file has no graph, so it cannot run by itself: compress with graph=True, or add "
                              "one: tools/add_graph.py FILE.gdc -o OUT.gdc")
        self.metadata, self._settings = dict(model.metadata), settings
        self._graph = read_graph(model.graph, model.tensors)
        check_operators(self._graph)
        self._check_data()
        self._plans, self._lock, self._last = OrderedDict(), threading.Lock(), None
        self.input_shape = settings.input_shape or self._noted_shape()
        shapes = self._check_shapes({name: tuple(tensor.shape) for name, tensor in model.items()})
        checked_force(settings.force, possible_forms(self._graph, model, shapes, settings.precision),
                      settings.precision)
        self._weights = Weights(model, data, settings.force, settings.threads, settings.measure,
                                precision=settings.precision)
        decode_groups(model.tensors, progress)  # on several threads
        self._steps = lower(self._graph, self._weights.array)
        if self.input_shape is None:
            return
        plan = self._new_plan((settings.batch, *self.input_shape))
        self._put_back((settings.batch, *self.input_shape), plan)

    def __repr__(self):
        weights = "not yet made ready" if self._last is None else f"weights of {self.weights_nbytes:,} bytes"
        return f"Session({self._expected()}, {len(self._weights.shapes)} tensors, {weights})"

    def __reduce_ex__(self, protocol):
        raise TypeError("a Session cannot be copied or pickled: make another one from the file, gluon_dc.session(FILE);"
                        " threads may share this one")

    def __call__(self, x):
        return self.run(x)

    def run(self, x):
        """The net's output for x, float32 (n, ...); a tuple where it has several.

        x: float32 array (n, *input_shape), preprocessed as the net wants it. Raises ValueError for another dtype or a
        shape that the net does not take.
        """
        x = self._checked(x)
        plan = self._take(x.shape)
        try:
            outputs = plan.run(x)
        finally:
            self._put_back(x.shape, plan)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def profile(self, x, rounds=10) -> list[tuple[str, float]]:
        """(weight or operator, median seconds) of every step for x, in order."""
        x = self._checked(x)
        plan = self._take(x.shape)
        try:
            return list(zip(plan.names, plan.profile(x, rounds)))
        finally:
            self._put_back(x.shape, plan)

    @property
    def weights_nbytes(self) -> int:
        """Resident bytes of all weights in the forms that run, other parameters, and the file itself where it is kept
        (for batch sizes that want other forms)."""
        return self._weights.nbytes

    @property
    def layers(self) -> tuple:
        """A `LayerRow` for each layer with weights, of the last shape that was made ready."""
        return () if self._last is None else tuple(self._last.rows)

    def table(self) -> str:
        """Text: each layer, its form, its resident bytes beside dense float32, microseconds of each form measured.

        Of the last shape of inputs that was made ready, which it names.
        """
        lines = [("layer", "weight", "kept", "form", "bytes", "of dense", "us of a call")]
        for row in self.layers:
            dense = 4 * int(np.prod(row.shape))
            lines.append((row.name, "x".join(map(str, row.shape)), f"{100 * row.density:.1f} %", row.form,
                          f"{row.nbytes:,}", f"{100 * row.nbytes / dense:.1f} %", row.choice.times()))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = [_justified(line, widths) for line in lines]
        text.insert(1, "-" * len(text[0]))
        dense = sum(4 * int(np.prod(shape)) for shape in self._weights.shapes.values())
        text.append(f"all weights resident: {self.weights_nbytes:,} bytes, {dense:,} as dense float32 "
                    f"({dense / max(1, self.weights_nbytes):.1f}x)")
        if self._last is not None:
            together = getattr(self._last, "together", None)  # of a BatchPlan
            few = "" if together is None else f"; {together} at a time up to the first matrix, a call is of so many"
            text.append(f"inputs of shape {self._last.shape}: {self._last.nbytes:,} bytes of activations, buffers and "
                        f"results{few}")
        return "\n".join(text)

    def _check_data(self):
        names = [self._graph.nodes[i].name for i in self._graph.data]
        if len(names) != 1:
            raise FormatError(f"graph: a session runs nets with one input; {len(names)} variables are no tensors of "
                              f"the file: {', '.join(names[:8]) or 'none'}")

    def _check_shapes(self, weight_shapes):
        # Before anything is decoded, which takes seconds for a large net. Shapes of all nodes, or None where the
        # input's is not known.
        if self.input_shape is None:
            return None
        name, batch = self._graph.nodes[self._graph.data[0]].name, self._settings.batch
        try:
            shapes = infer_shapes(self._graph, weight_shapes, {name: (batch, *self.input_shape)})
        except FormatError:
            raise
        except ValueError as error:
            if self._settings.input_shape is None:
                raise FormatError(str(error)) from None  # the file contradicts itself
            raise ValueError(f"input_shape: {self.input_shape} does not go through the net ({error})") from None
        check_operations(self._graph, shapes, batch, self._settings.max_operations)
        return shapes

    def _noted_shape(self):
        node = self._graph.nodes[self._graph.data[0]]
        shape = integers(node, "__shape__", None)
        return shape[1:] if shape is not None and len(shape) > 1 and min(shape[1:]) >= 1 else None

    def _sizes(self):
        return open_sizes(self._graph, self._weights.shapes) if self.input_shape is None else self.input_shape

    def _expected(self):
        return f"(n, {', '.join(map(str, self._sizes()))})"

    def _checked(self, x):
        if not isinstance(x, np.ndarray) or x.dtype != np.float32:
            kind = f"{x.dtype} of shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
            raise ValueError(f"expected a float32 array of shape {self._expected()}, got {kind}: preprocess it, then "
                             "x.astype(np.float32)")
        if x.ndim < 2 or 0 in x.shape or self.input_shape is not None and x.ndim != 1 + len(self.input_shape):
            is_one = 0 not in x.shape and len(x.shape) == len(self._sizes()) and x.shape[0] == self._sizes()[0]
            raise ValueError(f"expected an input of shape {self._expected()}, got {x.shape}"
                             + "; one image is a batch of one: x[None]" * is_one)
        return x

    def _take(self, shape):
        with self._lock:
            idle = self._plans.get(shape)
            if idle:
                self._plans.move_to_end(shape)
                return idle.pop()
        try:
            return self._new_plan(shape)
        except FormatError:
            raise
        except ValueError as error:
            raise ValueError(f"an input of shape {shape} does not go through the net, expected {self._expected()} "
                             f"({error})") from None

    def _new_plan(self, shape):
        with compiling_shown():
            plan = self._made_plan(shape)
        self._weights.release()  # what was decoded to make forms
        self._last = plan
        return plan

    def _made_plan(self, shape):
        return make_plan(self._graph, self._steps, self._weights, shape, self._settings.threads,
                         self._settings.max_nbytes, self._settings.max_operations)

    def _put_back(self, shape, plan):
        with self._lock:
            idle = self._plans.setdefault(shape, [])
            self._plans.move_to_end(shape)
            if len(idle) < MAX_IDLE:
                idle.append(plan)
            while len(self._plans) > MAX_SHAPES:
                self._plans.popitem(last=False)


def _justified(line, widths):
    cells = [cell.ljust(width) if i in (0, 3, 6) else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))]
    return "  ".join(cells).rstrip()
