"""report/speed_charts.py: Figs. 9 and 10 and the energy of nets, drawn."""

import pytest
from report_inputs import energy, mobile, speed_rows, work_layer

pytest.importorskip("matplotlib")

from gluon_dc.report.hardware import read_hardware  # noqa: E402
from gluon_dc.report.speed_charts import hardware_figure  # noqa: E402


def drawn(record):
    return hardware_figure(read_hardware(record, "x.json"))


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_speed_has_a_panel_for_each_batch_and_bars_that_begin_at_1():
    figure = drawn(speed_rows())
    assert [axes.get_ylabel() for axes in figure.axes] == ["speedup, batch 1", "speedup, batch 64"]
    assert labels(figure) == ["ours, weights cold", "ours, weights hot", "best CSR library, cold",
                              "the paper, Core i7-5930K"]
    bars = {(round(bar.get_y()), round(bar.get_y() + bar.get_height(), 2)) for bar in figure.axes[0].patches}
    assert bars == {(1, 8.0), (1, 2.0), (1, 2.45)}
    assert {text.get_text() for text in figure.axes[0].texts} == {"8", "2", "2.5"}


def test_energy_shows_estimates_the_measured_and_the_paper():
    figure = drawn(energy())
    assert labels(figure) == ["estimate, weights on chip", "estimate, weights in DRAM", "measured",
                              "the paper, Core i7-5930K, measured"]
    assert len(figure.axes) == 2 and len(figure.axes[1].patches) == 2 + 2 + 1  # at batch 64 nothing was measured


def test_mobile_bars_add_up_to_a_hundred():
    axes = drawn(mobile()).axes[0]
    ends = {}
    for bar in axes.patches:
        place = round(bar.get_y() + bar.get_height() / 2, 2)
        ends[place] = max(ends.get(place, 0), bar.get_x() + bar.get_width())
    assert ends[0] == pytest.approx(100) and 0 < ends[1] < 100
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lenet-5, dense", "lenet-5, compressed"]


def test_many_layers_and_none_that_gains():
    record = energy()
    layers = [work_layer(f"$layer {i}$", form="dense", resident_nbytes=4000) for i in range(70)]
    record["energy"] |= {"layers": layers, "measured": []}
    figure = drawn(record)
    assert len(figure.axes[0].get_xticks()) == 60 and not figure.axes[0].texts
    figure.canvas.draw()  # a dollar sign in a name starts no formula
