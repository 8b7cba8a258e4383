"""runtime/energy_counters.py: RAPL through powercap, on trees that look like /sys/class/powercap."""

import itertools
from pathlib import Path

import pytest

from gluon_dc.runtime import energy_counters
from gluon_dc.runtime.energy_counters import Measured, Zone, find_zones, measure, used_uj


def zone(root, folder, name, energy="1000000", most="262143328850"):
    """A zone's folder with the files that Linux has there."""
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy}\n")
    (path / "max_energy_range_uj").write_text(f"{most}\n")
    return path


def test_of_two_sockets_packages_and_memory_count_and_no_part_of_a_package(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:0:0", "core")
    zone(tmp_path, "intel-rapl:0:1", "dram", "5")
    zone(tmp_path, "intel-rapl:1", "package-1")
    zone(tmp_path, "intel-rapl:2", "psys")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    (tmp_path / "intel-rapl").mkdir()  # the control type itself
    zones, reason = find_zones(tmp_path)
    assert [found.name for found in zones] == ["package-0", "dram", "package-1"] and reason == ""
    assert zones[1] == Zone("dram", tmp_path / "intel-rapl:0:1" / "energy_uj", 262143328850) and zones[1].read() == 5


def test_an_amd_machine_has_a_package_alone(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", most="65532610987")
    zone(tmp_path, "intel-rapl:0:0", "core")
    zones, reason = find_zones(tmp_path)
    assert [found.name for found in zones] == ["package-0"] and reason == ""


@pytest.mark.parametrize("make, reason", [
    (lambda root: None, "no energy counters: {root} has no zones intel-rapl:N"),
    (lambda root: zone(root, "intel-rapl:0", "psys"), "no energy counters: {root} has no package that can be read"),
    (lambda root: zone(root, "intel-rapl:0", "package-0", energy="much"),
     "energy_uj says 'much', expected a whole number"),
    (lambda root: zone(root, "intel-rapl:0", "package-0", most="9" * 20), "max_energy_range_uj says '9999"),
    (lambda root: (zone(root, "intel-rapl:0", "package-0") / "energy_uj").unlink(), "intel-rapl:0 cannot be read ("),
])
def test_reasons(tmp_path, make, reason):
    make(tmp_path)
    zones, found = find_zones(tmp_path)
    assert zones == [] and reason.format(root=tmp_path) in found


def test_what_only_root_may_read_is_said_and_none_of_the_rest_is_taken(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0")
    secret = zone(tmp_path, "intel-rapl:1", "package-1") / "energy_uj"
    read_text = Path.read_text

    def guarded(path, *arguments, **options):
        if path == secret:
            raise PermissionError(13, "Permission denied")
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", guarded)
    assert find_zones(tmp_path) == ([], f"{secret} may be read by root only: run as root, or let it be read")


def test_no_powercap_at_all(tmp_path):
    assert find_zones(tmp_path / "absent")[0] == []


@pytest.mark.parametrize("before, after, used", [(10, 25, 15), (10, 10, 0), (95, 5, 10), (99, 0, 1), (0, 99, 99)])
def test_a_counter_wraps_round(before, after, used):
    assert used_uj(before, after, 100) == used


def test_measure_by_hand(tmp_path):
    # Two counters, one of which wraps; a clock that advances by 0.4 s: the third call passes one second.
    paths = [zone(tmp_path, "intel-rapl:0", "package-0", "900", "1000"), zone(tmp_path, "intel-rapl:0:0", "dram", "0")]
    zones, _ = find_zones(tmp_path)
    calls = []

    def call():
        calls.append(1)
        if len(calls) == 3:
            (paths[0] / "energy_uj").write_text("400")
            (paths[1] / "energy_uj").write_text("2000000")

    found = measure(call, zones, 1.0, itertools.count(step=0.4).__next__)
    assert found == Measured((500 + 2_000_000) / 1e6, pytest.approx(1.2), 3)
    assert found.watts == pytest.approx(2.0005 / 1.2)


def test_the_default_place_is_the_kernels():
    assert energy_counters.POWERCAP == "/sys/class/powercap"
