import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding.codebook_tree import codebook_tree


def test_by_hand():
    # Sorted: -3 (code 2), -1 (4) | 0.5 (1), 2 (5), 7 (3). Magnitudes count from 0.0 outwards.
    tree = codebook_tree(np.array([0, 0.5, -3, 7, -1, 2], np.float32))
    assert tree.sizes.tolist() == [2, 3] and tree.depths.tolist() == [1, 2]
    assert tree.codes[0, :2].tolist() == [4, 2] and tree.codes[1, :3].tolist() == [1, 5, 3]
    assert tree.signs.tolist()[1:] == [1, 0, 1, 0, 1] and tree.magnitudes.tolist()[1:] == [0, 1, 2, 0, 1]


def test_no_codes_one_code_and_values_of_zero():
    assert codebook_tree(np.zeros(1, np.float32)).sizes.tolist() == [0, 0]
    one = codebook_tree(np.array([0, -2], np.float32))
    assert one.sizes.tolist() == [1, 0] and one.depths.tolist() == [0, 0] and one.codes[0, 0] == 1
    # Neither 0.0 nor -0.0 is negative; equal values are ranked by code.
    same = codebook_tree(np.array([0, -0.0, 0, 5, 5], np.float32))
    assert same.sizes.tolist() == [0, 4] and same.codes[1, :4].tolist() == [1, 2, 3, 4]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-10, 10, width=32), max_size=255))
def test_every_code_has_one_place_and_magnitudes_ascend(values):
    codebook = np.array([0, *values], np.float32)
    tree = codebook_tree(codebook)
    codes = np.arange(1, codebook.size)
    assert np.array_equal(tree.codes[tree.signs[1:], tree.magnitudes[1:]], codes)
    assert np.array_equal(tree.signs[1:], (codebook[1:] >= 0).astype(int))
    assert tree.sizes.sum() == codes.size
    for sign in (0, 1):
        assert (np.diff(np.abs(codebook[tree.codes[sign, :tree.sizes[sign]]])) >= 0).all()
        assert tree.sizes[sign] <= 2**tree.depths[sign] < max(2, 2 * tree.sizes[sign])
