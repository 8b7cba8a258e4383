"""report/energy_report.py: the JSON of benchmarks/energy.py, read and shown."""

import json

import pytest
from report_inputs import energy, work_layer

from gluon_dc.report.energy_report import check_energy, energy_ratio, energy_tables, is_energy


def checked(**changes):
    record = energy()
    record["energy"] |= changes
    return check_energy(record, "e.json")


def test_tables():
    one, many = energy_tables(checked(layers=[work_layer("AlexNet fc6"), work_layer("mine")]))
    assert one.title == "Fig. 10: energy for one input, batch 1, AlexNet fc6"
    first = dict(zip(one.headings, one.rows[0]))
    # 653,100 pJ dense; 460 + 700 + 110 + 5,500 + 25 words from DRAM (16,000) or from the chip (1,250).
    assert first["estimate,\nmJ,\ndense"] == "0.000653" and first["compressed,\nDRAM"] == "2.28e-05"
    assert first["ratio,\nDRAM"] == "28.7x" and first["ratio,\non chip"] == "81.4x"
    assert [first[key] for key in ("measured,\nmJ,\ndense", "paper,\nmJ,\ndense")] == ["3", "628"]
    assert one.rows[2] is None and one.rows[3][0] == "together" and one.rows[4][0] == "geometric mean"
    together = dict(zip(one.headings, one.rows[3]))
    assert together["estimate,\nmJ,\ndense"] == "0.00131" and together["ratio,\nDRAM"] == "28.7x"
    assert together["measured,\nmJ,\ndense"] is None and len(one.rows[3]) == len(one.rows[4]) == len(one.headings)
    # The notes stand once, under the last table, and nothing was measured at batch 64.
    assert one.notes == () and "measured,\nmJ,\ndense" not in many.headings
    assert any(line.startswith("Estimates, nothing measured") for line in many.notes)
    assert any("ISSCC 2014" in line for line in many.notes) and any("Core i7" in line for line in many.notes)


def test_ratios():
    report = checked()
    layer, mine = report.layers
    assert energy_ratio(report, layer, 1, "measured") == 6 and energy_ratio(report, layer, 64, "measured") is None
    assert energy_ratio(report, layer, 1, "paper") == pytest.approx(4.84, abs=0.01)
    assert energy_ratio(report, mine, 1, "paper") is None
    found = report.estimates(layer, 1)
    assert energy_ratio(report, layer, 1, "on_chip") == found["dense"].total / found["on_chip"].total


def test_nothing_measured_is_said():
    report = checked(measured=[], not_measured="no counters")
    assert report.measured == {} and "Not measured: no counters." in energy_tables(report)[-1].notes


def test_a_layer_without_energy_has_no_ratio():
    layer = work_layer(shape=[0, 5], kept=0, inputs=0, outputs=0, resident_nbytes=0)
    report = checked(layers=[layer])
    assert energy_ratio(report, report.layers[0], 1, "compressed") is None and str(energy_tables(report)[0])


def test_what_it_writes_it_reads():
    report = checked()
    again = check_energy(json.loads(json.dumps({"format": 1, "energy": report.to_dict()})), "e.json")
    assert again == report and again.to_dict()["estimates_pj"][0]["dense"]["total"] == pytest.approx(653_100)


@pytest.mark.parametrize("changes, message", [
    ({"layers": []}, "energy: 0 layers, expected 1 to 2,000"),
    ({"layers": [{}]}, 'layers[0]: "name" is missing'),
    ({"layers": None}, 'energy: "layers" is missing'),
    ({"batches": [0]}, "energy: batches is [0], expected whole numbers of at least 1"),
    ({"batches": []}, "energy: batches is [], expected whole numbers of at least 1"),
    ({"measured": [{"layer": "x", "batch": 1, "dense_mj": -1, "compressed_mj": 1}]},
     "measured[0]: dense_mj is -1, expected 1e-12..1e12"),
    ({"measured": [{"layer": "x"}]}, 'measured[0]: "batch" is missing'),
    ({"costs": {"add": -1}}, "costs: add is -1.0 pJ, expected 0..1e+09"),
    ({"title": 3}, "energy: title is 3, expected str"),
])
def test_wrong_records(changes, message):
    with pytest.raises(ValueError) as caught:
        checked(**changes)
    assert str(caught.value) == f"e.json: {message}"


def test_other_formats():
    assert is_energy(energy()) and not is_energy([]) and not is_energy({"format": 1})
    for record, message in (({"format": 2, "energy": {}}, "format 2, this reader knows 1: update gluon_dc"),
                            ({"format": 1, "energy": 3}, "energy is int, expected an object")):
        with pytest.raises(ValueError, match=message):
            check_energy(record, "e.json")
