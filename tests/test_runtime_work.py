"""runtime/work.py: counts of a net, by hand and beside what a session keeps."""

import json

import numpy as np
import pytest

from gluon_dc.coding import CodedTensor, CompressedModel, FormatError, pack
from gluon_dc.runtime.session import session
from gluon_dc.runtime.work import fixed_nbytes, net_work
from graphs import graph_text


def coded(shape, every):
    """CodedTensor whose every so-manyth weight is kept, 3 codebook entries."""
    codes = np.zeros(shape, np.uint8)
    codes.reshape(-1)[::every] = 1 + np.arange(-(-codes.size // every)) % 2
    return CodedTensor(np.array([0, 0.5, -1], np.float32), codes)


def small_net(**changes):
    """Convolution 1 -> 2, 3x3 on 6x6, ReLU, 2x2 pooling, dense 8 -> 5: all parts of a net."""
    tensors = {"0.weight": pack(coded((2, 1, 3, 3), 2)), "0.bias": np.ones(2, np.float32),
               "3.weight": pack(coded((5, 8), 4), "context"), **changes}
    graph = graph_text(
        ("null", "data", {"__shape__": "(0, 1, 6, 6)"}, []), ("null", "0.weight", {}, []), ("null", "0.bias", {}, []),
        ("Convolution", "0", {"kernel": "(3, 3)", "num_filter": "2"}, [0, 1, 2]),
        ("Activation", "1", {"act_type": "relu"}, [3]),
        ("Pooling", "2", {"kernel": "(2, 2)", "stride": "(2, 2)", "pool_type": "max"}, [4]),
        ("null", "3.weight", {}, []), ("FullyConnected", "3", {"num_hidden": "5", "no_bias": "True"}, [5, 6]))
    return CompressedModel(tensors, graph=graph)


def test_by_hand():
    model = small_net()
    work = net_work(model)
    convolution, dense = work.layers
    assert (convolution.name, convolution.op, convolution.shape) == ("0.weight", "Convolution", (2, 1, 3, 3))
    # 18 weights, each at 16 positions; every second one is kept. The ReLU is part of the layer.
    assert (convolution.weights, convolution.kept, convolution.inputs, convolution.outputs) == (18, 9, 36, 32)
    assert (convolution.dense_macs, convolution.sparse_macs) == (288, 144)
    assert (dense.weights, dense.kept, dense.inputs, dense.outputs) == (40, 10, 8, 5)
    assert (dense.dense_macs, dense.sparse_macs) == (40, 10)
    parts = model.part_nbytes()
    assert [layer.file_nbytes for layer in work.layers] == [
        sum(parts[name].values()) for name in ("0.weight", "3.weight")]
    assert work.file_nbytes == len(model.dumps()) and work.parameter_nbytes == 8 and work.input_shape == (1, 6, 6)
    assert work.other_numbers == 32 + 8  # pooling reads and writes
    assert json.loads(json.dumps(work.to_dict()))["layers"][0]["sparse_macs"] == 144


def test_fixed_width_is_what_a_file_of_fixed_width_takes():
    tensor = coded((40, 50), 7)
    fixed = pack(tensor, "fixed")
    expected = fixed.part_nbytes()["codes"] + fixed.part_nbytes()["gaps"] + 8
    assert fixed_nbytes(fixed) == fixed_nbytes(pack(tensor, "context")) == expected
    # Three entries: 2 bits of a code, and the bits of a gap, at the width that Huffman coding likes best.
    huffman = pack(tensor)
    assert fixed_nbytes(huffman) == -(-huffman.entries * 2 // 8) - (-huffman.entries * huffman.rel_bits // 8) + 8
    assert fixed_nbytes(np.zeros((3, 5), np.float16)) == 60


def test_without_a_session_the_resident_bytes_are_the_estimate():
    for layer in net_work(small_net()).layers:
        assert layer.form == "fixed width" and layer.resident_nbytes == layer.fixed_nbytes


def test_with_a_session_they_are_its_forms():
    model = small_net()
    running = session(model, measure=False, force={"3.weight": "dense"})
    layers = net_work(model, rows=running.layers).layers
    assert [(layer.form, layer.resident_nbytes) for layer in layers] == [
        (row.form, row.nbytes) for row in running.layers]
    assert layers[1].form == "dense" and layers[1].resident_nbytes >= 160
    assert [layer.dense_macs for layer in layers] == [row.work for row in running.layers]


def test_a_plain_weight_is_all_kept():
    layer = net_work(small_net(**{"3.weight": np.zeros((5, 8), np.float32)})).layers[1]
    assert (layer.kept, layer.form, layer.fixed_nbytes) == (40, "float32", 160)


def test_another_input_shape():
    model = small_net()
    with pytest.raises(ValueError, match="expected a weight of shape"):
        net_work(model, (1, 9, 9))
    assert net_work(model, (1, 7, 7)).layers[0].outputs == 50


@pytest.mark.parametrize("graph, message", [
    (None, "this file has no graph, which says what its layers do: compress with graph=True"),
    (graph_text(("null", "data", {}, []), ("null", "3.weight", {}, []),
                ("FullyConnected", "3", {"num_hidden": "5", "no_bias": "True"}, [0, 1])),
     "the graph does not say the shape of an image: give it, such as --input-shape 3,224,224"),
    ("{}", "graph: expected a list 'nodes'"),
])
def test_errors(graph, message):
    model = CompressedModel(dict(small_net().items()), graph=graph)
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as caught:
        net_work(model)
    assert isinstance(caught.value, FormatError) == ("shape of an image" not in message)


def test_a_weight_used_twice_counts_twice_as_work_and_once_in_the_file():
    weight = pack(coded((6, 6), 3))
    graph = graph_text(("null", "data", {"__shape__": "(0, 6)"}, []), ("null", "w", {}, []),
                       ("FullyConnected", "a", {"num_hidden": "6", "no_bias": "True"}, [0, 1]),
                       ("FullyConnected", "b", {"num_hidden": "6", "no_bias": "True"}, [2, 1]))
    work = net_work(CompressedModel({"w": weight}, graph=graph))
    assert [layer.name for layer in work.layers] == ["w", "w"] and work.parameter_nbytes == 0
