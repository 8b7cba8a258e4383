"""Coded matrices for the tests of the forms that multiply by them."""

import numpy as np

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime.forms import MatrixForm

# Small layers are shared out too, so that shares are tested.
MatrixForm.least_shared = 0


def coded_matrix(rows, cols, density, k=32, seed=0):
    """CodedTensor (rows, cols): each weight kept with probability `density`, k codebook entries."""
    rng = np.random.default_rng(seed)
    codebook = rng.standard_normal(k).astype(np.float32)
    codebook[0] = 0
    codes = np.zeros((rows, cols), np.uint8)
    if k > 1:
        codes = (rng.random((rows, cols)) < density) * rng.integers(1, k, (rows, cols))
    return CodedTensor(codebook, codes.astype(np.uint8))


def inputs(n, cols, seed=0):
    """float32 (n, cols)."""
    return np.random.default_rng(seed).standard_normal((n, cols)).astype(np.float32)


def check(form, coded, x, bias=None, relu=False, threads=1):
    """Assert that form.apply gives x @ weight.T within 1e-5 of the sum of |terms|."""
    weight = coded.decode().astype(np.float64)
    expected = x.astype(np.float64) @ weight.T
    scale = np.abs(x.astype(np.float64)) @ np.abs(weight).T
    if bias is not None:
        expected, scale = expected + bias, scale + np.abs(bias)
    if relu:
        expected = np.maximum(expected, 0)
    found = form.apply(x, bias, relu, threads=threads)
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert (np.abs(found - expected) <= 1e-5 * scale + 1e-30).all()
    return found


# rows, cols, density, codebook entries
SHAPES = [(1, 1, 1, 2), (1, 1, 0, 1), (1, 900, 0.3, 32), (900, 1, 0.5, 3), (15, 33, 0.5, 32), (17, 64, 1, 16),
          (48, 500, 0.04, 32), (50, 300, 0, 32), (33, 65_537, 0.001, 32), (3, 140_000, 0.01, 32), (0, 5, 1, 4),
          (5, 0, 1, 4), (0, 0, 1, 4)]
