"""The net of a .gdc file as an ONNX model: the graph in the file, operator by operator; no MXNet is involved."""

import numpy as np

from .. import __version__
from ..coding import CompressedModel, unpack
from ..runtime.graph import infer_shapes, integers, read_graph
from .onnx_builder import FUNCTIONS_DOMAIN, OPSET, Builder
from .onnx_decoders import coded_weight, floats, function_protos
from .onnx_file import OnnxModel, Tensor
from .onnx_operators import CONVERTERS, Step, convert
from .onnx_pooling import adaptive_pooling, pooling

CONVERTERS |= {"Pooling": pooling, "_contrib_AdaptiveAvgPooling2D": adaptive_pooling}

# Versions of the file format: 7 goes with OPSET, functions came with 8.
_IR_VERSION, _IR_VERSION_WITH_FUNCTIONS = 7, 8
_BATCHES = (2, 3)
BATCH = "n"


def to_onnx(model: CompressedModel, input_shape=None, compact: bool = False, progress=None) -> OnnxModel:
    """The ONNX model of a compressed net.

    input_shape: of one input, without the batch axis, (c, h, w) or (features,); None for the one noted in the graph.
    Batches may have any size. compact: weights stay small in the file and are made from codebook and codes when it is
    loaded. progress(weights), if given, is called after each parameter. Raises ValueError where there is no graph, no
    input shape, or a graph that cannot be exported (FormatError for an operator or attribute that is not known),
    ModuleNotFoundError where the package `onnx` is not installed.
    """
    if model.graph is None:
        raise ValueError("the file has no graph, so it does not say how its layers go together: compress with "
                         "graph=True, or add one (tools/add_graph.py); weights alone: tools/export_weights.py")
    graph = read_graph(model.graph, set(model.names))
    if len(graph.data) != 1:
        names = ", ".join(graph.nodes[i].name for i in graph.data) or "none"
        raise ValueError(f"the graph has {len(graph.data)} inputs that are no parameters ({names}), expected one")
    input_shape = noted_input_shape(graph) if input_shape is None else tuple(input_shape)
    if not input_shape:
        raise ValueError("the graph does not say which shape an input has: give it (--input-shape 3,224,224)")
    return _Conversion(model, graph, input_shape, compact, progress or (lambda weights: None)).run()


def noted_input_shape(graph) -> tuple[int, ...]:
    """The shape of one input that is noted at the graph's variable, () where there is none."""
    shape = integers(graph.nodes[graph.data[0]], "__shape__", ())[1:]
    return shape if all(size > 0 for size in shape) else ()


class _Conversion:
    # One run over the graph; a class only so that its state has a place.
    def __init__(self, model, graph, input_shape, compact, progress):
        self.model, self.graph, self.compact, self.progress = model, graph, compact, progress
        self.builder = Builder(named=not compact)
        parameters = {name: tensor.shape for name, tensor in model.items()}
        data = graph.nodes[graph.data[0]].name
        self.shapes, self.other_shapes = (infer_shapes(graph, parameters, {data: (batch, *input_shape)})
                                          for batch in _BATCHES)
        self.outputs = {}  # index of a node -> name of its output

    def run(self):
        [data] = self.graph.data
        self.outputs[data] = self.builder.name(self.graph.nodes[data].name)
        needed = self._needed()
        for i, node in enumerate(self.graph.nodes):
            if i in needed and node.op != "null":
                self.outputs[i] = convert(self._step(i, node))
        heads = [self._head(i) for i in self.graph.outputs]
        return OnnxModel(self._proto(data, heads), tuple(self.builder.tensors.values()))

    def _needed(self):
        needed = set(self.graph.outputs)
        for i in range(len(self.graph.nodes) - 1, -1, -1):
            if i in needed:
                needed.update(self.graph.nodes[i].inputs)
        return needed

    def _step(self, i, node):
        def is_parameter(source):
            return self.graph.nodes[source].op == "null" and source not in self.graph.data
        # The statistics of a batch norm become other vectors in the compact form: take no weights for nothing.
        taken = node.inputs[:1] if node.op == "BatchNorm" and self.compact else node.inputs
        return Step(
            node, self.builder, tuple(self._output(source) for source in taken),
            {place: lambda source=source: self._array(self.graph.nodes[source].name)
             for place, source in enumerate(node.inputs) if is_parameter(source)},
            tuple(self.shapes[source] for source in node.inputs), self.shapes[i],
            tuple(self.other_shapes[source] for source in node.inputs), self.other_shapes[i], self.compact)

    def _output(self, i):
        if i not in self.outputs:
            self.outputs[i] = self._parameter(self.graph.nodes[i].name)
        return self.outputs[i]

    def _parameter(self, name):
        tensor = self.model[name]
        self._check(name, tensor)
        self.progress(int(np.prod(tensor.shape)))
        if not self.compact:
            tensor = Tensor(self.builder.name(name), "float32", tensor.shape, lambda: self._array(name))
            return self.builder.add(tensor)
        if isinstance(tensor, np.ndarray):
            return floats(self.builder, self._array(name), name)
        coded = unpack(tensor, name)
        return coded_weight(self.builder, coded, name) or self.builder.constant(coded.decode(), wanted=name)

    def _check(self, name, tensor):
        if isinstance(tensor, np.ndarray) and tensor.dtype.kind != "f":
            raise ValueError(f"parameter {name!r} is {tensor.dtype}: only float parameters can be exported")

    def _array(self, name):
        tensor = self.model[name]
        self._check(name, tensor)
        array = tensor if isinstance(tensor, np.ndarray) else unpack(tensor, name).decode()
        return array.astype(np.float32, copy=False)

    def _head(self, i):
        output, sizes = self._output(i), zip(self.shapes[i], self.other_shapes[i])
        # An output must be a node's, and once.
        name = self.builder.node("Identity", [output], f"output_{i}")
        return name, [BATCH if (a, b) == _BATCHES else a if a == b else None for a, b in sizes]

    def _proto(self, data, heads):
        from onnx import TensorProto, helper
        make = helper.make_tensor_value_info
        inputs = [make(self.outputs[data], TensorProto.FLOAT, [BATCH, *self.shapes[data][1:]])]
        outputs = [make(name, TensorProto.FLOAT, shape) for name, shape in heads]
        graph = helper.make_graph(self.builder.nodes, "net", inputs, outputs)
        functions = function_protos(self.builder.functions)
        opsets = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(FUNCTIONS_DOMAIN, 1)] * bool(functions)
        return helper.make_model(graph, producer_name="gluon_dc", producer_version=__version__, opset_imports=opsets,
                                 functions=functions,
                                 ir_version=_IR_VERSION_WITH_FUNCTIONS if functions else _IR_VERSION)
