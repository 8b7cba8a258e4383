"""report/conv_speed.py: the JSON of benchmarks/conv_layers.py, read and shown."""

import json
from pathlib import Path

import pytest
from report_inputs import conv_rows

from gluon_dc.report.conv_speed import check_conv_speed, conv_tables, is_conv_speed, mean_speedup
from gluon_dc.report.speed import is_speed


def changed(**changes):
    record = conv_rows()
    record["rows"][0] |= changes
    return check_conv_speed(record, "c.json")


def test_by_hand():
    report = changed()
    first, second = report.of(1, 1)
    assert first.name == "Net conv2" and first.best_library == ("onnxruntime", 2.0)
    assert first.speedup() == 2 and second.speedup() == 8 and first.speedup("dense") == 0.8
    assert mean_speedup(report.rows) == pytest.approx(4) and report.settings == [(1, 1)]
    assert report.note == ("Weights drawn, in random positions; 2 cores, x86_64; processor time of one thread; not "
                           "installed: torch.")


def test_table():
    (table,) = conv_tables(changed())
    assert table.title == "Convolutions: speed, batch 1, 1 thread"
    # 8 million multiply-adds, a quarter kept, in a millisecond; 288 weights as float32 in 288 bytes.
    assert table.rows[0] == ["Net conv2", "3x3", "25.0", "2.00x", "0.800x", "3.00", "2.00", "2.50", "1.00", "2.00",
                             "4.0x"]
    assert table.headings[5:9] == ["MXNet\nms", "onnxruntime\nms", "decoded\nms", "from codes\nms"]
    assert table.rows[2:] == [None, ["geometric mean, all", None, "30.0", "4.00x", "0.800x", *[None] * 6]]
    assert "The paper has no times of convolutions." in table.notes


def test_means_of_nets_kernels_and_densities():
    record = conv_rows()
    record["rows"] += [{**row, "net": "Other", "shape": [8, 4, 1, 1], "ms": {**row["ms"], "direct": 2.0}}
                       for row in record["rows"]]
    (table,) = conv_tables(check_conv_speed(record, "c.json"))
    means = {row[0]: row[3] for row in table.rows[5:]}
    assert means == {"geometric mean, all": "2.00x", "geometric mean, Net": "4.00x", "geometric mean, 3x3": "4.00x",
                     "geometric mean, Other": "1.00x", "geometric mean, 1x1": "1.00x"}
    for row in record["rows"][2:]:
        row["asked_density"] = 0.6
    (table,) = conv_tables(check_conv_speed(record, "c.json"))
    assert [row[2:4] for row in table.rows[5:]] == [["30.0", "4.00x"], ["60.0", "1.00x"]]


def test_weights_of_a_file_and_no_library():
    report = changed(asked_density=None, drawn=False, ms={"direct": 1.0})
    assert report.note.startswith("Weights of a file; ") and report.densities == [None, 0.3]
    assert report.rows[0].speedup() is None and report.rows[0].best_library is None
    (table,) = conv_tables(report)
    assert table.rows[0][3:9] == [None, None, None, None, None, "1.00"]
    assert json.loads(json.dumps(report.to_dict()))["layers"][0]["speedup"] is None


@pytest.mark.parametrize("changes, message", [
    ({"ms": {}}, "rows[0]: ms has 0 contenders, expected 1 to 20"),
    ({"ms": {"x": 0}}, "rows[0]: ms of 'x' is 0, expected 1e-9..1e9"),
    ({"ms": {"x": True}}, "rows[0]: ms of 'x' is True, expected 1e-9..1e9"),
    ({"ms": {"x": "fast"}}, "rows[0]: ms of 'x' is 'fast', expected 1e-9..1e9"),
    ({"shape": [1, 2, 3]}, "rows[0]: shape is [1, 2, 3], expected 4 whole numbers from 1 on"),
    ({"shape": [1, 2, 3, 0.5]}, "rows[0]: shape is [1, 2, 3, 0.5], expected 4 whole numbers from 1 on"),
    ({"density": -0.5}, "rows[0]: density is -0.5, expected 0..1"),
    ({"asked_density": 2}, "rows[0]: asked_density is 2, expected 0..1"),
    ({"batch": 0}, "rows[0]: batch is 0, expected 1 or more"),
    ({"net": None}, 'rows[0]: "net" is missing'),
    ({"direct_nbytes": -1}, "rows[0]: direct_nbytes is -1, expected 0 or more"),
])
def test_wrong_rows(changes, message):
    with pytest.raises(ValueError) as caught:
        changed(**changes)
    assert str(caught.value) == f"c.json: {message}"


def test_too_many_rows():
    with pytest.raises(ValueError, match="^c.json: 20,002 rows, expected at most 20,000$"):
        check_conv_speed({"rows": conv_rows()["rows"] * 10_001}, "c.json")


def test_is_conv_speed():
    assert is_conv_speed(conv_rows()) and not is_speed(conv_rows())
    for other in ([], {"rows": []}, {"rows": 3}, {"rows": [3]}, {"rows": [{"layer": "x", "ms": 1}]}):
        assert not is_conv_speed(other)


def test_the_benchmark_still_writes_what_is_read():
    # benchmarks/conv_layers.py has no schema but its source.
    source = (Path(__file__).resolve().parents[1] / "benchmarks" / "conv_layers.py").read_text()
    assert all(f'"{key}"' in source for key in conv_rows()["rows"][0])
