import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_cases import SHAPES, check, coded_matrix, inputs

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime import MatrixForm, simd
from gluon_dc.runtime.window import WindowMatrix
from gluon_dc.runtime.window_layout import section_columns, section_count


@pytest.fixture(params=["avx512", "plain"])
def path(request, monkeypatch):
    """Both instruction paths; AVX-512 only where the machine has it."""
    if request.param == "avx512" and not simd.HAS_AVX512:
        pytest.skip("needs AVX-512")
    monkeypatch.setattr(simd, "HAS_AVX512", request.param == "avx512")
    return request.param


def two_rows():
    """Row 0 keeps columns 1 and 34, row 1 keeps 0, 1, 2, 3; code of a weight = its column mod 4 + 1."""
    codes = np.zeros((2, 40), np.uint8)
    codes[0, [1, 34]] = [2, 3]
    codes[1, :4] = [1, 2, 3, 4]
    return CodedTensor(np.array([0, 1, 2, 4, 8], np.float32), codes)


class TestByHand:
    """The row of most weights is lane 0."""

    def test_a_window_of_48(self):
        form = WindowMatrix.build(two_rows())
        words = np.zeros((2, 16), np.uint32)
        words[0, 0] = (0 | 1 << 5) | (1 | 2 << 5) << 10 | (2 | 3 << 5) << 20
        words[0, 1] = (1 | 2 << 5) | (18 | 3 << 5) << 20  # column 34, of the last third: 34 - 16 in slot 2
        words[1, 0] = 0 | 4 << 5  # the window begins at 3
        assert np.array_equal(form.words, words)
        assert form.starts.tolist() == [0, 3]
        assert form.order.tolist() == [1, 0] and form.bounds.tolist() == [0, 2]

    def test_slot_2_serves_the_first_third_where_the_middle_needs_the_others(self):
        codes = np.zeros((1, 48), np.uint8)
        codes[0, [0, 16, 31, 40]] = [1, 2, 3, 4]
        form = WindowMatrix.build(CodedTensor(np.array([0, 1, 2, 4, 8], np.float32), codes))
        assert form.words[:, 0].tolist() == [(31 | 3 << 5) | (16 | 2 << 5) << 10 | (0 | 1 << 5) << 20, 0 | 4 << 5]
        assert form.starts.tolist() == [0, 40]

    def test_a_weight_of_the_middle_is_left_for_later(self):
        codes = np.zeros((2, 50), np.uint8)
        codes[0, 0] = 1  # where the first window begins; lane 1
        codes[1, [16, 17, 18, 19, 33, 34]] = [1, 2, 3, 4, 1, 2]
        form = WindowMatrix.build(CodedTensor(np.array([0, 1, 2, 4, 8], np.float32), codes))
        first = (16 | 1 << 5) | (17 | 2 << 5) << 10 | (17 | 1 << 5) << 20  # 18 and 19 are left out, 33 is not
        # From 18 on, 33 is done. 34 is in the middle third: slots 0 and 1 only.
        second = (16 | 2 << 5) | (1 | 4 << 5) << 10 | (0 | 3 << 5) << 20
        assert form.words[:, 0].tolist() == [first, second]
        assert form.starts.tolist() == [0, 18]

    def test_starts_of_very_wide_matrices_are_coarse(self):
        codes = np.zeros((1, 2**17 + 2**16 - 1), np.uint8)
        codes[0, [5, 2**17 + 3]] = 1
        form = WindowMatrix.build(CodedTensor(np.array([0, 1], np.float32), codes))
        assert form.coarse == 2 and form.starts.tolist() == [1, 2**15] and form.words[:, 0].tolist() == [33, 35]

    def test_the_product(self, path):
        x = np.arange(40, dtype=np.float32)[None]
        expected = [[1 * 2 + 34 * 4, 0 + 1 * 2 + 2 * 4 + 3 * 8]]
        form = WindowMatrix.build(two_rows())
        assert form.apply(x).tolist() == expected
        assert form.apply(x, np.array([1, -100], np.float32), relu=True).tolist() == [[139, 0]]


@pytest.mark.parametrize("rows, cols, density, k", SHAPES)
def test_against_dense(rows, cols, density, k, path):
    coded = coded_matrix(rows, cols, density, k)
    form = WindowMatrix.build(coded)
    assert (form.rows, form.cols) == (rows, cols)
    check(form, coded, inputs(2, cols), inputs(1, rows, 1)[0], relu=True)
    check(form, coded, inputs(1, cols))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 400), st.floats(0, 1), st.integers(1, 32), st.integers(0, 99))
def test_any_shape(rows, cols, density, k, seed):
    coded = coded_matrix(rows, cols, density, k, seed)
    check(WindowMatrix.build(coded), coded, inputs(1, cols, seed))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 300), st.floats(0, 1), st.integers(0, 99))
def test_every_kept_weight_is_in_one_slot(rows, cols, density, seed):
    coded, found = coded_matrix(rows, cols, density, 32, seed), np.zeros((rows, cols), int)
    form = WindowMatrix.build(coded)
    slices = np.repeat(np.arange(form.bounds.size - 1), np.diff(form.bounds))
    for step, start in enumerate(form.starts.tolist()):
        for lane, word in enumerate(form.words[step].tolist()):
            for slot in range(3):
                position, code = word >> 10 * slot & 31, word >> (10 * slot + 5) & 31
                if code:
                    column = start + position + 16 * (slot == 2 and position >= 16)
                    found[form.order[16 * slices[step] + lane], column] += code
    assert np.array_equal(found, coded.codes)  # one section: parts are slices


def test_uneven_rows(path):
    coded = coded_matrix(100, 1000, 0.02)
    codes = coded.codes.copy()
    codes[41] = 1  # one full row,
    codes[::3] = 0  # many empty ones,
    codes[:, 100:200] = 0  # empty columns
    coded = CodedTensor(coded.codebook, codes)
    check(WindowMatrix.build(coded), coded, inputs(1, 1000))


def test_no_rows_of_x(path):
    assert WindowMatrix.build(coded_matrix(20, 30, 0.5)).apply(inputs(0, 30)).shape == (0, 20)


def test_infinite_inputs_count_where_weights_are_kept(path):
    coded = coded_matrix(40, 300, 0.1)
    x = inputs(1, 300)
    x[0, 7], x[0, 8] = np.inf, np.nan
    weight = coded.decode()
    y = WindowMatrix.build(coded).apply(x)[0]
    touched = (weight[:, 7] != 0) | (weight[:, 8] != 0)
    assert touched.any() and not touched.all()
    assert np.isfinite(y[~touched]).all()
    assert np.isnan(y[weight[:, 8] != 0]).all()
    only = (weight[:, 7] != 0) & (weight[:, 8] == 0)
    assert np.array_equal(y[only], np.inf * np.sign(weight[only, 7]))


def test_relu_lets_nan_through(path):
    coded = CodedTensor(np.array([0, 1], np.float32), np.ones((1, 3), np.uint8))
    assert np.isnan(WindowMatrix.build(coded).apply(np.full((1, 3), np.nan, np.float32), relu=True)).all()


def test_threads_give_the_same(path):
    coded = coded_matrix(3000, 500, 0.1)
    form, x = WindowMatrix.build(coded), inputs(8, 500)
    single = check(form, coded, x)
    assert np.array_equal(form.apply(x, threads=2), single) and np.array_equal(form.apply(x, threads=5), single)


class TestSections:
    """5,120 columns at most: the steps of all slices come section by section."""

    def test_by_hand(self):
        codes = np.zeros((17, 6000), np.uint8)  # two slices, two sections of 3,000
        codes[0, [10, 2999, 3000]] = [1, 2, 3]  # most weights: lane 0 of slice 0. 3000 lies in the window from 2999
        codes[16, [0, 4000]] = [4, 1]
        codes[1:16, 5000] = 1  # the last of them is slice 1
        form = WindowMatrix.build(CodedTensor(np.array([0, 1, 2, 4, 8], np.float32), codes))
        assert form.section == 3000 and form.order.tolist() == [0, 16, *range(1, 16)]
        # Slice 0: from 0 and 2999 in section 0, from 4000 and 5000 in section 1; slice 1: from 5000.
        assert form.bounds.tolist() == [0, 2, 2, 4, 5]
        assert form.starts.tolist() == [0, 2999, 4000, 5000, 5000]
        assert form.words[1, 0] == (0 | 2 << 5) | (1 | 3 << 5) << 10

    def test_lengths(self):
        assert [section_columns(cols) for cols in (0, 1, 5120, 5121, 25_088)] == [1, 1, 5120, 2561, 5018]
        assert section_count(0, 1) == 1 and section_count(25_088, 5018) == 5

    def test_threads_share_them(self, path):
        coded, x = coded_matrix(1500, 11_000, 0.02), inputs(3, 11_000)
        x[1, 6000] = np.inf  # one row of x takes the plain loops
        form = WindowMatrix.build(coded)
        single = form.apply(x)
        check(form, coded, np.ascontiguousarray(x[::2]))
        assert np.array_equal(form.apply(x, threads=3), single, equal_nan=True)


def test_several_threads_at_once():
    coded = coded_matrix(300, 500, 0.1)
    form = WindowMatrix.build(coded)
    xs = [inputs(1, 500, seed) for seed in range(4)]
    expected, wrong = [form.apply(x) for x in xs], []

    def work(x, y):
        for _ in range(50):
            if not np.array_equal(form.apply(x, threads=2), y):
                wrong.append(1)
    workers = [threading.Thread(target=work, args=pair) for pair in zip(xs, expected)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_read_only_inputs_and_a_given_output():
    coded = coded_matrix(30, 50, 0.3)
    x, bias, out = inputs(2, 50), inputs(1, 30)[0], np.empty((2, 30), np.float32)
    x.flags.writeable = bias.flags.writeable = False
    form = WindowMatrix.build(coded)
    assert form.apply(x, bias, out=out) is out and np.array_equal(out, form.apply(x, bias))


def test_resident_bytes():
    coded = coded_matrix(512, 4096, 0.09)
    form = WindowMatrix.build(coded)
    arrays = (form.words, form.starts, form.bounds, form.order, form.codebook)
    assert form.nbytes == sum(array.nbytes for array in arrays)
    assert 1.25 * coded.nnz < form.nbytes < 2.3 * coded.nnz
    assert form.words.ctypes.data % 64 == 0 and form.codebook.ctypes.data % 64 == 0


def test_what_it_does_not_serve():
    large = coded_matrix(4, 5, 0.5, 33)
    assert not WindowMatrix.fits(large, 1) and WindowMatrix.fits(coded_matrix(4, 5, 0.5, 32), 1)
    with pytest.raises(ValueError, match="the window form serves codebooks of up to 32 entries, got 33"):
        WindowMatrix.build(large)
    with pytest.raises(ValueError, match=r"expected a matrix of fewer than 2\^31 columns, got shape \(3,\)"):
        WindowMatrix.build(CodedTensor(np.zeros(1, np.float32), np.zeros(3, np.uint8)))


def test_it_is_a_matrix_form():
    assert issubclass(WindowMatrix, MatrixForm)


class TestManyColumns:
    """A window begins at a multiple of 2^coarse columns: beyond 2^21 slot 0 would miss some."""

    def coded(self, cols):
        codes = np.zeros((2, cols), np.uint8)
        codes[0, [0, 31, 32, cols // 2 + 63, cols - 1]] = 1
        codes[1, cols - 1] = 1
        return CodedTensor(np.array([0, 2], np.float32), codes)

    @pytest.mark.parametrize("cols", [2**21 - 1, 2**21])
    def test_the_same_numbers(self, cols, path):
        form, x = WindowMatrix.build(self.coded(cols)), np.ones((1, cols), np.float32)
        assert form.apply(x).tolist() == [[10, 2]]

    def test_too_many(self):
        coded = self.coded(2**21 + 1)
        assert not WindowMatrix.fits(coded, 1)
        with pytest.raises(ValueError, match=r"serves matrices of up to 2,097,152 columns, got shape \(2, 2097153\)"):
            WindowMatrix.build(coded)
