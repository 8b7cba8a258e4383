"""report/net_speed.py: the JSON of benchmarks/whole_nets.py, read and shown."""

import json
from pathlib import Path

import pytest
from report_inputs import net_rows

from gluon_dc.report.net_speed import INEXACT, OURS, check_net_speed, is_net_speed, net_tables


def changed(number=0, **changes):
    record = net_rows()
    record["rows"][number] |= changes
    return check_net_speed(record, "n.json")


def test_by_hand():
    report = changed()
    assert report.settings == [(1, 1), (8, 2)] and report.note == "2 cores, Some CPU."
    assert report.contenders == ["ours, session", "MXNet", "onnxruntime", "MXNet int8"]
    net, mine = report.of(1, 1)
    # int8 is faster than ours, but computes something else.
    assert net.libraries == ["MXNet", "onnxruntime"] and net.speedup == 1.5 and net.ratio("MXNet int8") == 0.5
    assert report.is_inexact("MXNet int8") and not report.is_inexact("MXNet") and mine.weights == "drawn"
    assert report.remarks == (
        "net: MXNet int8 is off by 5.0e-02 of the largest output, and so no part of the speedup.",
        "mine: MXNet int8 is off by 5.0e-02 of the largest output, and so no part of the speedup.",
        "net: torch left out: torch not installed.", "mine: torch left out: torch not installed.")


def test_tables():
    one, many = net_tables(changed())
    assert one.title == "Whole nets: speed, batch 1, 1 thread" and many.title == "Whole nets: speed, batch 8, 2 threads"
    assert one.rows[0] == ["net", "trained", "1.50x", "2.00", "6.00", "3.00", "1.00", "3.00x", "1.50x", "0.500x"]
    assert one.rows[-1] == ["geometric mean", None, "1.50x", None, None, None, None, "3.00x", "1.50x", "0.500x"]
    assert len(many.rows) == 1 and one.notes == () and many.notes[0] == "2 cores, Some CPU."
    assert many.notes[2:] == changed().remarks


def test_without_ours_and_with_nobody():
    record = net_rows()
    record["rows"] = [row for row in record["rows"] if row["contender"] != OURS]
    report = check_net_speed(record, "n.json")
    assert report.rows[0].speedup is None and net_tables(report)[0].rows[0][2] is None
    record["rows"] = [row for row in record["rows"] if "left_out" in row]
    report = check_net_speed(record, "n.json")
    assert report.contenders == [] and net_tables(report)[0].rows[0] == ["net", "trained", None]


def test_to_dict_is_json():
    found = json.loads(json.dumps(changed().to_dict()))
    assert found["nets"][0]["speedup"] == 1.5 and found["nets"][0]["ratios"]["MXNet"] == 3 and found["path"] == "n.json"


@pytest.mark.parametrize("changes, message", [
    ({"ms": 0}, "rows[0]: ms is 0, expected 1e-9..1e9"),
    ({"ms": float("nan")}, "rows[0]: ms is nan, expected 1e-9..1e9"),
    ({"off": -1}, "rows[0]: off is -1, expected 0 or more"),
    ({"off": float("nan")}, "rows[0]: off is nan, expected 0 or more"),
    ({"threads": 0}, "rows[0]: threads is 0, expected 1 or more"),
    ({"weights": None}, 'rows[0]: "weights" is missing'),
    ({"contender": 3}, "rows[0]: contender is 3, expected str"),
    ({"left_out": 1}, "rows[0]: left_out is 1, expected str"),
])
def test_wrong_rows(changes, message):
    with pytest.raises(ValueError) as caught:
        changed(**changes)
    assert str(caught.value) == f"n.json: {message}"


def test_a_wrong_setting():
    with pytest.raises(ValueError, match="^n.json: setting: processor is 3, expected str$"):
        check_net_speed({**net_rows(), "setting": {"processor": 3}}, "n.json")


def test_is_net_speed():
    assert is_net_speed(net_rows())
    for other in ([], {"rows": []}, {"rows": 3}, {"rows": [3]}, {"rows": [{"layer": "x"}]}):
        assert not is_net_speed(other)


def test_the_benchmark_still_writes_what_is_read():
    # benchmarks/whole_nets.py has no schema but its source.
    source = (Path(__file__).resolve().parents[1] / "benchmarks" / "whole_nets.py").read_text()
    assert all(f'"{key}"' in source for row in net_rows()["rows"] for key in row)
    assert f'OURS, INEXACT = "{OURS}"' in source and f"TOLERANCE = {INEXACT:g}".replace("0.001", "1e-3") in source
