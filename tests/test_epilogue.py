import numpy as np
import pytest
from conv_cases import coded_filters, plain_convolution, planes
from graphs import graph_text

import gluon_dc as dc
from gluon_dc.coding import CompressedModel, pack
from gluon_dc.runtime.epilogue import epilogue
from gluon_dc.runtime.forms import Geometry

PARTS = ("gamma", "beta", "mean", "var")
CLIPS = {"none": (), "relu": (("relu", "r", {}),), "relu6": (("clip", "r", {"a_min": "0", "a_max": "6"}),),
         "both": (("clip", "r", {"a_min": "-1", "a_max": "1"}),)}


def test_by_hand():
    bias, scale = np.float32([1, 2]), np.float32([3, 4])
    plain = epilogue(2, bias, relu=True)
    assert plain.start is bias and plain.scale.size == plain.shift.size == 0
    assert (plain.least, plain.most) == (0, np.inf) and isinstance(plain.most, np.float32)
    scaled = epilogue(2, bias, scale, most=6)
    assert scaled.start.tolist() == [0, 0] and scaled.scale is scale and scaled.shift is bias
    assert (scaled.least, scaled.most) == (-np.inf, 6)
    assert epilogue(2).start.tolist() == [0, 0] and epilogue(2, None, scale).shift.tolist() == [0, 0]


def model(coded, pad, norm, clip, groups=1):
    """A net of one convolution with a bias, and what follows it."""
    rng = np.random.default_rng(3)
    arrays = {"bias": rng.standard_normal(len(coded.codes)).astype(np.float32)}
    nodes = [("null", "data", {"__shape__": f"(0, {coded.shape[1] * groups}, 9, 12)"}, []), ("null", "w", {}, []),
             ("null", "bias", {}, [])]
    if norm:
        arrays |= {name: rng.uniform(0.2, 3, len(coded.codes)).astype(np.float32) for name in PARTS}
        nodes += [("null", name, {}, []) for name in PARTS]
    kernel = f"({coded.shape[2]}, {coded.shape[3]})"
    nodes.append(("Convolution", "c", {"num_filter": str(len(coded.codes)), "kernel": kernel, "pad": f"({pad}, {pad})",
                                       "num_group": str(groups)}, [0, 1, 2]))
    if norm:
        nodes.append(("BatchNorm", "b", {"fix_gamma": "False"}, [len(nodes) - 1, 3, 4, 5, 6]))
    for op, name, attrs in CLIPS[clip]:
        nodes.append((op, name, attrs, [len(nodes) - 1]))
    return CompressedModel({"w": pack(coded), **arrays}, graph_text(*nodes)), arrays


def reference(coded, geometry, arrays, clip, x):
    y = plain_convolution(x, coded.decode(), geometry) + arrays["bias"][:, None, None]
    if "var" in arrays:
        gamma, beta, mean, var = (arrays[name][:, None, None].astype(float) for name in PARTS)
        y = (y - mean) / np.sqrt(var + 1e-3) * gamma + beta
    bounds = {"none": (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6), "both": (-1, 1)}
    return np.clip(y, *bounds[clip])


@pytest.mark.parametrize("form", ["direct", "dense"])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("clip", CLIPS)
def test_in_a_session(form, norm, clip):
    coded, x = coded_filters((9, 4, 3, 3), 0.6), planes((2, 4, 9, 12))
    net, arrays = model(coded, 1, norm, clip)
    session = dc.session(net, force=form, measure=False)
    expected = reference(coded, Geometry(pad=(1, 1)), arrays, clip, x)
    np.testing.assert_allclose(session.run(x), expected, rtol=1e-4, atol=1e-4)
    assert [row.form for row in session.layers] == [form]


@pytest.mark.parametrize("clip", CLIPS)
def test_depthwise_in_a_session(clip):
    coded, x = coded_filters((6, 1, 3, 3), 1), planes((2, 6, 9, 12))
    net, arrays = model(coded, 1, True, clip, groups=6)
    expected = reference(coded, Geometry(pad=(1, 1), groups=6), arrays, clip, x)
    np.testing.assert_allclose(dc.session(net, force="dense", measure=False).run(x), expected, rtol=1e-4, atol=1e-4)


def test_nothing_passes_over_the_output_again(monkeypatch):
    # Batch norm and a clip from 0 on are written by the layer itself.
    from gluon_dc.runtime import layer_calls
    monkeypatch.setattr(layer_calls, "scale_stages", None)
    monkeypatch.setattr(layer_calls, "clip_stages", None)
    net, _ = model(coded_filters((9, 4, 3, 3), 0.6), 1, True, "relu6")
    for form in ("direct", "dense"):
        dc.session(net, force=form, measure=False).run(planes((1, 4, 9, 12)))
