import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_cases import SHAPES, check, coded_matrix, inputs

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime import MATRIX_FORMS, simd
from gluon_dc.runtime.wide import WideMatrix

SIZES = [33, 64, 65, 128, 129, 256]


@pytest.fixture(params=["avx512", "plain"])
def path(request, monkeypatch):
    """Both instruction paths; AVX-512 only where the machine has it."""
    if request.param == "avx512" and not simd.HAS_AVX512:
        pytest.skip("needs AVX-512")
    monkeypatch.setattr(simd, "HAS_AVX512", request.param == "avx512")
    return request.param


def test_by_hand(path):
    codes = np.zeros((2, 300), np.uint8)
    codes[1, [3, 130, 131]] = [255, 1, 32]  # the third finds no slot in the first step
    codes[0, 299] = 7
    form = WideMatrix.build(CodedTensor(np.arange(256, dtype=np.float32), codes))
    words = np.zeros((3, 16), np.uint32)
    words[0, 0] = (0 | 31 << 5 | 0 << 10 | 7 << 12) | (31 | 1 << 5 | 3 << 10) << 16  # positions 0 and 127
    words[1, 0] = 0 | 0 << 5 | 1 << 12
    words[2, 1] = 0 | 7 << 5
    assert np.array_equal(form.words, words) and form.starts.tolist() == [3, 131, 299]
    assert form.order.tolist() == [1, 0] and form.bounds.tolist() == [0, 3] and form.extra == 3
    x = np.arange(300, dtype=np.float32)[None]
    assert form.apply(x).tolist() == [[299 * 7, 3 * 255 + 130 + 131 * 32]]


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("rows, cols, density, _", SHAPES)
def test_against_dense(rows, cols, density, _, k, path):
    coded = coded_matrix(rows, cols, density, k)
    form = WideMatrix.build(coded)
    assert (form.rows, form.cols, form.extra) == (rows, cols, (k - 1).bit_length() - 5)
    check(form, coded, inputs(2, cols), inputs(1, rows, 1)[0], relu=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 50), st.integers(1, 400), st.floats(0, 1), st.integers(1, 256), st.integers(0, 99))
def test_any_shape(rows, cols, density, k, seed):
    coded = coded_matrix(rows, cols, density, k, seed)
    check(WideMatrix.build(coded), coded, inputs(1, cols, seed))


def test_many_inputs_and_threads(path):
    coded = coded_matrix(3000, 500, 0.1, 200)
    form, x = WideMatrix.build(coded), inputs(9, 500)
    single = check(form, coded, x)
    assert np.array_equal(form.apply(x, threads=2), single)


def test_infinite_inputs_count_where_weights_are_kept(path):
    coded = coded_matrix(40, 300, 0.1, 200)
    x = inputs(1, 300)
    x[0, 7] = np.inf
    y, weight = WideMatrix.build(coded).apply(x)[0], coded.decode()
    touched = weight[:, 7] != 0
    assert touched.any() and np.isfinite(y[~touched]).all()
    assert np.array_equal(y[touched], np.inf * np.sign(weight[touched, 7]))


def test_what_it_serves():
    assert MATRIX_FORMS["wide"] is WideMatrix
    assert WideMatrix.fits(coded_matrix(4, 5, 0.5, 33), 1) and not WideMatrix.fits(coded_matrix(4, 5, 0.5, 32), 1)


def test_resident_bytes():
    coded = coded_matrix(512, 4096, 0.09, 256)
    form = WideMatrix.build(coded)
    arrays = (form.words, form.starts, form.bounds, form.order, form.codebook)
    assert form.nbytes == sum(array.nbytes for array in arrays) and 2 * coded.nnz < form.nbytes < 2.7 * coded.nnz


class TestManyColumns:
    def coded(self, cols):
        codes = np.zeros((1, cols), np.uint8)
        codes[0, [0, 127, 128, cols - 1]] = 40
        return CodedTensor(np.arange(41, dtype=np.float32), codes)

    def test_the_most(self):
        x = np.ones((1, 2**23), np.float32)
        assert WideMatrix.build(self.coded(2**23)).apply(x).tolist() == [[160]]

    def test_too_many(self):
        coded = self.coded(2**23 + 1)
        assert not WideMatrix.fits(coded, 1)
        with pytest.raises(ValueError, match="up to 8,388,608 columns"):
            WideMatrix.build(coded)
