"""report/speed.py: the JSON of benchmarks/dense_layers.py, read and shown."""

import json
import runpy
from pathlib import Path

import pytest
from report_inputs import speed_rows

from gluon_dc.report.speed import check_speed, is_speed, speed_tables


def changed(**changes):
    record = speed_rows()
    record["rows"][0] |= changes
    return check_speed(record, "s.json")


def test_by_hand():
    report = changed()
    assert report.settings == [(1, 1), (64, 1)]
    fc6, mine = report.of(1, 1)
    assert fc6.best["ours", "cold"] == ("ours, window", 0.25) and fc6.best["dense", "cold"] == ("NumPy", 2.0)
    assert fc6.speedup("ours", "cold") == 8 and fc6.speedup("ours", "hot") == 8 and fc6.speedup("sparse", "cold") == 2
    assert fc6.dense_nbytes == 40_000 and fc6.nbytes == 1000 and mine.dense_nbytes == 20_000
    assert report.note == "Weights drawn, in random positions; 2 cores, x86_64; not installed: onnxruntime."


def test_tables():
    one, many = speed_tables(changed())
    assert one.title == "Fig. 9: speed, batch 1, 1 thread" and many.title == "Fig. 9: speed, batch 64, 1 thread"
    assert one.rows[0] == ["AlexNet fc6", "10.0", "8.00x", "8.00x", "2.00x", "2.45x", "2.00", "0.250", "1.00",
                           "0.125", "40.0x",
                           "NumPy", "window"]
    assert one.rows[-1][:6] == ["geometric mean", None, "8.00x", "8.00x", "2.00x", None]
    # "mine" is not in the paper, so there is no mean of the paper's.
    assert one.rows[1][5] is None and one.notes == () and len(many.notes) == 3


def test_without_some_contenders():
    record = speed_rows()
    record["rows"] = [row for row in record["rows"] if row["ours"]]
    report = check_speed(record, "s.json")
    assert report.rows[0].speedup("ours", "cold") is None and report.rows[0].speedup("dense", "cold") is None
    assert speed_tables(report)[0].rows[0][-2:] == [None, "window"]


def test_to_dict_is_json():
    found = json.loads(json.dumps(changed().to_dict()))
    assert found["layers"][0]["paper_speedup"] == pytest.approx(2.451, abs=1e-3) and found["path"] == "s.json"
    assert {"side": "ours", "weights": "cold", "contender": "ours, window", "ms": 0.25, "speedup": 8} in (
        found["layers"][0]["best"])


@pytest.mark.parametrize("changes, message", [
    ({"cold_ms": 0}, "rows[0]: cold_ms is 0, expected 1e-9..1e9"),
    ({"hot_ms": float("nan")}, "rows[0]: hot_ms is nan, expected 1e-9..1e9"),
    ({"density": 1.5}, "rows[0]: density is 1.5, expected 0..1"),
    ({"threads": 0}, "rows[0]: threads is 0, expected 1 or more"),
    ({"batch": None}, 'rows[0]: "batch" is missing'),
    ({"nbytes": -1}, "rows[0]: nbytes is -1, expected 0 or more"),
    ({"contender": 3}, "rows[0]: contender is 3, expected str"),
])
def test_wrong_rows(changes, message):
    with pytest.raises(ValueError) as caught:
        changed(**changes)
    assert str(caught.value) == f"s.json: {message}"


def test_is_speed():
    assert is_speed(speed_rows())
    for other in ([], {"rows": []}, {"rows": 3}, {"rows": [3]}, {"rows": [{"coder": "x"}]}):
        assert not is_speed(other)


def test_the_benchmark_still_writes_what_is_read():
    # benchmarks/dense_layers.py has no schema but its source.
    script = Path(__file__).resolve().parents[1] / "benchmarks" / "dense_layers.py"
    names = runpy.run_path(str(script))
    from gluon_dc.report.paper_speed import LAYERS
    assert tuple(layer[0] for layer in names["PAPER"]) == LAYERS
    source = script.read_text()
    assert all(f'"{key}"' in source for key in speed_rows()["rows"][0])
