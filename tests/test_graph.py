"""runtime/graph.py: symbol JSON read without MXNet, whatever it says; shapes of every node."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.runtime.graph import Graph, Node, infer_shapes, integers, read_graph
from graphs import DATA, graph_text


def shapes_of(op, shape, attrs=None, *others):
    """Output shape of one operator on data of a shape and parameters p0, p1 ... of other shapes."""
    parameters = {f"p{i}": other for i, other in enumerate(others)}
    nodes = [DATA, *[("null", name, {}, []) for name in parameters], (op, "it", attrs or {}, range(len(others) + 1))]
    return infer_shapes(read_graph(graph_text(*nodes), parameters), parameters, {"data": shape})[-1]


def test_by_hand():
    text = graph_text(DATA, ("null", "0.weight", {}, []), ("Convolution", "0", {"kernel": "(3, 3)", "num_filter": "2",
                                                                                "no_bias": "True"}, [0, 1]),
                      ("relu", "r", {}, [2]), ("concat", "c", {"num_args": "2"}, [2, 3]))
    graph = read_graph(text, {"0.weight"})
    assert graph == Graph(
        (Node("null", "data", (), {"__shape__": "(0, 1, 4, 4)"}), Node("null", "0.weight", (), {}),
         Node("Convolution", "0", (0, 1), {"kernel": "(3, 3)", "num_filter": "2", "no_bias": "True"}),
         Node("Activation", "r", (2,), {"act_type": "relu"}), Node("Concat", "c", (2, 3), {"num_args": "2"})),
        data=(0,), outputs=(4,))
    assert integers(graph.nodes[0], "__shape__") == (0, 1, 4, 4)
    assert infer_shapes(graph, {"0.weight": (2, 1, 3, 3)}, {"data": (5, 1, 4, 4)}) == [
        (5, 1, 4, 4), (2, 1, 3, 3), (5, 2, 2, 2), (5, 2, 2, 2), (5, 4, 2, 2)]


@pytest.mark.parametrize("text, message", [
    ("{", "graph: is no JSON text (Expecting property name"),
    ("[" * 100_000, "graph: is no JSON text (maximum recursion depth"),
    ("[]", "graph: expected a JSON object, got list"),
    ('{"x": NaN}', "graph: NaN is no JSON"),
    ("{}", "graph: expected a list 'nodes', got NoneType"),
    ('{"nodes": []}', "graph: 0 nodes, expected 1 to 65,536"),
    ('{"nodes": [3]}', "graph: node 0: expected an object, got int"),
    ('{"nodes": [{"op": 1, "name": "x"}]}', "graph: node 0: op and name must be texts, got 1 and 'x'"),
    ('{"nodes": [{"op": "null", "name": "x", "attrs": {"a": 1}, "inputs": []}]}',
     "graph: node 0 ('x'): attrs must map names to texts"),
    ('{"nodes": [{"op": "null", "name": "x"}]}', "graph: node 0: expected a list 'inputs', got NoneType"),
    ('{"nodes": [{"op": "null", "name": "x", "inputs": []}]}', "graph: expected a list 'heads', got NoneType"),
    (graph_text(DATA, heads=[]), "graph: has no outputs (heads)"),
    (graph_text(DATA, heads=[[1, 0, 0]]), "graph: output: node 1 is not one of the 1 before it"),
    (graph_text(DATA, heads=[[0, 0, 0, 0]]), "graph: output: expected [node, output, version], got [0, 0, 0, 0]"),
    (graph_text(DATA, heads=[[True, 0, 0]]), "graph: output: expected [node, output, version], got [True, 0, 0]"),
    (graph_text(DATA, ("Flatten", "f", {}, [1])), "graph: node 1 ('f'): input: node 1 is not one of the 1 before it"),
    (graph_text(DATA, ("Flatten", "f", {}, [-1])), "graph: node 1 ('f'): input: node -1 is not one of the 1 before it"),
    (graph_text(DATA, heads=[[0, 1, 0]]),
     "graph: output: output 1 of node 0: only operators with one output are known"),
    (graph_text(DATA, ("null", "x", {}, [0])), "graph: node 1 ('x'): a variable has no inputs, got 1"),
    (graph_text(DATA, DATA), "graph: two variables are named 'data'"),
    (graph_text(DATA, ("Concat", "c", {}, [0] * 1025)), "graph: node 1 ('c'): 1,025 inputs, expected at most 1,024"),
    ("x" * (2**23 + 1), "graph: a text of 8,388,609 characters, expected at most 8,388,608"),
])
def test_what_is_no_graph(text, message):
    with pytest.raises(FormatError) as error:
        read_graph(text, ())
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("op, shape, attrs, others, expected", [
    ("FullyConnected", (2, 3, 4), {"num_hidden": "5"}, [(5, 12), (5,)], (2, 5)),
    ("FullyConnected", (2, 3, 4), {"num_hidden": "5", "flatten": "False", "no_bias": "1"}, [(5, 4)], (2, 3, 5)),
    ("Convolution", (1, 4, 9, 9), {"kernel": "[3,3]", "num_filter": "8", "num_group": "2", "stride": "(2, 2)",
                                   "pad": "(1, 1)", "dilate": "(2, 2)", "no_bias": "True"}, [(8, 2, 3, 3)],
     (1, 8, 4, 4)),
    ("Pooling", (1, 2, 6, 6), {"kernel": "(3, 3)", "stride": "(2, 2)"}, [], (1, 2, 2, 2)),
    ("Pooling", (1, 2, 6, 6), {"kernel": "(3, 3)", "stride": "(2, 2)", "pooling_convention": "full"}, [], (1, 2, 3, 3)),
    ("Pooling", (1, 2, 6, 5), {"global_pool": "True"}, [], (1, 2, 1, 1)),
    ("_contrib_AdaptiveAvgPooling2D", (1, 2, 6, 5), {"output_size": "(3, 2)"}, [], (1, 2, 3, 2)),
    ("Flatten", (2, 3, 4), {}, [], (2, 12)), ("Reshape", (2, 3, 4), {"shape": "(0, -1)"}, [], (2, 12)),
    ("Reshape", (2, 6, 4), {"shape": "(0, -4, 2, -1, -2)"}, [], (2, 2, 3, 4)),
    ("Reshape", (2, 6, 4), {"shape": "(-3, 0)"}, [], (12, 4)),
    ("Reshape", (10, 5, 4), {"shape": "(-1, 0)", "reverse": "True"}, [], (50, 4)),
    ("expand_dims", (2, 3), {"axis": "-1"}, [], (2, 3, 1)), ("squeeze", (2, 1, 3), {}, [], (2, 3)),
    ("transpose", (2, 3, 4), {}, [], (4, 3, 2)), ("transpose", (2, 3, 4), {"axes": "(0, 2, 1)"}, [], (2, 4, 3)),
    ("SwapAxis", (2, 3, 4), {"dim1": "1", "dim2": "2"}, [], (2, 4, 3)),
    ("broadcast_mul", (2, 3, 4), {}, [(2, 1, 4)], (2, 3, 4)), ("mean", (2, 3, 4), {"axis": "(1,)"}, [], (2, 4)),
    ("mean", (2, 3, 4), {"axis": "0", "exclude": "True", "keepdims": "True"}, [], (2, 1, 1)),
                                                                ("sum", (2, 3), {}, [], (1,)),
    ("Pad", (1, 1, 2, 2), {"mode": "constant", "pad_width": "(0, 0, 0, 0, 1, 2, 3, 4)"}, [], (1, 1, 5, 9)),
    ("slice_axis", (2, 5), {"axis": "1", "begin": "1", "end": "None"}, [], (2, 4)),
    ("slice", (2, 5), {"begin": "(None, -2)", "end": "(None, None)"}, [], (2, 2)),
                                                                ("Concat", (2, 5), {}, [(2, 1)], (2, 6)),
])
def test_shapes_by_hand(op, shape, attrs, others, expected):
    assert shapes_of(op, shape, attrs, *others) == expected


@pytest.mark.parametrize("op, shape, attrs, others, error, message", [
    ("FooBar", (1,), {}, [], FormatError, "graph: FooBar 'it': the operator 'FooBar' is not known; known are "),
    ("Flatten", (1, 2), {}, [(1,)], FormatError, "graph: Flatten 'it': 2 inputs, expected 1"),
    ("Convolution", (1, 1, 4, 4), {}, [(2, 1, 3, 3)], FormatError, "graph: Convolution 'it': has no attribute kernel"),
    ("Convolution", (1, 1, 4), {"kernel": "(3,)", "num_filter": "2"}, [(2, 1, 3)], ValueError,
     "graph: Convolution 'it': takes an input of 4 axes, got (1, 1, 4)"),
    ("Convolution", (1, 1, 4, 4), {"kernel": "(3, 3)", "num_filter": "2", "no_bias": "True"}, [(2, 2, 3, 3)],
     ValueError,
     "graph: Convolution 'it': expected a weight of shape (2, 1, 3, 3) for this input, got (2, 2, 3, 3)"),
    ("Convolution", (1, 1, 2, 2), {"kernel": "(3, 3)", "num_filter": "2", "no_bias": "True"}, [(2, 1, 3, 3)],
     ValueError,
     "graph: Convolution 'it': the kernel is larger than its input"),
    ("Convolution", (1, 1, 4, 4), {"kernel": "(3, 3)", "num_filter": "2"}, [(2, 1, 3, 3)], FormatError,
     "graph: Convolution 'it': no_bias is False, but it has 2 inputs"),
    ("Convolution", (1, 1, 4, 4), {"kernel": "(3, 3)", "num_filter": "2", "pad": "(9999, 0)"}, [(2, 1, 3, 3)],
     FormatError,
     "graph: Convolution 'it': a window of (3, 3) with pad (9999, 0), at most 4096 are known"),
    ("Convolution", (1, 1, 4, 4), {"kernel": "(3, 3)", "num_filter": "2", "layout": "NHWC"}, [(2, 1, 3, 3)],
     FormatError,
     "graph: Convolution 'it': only the layout NCHW is known, got 'NHWC'"),
    ("FullyConnected", (1, 3), {"num_hidden": "x"}, [(2, 3)], FormatError,
     "graph: FullyConnected 'it': num_hidden must be whole numbers of at most 9 digits, got 'x'"),
    ("FullyConnected", (1, 3), {"num_hidden": "9" * 5000}, [(2, 3)], FormatError,
     "graph: FullyConnected 'it': num_hidden must be whole numbers of at most 9 digits, got '9999"),
    ("Activation", (1, 3), {"act_type": "foo"}, [], FormatError,
     "graph: Activation 'it': act_type 'foo' is not known, expected one of relu, "),
    ("clip", (1, 3), {"a_min": "nan", "a_max": "1"}, [], FormatError,
     "graph: clip 'it': a_min must be a number, got 'nan'"),
    ("Pooling", (1, 1, 4, 4), {"kernel": "(2, 2)", "global_pool": "maybe"}, [], FormatError,
     "graph: Pooling 'it': global_pool must be True or False, got 'maybe'"),
    ("Pooling", (1, 1, 4, 4), {"kernel": "(2, 2)", "pad": "(2, 2)"}, [], FormatError,
     "graph: Pooling 'it': a pad of (2, 2) is more than half of the kernel (2, 2)"),
    ("elemwise_add", (1, 3), {}, [(3, 1)], ValueError, "graph: elemwise_add 'it': shapes (1, 3) and (3, 1) differ"),
    ("Reshape", (2, 3), {"shape": "(4, -1)"}, [], ValueError, "graph: Reshape 'it': (2, 3) does not go into (4, -1)"),
    ("transpose", (2, 3), {"axes": "(0, 0)"}, [], FormatError,
     "graph: transpose 'it': axes (0, 0) are no order of those of (2, 3)"),
    ("LRN", (1, 2, 3, 3), {"nsize": "3", "knorm": "0"}, [], FormatError,
     "graph: LRN 'it': knorm must be at least 1e-30, got '0'"),
    ("LRN", (1, 2, 3, 3), {"nsize": "3", "alpha": "-1"}, [], FormatError,
     "graph: LRN 'it': alpha must be at least 0, got '-1'"),
    ("Flatten", (), {}, [], ValueError, "graph: Flatten 'it': takes an array without axes or numbers: ()"),
    ("elemwise_add", (0, 3), {}, [(0, 3)], ValueError,
     "graph: elemwise_add 'it': takes an array without axes or numbers: (0, 3), (0, 3)"),
    ("softmax", (2, 3), {"axis": "5"}, [], ValueError, "graph: softmax 'it': there is no axis 5 among 2"),
    ("BatchNorm", (1, 3), {}, [(3,), (3,), (3,), (2,)], ValueError,
     "graph: BatchNorm 'it': statistics of shape (2,) for 3 channels"),
    ("Pad", (2**9, 1, 2, 2), {"pad_width": "(0, 999999999, 0, 999999999, 0, 0, 0, 0)"}, [], ValueError,
     "graph: Pad 'it': makes an array of 4 axes and 4e+18 numbers"),
])
def test_shapes_that_do_not_go_together(op, shape, attrs, others, error, message):
    with pytest.raises(error) as found:
        shapes_of(op, shape, attrs, *others)
    assert str(found.value).startswith(message)


def test_a_graph_of_doublings_ends_early():
    nodes = [DATA] + [("Concat", f"c{i}", {}, [i, i]) for i in range(5000)]
    with pytest.raises(ValueError, match="makes an array of 4 axes and"):
        infer_shapes(read_graph(graph_text(*nodes), ()), {}, {"data": (1, 1, 4, 4)})


def test_a_variable_without_a_shape_is_named():
    with pytest.raises(ValueError, match="the shape of the variable 'data' is not given"):
        infer_shapes(read_graph(graph_text(DATA), ()), {}, {})


PIECES = st.one_of(st.none(), st.booleans(), st.integers(-3, 9), st.text("null ()-123,", max_size=8), st.sampled_from(
    ["null", "Convolution", "Reshape", "Concat", "slice", "Pooling", "kernel", "(2, 2)", "nodes", "heads", "inputs"]))
TREES = st.recursive(PIECES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
    st.sampled_from(["nodes", "heads", "op", "name", "attrs", "inputs", "kernel", "shape", "axis"]), inner, max_size=5),
    max_leaves=20)
ATTRS = st.dictionaries(st.sampled_from(["kernel", "stride", "pad", "shape", "axis", "num_filter", "dim", "begin",
                                         "end",
                                         "num_hidden", "axes", "pad_width", "act_type", "scalar", "a_min", "a_max",
                                         "output_size", "reverse", "global_pool", "nsize", "mode"]),
                        st.text("0123()-,. TrueNone", max_size=12), max_size=4)


@settings(deadline=None)
@given(TREES)
def test_any_json_is_a_graph_or_a_format_error(tree):
    try:
        assert isinstance(read_graph(json.dumps(tree), ()), Graph)
    except FormatError as error:
        assert str(error).startswith("graph: ")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_operators_give_shapes_or_a_value_error(data):
    from gluon_dc.runtime.shapes import OPERATORS
    nodes = [DATA, ("null", "p", {}, [])]
    for i in range(data.draw(st.integers(1, 4))):
        inputs = data.draw(st.lists(st.integers(0, len(nodes) - 1), min_size=1, max_size=3))
        nodes.append((data.draw(st.sampled_from(OPERATORS)), f"n{i}", data.draw(ATTRS), inputs))
    graph = read_graph(graph_text(*nodes), {"p"})
    shape = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
    try:
        shapes = infer_shapes(graph, {"p": data.draw(shape)}, {"data": data.draw(shape)})
        assert len(shapes) == len(nodes) and all(type(size) is int and size >= 0 for one in shapes for size in one)
    except ValueError as error:
        assert str(error).startswith("graph: ")
