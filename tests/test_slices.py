import numpy as np
import pytest
from matrix_cases import coded_matrix, inputs

from gluon_dc.runtime.kept import slice_order
from gluon_dc.runtime.rows import copy_finite, finish_rows
from gluon_dc.runtime.slices import codebook_table, bias_or_none


def test_rows_of_most_weights_come_first_and_ties_stay_in_order():
    assert slice_order(np.array([2, 5, 0, 5, 2])).tolist() == [1, 3, 0, 4, 2]


def test_codebook_tables_are_padded_and_aligned():
    table = codebook_table(coded_matrix(2, 2, 0.5, 3), 32)
    assert table.shape == (32,) and not table[3:].any() and table[1:3].all() and table.ctypes.data % 64 == 0


def test_no_bias_is_an_empty_one():
    bias = inputs(1, 4)[0]
    assert bias_or_none(bias) is bias and bias_or_none(None).shape == (0,)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [0, 17, 36])
def test_an_input_that_is_not_finite_is_found(odd, place):
    x, scratch = inputs(1, 37)[0], np.full(50, 9, np.float32)
    x[5] = np.finfo(np.float32).max
    assert copy_finite(x, scratch) and np.array_equal(scratch[:37], x) and not scratch[37:].any()
    x[place] = odd
    assert not copy_finite(x, scratch) and np.array_equal(scratch[:37], x, equal_nan=True)


def test_sums_go_to_their_rows():
    sums, order = np.arange(-8, 8, dtype=np.float32)[None], np.arange(18, dtype=np.int32)[::-1].copy()
    y = np.full(18, 99, np.float32)
    finish_rows(sums, order, 1, np.zeros(0, np.float32), False, y)
    assert y.tolist() == [-7, -8] + [99] * 16
    finish_rows(sums, order, 0, np.full(18, 0.5, np.float32), True, y)
    assert y[2:].tolist() == [max(0, value + 0.5) for value in range(-8, 8)][::-1]


@pytest.mark.parametrize("bias", [np.zeros(0, np.float32), inputs(1, 40)[0]])
@pytest.mark.parametrize("relu", [False, True])
def test_sums_of_several_slices_go_to_their_rows_at_once(bias, relu):
    order = np.random.default_rng(0).permutation(40).astype(np.int32)
    sums, y = inputs(2, 16, 1), np.full(40, 99, np.float32)
    sums[1, 3] = np.nan
    finish_rows(sums, order, 1, bias, relu, y)  # slices 1 and 2: rows order[16:40], the last eight lanes are none
    expected = sums.reshape(-1)[:24] + (bias[order[16:]] if bias.size else 0)
    assert np.array_equal(y[order[16:]], np.maximum(expected, 0) if relu else expected, equal_nan=True)
    assert (y[order[:16]] == 99).all()
