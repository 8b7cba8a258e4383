"""Operations of a net, counted from shapes, and files that would run for hours."""

import numpy as np
import pytest

import gluon_dc as dc
from gluon_dc.coding import CompressedModel
from gluon_dc.runtime.graph import Node, infer_shapes, read_graph
from gluon_dc.runtime.operations import check_operations, operations_of
from graphs import graph_text


def count(op, inputs, output, **attrs):
    return operations_of(Node(op, "it", tuple(range(len(inputs))), attrs), inputs, output)


@pytest.mark.parametrize("op, inputs, output, attrs, expected", [
    ("Convolution", [(2, 8, 9, 9), (6, 4, 3, 3)], (2, 6, 7, 7), {"num_group": "2", "kernel": "(3, 3)"},
     2 * 6 * 49 * (1 + 36) + 2 * 8 * 81),
    # Steps along a row leave nothing out of it: each of 3 rows is read whole for 2 taps.
    ("Convolution", [(1, 4, 9, 90), (6, 4, 2, 1)], (1, 6, 3, 2), {"kernel": "(2, 1)", "stride": "(3, 89)"},
     6 * 6 * (1 + 8) + 4 * 9 * 90 + 4 * 3 * 2 * 90),
    ("FullyConnected", [(2, 3, 4), (5, 12)], (2, 5), {}, 10 * 13 + 24),
    ("Flatten", [(2, 3, 4)], (2, 12), {}, 0),
    ("Pooling", [(1, 2, 8, 8)], (1, 2, 3, 3), {"kernel": "(4, 2)"}, 18 * 8 + 6 * 4 * 8),
    ("Pooling", [(1, 2, 8, 8)], (1, 2, 1, 1), {"kernel": "(1, 1)", "global_pool": "True"}, 2 + 128),
    ("_contrib_AdaptiveAvgPooling2D", [(1, 2, 8, 9)], (1, 2, 3, 2), {}, 2 * 11 * 11),
    ("LRN", [(1, 4, 5, 5)], (1, 4, 5, 5), {"nsize": "99"}, 8 * (200 + 400)),
    ("elemwise_add", [(2, 3), (2, 3)], (2, 3), {}, 18), ("softmax", [(2, 3)], (2, 3), {}, 96),
])
def test_by_hand(op, inputs, output, attrs, expected):
    assert count(op, inputs, output, **attrs) == expected


def doublings(times, parameter=False):
    """A small graph of large work: an array is concatenated with itself again and again, then cut down."""
    shape = "(0, 4)"
    nodes = [("null", "data", {"__shape__": shape}, []), ("null", "w", {}, [])]
    last = 1 if parameter else 0
    for i in range(times):
        nodes.append(("Concat", f"c{i}", {"dim": "1", "num_args": "2"}, [last, last]))
        last = len(nodes) - 1
    nodes.append(("slice_axis", "cut", {"axis": "1", "begin": "0", "end": "4"}, [last]))
    nodes.append(("broadcast_add", "sum", {}, [0, len(nodes) - 1]))
    return CompressedModel({"w": np.ones((1, 4), np.float32)}, graph_text(*nodes))


@pytest.mark.parametrize("parameter", [False, True])
def test_too_much_work_is_refused_before_anything_is_allocated(parameter):
    with pytest.raises(ValueError, match=r"^a run takes 7.04e\+13 operations an input \(3.52e\+13 of them in 'c41'\), "
                                         r"at most 1e\+12 are allowed; where the file is to be trusted, raise "
                                         r"max_operations$"):
        dc.session(doublings(42, parameter))
    small = dc.session(doublings(4, parameter), measure=False)
    x = np.ones((2, 4), np.float32)
    assert small.run(x).tolist() == (x + 1).tolist() if parameter else (2 * x).tolist()


def test_the_bound_is_for_each_input_and_for_later_shapes_too():
    model = doublings(3)
    graph = read_graph(model.graph, model.tensors)
    shapes = infer_shapes(graph, {"w": (1, 4)}, {"data": (5, 4)})
    total = sum(operations_of(node, [shapes[i] for i in node.inputs], shape)
                for node, shape in zip(graph.nodes, shapes) if node.op != "null")
    check_operations(graph, shapes, 5, total / 5)
    with pytest.raises(ValueError, match="at most"):
        check_operations(graph, shapes, 5, total / 5 - 1)
    net = dc.session(model, batch=2, max_operations=total / 5, measure=False)
    assert net.run(np.ones((50, 4), np.float32)).shape == (50, 4)


@pytest.mark.parametrize("value", [0, -1, "many", True, None])
def test_wrong_bounds(value):
    with pytest.raises(ValueError, match=f"max_operations must be a number above 0, got {value!r}"):
        dc.session(doublings(1), max_operations=value)
