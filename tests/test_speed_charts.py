"""report/speed_charts.py: Figs. 9 and 10 and the energy of nets, drawn."""

import pytest
from report_inputs import conv_rows, energy, mobile, net_rows, speed_rows, work_layer

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
    assert {text.get_text() for text in figure.axes[0].texts} == {"8.00", "2.00", "2.45"}


def test_convolutions_have_a_panel_for_each_net():
    record = conv_rows()
    record["rows"][1]["net"] = "$Other$"
    figure = drawn(record)
    assert [axes.get_ylabel() for axes in figure.axes] == ["speedup, Net", r"speedup, \$Other\$"]
    assert labels(figure) == ["ours, from codes", "ours, decoded"]
    assert {text.get_text() for axes in figure.axes for text in axes.texts} == {"2.00", "0.80", "8.00"}
    figure.canvas.draw()


def test_several_densities_are_colours():
    record = conv_rows()
    record["rows"] += [{**row, "asked_density": 0.6, "ms": {**row["ms"], "direct": 4.0}} for row in record["rows"]]
    figure = drawn(record)
    assert labels(figure) == ["from codes, 30 % kept", "from codes, 60 % kept"]
    assert {text.get_text() for text in figure.axes[0].texts} == {"2.00", "8.00", "0.50"}


def test_whole_nets_have_a_panel_for_each_setting():
    figure = drawn(net_rows())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["batch 1, 1 thread", "batch 8, 2 threads"]
    assert labels(figure) == ["MXNet", "onnxruntime", "MXNet int8, inexact"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["3.00", "1.50", "0.50"]
    assert figure.axes[1].get_xlim()[1] - figure.axes[1].get_xlim()[0] > 3  # one net is no bar as wide as the figure


def test_nets_that_nobody_ran_leave_an_empty_panel():
    record = net_rows()
    record["rows"] = [row for row in record["rows"] if "left_out" in row]
    assert len(drawn(record).axes) == 1


def test_energy_shows_estimates_the_measured_and_the_paper():
    figure = drawn(energy())
    assert labels(figure) == ["estimate, weights on chip", "estimate, weights in DRAM", "measured",
                              "the paper, Core i7-5930K, measured"]
    assert len(figure.axes) == 2 and len(figure.axes[1].patches) == 2 + 2 + 1  # at batch 64 nothing was measured
    assert "a ratio, no joules" in figure.axes[1].get_xlabel() and not figure.axes[0].get_xlabel()


def test_mobile_bars_add_up_to_a_hundred():
    axes = drawn(mobile()).axes[0]
    assert "each dense net to 100" in axes.get_xlabel()
    ends = {}
    for bar in axes.patches:
        place = round(bar.get_y() + bar.get_height() / 2, 2)
        ends[place] = max(ends.get(place, 0), bar.get_x() + bar.get_width())
    assert ends[0] == pytest.approx(100) and 0 < ends[1] < 100
    assert [label.get_text() for label in axes.get_yticklabels()] == [
            "lenet-5, x.gdc, dense", "lenet-5, x.gdc, compressed"]


def test_many_layers_and_none_that_gains():
    record = energy()
    layers = [work_layer(f"$layer {i}$", form="dense", resident_nbytes=4000) for i in range(70)]
    record["energy"] |= {"layers": layers, "measured": []}
    figure = drawn(record)
    assert len(figure.axes[0].get_xticks()) == 60 and not figure.axes[0].texts
    figure.canvas.draw()  # a dollar sign in a name starts no formula
