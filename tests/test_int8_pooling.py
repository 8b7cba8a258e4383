"""Convolutions in bytes that take maxima over windows of their output themselves."""

import numpy as np
import pytest
from conv_cases import coded_filters, planes
from graphs import graph_text
from hypothesis import given, settings
from hypothesis import strategies as st
from int8_reference import int8_convolution, maxima

import gluon_dc as dc
from gluon_dc.coding import CompressedModel, pack
from gluon_dc.runtime import int8_code, int8_plan, int8_pooling, plan
from gluon_dc.runtime.forms import Geometry
from gluon_dc.runtime.int8_conv import Int8Conv
from gluon_dc.runtime.int8_plan import Window
from gluon_dc.runtime.scratch import Scratch
from gluon_dc.runtime.tasks import run_stages
from gluon_dc.runtime.weights import Plain


@pytest.fixture(params=["vnni", "portable"])
def path(request, monkeypatch):
    if request.param == "portable":
        monkeypatch.setattr(int8_code, "HAS_VNNI", False)
    elif not int8_code.HAS_VNNI:
        pytest.skip("this processor has no AVX-512 VNNI")
    return request.param


def run(form, x, window, bias=None, clip=(-np.inf, np.inf), threads=1):
    """(maxima, largest and least number by image that the stages have noted)."""
    out = np.full((len(x), form.shape[0], window.rows, window.columns), 7, np.float32)
    stages, found = form.stages_between(x, bias, clip, out, threads, Scratch(), None, window)
    run_stages(stages)
    words = np.array(found)
    largest = words[:, :, 0].max(axis=(0, 2)).view(np.float32)
    return out, largest, words[:, :, 1].view(np.uint32).max(axis=(0, 2)).view(np.float32)


def test_by_hand(path):
    # A filter of 1 (127 steps of 1 / 127) over pixels 0 to 255 in steps of 1.
    x = np.float32([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9], [255, 0, 2, 3, 8]])[None, None]
    form = Int8Conv.build(Plain(np.full((1, 1, 1, 1), 127, np.float32)), Geometry())
    found, largest, _ = run(form, x, Window(2, 0, 0, 2, 2))
    assert (found[0, 0] / 127).tolist() == [[9, 6], [255, 9]] and largest == 255 * 127
    # A last window of one column, and one of half a row outside on each side.
    assert (run(form, x, Window(2, 0, 0, 2, 3))[0][0, 0] / 127).tolist() == [[9, 6, 5], [255, 9, 9]]
    assert (run(form, x, Window(3, 1, 1, 2, 3))[0][0, 0] / 127).tolist() == [[9, 6, 5], [255, 9, 9]]
    # Numbers of which all but one are below 0, and a bias.
    found, _, least = run(form, np.float32([[-255, -3], [-7, 0]])[None, None], Window(2, 1, 1, 2, 2), np.float32([1]))
    assert (found[0, 0]).tolist() == [[-255 * 127 + 1, -3 * 127 + 1], [-7 * 127 + 1, 1]] and least == -255 * 127 + 1


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_as_maxima_of_what_would_be_written(data):
    kernel, taps, step = (data.draw(st.sampled_from(found)) for found in ((2, 3), (1, 3, 7), (1, 2)))
    pads = [data.draw(st.integers(0, 1)) for _ in range(2)]
    size = [data.draw(st.integers(taps + 2 * step, 50)) for _ in range(2)]
    geometry = Geometry((step, step), (taps // 2, data.draw(st.integers(0, taps // 2))))
    shape = (data.draw(st.integers(1, 20)), data.draw(st.integers(1, 9)), taps, taps)
    coded, x = coded_filters(shape, 0.7), planes((2, shape[1], *size), 3)
    bias, clip = planes((shape[0],), 1), data.draw(st.sampled_from([(0, np.inf), (-np.inf, np.inf), (0, 6)]))
    whole = int8_convolution(x, coded.decode(), geometry, bias, clip)
    window = Window(kernel, *pads, *(max(1, data.draw(st.sampled_from([  # one more than fits, or what fits
        -(-(pixels + 2 * pad - kernel) // 2) + 1, (pixels + 2 * pad - kernel) // 2 + 1])))
        for pixels, pad in zip(whole.shape[2:], pads)))
    if any(2 * (many - 1) - pad >= pixels for many, pad, pixels in zip(window[3:], pads, whole.shape[2:])):
        return
    found, largest, least = run(Int8Conv.build(coded, geometry), x, window, bias, clip, data.draw(st.integers(1, 3)))
    padded = np.pad(whole, ((0, 0), (0, 0), (pads[0], 0), (pads[1], 0)), constant_values=-np.inf)
    expected = maxima(padded, kernel, 0, window[3:])
    assert np.array_equal(found, expected)
    assert np.array_equal(np.maximum(largest, 0), np.maximum(expected.max(axis=(1, 2, 3)), 0))
    assert np.array_equal(np.minimum(least, 0), np.minimum(expected.min(axis=(1, 2, 3)), 0))


@pytest.mark.parametrize("floats", [200, 1_000, 5_000])
def test_every_way_to_cut_tiles_gives_the_same(floats, path, monkeypatch):
    coded, x, geometry = coded_filters((12, 6, 3, 3), 0.6), planes((2, 6, 24, 32), 3), Geometry(pad=(1, 1))
    whole, form = int8_convolution(x, coded.decode(), geometry), Int8Conv.build(coded, geometry)
    monkeypatch.setattr(int8_plan, "POOLED_FLOATS", floats)
    int8_plan.plan_bytes.cache_clear()
    for window in (Window(2, 0, 0, 12, 16), Window(3, 1, 1, 12, 16), Window(3, 0, 0, 12, 16)):
        assert np.array_equal(run(form, x, window)[0], maxima(whole, window.kernel, window.above, window[3:]))
    int8_plan.plan_bytes.cache_clear()


def test_what_is_not_finite_gives_nan_everywhere(path):
    x = planes((2, 4, 9, 9), 1)
    x[0, 0, 0, 0] = np.nan
    form = Int8Conv.build(coded_filters((5, 4, 3, 3), 0.9), Geometry())
    for window in (Window(2, 0, 0, 4, 4), Window(3, 1, 1, 4, 4)):
        for clip in ((0, np.inf), (-np.inf, np.inf)):
            found, largest, least = run(form, x, window, None, clip)
            assert np.isnan(found[0]).all() and not np.isnan(found[1]).any()
            assert np.isnan(largest[0]) or np.isnan(least[0])


def net(kernel=3, stride=2, pad=0, concat=True, other_user=False, kind="max"):
    """A CompressedModel: a conv, or two put together, pooling, one more conv; perhaps the first is read twice."""
    attrs = {"num_filter": "8", "kernel": "(3, 3)", "pad": "(1, 1)", "no_bias": "True"}
    nodes = [("null", "data", {"__shape__": "(0, 3, 32, 32)"}, []), ("null", "w0", {}, []),
             ("Convolution", "c0", attrs, [0, 1]), ("relu", "r0", {}, [2])]
    last = 3
    if concat:
        nodes += [("null", "w1", {}, []), ("Convolution", "c1", attrs, [0, 4]), ("relu", "r1", {}, [5]),
                  ("Concat", "cat", {"dim": "1"}, [3, 6])]
        last = 7
    nodes.append(("Pooling", "p", {"kernel": str((kernel,) * 2), "stride": str((stride,) * 2), "pad": str((pad,) * 2),
                                   "pool_type": kind, "pooling_convention": "full"}, [last]))
    nodes += [("null", "w2", {}, []), ("Convolution", "c2", attrs, [len(nodes) - 1, len(nodes)])]
    if other_user:
        nodes += [("null", "w3", {}, []), ("Convolution", "c3", attrs, [3, len(nodes)]),
                  ("Pooling", "all", {"global_pool": "True", "kernel": "(1, 1)", "pool_type": "max"}, [len(nodes) + 1]),
                  ("broadcast_add", "sum", {}, [len(nodes) - 1, len(nodes) + 2])]
    shapes = {"w0": (8, 3, 3, 3), "w1": (8, 3, 3, 3), "w2": (8, 16 if concat else 8, 3, 3), "w3": (8, 8, 3, 3)}
    names = [node[1] for node in nodes if node[0] == "null" and node[1] != "data"]
    tensors = {name: pack(coded_filters(shapes[name], 0.7, 15, seed=i)) for i, name in enumerate(names)}
    return CompressedModel(tensors, graph=graph_text(*nodes))


X = planes((2, 3, 32, 32), 4)


def steps_of(session):
    """Names of what a session runs."""
    return [name for name, _ in session.profile(X, 1)]


@pytest.mark.parametrize("settings, is_pooled", [
    ({}, True), ({"concat": False}, True), ({"kernel": 2}, True), ({"pad": 1}, True), ({"stride": 1}, False),
    ({"stride": 3}, False), ({"kind": "avg"}, False), ({"other_user": True}, False),
    ({"other_user": True, "concat": False}, False)])
def test_in_a_net(settings, is_pooled, monkeypatch):
    monkeypatch.setattr(Int8Conv, "pools", lambda self, shape, window: True)
    found = dc.session(net(**settings), precision="int8", force="int8", batch=2)
    assert ("p" in steps_of(found)) != is_pooled
    monkeypatch.setattr(plan, "pooled_steps", lambda steps, shapes, outputs, weights: (steps, shapes))
    apart = dc.session(net(**settings), precision="int8", force="int8", batch=2)
    assert "p" in steps_of(apart) and np.array_equal(apart.run(X), found.run(X))


def test_only_convolutions_in_bytes_pool(monkeypatch):
    monkeypatch.setattr(Int8Conv, "pools", lambda self, shape, window: True)
    assert "p" in steps_of(dc.session(net(), force="dense", batch=2))
    # One of the two that are put together is none.
    mixed = {"w0": "int8", "w1": "dense", "w2": "int8"}
    assert "p" in steps_of(dc.session(net(), precision="int8", force=mixed, batch=2))
    assert "p" not in steps_of(dc.session(net(), precision="int8", force={"w*": "int8"}, batch=2))


def test_nothing_changes_without_int8(monkeypatch):
    monkeypatch.setattr(int8_pooling, "_window", lambda step, shapes: pytest.fail("looked for poolings"))
    dc.session(net(), measure=False, batch=2).run(X)
