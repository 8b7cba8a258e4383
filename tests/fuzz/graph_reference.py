"""A net one node after another, each in new memory: no batch norm folded, no memory shared, layers in plain NumPy."""

import numpy as np

from gluon_dc.runtime.arguments import weight_axes
from gluon_dc.runtime.attributes import flag
from gluon_dc.runtime.graph import Graph, Node
from gluon_dc.runtime.lowering import ALIASES, LAYERS, lower
from gluon_dc.runtime.operators import bind
from gluon_dc.runtime.tasks import run_stages


def evaluated(graph, shapes, parameters, x, noise=0.0) -> list[np.ndarray]:
    """The outputs of a Graph for x. shapes: of all nodes. parameters: {name: float32 array}. noise: standard deviation
    of what is added to each number after each operator, as a share of it."""
    rng, values = np.random.default_rng(0), []
    with np.errstate(all="ignore"):
        for i, node in enumerate(graph.nodes):
            if node.op == "null":
                values.append(x if i in graph.data else np.asarray(parameters[node.name], np.float32))
                continue
            value = _value(graph, i, [values[j] for j in node.inputs], shapes[i], parameters)
            # What a layer sums up may cancel out: its rounding goes with the largest sums too.
            more = 0.1 * np.abs(value).max(initial=0) if node.op in LAYERS else 0
            shaken = value + noise * rng.normal(size=value.shape) * (np.abs(value) + more) if noise else value
            values.append(shaken.astype(np.float32))
    return [values[i] for i in graph.outputs]


def _value(graph, i, inputs, shape, parameters):
    node = graph.nodes[i]
    if node.op in ALIASES:
        return inputs[0].reshape(shape)
    if node.op == "Convolution":
        return _convolution(node, shape, *inputs)
    if node.op == "FullyConnected":
        return _dense(node, shape, *inputs)
    step = lower(_alone(graph, i), lambda name: np.asarray(parameters[name], np.float32))[0]
    output = np.full(shape, np.nan, np.float32)
    run_stages(bind(step, [np.ascontiguousarray(one) for one in inputs[:len(step.inputs)]], output, 1))
    return output


def _alone(graph, i):
    # The graph of one node; what it takes are variables, parameters by their names.
    taken = [graph.nodes[j] if graph.nodes[j].op == "null" else Node("null", f"value {place}", (), {})
             for place, j in enumerate(graph.nodes[i].inputs)]
    node = graph.nodes[i]
    data = tuple(place for place, j in enumerate(node.inputs) if graph.nodes[j].op != "null" or j in graph.data)
    return Graph((*taken, Node(node.op, node.name, tuple(range(len(taken))), node.attrs)), data, (len(taken),))


def _dense(node, shape, x, weight, bias=0):
    rows = x.reshape(len(x), -1) if flag(node, "flatten", True) else x
    return (rows.astype(float) @ weight.T.astype(float) + bias).astype(np.float32).reshape(shape)


def _convolution(node, shape, x, weight, bias=None):
    (sy, sx), (py, px), (dy, dx), groups = weight_axes(node)
    n, filters, oh, ow = shape
    x = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px))).astype(float)
    x = x.reshape(n, groups, -1, *x.shape[2:])
    weight = weight.reshape(groups, filters // groups, *weight.shape[1:])
    out = np.zeros((n, groups, filters // groups, oh, ow))
    for i in range(weight.shape[3]):
        for j in range(weight.shape[4]):
            part = x[..., i * dy:i * dy + (oh - 1) * sy + 1:sy, j * dx:j * dx + (ow - 1) * sx + 1:sx]
            out += np.einsum("ngchw,gfc->ngfhw", part, weight[..., i, j])
    out = out.reshape(shape)
    return (out if bias is None else out + bias[:, None, None]).astype(np.float32)
