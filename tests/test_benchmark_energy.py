"""benchmarks/energy.py on tiny layers, with counters and without."""

import json
import runpy
from pathlib import Path

import pytest
from test_energy_counters import zone

from gluon_dc.report.inputs import read_inputs
from gluon_dc.runtime import energy_counters
from test_runtime_work import small_net

SCRIPT = str(Path(__file__).resolve().parents[1] / "benchmarks" / "energy.py")
main = runpy.run_path(SCRIPT)["main"]
TINY = ["--scale", "64", "--seconds", "0.01", "--cold-mb", "1"]


def test_without_counters_there_are_estimates_and_the_reason(tmp_path, capsys):
    out = tmp_path / "e.json"
    assert main([*TINY, "--powercap", str(tmp_path / "absent"), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Not measured: no energy counters:" in printed and "Estimates, nothing measured" in printed
    (item,) = read_inputs([out])
    assert len(item.layers) == 6 and item.batches == (1, 64) and item.measured == {}
    fc6 = item.layers[0]
    assert fc6.shape == (64, 144) and fc6.density == pytest.approx(0.09, abs=0.02)


def test_with_counters_energy_is_measured(tmp_path, capsys, monkeypatch):
    # A counter that grows by 3 mJ whenever it is read: what is measured is more than nothing, and it wraps round.
    package = zone(tmp_path / "cap", "intel-rapl:0", "package-0", "0", "10000")
    read, readings = energy_counters.Zone.read, iter(range(0, 10**9, 3000))

    def growing(self):
        (package / "energy_uj").write_text(str(next(readings) % 10_000))
        return read(self)

    monkeypatch.setattr(energy_counters.Zone, "read", growing)
    out = tmp_path / "e.json"
    assert main([*TINY, "--batch", "2", "--powercap", str(tmp_path / "cap"), "--json", str(out)]) == 0
    assert " measured,\n" in capsys.readouterr().out
    measured = json.loads(out.read_text())["energy"]["measured"]
    assert len(measured) == 6 and all(row["dense_mj"] > 0 and row["compressed_mj"] > 0 for row in measured)
    assert all(row["dense_ms"] > 0 for row in measured)


def test_the_layers_of_a_file(tmp_path, capsys):
    small_net().save(tmp_path / "net.gdc")
    assert main(["--gdc", str(tmp_path / "net.gdc"), "--batch", "1"]) == 0
    printed = capsys.readouterr().out
    assert "3.weight" in printed and "layers of a file are only estimated" in printed


def test_bad_input_is_one_line(tmp_path, capsys):
    assert main(["--gdc", str(tmp_path / "absent.gdc")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["--seconds", "0"])
    assert "--seconds must be at least 0.01, got 0" in capsys.readouterr().err
