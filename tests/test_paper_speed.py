"""report/paper_speed.py: what the paper's text says of its Tables 8 and 9 follows from the numbers."""

import pytest

from gluon_dc.report.paper_speed import (
    CPU, GPU, LAYERS, MOBILE_GPU, TABLES_8_9, geometric_mean, paper_energy_mj, paper_energy_ratio, paper_speedup,
)


def mean(of, batch, device):
    return geometric_mean(of(layer, batch, device) for layer in LAYERS)


def test_three_to_four_times_at_batch_1_and_slower_at_64():
    # "3x to 4x speedup over the dense network on average": the geometric means of the table reach a little further.
    assert [round(mean(paper_speedup, 1, device), 1) for device in (CPU, GPU, MOBILE_GPU)] == [3.3, 3.5, 4.8]
    assert mean(paper_speedup, 64, CPU) < 1 and mean(paper_speedup, 64, GPU) < 1


def test_three_to_seven_times_less_energy():
    # "3x to 7x less energy over the dense network on average"
    assert [round(mean(paper_energy_ratio, 1, device)) for device in (CPU, GPU, MOBILE_GPU)] == [7, 3, 4]


def test_by_hand():
    assert paper_speedup("VGG-16 fc6", 1) == 35022.8 / 3774.3
    assert paper_energy_mj("AlexNet fc6", 1) == pytest.approx((627.6, 129.7), abs=0.1)
    assert paper_energy_ratio("AlexNet fc8", 64, MOBILE_GPU) == pytest.approx(298.0 * 6.3 / (576.7 * 5.1))


def test_what_the_paper_does_not_have():
    assert paper_speedup("conv1", 1) is paper_energy_ratio("AlexNet fc6", 2) is paper_energy_mj("x", 1) is None
    assert geometric_mean([]) is geometric_mean([1, None]) is geometric_mean([0, 1]) is None and geometric_mean([2, 8]) == pytest.approx(4)


def test_the_tables_are_whole():
    assert len({(runs.device, runs.batch) for runs in TABLES_8_9}) == 6
    assert all(len(numbers) == len(LAYERS) for runs in TABLES_8_9 for numbers in (
        runs.dense_us, runs.sparse_us, runs.dense_watts, runs.sparse_watts))
