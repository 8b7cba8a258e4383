"""How much work a compressed net is: of each layer its weights, multiply-adds, activations and bytes. Nothing runs."""

import math
from dataclasses import dataclass

import numpy as np

from ..coding import FormatError, pack, unpack
from ..coding.context_tensor import decode_groups
from ..coding.tensor import PackedTensor
from .attributes import integers
from .buffers import Layout
from .graph import infer_shapes, read_graph
from .lowering import ALIASES, LAYERS, lower

FIXED, FLOAT = "fixed width", "float32"
# What a run does not execute: views, and concatenations, whose parts are mostly made in their place.
_NO_WORK = (*ALIASES, "Concat")


@dataclass(frozen=True)
class LayerWork:
    """A layer with weights, for one image.

    name: of its weight. op: "Convolution" or "FullyConnected". shape: of the weight. kept: weights that are not pruned
    (all, of a tensor without codes). inputs, outputs: numbers that it reads and writes. file_nbytes: of the weight in
    the file. fixed_nbytes: as codes and gaps of fixed width with the codebook, what hardware can walk without entropy
    decoding. form, resident_nbytes: what is kept in memory: a form of the session, or the estimate `fixed width`.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    kept: int
    inputs: int
    outputs: int
    file_nbytes: int
    fixed_nbytes: int
    form: str
    resident_nbytes: int

    @property
    def weights(self) -> int:
        return math.prod(self.shape)

    @property
    def dense_macs(self) -> int:
        """Multiply-adds with all weights; those that meet a convolution's padding count too, as is usual."""
        return self.outputs * math.prod(self.shape[1:])

    @property
    def sparse_macs(self) -> int:
        """Multiply-adds with the kept weights alone: each is used as often as the layer has positions."""
        return self.kept * (self.outputs // self.shape[0]) if self.shape[0] else 0

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return {**vars(self), "shape": list(self.shape), "weights": self.weights, "dense_macs": self.dense_macs,
                "sparse_macs": self.sparse_macs}


@dataclass(frozen=True)
class NetWork:
    """A net, for one image of input_shape. layers: in order; those that share a weight stand there one by one.

    file_nbytes: the whole file. parameter_nbytes: of all other parameters (biases, batch norms) as float32.
    activation_nbytes: of the buffers that a session's run takes. other_numbers: what operators without weights read
    and write (pooling, additions, softmax; batch norm and ReLU right after a layer are part of it).
    """

    input_shape: tuple[int, ...]
    layers: tuple[LayerWork, ...]
    file_nbytes: int
    parameter_nbytes: int
    activation_nbytes: int
    other_numbers: int

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return {**vars(self), "input_shape": list(self.input_shape), "layers": [row.to_dict() for row in self.layers]}


def net_work(model, input_shape=None, rows=()) -> NetWork:
    """The work of a CompressedModel that has a graph.

    input_shape: of one image, such as (3, 224, 224); by default the one that the graph notes. rows: `Session.layers`,
    for the forms that run; without them resident bytes are the estimate `fixed_nbytes`. Raises FormatError for a model
    without a graph, or whose graph or streams are damaged; ValueError for a shape that does not go through the net.
    """
    if model.graph is None:
        raise FormatError("this file has no graph, which says what its layers do: compress with graph=True, or add "
                          "one: tools/add_graph.py FILE.gdc -o OUT.gdc")
    graph = read_graph(model.graph, model.tensors)
    shape = tuple(map(int, input_shape)) if input_shape is not None else _noted_shape(graph)
    data = {graph.nodes[i].name: (1, *shape) for i in graph.data}
    shapes = infer_shapes(graph, {name: tuple(tensor.shape) for name, tensor in model.items()}, data)
    decode_groups(model.tensors)
    steps = lower(graph, lambda name: _values(model[name], name))
    layers = _layers(steps, shapes, model, rows)
    names = {layer.name for layer in layers}
    others = [step for step in steps if step.op not in (*LAYERS, *_NO_WORK)]
    constants = [i for i, node in enumerate(graph.nodes) if node.op == "null" and i not in graph.data]
    return NetWork(
        shape, layers, model.nbytes,
        sum(4 * math.prod(tensor.shape) for name, tensor in model.items() if name not in names),
        Layout(steps, shapes, graph.data, graph.outputs, constants).nbytes,
        sum(math.prod(shapes[i]) for step in others for i in (*step.inputs, step.output) if i not in constants))


def fixed_nbytes(tensor) -> int:
    """Bytes of a tensor of a model as codes and gaps of fixed width and float32 centroids; a plain array: float32."""
    if isinstance(tensor, np.ndarray):
        return 4 * tensor.size
    # The context coder has no gaps: those of the width that takes the fewest bytes.
    tensor = tensor if isinstance(tensor, PackedTensor) else pack(unpack(tensor), "fixed")
    streams = (tensor.code_bits, tensor.rel_bits)
    return sum(-(-tensor.entries * bits // 8) for bits in streams) + 4 * (tensor.codebook.size - 1)


def _layers(steps, shapes, model, rows):
    forms = {row.name: (row.form, row.nbytes) for row in rows}
    parts = model.part_nbytes()
    known = {}
    for step in steps:
        if step.op in LAYERS and step.weight not in known:
            known[step.weight] = _weight(model[step.weight], step.weight, parts, forms)
    return tuple(LayerWork(step.weight, step.op, tuple(model[step.weight].shape), **known[step.weight],
                           inputs=math.prod(shapes[step.inputs[0]]), outputs=math.prod(shapes[step.output]))
                 for step in steps if step.op in LAYERS)


def _weight(tensor, name, parts, forms):
    is_plain = isinstance(tensor, np.ndarray)
    fixed = fixed_nbytes(tensor)
    form, resident = forms.get(name, (FLOAT if is_plain else FIXED, fixed))
    return {"kept": tensor.size if is_plain else unpack(tensor, name).nnz, "file_nbytes": sum(parts[name].values()),
            "fixed_nbytes": fixed, "form": form, "resident_nbytes": resident}


def _values(tensor, name):
    return np.asarray(tensor if isinstance(tensor, np.ndarray) else unpack(tensor, name).decode(), np.float32)


def _noted_shape(graph):
    node = graph.nodes[graph.data[0]] if len(graph.data) == 1 else None
    noted = integers(node, "__shape__", None) if node is not None else None
    if noted is None or len(noted) < 2 or min(noted[1:]) < 1:
        raise ValueError("the graph does not say the shape of an image: give it, such as --input-shape 3,224,224")
    return noted[1:]
