"""How an int8 convolution cuts its output into tiles."""

import pytest
from conv_cases import CASES
from hypothesis import given
from hypothesis import strategies as st

from gluon_dc.runtime import int8_plan
from gluon_dc.runtime.forms import Geometry
from gluon_dc.runtime.int8_plan import MAX_NBYTES, NO_WINDOW, PANEL_NBYTES, Window, lies_by_row, plan_bytes, pooled_pays

SAME = Geometry(pad=(1, 1))


def shared(*arguments):
    """The plan whose taps share a copy."""
    return int8_plan._plan(*arguments, NO_WINDOW, is_own=False)


def test_by_hand():
    # 3x3 over 13x13: one margin column a row serves both its neighbours, 14 positions; 13 * 14 - 1 in 12 registers.
    plan = shared(SAME, (3, 3), (13, 13), 5, 8, 1, 1)
    assert (plan.pitch, plan.positions, plan.registers, plan.tiles, plan.rows) == (14, 181, 12, 1, 0)
    assert (plan.reach, plan.copy_words, plan.copies, plan.margin) == (2 * 14 + 2, 224, 1, 1)
    taps = [4 * (14 * ky + kx) for ky in range(3) for kx in range(3)]
    assert plan.offsets.tolist() == taps + [4 * 224 + tap for tap in taps]


def test_a_copy_for_each_tap_wastes_no_positions():
    # 13 * 13 in 11 registers; a copy begins a column further left or right for each tap of a row.
    plan = plan_bytes(SAME, (3, 3), (13, 13), 5, 8, 1, 1)
    assert (plan.pitch, plan.positions, plan.registers, plan.tiles, plan.rows) == (13, 169, 11, 1, 0)
    assert (plan.reach, plan.copy_words, plan.copies, plan.col_shifts.tolist()) == (2 * 13, 224, 3, [-1, 0, 1])
    taps = [4 * (224 * kx + 13 * ky) for ky in range(3) for kx in range(3)]
    assert plan.offsets.tolist() == taps + [4 * 3 * 224 + tap for tap in taps]
    # Of many channels in small tiles that packing takes more.
    assert plan_bytes(SAME, (3, 3), (28, 28), 4000, 8, 1, 1).copies == 1


def test_whole_registers_a_row():
    plan = plan_bytes(SAME, (3, 3), (224, 224), 64, 64, 1, 1)
    assert (plan.pitch, plan.rows, plan.registers) == (225, 14, 14 * 14) and plan.tiles == 16
    assert 4 * 16 * plan.copy_words <= PANEL_NBYTES + 4 * 16 * 16


def test_a_pointwise_kernel_has_one_row():
    plan = plan_bytes(Geometry(), (1, 1), (13, 13), 8, 8, 1, 1)
    assert (plan.pitch, plan.positions, plan.reach, plan.offsets.tolist()) == (169, 169, 0, [0, 4 * 176])


def test_phases_of_a_stride():
    # Taps 0 and 2 of a stride of 2 share a copy, one step apart.
    plan = plan_bytes(Geometry(stride=(1, 2)), (1, 3), (1, 7), 4, 8, 1, 1)
    assert (plan.pitch, plan.positions, plan.col_shifts.tolist(), plan.copy_words) == (4, 3, [0, 1], 48)
    assert plan.offsets.tolist() == [0, 4 * 48, 4]


def test_words_of_neighbours_by_hand():
    # Seven taps of three channels are two words a row and channel, 2 positions apart: 42 keys in place of 49.
    geometry = Geometry((2, 2), (3, 3))
    plan = plan_bytes(geometry, (7, 7), (20, 20), 3, 8, 1, 1)
    assert (plan.by_row, plan.words, plan.copies, plan.offsets.size) == (True, 3, 2, 3 * 7 * 2)
    # Position p of a copy is column 2 * p - 3; the second word begins 4 columns on. 10 positions a row and 2 of margin.
    assert (plan.pitch, plan.col_shifts.tolist(), plan.offsets[:2].tolist()) == (12, [-3], [0, 8])
    assert lies_by_row(Geometry(), (5, 5), 1) and not lies_by_row(Geometry(), (3, 3), 3)
    assert not lies_by_row(Geometry(stride=(1, 3)), (5, 5), 1) and not lies_by_row(Geometry(dilate=(1, 2)), (5, 5), 1)


def test_pooled_tiles_by_hand():
    # 2x2 of 224x224: whole rows of registers, two for each row of maxima.
    plan = plan_bytes(SAME, (3, 3), (224, 224), 64, 64, 1, 1, Window(2, 0, 0, 112, 112))
    assert (plan.pooled, plan.tiles, plan.rows, plan.registers) == (7, 16, 14, 14 * 14)
    # 3x3 of 12x12, a pad of 1: seven rows of maxima of all 12, 13 positions a row, all in one run.
    plan = plan_bytes(SAME, (3, 3), (12, 12), 4, 8, 1, 1, Window(3, 1, 1, 6, 6))
    assert (plan.pooled, plan.tiles, plan.rows, plan.registers) == (6, 1, 0, -(-(11 * 13 + 12) // 16))


def test_pooling_pays_where_no_rows_are_multiplied_twice():
    assert pooled_pays(SAME, (3, 3), (224, 224), 64, 64, Window(2, 0, 0, 112, 112))
    # Nor where a tile's sums would take too much.
    assert not pooled_pays(SAME, (3, 3), (4, 10**6), 4, 8, Window(3, 0, 0, 2, 500_000))
    # So many channels that a tile is six rows at most: most rows of a 3x3 window belong to two.
    assert not pooled_pays(SAME, (3, 3), (56, 56), 2000, 64, Window(3, 0, 0, 28, 28))


def needed(kernel, stride, dilate, pad, width):
    """The least positions a row by trying: what is read beyond a row's end is padding here and in the next row."""
    across = (width + 2 * pad - dilate * (kernel - 1) - 1) // stride + 1
    reads = sorted({(p * stride + tap * dilate - pad) for p in range(across) for tap in range(kernel)})
    steps = max(tap * dilate // stride for tap in range(kernel))
    for pitch in range(across, across + steps):
        beyond = [place for place in reads if (place + pad) // stride >= pitch]
        if all(place >= width and place - pitch * stride < 0 for place in beyond):
            return pitch
    return across + steps


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 4), st.integers(1, 40))
def test_rows_are_wide_enough_and_no_wider_than_with_all_margins(kernel, stride, dilate, pad, width):
    if width + 2 * pad < dilate * (kernel - 1) + 1:
        return
    plan = shared(Geometry((1, stride), (0, pad), (1, dilate)), (2, kernel), (3, width), 4, 8, 1, 1)
    assert needed(kernel, stride, dilate, pad, width) <= plan.pitch <= width + 2 * pad


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_tiles_hold_all_positions_and_copies_all_that_is_read(name, threads):
    shape, geometry, size = CASES[name]
    plan = plan_bytes(geometry, shape[2:], size, shape[1], shape[0] // geometry.groups, 1, threads)
    if plan.rows:
        assert plan.rows * plan.tiles >= geometry.output_size(size, shape[2:])[0] > plan.rows * (plan.tiles - 1)
        end = plan.rows * plan.pitch + plan.reach
    else:
        assert 16 * plan.registers * plan.tiles >= plan.positions > 16 * plan.registers * (plan.tiles - 1)
        end = 16 * plan.registers + plan.reach
    words = -(-shape[3] // 4) * shape[1] if plan.by_row else -(-shape[1] // 4) * shape[3]
    assert plan.copy_words >= end and plan.offsets.size == words * shape[2]
    within = plan.offsets // 4 % plan.copy_words
    assert plan.offsets.min() == 0 and within.max() <= plan.reach
    assert plan.offsets.max() // 4 // plan.copy_words == plan.copies * plan.words - 1
    assert plan.row_words >= plan.margin + size[1]


def test_tiles_that_are_little_but_packing_are_refused():
    # Two rows of taps, 1,000 apart: a tile of 48 positions would read all that lies between.
    with pytest.raises(ValueError, match="takes too long to pack: run it in another form$"):
        plan_bytes(Geometry(pad=(501, 501), dilate=(1000, 1)), (2, 2), (1002, 1002), 1, 1, 1, 1)
    # Dilation as it is used has enough to multiply.
    plan_bytes(Geometry(pad=(24, 24), dilate=(24, 24)), (3, 3), (65, 65), 256, 256, 1, 1)


def test_buffers_are_bounded():
    with pytest.raises(ValueError, match=r"^an int8 convolution of a kernel of 1x2, pad \(0, 100000000\), dilate "
                                         r"\(1, 200000000\) over 2 channels of 1x3 takes too large a buffer: run it in "
                                         r"another form$"):
        plan_bytes(Geometry(pad=(0, 10**8), dilate=(1, 2 * 10**8)), (1, 2), (1, 3), 2, 8, 1, 1)
    most = MAX_NBYTES // 4 // 3
    with pytest.raises(ValueError, match="too large a buffer"):
        plan_bytes(Geometry(stride=(1, 2)), (1, 1), (1, 4 * most), 1, 8, 1, 1)
