import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from gluon_dc.coding import CodedTensor
from gluon_dc.coding.coded import ascending, with_few_values


def f32(*values):
    return np.array(values, np.float32)


def test_ascending_by_hand():
    coded = CodedTensor(f32(0, 3, -1, 2, -1), np.array([[0, 1, 2], [3, 4, 4]], np.uint8))
    ordered = ascending(coded)
    assert ordered.codebook.tolist() == [0, -1, -1, 2, 3] and ordered.codes.tolist() == [[0, 4, 1], [3, 2, 2]]
    assert ascending(ordered) is ordered
    alone = CodedTensor(f32(0), np.zeros((0, 2), np.uint8))
    assert ascending(alone) is alone


@given(stnp.arrays(np.float32, st.integers(0, 12), elements=st.floats(-4, 4, width=32)), st.integers(0, 50))
def test_ascending_keeps_every_bit(values, seed):
    coded = CodedTensor(np.append(np.float32(0), values),
                        np.random.default_rng(seed).integers(0, values.size + 1, 30).astype(np.uint8))
    ordered = ascending(coded)
    assert ordered.decode().tobytes() == coded.decode().tobytes() and (np.diff(ordered.codebook[1:]) >= 0).all()
    np.testing.assert_array_equal(ordered.mask, coded.mask)


def test_few_values_by_hand():
    coded = with_few_values(f32(0, 2.5, 0, -1, 2.5, 2.5, 2.5, -1))
    assert coded.codebook.tolist() == [0, -1, 2.5] and coded.codes.tolist() == [0, 2, 0, 1, 2, 2, 2, 1]
    assert with_few_values(np.zeros((3, 2), np.float32)) == CodedTensor(f32(0), np.zeros((3, 2), np.uint8))
    ones = with_few_values(np.ones(64, np.float32))
    assert ones.codebook.tolist() == [0, 1] and ones.codes.tolist() == [1] * 64


@pytest.mark.parametrize("array", [
    np.arange(64, dtype=np.float32), np.zeros(0, np.float32), f32(0, -0.0), f32(1, 1, 1, 1, np.nan), f32(1, 1, np.inf),
    np.ones(64, np.float16), np.ones(64, np.int32), np.tile(np.arange(1, 257, dtype=np.float32), 9), f32(3.5)])
def test_arrays_that_stay_as_they_are(array):
    assert with_few_values(array) is None


@given(stnp.arrays(np.float32, stnp.array_shapes(min_dims=0, max_dims=3, max_side=9),
                   elements=st.sampled_from([0, 1, -2, 0.5, -0.0])))
def test_few_values_keep_every_bit(array):
    coded = with_few_values(array)
    if coded is not None:
        assert coded.decode().tobytes() == array.tobytes() and coded.shape == array.shape
