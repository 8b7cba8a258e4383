"""gluon_dc.session(precision="int8"): which layers run in bytes, and how far off the results are."""

import numpy as np
import pytest
from conv_cases import coded_filters, planes
from graphs import graph_text

import gluon_dc as dc
from gluon_dc.coding import CompressedModel, pack
from gluon_dc.runtime import int8_code, int8_extremes
from gluon_dc.runtime.int8_conv import Int8Conv

SIZES = {"a": (16, 3, 3, 3), "b": (8, 16, 1, 1), "c": (24, 8, 3, 3), "d": (24, 8, 1, 1), "e": (10, 48, 1, 1)}


def conv(name, at, pad=0):
    """Nodes of a convolution named after its weight, its bias and a ReLU; at: the number of the first one."""
    filters, _, *kernel = SIZES[name]
    attrs = {"num_filter": str(filters), "kernel": str(tuple(kernel)), "pad": f"({pad}, {pad})"}
    return lambda source: [("null", f"{name}.weight", {}, []), ("null", f"{name}.bias", {}, []),
                           ("Convolution", name, attrs, [source, at, at + 1]), ("relu", f"r{name}", {}, [at + 2])]


def fire():
    """The CompressedModel of a net like SqueezeNet's: conv, max pool, squeeze, two expands, concat, conv, mean."""
    nodes = [("null", "data", {"__shape__": "(0, 3, 20, 20)"}, [])]
    nodes += conv("a", 1, 1)(0)
    nodes += [("Pooling", "p", {"kernel": "(3, 3)", "stride": "(2, 2)", "pool_type": "max",
                                "pooling_convention": "full"}, [4])]
    nodes += conv("b", 6)(5) + conv("c", 10, 1)(9) + conv("d", 14)(9)
    nodes += [("Concat", "cat", {"dim": "1"}, [13, 17]), ("Dropout", "drop", {}, [18])] + conv("e", 20)(19)
    nodes += [("Pooling", "mean", {"global_pool": "True", "pool_type": "avg", "kernel": "(1, 1)"}, [23]),
              ("Flatten", "flat", {}, [24])]
    tensors = {}
    for i, (name, shape) in enumerate(SIZES.items()):
        tensors[f"{name}.weight"] = pack(coded_filters(shape, 0.5, 15, seed=i))
        tensors[f"{name}.bias"] = planes((shape[0],), i)
    return CompressedModel(tensors, graph=graph_text(*nodes))


X = planes((3, 3, 20, 20), 5)


def forms(session):
    """{name of a weight: form}."""
    return {row.name: row.form for row in session.layers}


def test_results_are_near_those_of_float32():
    exact = dc.session(fire(), measure=False).run(X)
    session = dc.session(fire(), force="int8", precision="int8")
    assert set(forms(session).values()) == {"int8"}
    found = session.run(X)
    assert 0 < np.abs(found - exact).max() < 0.03 * np.abs(exact).max()
    assert np.array_equal(session.run(X), found) and np.array_equal(session.run(X[1:2])[0], found[1])
    assert np.array_equal(dc.session(fire(), force="int8", precision="int8", threads=2, batch=3).run(X), found)


def test_both_ways_give_the_same(monkeypatch):
    found = dc.session(fire(), force="int8", precision="int8").run(X)
    monkeypatch.setattr(int8_code, "HAS_VNNI", False)
    assert np.array_equal(dc.session(fire(), force="int8", precision="int8").run(X), found)


def test_extremes_that_layers_note_are_those_that_would_be_found(monkeypatch):
    known = []
    inside = Int8Conv.stages_between

    def noting(self, x, bias, clip, out, threads, scratch, of=None, *window):
        known.append(of is not None)
        return inside(self, x, bias, clip, out, threads, scratch, of, *window)
    monkeypatch.setattr(Int8Conv, "stages_between", noting)
    session = dc.session(fire(), force="int8", precision="int8")
    assert known == [False, True, True, True, True]
    found = session.run(X)
    monkeypatch.setattr(int8_extremes.Extremes, "of", lambda self, value: None)
    assert np.array_equal(dc.session(fire(), force="int8", precision="int8").run(X), found)


def test_by_rule(monkeypatch):
    fits = "int8" if int8_code.HAS_VNNI else "dense"
    assert set(forms(dc.session(fire(), precision="int8", measure=False)).values()) == {fits}
    assert "int8" not in forms(dc.session(fire(), measure=False)).values()
    monkeypatch.setattr(int8_code, "HAS_VNNI", False)
    assert "int8" not in forms(dc.session(fire(), precision="int8", measure=False)).values()


def test_measured(monkeypatch, tmp_path):
    monkeypatch.setenv("GLUON_DC_CACHE", str(tmp_path))
    for _ in range(2):  # measured, remembered
        session = dc.session(fire(), precision="int8")
        assert all("int8" in row.choice.microseconds for row in session.layers)
    # What was measured for one precision says nothing of the other.
    assert all("int8" not in row.choice.microseconds for row in dc.session(fire()).layers)


def test_a_mixture():
    session = dc.session(fire(), force={"c": "int8", "*": "dense"}, precision="int8")
    assert forms(session) == {f"{name}.weight": "int8" if name == "c" else "dense" for name in SIZES}
    exact = dc.session(fire(), force="dense").run(X)
    assert 0 < np.abs(session.run(X) - exact).max() < 0.02 * np.abs(exact).max()


def test_a_batch_norm_goes_into_the_weights():
    nodes = [("null", "data", {"__shape__": "(0, 3, 8, 8)"}, []), ("null", "a.weight", {}, []),
             ("Convolution", "a", {"num_filter": "16", "kernel": "(3, 3)", "no_bias": "True"}, [0, 1])]
    nodes += [("null", f"n.{part}", {}, []) for part in ("gamma", "beta", "mean", "var")]
    nodes += [("BatchNorm", "n", {"fix_gamma": "False"}, [2, 3, 4, 5, 6]),
              ("clip", "k", {"a_min": "0", "a_max": "6"}, [7])]
    tensors = {"a.weight": pack(coded_filters(SIZES["a"], 0.5)), "n.var": np.abs(planes((16,), 1)) + 0.1}
    tensors |= {f"n.{part}": planes((16,), i) for i, part in enumerate(("gamma", "beta", "mean"))}
    model, x = CompressedModel(tensors, graph=graph_text(*nodes)), planes((2, 3, 8, 8))
    exact = dc.session(model, force="dense").run(x)
    found = dc.session(model, force="int8", precision="int8").run(x)
    assert found.min() >= 0 and found.max() == 6 and np.abs(found - exact).max() < 0.05 * 6


def test_wrong_settings():
    with pytest.raises(ValueError, match="^precision is one of float32, int8, got 'int4'$"):
        dc.session(fire(), precision="int4")
    with pytest.raises(ValueError, match="^precision is one of float32, int8, got 8$"):
        dc.session(fire(), precision=8)
    with pytest.raises(ValueError, match="^force: the form 'int8' is not exact, it takes precision='int8'$"):
        dc.session(fire(), force="int8")
