"""The graph of a net as it stands in a file: MXNet's symbol JSON, whose parameters have the names of the tensors.

Read here without MXNet, from text that may be hostile: operators in topological order, each with one output.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass

from ..coding import FormatError
from .attributes import choice, flag, integer, integers, number, text, where
from .shapes import OPERATORS, check_operators, infer_shapes

__all__ = ["Graph", "Node", "OPERATORS", "check_operators", "choice", "flag", "infer_shapes", "integer", "integers",
           "number", "read_graph", "text", "where"]

VARIABLE = "null"
# The largest of GluonCV's graphs has 2,100 nodes and takes 630 KB as MXNet writes it. Parsed JSON can take fifty times
# the memory of its text.
MAX_GRAPH_NBYTES = 2**23
MAX_NODES = 2**16
MAX_INPUTS = 2**10

# Other names of the same operators -> the one used here.
_SAME = {
    "concat": "Concat", "flatten": "Flatten", "reshape": "Reshape", "pad": "Pad", "swapaxes": "SwapAxis",
    "_plus": "elemwise_add", "_Plus": "elemwise_add", "_add": "elemwise_add", "_minus": "elemwise_sub",
    "_Minus": "elemwise_sub", "_sub": "elemwise_sub", "_mul": "elemwise_mul", "_Mul": "elemwise_mul",
    "_div": "elemwise_div", "_Div": "elemwise_div", "broadcast_plus": "broadcast_add",
    "broadcast_minus": "broadcast_sub", "_PlusScalar": "_plus_scalar", "_MinusScalar": "_minus_scalar",
    "_RMinusScalar": "_rminus_scalar", "_MulScalar": "_mul_scalar", "_DivScalar": "_div_scalar",
    "_RDivScalar": "_rdiv_scalar", "_MaximumScalar": "_maximum_scalar", "_MinimumScalar": "_minimum_scalar",
    "identity": "_copy", "BatchNorm_v1": "BatchNorm", "Pooling_v1": "Pooling", "Convolution_v1": "Convolution",
    "sum_axis": "sum", "max_axis": "max", "SoftmaxActivation": "softmax", "crop": "slice",
}
_AS_ACTIVATION = ("relu", "sigmoid", "tanh", "softsign")


@dataclass(frozen=True)
class Node:
    """A variable (op "null", no inputs) or an operator. inputs: indices of earlier nodes, whose outputs it takes."""

    op: str
    name: str
    inputs: tuple[int, ...]
    attrs: dict[str, str]


@dataclass(frozen=True)
class Graph:
    """nodes: in topological order. data: the variables that are no parameters. outputs: what the net returns."""

    nodes: tuple[Node, ...]
    data: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graph(graph: str, parameter_names: Collection[str]) -> Graph:
    """The Graph in a symbol JSON text; variables with one of `parameter_names` are parameters, any others data.

    Operators come under one name each (`Concat` for `concat`, `elemwise_add` for `_plus`, `Activation` for `relu`);
    whether they are known only `infer_shapes` says. FormatError for any text that is not such a graph.
    """
    if len(graph) > MAX_GRAPH_NBYTES:
        raise FormatError(f"graph: a text of {len(graph):,} characters, expected at most {MAX_GRAPH_NBYTES:,}")
    found = _parsed(graph)
    listed = _list(found, "nodes", "graph")
    if not 1 <= len(listed) <= MAX_NODES:
        raise FormatError(f"graph: {len(listed):,} nodes, expected 1 to {MAX_NODES:,}")
    nodes = tuple(_node(raw, i) for i, raw in enumerate(listed))
    outputs = tuple(_entry(head, len(nodes), "graph: output") for head in _list(found, "heads", "graph"))
    if not outputs:
        raise FormatError("graph: has no outputs (heads)")
    _check_variables(nodes)
    data = tuple(i for i, node in enumerate(nodes) if node.op == VARIABLE and node.name not in parameter_names)
    return Graph(nodes, data, outputs)


def _parsed(graph):
    def refuse(constant):
        raise FormatError(f"graph: {constant} is no JSON")
    try:
        found = json.loads(graph, parse_constant=refuse)
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"graph: is no JSON text ({error})") from None
    if not isinstance(found, dict):
        raise FormatError(f"graph: expected a JSON object, got {type(found).__name__}")
    return found


def _list(container, key, what):
    found = container.get(key)
    if not isinstance(found, list):
        raise FormatError(f"{what}: expected a list {key!r}, got {type(found).__name__}")
    return found


def _node(raw, i):
    what = f"graph: node {i}"
    if not isinstance(raw, dict):
        raise FormatError(f"{what}: expected an object, got {type(raw).__name__}")
    op, name = raw.get("op"), raw.get("name")
    if not isinstance(op, str) or not isinstance(name, str):
        raise FormatError(f"{what}: op and name must be texts, got {op!r:.80} and {name!r:.80}")
    # Older versions of MXNet wrote "attr" or "param".
    attrs = raw.get("attrs", raw.get("attr", raw.get("param", {})))
    if not isinstance(attrs, dict) or not all(isinstance(value, str) for value in attrs.values()):
        raise FormatError(f"{what} ({name!r:.80}): attrs must map names to texts")
    entries = _list(raw, "inputs", what)
    if len(entries) > MAX_INPUTS:
        raise FormatError(f"{what} ({name!r:.80}): {len(entries):,} inputs, expected at most {MAX_INPUTS:,}")
    inputs = tuple(_entry(entry, i, f"{what} ({name!r:.80}): input") for entry in entries)
    if op == VARIABLE and inputs:
        raise FormatError(f"{what} ({name!r:.80}): a variable has no inputs, got {len(inputs)}")
    if op in _AS_ACTIVATION:
        return Node("Activation", name, inputs, {**attrs, "act_type": op})
    return Node(_SAME.get(op, op), name, inputs, dict(attrs))


def _entry(entry, before, what):
    # [node, output] or [node, output, version]: the node stands before the one that takes it.
    if not isinstance(entry, list) or len(entry) not in (2, 3) or not all(type(part) is int for part in entry):
        raise FormatError(f"{what}: expected [node, output, version], got {entry!r:.80}")
    if not 0 <= entry[0] < before:
        raise FormatError(f"{what}: node {entry[0]} is not one of the {before} before it")
    if entry[1] != 0:
        raise FormatError(f"{what}: output {entry[1]} of node {entry[0]}: only operators with one output are known")
    return entry[0]


def _check_variables(nodes):
    seen = set()
    for node in nodes:
        if node.op == VARIABLE and node.name in seen:
            raise FormatError(f"graph: two variables are named {node.name!r:.80}")
        if node.op == VARIABLE:
            seen.add(node.name)
