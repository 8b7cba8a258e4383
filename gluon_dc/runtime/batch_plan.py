"""A batch through a net: layers up to the first matrix run a few images at a time, matrices the whole batch.

What a convolution writes for one image is still in the second cache when the next one reads it; what it writes for
eight is not. A matrix is read once for all images. With several threads, each runs images of its own.
"""

import math
from collections import deque
from dataclasses import replace
from functools import partial

import numpy as np

from ..coding.threads import core_count
from .arguments import softmax_axis
from .buffers import Layout
from .graph import infer_shapes
from .layer_calls import is_matrix
from .lowering import LAYERS
from .operations import check_operations, operations_of_step
from .plan import Plan
from .pool import run_all

# Activations of the images that run together: a second cache.
TOGETHER_NBYTES = 2**20
# Operations below which threads share out layers and not images: waking them takes as long.
_WORTH_THREADS = 2**28


def make_plan(graph, steps, weights, shape, threads, max_nbytes, max_operations):
    """A `Plan` or `BatchPlan` for inputs of this shape.

    graph: Graph. steps: as `lower` gives them. weights: Weights. threads: that a run may use. max_nbytes: most bytes
    that a run may work in. max_operations: most for each input. Raises ValueError for shapes that do not go through the
    net and for more than that, before it is allocated.
    """
    def shapes_of(images):
        return infer_shapes(graph, weights.shapes, {graph.nodes[graph.data[0]].name: (images, *shape[1:])})
    images, shapes, source = shape[0], shapes_of(shape[0]), graph.data[0]
    check_operations(graph, shapes, images, max_operations)
    end, cores = head_end(graph, steps, shapes), min(threads, core_count())
    passed = graph.outputs if end == len(steps) else steps[end].inputs[:1]
    each_its_own = _each_its_own(steps[:end], shapes, images, cores)
    together = images_together(graph, steps[:end], passed, shapes, shapes_of, cores if each_its_own else 1)
    if together == images:
        return Plan(graph, steps, weights, shapes, source, graph.outputs, threads, max_nbytes)
    result_shapes = [shapes[i] for i in passed]
    left = max_nbytes - (_nbytes(result_shapes) if end == len(steps) else 0)
    heads, some = [], shapes_of(together)
    for _ in range(min(cores, -(-images // together)) if each_its_own else 1):
        heads.append(Plan(graph, steps[:end], weights, some, source, passed, 1 if each_its_own else threads, left))
        left -= heads[-1].nbytes
    tail = None
    if end < len(steps):
        tail = Plan(graph, steps[end:], weights, shapes, passed[0], graph.outputs, threads, left)
    return BatchPlan(heads, tail, shape, result_shapes)


class BatchPlan:
    """Runs a net for batches of one shape, by one thread at a time, as a `Plan` does.

    heads: Plans of the first steps, for fewer images: as many as threads run them. tail: Plan of the others, which
    begins with what heads give, or None. shape: of the input. result_shapes: of what heads give, for all images.
    """

    def __init__(self, heads, tail, shape, result_shapes):
        self.shape, self._heads, self._tail = tuple(shape), heads, tail
        self.together, self._result_shapes = heads[0].shape[0], result_shapes
        self._starts = chunk_starts(shape[0], self.together)
        self.rows = [replace(row, work=row.work // self.together * shape[0]) for row in heads[0].rows]
        self.rows += tail.rows if tail else []
        self.names = heads[0].names + (tail.names if tail else [])

    @property
    def nbytes(self) -> int:
        """Bytes of all that a run works in: activations, buffers of layers, and the results that it gives."""
        whole = self._tail.nbytes if self._tail else _nbytes(self._result_shapes)
        return sum(head.nbytes for head in self._heads) + whole

    def run(self, x) -> list[np.ndarray]:
        """New arrays of the net's outputs for x."""
        wanted = [self._tail.source] if self._tail else [np.empty(shape, np.float32) for shape in self._result_shapes]
        starts = deque(self._starts)  # each thread takes the next one
        run_all([partial(self._run_images, head, starts, x, wanted) for head in self._heads])
        if self._tail is None:
            return wanted
        self._tail.fill()
        return [result.copy() for result in self._tail.results]

    def _run_images(self, head, starts, x, wanted):
        try:
            while starts:
                start = starts.popleft()
                images = slice(start, start + self.together)
                head.source[...] = x[images]
                head.fill()
                for result, whole in zip(head.results, wanted):
                    whole[images] = result
        except IndexError:
            if starts:
                raise
        except BaseException:
            starts.clear()  # Ctrl-C: the others need not go on
            raise

    def profile(self, x, rounds) -> list[float]:
        """Median seconds of each step, in the order of `names`: of the first images, times how often others follow."""
        head = self._heads[0].profile(x[:self.together], rounds)
        seconds = [len(self._starts) * second for second in head]
        return seconds + (self._tail.profile(self._tail.source, rounds) if self._tail else [])


def _nbytes(shapes):
    return 4 * sum(map(math.prod, shapes))


def chunk_starts(images: int, together: int) -> list[int]:
    """The first of each `together` images: the last ones may be among those before too."""
    return [min(start, images - together) for start in range(0, images, together)]


def images_together(graph, steps, results, shapes, shapes_of, threads=1) -> int:
    """How many images run at a time through these steps, the first ones of a net: all where that is no gain.

    results: nodes whose values are wanted. shapes: of all nodes. shapes_of: function from a number of images to the
    shapes of all nodes. threads: that run images of their own.
    """
    images = shapes[graph.data[0]][0]
    if images == 1 or not any(step.op == "Convolution" for step in steps):
        return images
    try:
        of_one = shapes_of(1)
    except ValueError:  # a net that is made for one batch size
        return images
    if not goes_by_image(graph, steps, results, shapes, of_one):
        return images
    constants = [i for i, node in enumerate(graph.nodes) if node.op == "null" and i not in graph.data]
    nbytes = Layout(steps, of_one, graph.data, results, constants).nbytes
    most = min(max(1, TOGETHER_NBYTES // nbytes), -(-images // threads))
    return -(-images // -(-images // most))  # all chunks about as large


def head_end(graph, steps, shapes) -> int:
    """How many of the steps come before the first matrix that all later ones depend on alone; all where none is such.

    shapes: of all nodes.
    """
    live = _live(graph, steps)
    for i, step in enumerate(steps):
        if step.op in LAYERS and live[i] == 1 and step.inputs[0] not in graph.outputs and is_matrix(
                step.node, shapes[step.inputs[0]], shapes[step.output]):
            return i
    return len(steps)


def _live(graph, steps):
    # For each step the number of values made before it, parameters apart, that it or a later one takes.
    made = {step.output: i for i, step in enumerate(steps)} | dict.fromkeys(graph.data, -1)
    last = {value: i for i, step in enumerate(steps) for value in step.inputs if value in made}
    last |= {value: len(steps) for value in graph.outputs if value in made}
    change = np.zeros(len(steps) + 2, np.int64)
    for value, step in last.items():
        change[made[value] + 1] += 1
        change[step + 1] -= 1
    return np.cumsum(change).tolist()


def goes_by_image(graph, steps, results, shapes, of_one) -> bool:
    """Whether the results of these steps are for each image what they would be for it alone.

    results: nodes. shapes: of all nodes for the batch, of two images or more; of_one: for one. Where axis 0 is the
    batch's in both and nothing else differs, it is that of the images: what would mix them changes its size, but for a
    softmax along it.
    """
    images, depend = shapes[graph.data[0]][0], set(graph.data)
    for step in steps:
        if not depend.intersection(step.inputs):
            continue
        depend.add(step.output)
        many, one = shapes[step.output], of_one[step.output]
        if many[0] != images or one[0] != 1 or many[1:] != one[1:]:
            return False
        if step.op == "LeakyReLU" and depend.intersection(step.inputs[1:]):
            return False  # slopes for channels, made from images
        if step.op in ("softmax", "log_softmax") and softmax_axis(step.node) % len(many) == 0:
            return False
    return depend.issuperset(results)


def _each_its_own(steps, shapes, images, threads):
    # Whether threads run images of their own: few of them idle in the last round, and worth being woken.
    even = threads > 1 and -(-images // threads) * threads <= 1.25 * images
    return even and sum(operations_of_step(step, shapes) for step in steps) >= _WORTH_THREADS
