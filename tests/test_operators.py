"""Every operator of a session against NumPy by hand, and against MXNet on the same graph where that is installed."""

import tracemalloc

import numpy as np
import pytest

import gluon_dc as dc
from gluon_dc.coding import CompressedModel
from gluon_dc.runtime import kernels
from gluon_dc.runtime.shapes import OPERATORS
from graphs import DATA, graph_text


def run(op, x, attrs=None, *others):
    """(output of a session, graph text) of one operator on x and parameters."""
    parameters = {f"p{i}": np.asarray(other, np.float32) for i, other in enumerate(others)}
    data = ("null", "data", {}, [])
    text = graph_text(data, *[("null", name, {}, []) for name in parameters],
                      (op, "it", attrs or {}, range(len(others) + 1)), attrs={"mxnet_version": ["int", 10901]})
    return dc.session(CompressedModel(parameters, text), measure=False).run(np.asarray(x, np.float32)), text


def column(*numbers):
    return np.array([numbers], np.float32)


@pytest.mark.parametrize("op, attrs, x, expected", [
    ("relu", {}, [-1, 2, np.nan], [0, 2, np.nan]), ("sigmoid", {}, [0, 1000, -1000], [0.5, 1, 0]),
    ("tanh", {}, [0, 50], [0, 1]), ("softsign", {}, [1, -3], [0.5, -0.75]),
    ("Activation", {"act_type": "softrelu"}, [0, 100], [np.log(2), 100]),
    ("LeakyReLU", {"slope": "0.5"}, [-2, 2], [-1, 2]), ("LeakyReLU", {"act_type": "elu", "slope": "2"}, [-1e9, 3], [-2,
                                                                                                                    3]),
    ("clip", {"a_min": "0", "a_max": "6"}, [-1, 3, 7], [0, 3, 6]), ("hard_sigmoid", {}, [-9, 0, 9], [0, 0.5, 1]),
    ("_plus_scalar", {"scalar": "3"}, [1], [4]), ("_minus_scalar", {"scalar": "3"}, [1], [-2]),
    ("_rminus_scalar", {"scalar": "3"}, [1], [2]), ("_mul_scalar", {"scalar": "3"}, [2], [6]),
    ("_div_scalar", {"scalar": "4"}, [2], [0.5]), ("_rdiv_scalar", {"scalar": "4"}, [2, 0], [2, np.inf]),
    ("_maximum_scalar", {"scalar": "1"}, [0, 2], [1, 2]), ("_minimum_scalar", {"scalar": "1"}, [0, 2], [0, 1]),
    ("softmax", {}, [0, np.log(3)], [0.25, 0.75]), ("log_softmax", {}, [0, 1000], [-1000, 0]),
    ("Dropout", {"p": "0.5"}, [1, 2], [1, 2]), ("_copy", {}, [1, 2], [1, 2]),
    ("BlockGrad", {}, [1, 2], [1, 2]),
])
def test_by_hand(op, attrs, x, expected):
    np.testing.assert_allclose(run(op, column(*x), attrs)[0], column(*expected), rtol=1e-6)


def test_pooling_by_hand():
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    two = {"kernel": "(2, 2)", "stride": "(2, 2)"}
    assert run("Pooling", x, two)[0].tolist() == [[[[5, 7], [13, 15]]]]
    assert run("Pooling", x, {**two, "pool_type": "avg"})[0].tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert run("Pooling", x, {**two, "pool_type": "sum"})[0].tolist() == [[[[10, 18], [42, 50]]]]
    padded = {"kernel": "(3, 3)", "stride": "(3, 3)", "pad": "(1, 1)", "pool_type": "avg"}
    assert run("Pooling", x, padded)[0].ravel().tolist() == pytest.approx([
        (0 + 1 + 4 + 5) / 9, (2 + 3 + 6 + 7) / 9, (8 + 9 + 12 + 13) / 9, (10 + 11 + 14 + 15) / 9])
    assert run("Pooling", x, {**padded, "count_include_pad": "False"})[0].ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert run("Pooling", x, {"global_pool": "True", "pool_type": "avg"})[0].tolist() == [[[[7.5]]]]


def test_an_empty_window_is_the_lowest_float():
    # "full" pooling may reach past the padded input where the stride is larger than the kernel.
    out = np.zeros((1, 1, 2), np.float32)
    kernels.max_pool(np.ones((1, 1, 2), np.float32), 1, 1, 1, 3, 0, 0, out, 0, 1)
    assert out.tolist() == [[[1, float(kernels.LOWEST)]]]


def test_batch_norm_by_hand():
    x = np.array([[[1.0], [2.0]]])
    out, _ = run("BatchNorm", x, {"eps": "0", "fix_gamma": "False"}, [2, 3], [10, 20], [1, 1], [4, 1])
    assert out.tolist() == [[[10], [23]]]  # 2 (1 - 1) / 2 + 10, 3 (2 - 1) / 1 + 20
    out, _ = run("BatchNorm", x, {"eps": "0"}, [2, 3], [10, 20], [1, 1], [4, 1])
    assert out.tolist() == [[[10], [21]]]  # gamma counts as 1


def test_a_batch_norm_of_a_negative_variance_is_nan_and_not_a_crash():
    assert np.isnan(run("BatchNorm", np.ones((1, 1, 1)), {}, [1], [0], [0], [-1])[0]).all()


R = np.random.default_rng(5)
CASES = [
    ("Convolution", (2, 4, 9, 8), {"kernel": "(3, 2)", "num_filter": "6", "num_group": "2", "stride": "(2, 1)",
                                   "pad": "(1, 0)", "dilate": "(1, 2)"}, [(6, 2, 3, 2), (6,)]),
    ("Convolution", (2, 4, 5, 5), {"kernel": "(5, 5)", "num_filter": "3", "no_bias": "True"}, [(3, 4, 5, 5)]),
    ("Convolution", (2, 4, 5, 5), {"kernel": "(3, 3)", "pad": "(1, 1)", "num_filter": "4", "num_group": "4"},
     [(4, 1, 3, 3), (4,)]),
    ("FullyConnected", (2, 3, 4), {"num_hidden": "5"}, [(5, 12), (5,)]),
    ("FullyConnected", (2, 3, 4), {"num_hidden": "5", "flatten": "False"}, [(5, 4), (5,)]),
    ("BatchNorm", (2, 3, 4, 5), {"fix_gamma": "False", "eps": "0.1"}, [(3,), (3,), (3,), (3,)]),
    ("LRN", (2, 7, 3, 4), {"nsize": "5", "alpha": "0.3", "knorm": "1"}, []),
    ("LRN", (2, 7, 3, 4), {"nsize": "3", "beta": "0.4"}, []),
    *[("Pooling", (2, 3, height, width), {"kernel": "(3, 2)", "stride": "(2, 3)", "pad": "(1, 1)", "pool_type": kind,
                                          "pooling_convention": convention, "count_include_pad": count}, [])
      for kind, count in (("max", "True"), ("avg", "True"), ("avg", "False"), ("sum", "True"))
      for convention in ("valid", "full") for height, width in ((7, 9), (6, 8))],
    *[("Pooling", (2, 3, *size), {"kernel": "(2, 2)", "stride": "(2, 2)", "pooling_convention": convention}, [])
      for convention in ("valid", "full") for size in ((8, 6), (7, 9))],
    *[("Pooling", (2, 3, 5, 4), {"kernel": "(1, 1)", "global_pool": "True", "pool_type": kind}, [])
      for kind in ("max", "avg")],
    ("_contrib_AdaptiveAvgPooling2D", (2, 3, 7, 5), {"output_size": "(3, 2)"}, []),
    ("_contrib_AdaptiveAvgPooling2D", (2, 3, 7, 5), {"output_size": "1"}, []),
    *[("LeakyReLU", (2, 3, 4), {"act_type": kind, "slope": "0.3"}, []) for kind in ("leaky", "elu", "selu", "gelu")],
    ("LeakyReLU", (2, 3, 4), {"act_type": "prelu"}, [(3,)]),
    *[(f"{kind}_{name}", (2, 3, 4, 5), {}, [other]) for name in ("add", "sub", "mul", "div")
      for kind, other in (("elemwise", (2, 3, 4, 5)), ("broadcast", (2, 3, 4, 5)), ("broadcast", (2, 3, 1, 1)),
                          ("broadcast", (1, 3, 1, 5)))],
    ("softmax", (2, 3, 4), {"axis": "1"}, []), ("log_softmax", (2, 3, 4), {}, []),
    ("Reshape", (2, 6, 4), {"shape": "(0, -4, 2, -1, -2)"}, []), ("Reshape", (2, 6, 4), {"shape": "(-3, 2, -1)"}, []),
    ("Reshape", (2, 6, 4), {"shape": "(-1, 0)", "reverse": "True"}, []),
    ("Reshape", (2, 6, 4), {"shape": "(0, 2, 3, -4, 0)", "reverse": "True"}, []),
    ("Flatten", (2, 3, 4), {}, []), ("expand_dims", (2, 3), {"axis": "1"}, []),
         ("squeeze", (2, 1, 3), {"axis": "1"}, []),
    ("transpose", (2, 3, 4), {}, []), ("transpose", (2, 3, 4), {"axes": "(1, 2, 0)"}, []),
    ("SwapAxis", (2, 3, 4), {"dim1": "0", "dim2": "2"}, []), ("Concat", (2, 3, 4), {"num_args": "2"}, [(2, 2, 4)]),
    ("Concat", (1, 3, 4), {"num_args": "3", "dim": "2"}, [(1, 3, 1), (1, 3, 2)]),
    *[("Pad", (2, 3, 4, 5), {"mode": mode, "pad_width": "(0, 0, 0, 0, 3, 0, 0, 4)"}, [])
      for mode in ("edge", "reflect")],
    ("LeakyReLU", (2, 3, 4, 5), {"act_type": "prelu"}, [(3,)]), ("LeakyReLU", (2, 3), {"act_type": "prelu"}, [(3,)]),
    *[("Pad", (2, 3, 4, 5), {"mode": mode, "pad_width": "(0, 0, 0, 0, 1, 2, 3, 1)", "constant_value": "7"}, [])
      for mode in ("constant", "edge", "reflect")],
    ("slice", (4, 5), {"begin": "(1, None)", "end": "(3, -1)"}, []),
    ("slice_axis", (4, 5), {"axis": "-1", "begin": "-3", "end": "None"}, []),
    *[(name, (2, 3, 4), attrs, []) for name in ("mean", "sum", "max")
      for attrs in ({"axis": "1"}, {"axis": "(0, 2)", "keepdims": "True"}, {"axis": "0", "exclude": "True"}, {})],
    ("Activation", (2, 30), {"act_type": "softrelu"}, []), ("Activation", (2, 30), {"act_type": "softsign"}, []),
    ("hard_sigmoid", (2, 30), {"alpha": "0.3", "beta": "0.4"}, []),
         ("clip", (2, 9), {"a_min": "-0.5", "a_max": "0.5"}, []),
]


@pytest.mark.parametrize("op, shape, attrs, others", CASES)
def test_as_mxnet_does_it(op, shape, attrs, others):
    mx = pytest.importorskip("mxnet")
    x = R.normal(size=shape).astype(np.float32)
    arrays = [R.uniform(0.5, 1.5, other).astype(np.float32) for other in others]
    found, text = run(op, x, attrs, *arrays)
    given = {f"p{i}": mx.nd.array(array) for i, array in enumerate(arrays)}
    symbol = mx.sym.load_json(text)
    states = {name: given.pop(name) for name in symbol.list_auxiliary_states()}
    expected = symbol.bind(mx.cpu(), {"data": mx.nd.array(x), **given}, aux_states=states).forward()[0].asnumpy()
    assert found.shape == expected.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("window", [{"kernel": "(3, 3)"}, {"kernel": "(3, 3)", "stride": "(2, 2)", "pad": "(1, 1)"},
                                    {"kernel": "(2, 2)", "stride": "(2, 2)"}, {"kernel": "(5, 2)", "pad": "(1, 0)"},
                                    {"kernel": "(1, 1)", "global_pool": "True"}])
def test_maxima_of_infinities_and_nan_are_those_of_mxnet(window):
    mx = pytest.importorskip("mxnet")
    odd = np.float32([np.nan, -np.inf, np.inf, 3])
    x = np.random.default_rng(2).choice(odd, (2, 6, 8, 6), p=[0.5, 0.4, 0.05, 0.05])
    x[0, 0], x[0, 1], x[0, 2] = -np.inf, np.nan, 7
    expected = mx.sym.Pooling(mx.sym.var("data"), pool_type="max", **window).bind(mx.cpu(), {"data": mx.nd.array(x)})
    assert np.array_equal(run("Pooling", x, window)[0], expected.forward()[0].asnumpy())


@pytest.mark.parametrize("op, attrs, others", [
    *[("Activation", {"act_type": kind}, ()) for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")],
    *[("LeakyReLU", {"act_type": kind}, ()) for kind in ("leaky", "elu", "selu", "gelu")],
    ("LeakyReLU", {"act_type": "prelu"}, ((16,),)), ("hard_sigmoid", {}, ()), ("softmax", {"axis": "1"}, ()),
    ("log_softmax", {}, ()), ("broadcast_add", {}, ((1, 16, 1, 64),)), ("LRN", {"nsize": "5"}, ()),
    ("transpose", {"axes": "(3, 2, 1, 0)"}, ()), ("mean", {"axis": "(1, 3)"}, ()),
    ("_rdiv_scalar", {"scalar": "2"}, ()),
    *[("Pad", {"mode": mode, "pad_width": "(0, 0, 0, 0, 1, 2, 3, 1)"}, ()) for mode in ("constant", "edge", "reflect")],
    ("Pooling", {"kernel": "(3, 3)", "pool_type": "avg"}, ()), ("clip", {"a_min": "0", "a_max": "1"}, ())])
def test_nothing_as_large_as_the_input_is_made_on_the_way(op, attrs, others):
    # So that max_nbytes, which counts inputs, outputs and buffers of layers, bounds what a run takes.
    x = np.random.default_rng(0).normal(size=(2, 16, 64, 64)).astype(np.float32)
    parameters = {f"p{i}": np.ones(shape, np.float32) for i, shape in enumerate(others)}
    text = graph_text(("null", "data", {}, []), *[("null", name, {}, []) for name in parameters],
                      (op, "it", attrs, range(1 + len(others))))
    net = dc.session(CompressedModel(parameters, text), measure=False)
    result = net.run(x)
    tracemalloc.start()
    try:
        net.run(x)
        assert tracemalloc.get_traced_memory()[1] < result.nbytes + x.nbytes // 3
    finally:
        tracemalloc.stop()


def test_every_operator_is_in_a_case():
    import inspect
    import sys
    source = inspect.getsource(sys.modules[__name__])
    aliases = {"Activation": "relu"}
    missing = [name for name in OPERATORS if f'"{aliases.get(name, name)}"' not in source
               and not name.startswith(("elemwise_", "broadcast_"))]
    assert missing == []


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_give_the_same_bits(threads):
    x = np.random.default_rng(1).normal(size=(2, 5, 90, 100)).astype(np.float32)
    nodes = [DATA, ("Pooling", "p", {"kernel": "(3, 3)", "pad": "(1, 1)"}, [0]), ("sigmoid", "s", {}, [1]),
             ("elemwise_add", "a", {}, [1, 2]), ("LRN", "l", {"nsize": "3"}, [3]),
             ("_contrib_AdaptiveAvgPooling2D", "m", {"output_size": "7"}, [4])]
    nodes[0] = ("null", "data", {}, [])
    model = CompressedModel({"w": np.zeros(1, np.float32)}, graph_text(*nodes))
    assert dc.session(model, threads=threads).run(x).tobytes() == dc.session(model).run(x).tobytes()
