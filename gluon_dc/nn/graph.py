"""The graph of a net, as it goes into a file: symbol JSON whose variables have the names of the file's tensors."""

import json

import mxnet as mx
import numpy as np

from ..coding import FormatError
from ..runtime.attributes import integers
from ..runtime.graph import infer_shapes, read_graph
from ..runtime.shapes import check_operators
from .parameters import SharedWeight
from .walk import WeightedLayer, named_blocks, plain_parameters

INPUT = "data"
# Attributes that say what MXNet takes anyway, or nothing about what the operator computes in inference.
_ANYWAY = {
    "Convolution": {"dilate": "(1, 1)", "stride": "(1, 1)", "pad": "(0, 0)", "num_group": "1", "no_bias": "False",
                    "layout": "NCHW"},
    "FullyConnected": {"no_bias": "False", "flatten": "True"},
    "BatchNorm": {"axis": "1", "fix_gamma": "True", "use_global_stats": "False", "output_mean_var": "False"},
    "Pooling": {"global_pool": "False", "pool_type": "max", "pooling_convention": "valid", "stride": "(1, 1)",
                "pad": "(0, 0)", "count_include_pad": "True", "layout": "NCHW"},
    "Dropout": {"p": "0.5", "axes": "()", "mode": "training"}, "Concat": {"dim": "1"}, "softmax": {"axis": "-1"},
}
_UNUSED = {"workspace", "momentum", "cudnn_off", "cudnn_tune", "p_value"}
_OF_TWO_AXES = ("Convolution", "Pooling")
_UNUSED_WHEN_GLOBAL = {"kernel", "stride", "pad", "pooling_convention", "count_include_pad"}


def graph_of(net, input_shape=None):
    """The net's graph as symbol JSON text, that of the plain net also where it is pruned or shared.

    Parameters
    ----------
    net : gluon.HybridBlock
        It takes one input and may be plain, pruned or shared; it need not be initialized.
    input_shape : tuple of int, optional
        Shape of one input without the batch, such as (3, 224, 224): noted at the graph's input.

    Returns
    -------
    str
        What ``mx.sym.load_json`` reads. Variables are ``data`` and the structural names of the parameters
        (``features.0.weight``); operators are named after their weight, or numbered. Equal nets have equal graphs.

    Raises
    ------
    ValueError
        A net that cannot be traced, such as one that is no HybridBlock, with the reason.
    """
    if input_shape is not None:
        input_shape = _sizes(input_shape)
    symbol = _traced(net)
    nodes = json.loads(symbol.tojson())
    names, computed = _parameter_names(net)
    owner = _owners(nodes["nodes"], computed)
    made = _Nodes(nodes["nodes"], names, owner)
    heads = [[made.index(head[0]), head[1], 0] for head in nodes["heads"]]
    if input_shape is not None:
        made.note_input_shape((0, *input_shape))
    variables = [i for i, node in enumerate(made.nodes) if node["op"] == "null"]
    graph = {"nodes": made.nodes, "arg_nodes": variables, "heads": heads, "attrs": nodes["attrs"]}
    return json.dumps(graph, separators=(",", ":"))


def check_graph(text, shapes, input_shape):
    """ValueError where an input of this shape does not go through a graph; {name: shape} of its parameters.

    Graphs with operators that the runtime does not know are taken as they are: they can still be restored.
    """
    graph = read_graph(text, shapes)
    try:
        check_operators(graph)
    except FormatError:
        return
    check_axes(graph)
    try:
        infer_shapes(graph, shapes, {graph.nodes[i].name: (1, *input_shape) for i in graph.data})
    except ValueError as error:
        raise ValueError(f"an input of shape {tuple(input_shape)} does not go through the net: {error}") from None


def check_axes(graph):
    """ValueError for a Graph with convolutions or pooling over one or three axes, which the runtime does not run."""
    for node in graph.nodes:
        axes = len(integers(node, "kernel", ())) if node.op in _OF_TWO_AXES else 0
        if axes not in (0, 2):
            raise ValueError(f"{node.op} {node.name!r} is {axes}-D, and gluon_dc.session runs 2-D layers only: without "
                             "the graph (no graph=True, no --graph) the file can be written, and restored into the net")


def _sizes(shape):
    if not isinstance(shape, (tuple, list)) or not all(
            isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0 for size in shape):
        raise ValueError(f"input_shape is a tuple of whole numbers from 1 on, such as (3, 224, 224), got {shape!r}")
    return tuple(map(int, shape))


def _traced(net):
    named_blocks(net)  # a TypeError for what is no Block
    try:
        found = net(mx.sym.var(INPUT))
    except Exception as error:  # whatever a user's forward raises where it gets a symbol
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"the net has no graph: it cannot be traced ({reason}); every block must be a HybridBlock "
                         "that takes symbols, and the net must take one input") from error
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    if not all(isinstance(output, mx.sym.Symbol) for output in found):
        raise ValueError("the net has no graph: it returns something other than symbols where it is given one")
    return mx.sym.Group(found) if len(found) > 1 else found[0]


def _parameter_names(net):
    """({name of a variable: structural name}, {name of a variable that a weight is computed from: that weight's}).

    The variables of a pruned or shared layer (mask, codebook, codes, the weight behind its mask) are in the second.
    """
    names, computed = {}, {}
    for structural, parameter in plain_parameters(net, ready=False).items():
        if not isinstance(parameter, WeightedLayer):
            names[parameter.name] = structural
            continue
        layer, block = parameter, parameter.blocks[0]
        if isinstance(layer.parameter, SharedWeight) or not (layer.is_masked or layer.is_coded):
            names[layer.parameter.name] = structural
            continue
        for attribute in layer.weight_attributes:
            computed[getattr(block, attribute).name] = structural
    return names, computed


def _owners(nodes, computed):
    """For each node the weight that it is a part of computing, or None."""
    owners = []
    for node in nodes:
        if node["op"] == "null":
            owners.append(computed.get(node["name"]))
            continue
        of_inputs = {owners[entry[0]] for entry in node["inputs"]}
        owners.append(of_inputs.pop() if len(of_inputs) == 1 else None)
    return owners


class _Nodes:
    """The nodes that outputs need, under new names, each once and after its inputs."""

    def __init__(self, old, names, owners):
        self.nodes = []
        self._old, self._names, self._owners = old, names, owners
        self._index, self._variables, self._counts = {}, {}, {}

    def index(self, i):
        """New index of an old node; those it needs are made first (no recursion: deep nets are)."""
        stack = [i]
        while stack:
            i = stack[-1]
            if i in self._index:
                stack.pop()
                continue
            missing = [] if self._owners[i] else [
                entry[0] for entry in self._old[i]["inputs"] if entry[0] not in self._index]
            if missing:
                stack.extend(reversed(missing))
            else:
                self._index[i] = self._made(i)
                stack.pop()
        return self._index[i]

    def note_input_shape(self, shape):
        """Write the shape to the input's variable."""
        for node in self.nodes:
            if node["op"] == "null" and node["name"] == INPUT:
                node["attrs"] = {"__shape__": str(tuple(shape))}

    def _made(self, i):
        old = self._old[i]
        if self._owners[i]:
            return self._variable(self._owners[i])
        if old["op"] == "null":
            return self._variable(self._names.get(old["name"], old["name"]))
        inputs = [[self._index[entry[0]], entry[1], 0] for entry in old["inputs"]]
        node = {"op": old["op"], "name": self._operator_name(old["op"], inputs)}
        attrs = _needed(old["op"], old.get("attrs", {}))
        if attrs:
            node["attrs"] = attrs
        node["inputs"] = inputs
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _variable(self, name):
        if name not in self._variables:
            self._variables[name] = len(self.nodes)
            self.nodes.append({"op": "null", "name": name, "inputs": []})
        return self._variables[name]

    def _operator_name(self, op, inputs):
        weights = [self.nodes[entry[0]]["name"] for entry in inputs[1:2] if self.nodes[entry[0]]["op"] == "null"]
        base = weights[0].rpartition(".")[0] or op.lower() if weights else op.lower().strip("_")
        self._counts[base] = self._counts.get(base, 0) + 1
        plain = weights and self._counts[base] == 1
        return base if plain else f"{base}_{self._counts[base]}"


def _needed(op, attrs):
    anyway = _ANYWAY.get(op, {})
    unused = _UNUSED | (_UNUSED_WHEN_GLOBAL if op == "Pooling" and attrs.get("global_pool") == "True" else set())
    return {key: value for key, value in attrs.items()
            if key not in unused and anyway.get(key) != value and not key.startswith("__")}
