import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_cases import SHAPES, check, coded_matrix, inputs

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime import simd
from gluon_dc.runtime.kept import kept_weights
from gluon_dc.runtime.sliced import SlicedMatrix

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(params=["avx512", "plain"])
def path(request, monkeypatch):
    """Both instruction paths; AVX-512 only where the machine has it."""
    if request.param == "avx512" and not simd.HAS_AVX512:
        pytest.skip("needs AVX-512")
    monkeypatch.setattr(simd, "HAS_AVX512", request.param == "avx512")
    return request.param


class TestByHand:
    def test_kept_weights(self):
        codes = np.array([[0, 3, 0], [0, 0, 0], [1, 0, 2]], np.uint8)
        kept = kept_weights(CodedTensor(np.arange(4, dtype=np.float32), codes))
        assert kept.bounds.tolist() == [0, 1, 1, 3] and kept.counts.tolist() == [1, 0, 2]
        assert kept.columns.tolist() == [1, 0, 2] and kept.codes.tolist() == [3, 1, 2] and kept.shape == (3, 3)

    def test_words(self, path):
        codes = np.zeros((3, 50), np.uint8)
        codes[0, 4] = 1
        codes[2, [0, 1, 49]] = [3, 2, 1]
        coded = CodedTensor(np.array([0, 1, 10, 100], np.float32), codes)
        form = SlicedMatrix.build(coded)
        words = np.zeros((3, 16), np.uint16)
        words[:, 0] = [0 << 5 | 3, 1 << 5 | 2, 48 << 5 | 1]
        words[0, 1] = 4 << 5 | 1
        assert np.array_equal(form.words, words) and form.order.tolist() == [2, 0, 1]
        assert form.apply(np.arange(50, dtype=np.float32)[None]).tolist() == [[4, 0, 59]]

    @pytest.mark.parametrize("k, code_bits, largest", [(32, 5, 2047), (33, 6, 1023), (128, 7, 511), (256, 8, 255)])
    def test_large_gaps_are_bridged(self, k, code_bits, largest, path):
        codes = np.zeros((1, 5000), np.uint8)
        codes[0, [largest, 2 * largest + 1, 4999]] = [1, k - 1, 2]
        coded = CodedTensor(np.arange(k, dtype=np.float32), codes)
        form = SlicedMatrix.build(coded)
        assert form.code_bits == code_bits
        bridges = -(-(4999 - 2 * largest - 1) // largest) - 1
        lane = form.words[:, 0].tolist()
        assert lane[:3] == [largest << code_bits | 1, largest << code_bits, 1 << code_bits | k - 1]
        assert lane[3:3 + bridges] == [largest << code_bits] * bridges and len(lane) == 4 + bridges
        assert form.apply(np.ones((1, 5000), np.float32)).tolist() == [[1 + k - 1 + 2]]


@pytest.mark.parametrize("k", [None, 33, 256])
@pytest.mark.parametrize("rows, cols, density, entries", SHAPES)
def test_against_dense(rows, cols, density, entries, k, path):
    coded = coded_matrix(rows, cols, density, k or entries)
    form = SlicedMatrix.build(coded)
    assert (form.rows, form.cols) == (rows, cols)
    check(form, coded, inputs(2, cols), inputs(1, rows, 1)[0], relu=True)
    check(form, coded, inputs(1, cols))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 400), st.floats(0, 1), st.integers(1, 256), st.integers(0, 99))
def test_any_shape(rows, cols, density, k, seed):
    coded = coded_matrix(rows, cols, density, k, seed)
    check(SlicedMatrix.build(coded), coded, inputs(1, cols, seed))


@pytest.mark.parametrize("k", [32, 200])
def test_uneven_rows(k, path):
    coded = coded_matrix(100, 1000, 0.02, k)
    codes = coded.codes.copy()
    codes[41] = 1  # one full row,
    codes[::3] = 0  # many empty ones,
    codes[:, 100:200] = 0  # empty columns
    coded = CodedTensor(coded.codebook, codes)
    check(SlicedMatrix.build(coded), coded, inputs(1, 1000))


@pytest.mark.parametrize("k", [32, 200])
def test_infinite_inputs_count_where_weights_are_kept(k, path):
    coded = coded_matrix(40, 300, 0.1, k)
    x = inputs(1, 300)
    x[0, 0] = np.inf  # column 0: where empty slots point
    y, weight = SlicedMatrix.build(coded).apply(x)[0], coded.decode()
    touched = weight[:, 0] != 0
    assert touched.any() and np.isfinite(y[~touched]).all()
    assert np.array_equal(y[touched], np.inf * np.sign(weight[touched, 0]))


def test_threads_give_the_same(path):
    coded = coded_matrix(3000, 500, 0.1, 64)
    form, x = SlicedMatrix.build(coded), inputs(8, 500)
    single = check(form, coded, x)
    assert np.array_equal(form.apply(x, threads=2), single) and np.array_equal(form.apply(x, threads=5), single)


def test_resident_bytes():
    coded = coded_matrix(512, 4096, 0.09)
    form = SlicedMatrix.build(coded)
    assert form.nbytes == sum(array.nbytes for array in (form.words, form.bounds, form.order, form.codebook))
    assert 2 * coded.nnz < form.nbytes < 2.2 * coded.nnz
    assert form.words.ctypes.data % 64 == 0


def test_any_matrix_fits():
    assert SlicedMatrix.fits(coded_matrix(4, 5, 0.5, 256), 64)
    assert not SlicedMatrix.fits(CodedTensor(np.zeros(1, np.float32), np.zeros((2, 2, 2), np.uint8)), 1)


def test_a_process_without_avx512_gives_the_same():
    code = """
import sys; sys.path.insert(0, "tests")
from matrix_cases import check, coded_matrix, inputs
from gluon_dc.runtime import MATRIX_FORMS, simd
assert not simd.HAS_AVX512
for name, k in (("sliced", 256), ("window", 32)):
    coded = coded_matrix(70, 500, 0.1, k)
    check(MATRIX_FORMS[name].build(coded), coded, inputs(2, 500))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                            env={**os.environ, "GLUON_DC_NO_AVX512": "1"})
    assert result.returncode == 0, result.stderr
