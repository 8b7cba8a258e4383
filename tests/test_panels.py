import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_cases import check, coded_matrix, inputs

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime import panels, tile_plan
from gluon_dc.runtime.forms import MATRIX_FORMS
from gluon_dc.runtime.panels import PanelsMatrix
from gluon_dc.runtime.tiled import tile_weights


@pytest.fixture(autouse=True)
def small_work_is_shared_out(monkeypatch):
    monkeypatch.setattr(tile_plan, "ALONE_CYCLES", 0)


@pytest.fixture(params=[4, 1])
def registers(request, monkeypatch):
    """Registers of inputs at a time: 4 with AVX-512, 1 on the portable path."""
    monkeypatch.setattr(panels, "MAX_REGISTERS", request.param)
    return request.param


def test_by_hand():
    coded = CodedTensor(np.array([0, 2, -1], np.float32), np.array([[1, 0, 2], [0, 0, 0]], np.uint8))
    x = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    form = PanelsMatrix.build(coded)
    assert form.apply(x).tolist() == [[-1, 0], [2, 0]]
    assert form.apply(x, np.array([0, 5], np.float32), relu=True).tolist() == [[0, 5], [2, 5]]


def test_tiles_by_hand():
    codes = np.array([[0, 0, 9, 0], [7, 0, 8, 5], [0, 6, 0, 0]], np.uint8)
    tiled = tile_weights(codes, np.arange(10, dtype=np.float32), block_rows=3, panel=3, group=2)
    # Columns 0 to 2: rows 1 (two kept), 0 and 2 (one each), and one to fill the second group; then column 3.
    assert tiled.order.tolist() == [[[1, 0, 2, 3], [1, 0, 2, 3]]]
    assert tiled.steps.tolist() == [[[2, 1], [1, 0]]]
    assert tiled.begins.tolist() == [[0, 6]]
    assert [(entry & 255, entry >> 8) for entry in tiled.entries.tolist()] == [
        (0, 7), (2, 9), (2, 8), (3, 0), (1, 6), (3, 0), (0, 5), (3, 0)]


@pytest.mark.parametrize("n", [1, 2, 8, 15, 16, 17, 33, 48, 64, 65, 130])
def test_batches(n, registers):
    coded = coded_matrix(50, 300, 0.1)
    form = PanelsMatrix.build(coded)
    check(form, coded, inputs(n, 300), inputs(1, 50)[0])
    check(form, coded, inputs(n, 300), inputs(1, 50)[0], relu=True, threads=3)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 64, 65, 1000, 1025])
@pytest.mark.parametrize("cols", [1, 127, 128, 129, 260])
def test_sizes(rows, cols):
    coded = coded_matrix(rows, cols, 0.3)
    check(PanelsMatrix.build(coded), coded, inputs(18, cols), threads=2)


@given(st.integers(1, 80), st.integers(1, 300), st.sampled_from([0, 0.01, 0.1, 0.5, 1]),
       st.sampled_from([1, 2, 32, 256]), st.integers(1, 70), st.integers(1, 3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_random_shapes(rows, cols, density, k, n, threads, relu):
    coded = coded_matrix(rows, cols, density, k)
    check(PanelsMatrix.build(coded), coded, inputs(n, cols), inputs(1, rows, 1)[0], relu, threads)


def test_uneven_rows():
    coded = coded_matrix(40, 256, 1)
    codes = np.where(np.arange(256) < 7 * np.arange(40)[:, None], coded.codes, 0).astype(np.uint8)
    coded = CodedTensor(coded.codebook, codes)
    check(PanelsMatrix.build(coded), coded, inputs(20, 256))


def test_nothing_else_is_written():
    around = np.full(20 * 37 + 64, 7, np.float32)
    out = around[32:-32].reshape(20, 37)
    form = PanelsMatrix.build(coded_matrix(37, 50, 0.5))
    assert form.apply(inputs(20, 50), out=out) is out
    assert np.array_equal(out, form.apply(inputs(20, 50)))
    assert (around[:32] == 7).all() and (around[-32:] == 7).all()


def test_nan_and_infinity_reach_only_kept_weights():
    # Rows of one group that differ in length: what fills the shorter one up must not meet the infinity.
    coded = CodedTensor(np.array([0, 1], np.float32), np.array([[1, 1, 1], [0, 0, 1], [0, 0, 0], [0, 1, 0]], np.uint8))
    x = np.array([[np.inf, 1, 2], [1, np.nan, 2]], np.float32)
    found = PanelsMatrix.build(coded).apply(x)
    assert np.array_equal(found, np.array([[np.inf, 2, 0, 1], [np.nan, 2, 0, np.nan]], np.float32), equal_nan=True)
    assert np.isnan(PanelsMatrix.build(coded).apply(x, relu=True)[1, 0])


def test_several_threads_at_once():
    coded = coded_matrix(200, 300, 0.2)
    form, xs = PanelsMatrix.build(coded), [inputs(20, 300, i) for i in range(4)]
    expected, found = [form.apply(x) for x in xs], [None] * 4

    def work(i):
        found[i] = [form.apply(xs[i], threads=2) for _ in range(5)]
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert all(np.array_equal(each, expected[i]) for i in range(4) for each in found[i])


def test_bytes_are_about_two_a_kept_weight():
    coded = coded_matrix(512, 2048, 0.09)
    form = PanelsMatrix.build(coded)
    assert 2 * coded.nnz <= form.nbytes <= 2.4 * coded.nnz


def test_what_does_not_fit():
    for coded in (coded_matrix(0, 5, 1), coded_matrix(5, 0, 1)):
        assert not PanelsMatrix.fits(coded, 8)
        with pytest.raises(ValueError, match=r"a matrix has shape \(rows, cols\), none 0, got \([05], [05]\)"):
            PanelsMatrix.build(coded)


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"x must have shape \(2, 50\), got \(2, 51\)"):
        PanelsMatrix.build(coded_matrix(37, 50, 0.5)).apply(inputs(2, 51))


def test_the_name():
    assert MATRIX_FORMS["panels"] is PanelsMatrix and PanelsMatrix.name == "panels"
