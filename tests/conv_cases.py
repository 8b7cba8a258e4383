"""Coded convolutions for the tests of the forms that run them, and a plain convolution to hold them against."""

import numpy as np

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime.forms import ConvForm, Geometry

# Small layers are shared out too, so that shares are tested.
ConvForm.least_shared = 0


def coded_filters(shape, density, k=32, seed=0):
    """CodedTensor (out, in / groups, kh, kw): each weight kept with probability `density`, k codebook entries."""
    rng = np.random.default_rng(seed)
    codebook = rng.standard_normal(k).astype(np.float32)
    codebook[0] = 0
    codes = (rng.random(shape) < density) * rng.integers(1, k, shape) if k > 1 else np.zeros(shape)
    return CodedTensor(codebook, codes.astype(np.uint8))


def planes(shape, seed=0):
    """float32 (n, c, h, w)."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def plain_convolution(x, weight, geometry):
    """float64 (n, out, oh, ow), tap by tap."""
    filters, channels, kh, kw = weight.shape
    each = filters // geometry.groups
    (sy, sx), (py, px), (dy, dx) = geometry.stride, geometry.pad, geometry.dilate
    oh, ow = geometry.output_size(x.shape[2:], (kh, kw))
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (py, py), (px, px)))
    out = np.zeros((len(x), filters, oh, ow))
    for group in range(geometry.groups):
        mine = slice(group * each, group * each + each)
        for i in range(kh):
            for j in range(kw):
                seen = padded[:, group * channels:(group + 1) * channels, i * dy:i * dy + (oh - 1) * sy + 1:sy,
                              j * dx:j * dx + (ow - 1) * sx + 1:sx]
                out[:, mine] += np.einsum("nchw,oc->nohw", seen, weight[mine, :, i, j].astype(np.float64))
    return out


def check(form, coded, geometry, x, bias=None, relu=False, threads=1):
    """Assert that form.apply gives the plain convolution within 1e-5 of the sum of |terms|; what it gave."""
    weight = coded.decode()
    expected = plain_convolution(x, weight, geometry)
    scale = plain_convolution(np.abs(x), np.abs(weight), geometry)
    if bias is not None:
        expected, scale = expected + bias[:, None, None], scale + np.abs(bias)[:, None, None]
    if relu:
        expected = np.maximum(expected, 0)
    found = form.apply(x, bias, relu, threads=threads)
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert (np.abs(found - expected) <= 1e-5 * scale + 1e-30).all()
    return found


def case(shape, size, **geometry):
    """(weight shape, geometry, (h, w))."""
    return shape, Geometry(**geometry), size


CASES = {
    "1x1": case((16, 20, 1, 1), (14, 15)),
    "1x1 of many channels": case((5, 200, 1, 1), (6, 6)),
    "1x1, stride 2": case((9, 70, 1, 1), (15, 14), stride=(2, 2)),
    "1x1, padded": case((3, 4, 1, 1), (5, 6), pad=(1, 2)),
    "3x3": case((8, 30, 3, 3), (13, 13), pad=(1, 1)),
    "3x3, wide": case((4, 3, 3, 3), (20, 300), pad=(1, 1)),
    "3x3, width of registers": case((6, 5, 3, 3), (9, 64), pad=(1, 1)),
    "3x3, no pad": case((8, 4, 3, 3), (7, 9)),
    "3x3, one pixel": case((8, 4, 3, 3), (3, 3)),
    "3x3, stride 2": case((7, 20, 3, 3), (15, 18), stride=(2, 2), pad=(1, 1)),
    "3x3, unequal strides": case((7, 6, 3, 3), (15, 40), stride=(1, 3), pad=(0, 1)),
    "3x3, stride 3, larger than the dilation": case((4, 6, 3, 3), (22, 25), stride=(3, 3), dilate=(2, 2)),
    "3x3, far dilation": case((4, 6, 3, 3), (30, 33), pad=(6, 6), dilate=(6, 6)),
    "pad beyond the kernel": case((3, 2, 2, 2), (4, 4), pad=(5, 7)),
    "5x3, groups": case((12, 5, 5, 3), (12, 17), pad=(2, 1), dilate=(2, 3), groups=2),
    "5x5": case((6, 12, 5, 5), (27, 27), pad=(2, 2), groups=1),
    "7x7, stride 2": case((8, 3, 7, 7), (40, 40), stride=(2, 2), pad=(3, 3)),
    "11x11, stride 4": case((8, 3, 11, 11), (60, 60), stride=(4, 4), pad=(2, 2)),
    "1x7": case((5, 8, 1, 7), (10, 10), pad=(0, 3)),
    "2x1": case((5, 8, 2, 1), (10, 10)),
    "depthwise": case((6, 1, 3, 3), (15, 60), pad=(1, 1), groups=6),
    "depthwise, stride 2": case((6, 1, 3, 3), (15, 61), stride=(2, 2), pad=(1, 1), groups=6),
    "depthwise, two filters each": case((6, 1, 5, 3), (9, 20), pad=(1, 1), groups=3),
    "depthwise, dilated": case((5, 1, 3, 3), (20, 30), stride=(3, 2), pad=(2, 1), dilate=(2, 2), groups=5),
    "groups of few": case((8, 2, 3, 3), (9, 20), pad=(1, 1), groups=4),
    "one of everything": case((1, 1, 1, 1), (1, 1)),
}
