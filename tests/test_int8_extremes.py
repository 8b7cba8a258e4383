"""Where the range of an int8 convolution's input is taken from the layers before it, and where it must be looked for."""

import numpy as np
import pytest
from conv_cases import coded_filters, planes
from graphs import graph_text

import gluon_dc as dc
from gluon_dc.coding import CompressedModel, pack
from gluon_dc.runtime import int8_extremes
from gluon_dc.runtime.int8_conv import Int8Conv

WIDTH = 8


def chain(*between, parts=1):
    """A net: `parts` convolutions of one input, what is `between`, and one more convolution.

    between: (operator, attributes, inputs as numbers of convolutions (0 on) or of those before (-1: the last)).
    """
    nodes = [("null", "data", {"__shape__": "(0, 4, 8, 8)"}, [])]
    attrs = {"num_filter": str(WIDTH), "kernel": "(1, 1)", "no_bias": "True"}
    tensors, made = {}, []
    for i in range(parts):
        tensors[f"w{i}"] = pack(coded_filters((WIDTH, 4, 1, 1), 0.9, 15, seed=i))
        nodes += [("null", f"w{i}", {}, []), ("Convolution", f"c{i}", attrs, [0, len(nodes)])]
        made.append(len(nodes) - 1)
    for number, (op, given, inputs) in enumerate(between):
        nodes.append((op, f"b{number}", given, [made[i] for i in inputs]))
        made.append(len(nodes) - 1)
    channels = given.get("channels", WIDTH) if between else WIDTH
    given.pop("channels", None)
    tensors["last"] = pack(coded_filters((WIDTH, channels, 1, 1), 0.9, 15, seed=99))
    nodes += [("null", "last", {}, []), ("Convolution", "out", attrs, [made[-1], len(nodes)])]
    return CompressedModel(tensors, graph=graph_text(*nodes))


def pooling(kind, kernel, stride, pad=0, convention="valid"):
    return ("Pooling", {"pool_type": kind, "kernel": str((kernel,) * 2), "stride": str((stride,) * 2),
                        "pad": str((pad,) * 2), "pooling_convention": convention}, [-1])


def both():
    """Two convolutions, reshaped so that both images of one make a single one, and put together again."""
    attrs = {"shape": f"(1, {2 * WIDTH}, 8, 8)"}
    return [("Reshape", attrs, [0]), ("Reshape", attrs, [1])]


CASES = {
    "max": ([pooling("max", 3, 2)], 1, True), "max, padded": ([pooling("max", 3, 2, 1)], 1, True),
    "max, with windows beyond the edge": ([pooling("max", 2, 3, 0, "full")], 1, False),
    "mean": ([pooling("avg", 4, 4)], 1, False), "sum": ([pooling("sum", 2, 2)], 1, False),
    "concat": ([("Concat", {"dim": "1", "channels": 2 * WIDTH}, [0, 1])], 2, True),
    "concat, from behind": ([("Concat", {"dim": "-3", "channels": 2 * WIDTH}, [0, 1])], 2, True),
    "images mixed by concat": ([*both(), ("Concat", {"dim": "0", "channels": 2 * WIDTH}, [2, 3])], 2, False),
    "images mixed by reshape": ([*both(), ("Concat", {"dim": "1"}, [2, 3]), ("Reshape", {
        "shape": f"(2, {2 * WIDTH}, 8, 8)", "channels": 2 * WIDTH}, [-1])], 2, False),
    "many parts": ([("Concat", {"dim": "1", "channels": 20 * WIDTH}, list(range(20)))], 20, False),
}


@pytest.mark.parametrize("name", CASES)
def test_the_range_is_that_of_what_is_read(name, monkeypatch):
    between, parts, expected = CASES[name]
    model = chain(*[(op, dict(attrs), inputs) for op, attrs, inputs in between], parts=parts)
    known, inside = [], Int8Conv.stages_between

    def noting(self, x, bias, clip, out, threads, scratch, of=None, *window):
        known.append(of is not None)
        return inside(self, x, bias, clip, out, threads, scratch, of, *window)
    monkeypatch.setattr(Int8Conv, "stages_between", noting)
    x = planes((2, 4, 8, 8), 3)
    x[1] *= 100
    found = dc.session(model, force="int8", precision="int8", batch=2).run(x)
    assert known == [False] * parts + [expected]
    monkeypatch.setattr(int8_extremes.Extremes, "of", lambda self, value: None)
    exact = dc.session(model, force="int8", precision="int8", batch=2).run(x)
    if between and between[0][0] == "Pooling":  # numbers that no window takes belong to the range too
        for image in range(2):
            assert np.abs(found - exact)[image].max() < 0.03 * np.abs(exact[image]).max()
    else:
        assert np.array_equal(exact, found)


def test_a_mean_of_many_pixels_keeps_its_accuracy():
    model, x = chain(pooling("avg", 8, 8)), planes((2, 4, 8, 8), 3)
    exact = dc.session(model, force="dense", batch=2).run(x)
    found = dc.session(model, force="int8", precision="int8", batch=2).run(x)
    assert 0 < np.abs(found - exact).max() < 0.03 * np.abs(exact).max()
