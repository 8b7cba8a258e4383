"""Energy counters of the processor, where Linux has them: RAPL through powercap, of Intel's and AMD's processors.

Zones are folders such as /sys/class/powercap/intel-rapl:0 (AMD's have that name too) with energy_uj, a counter of
microjoules that wraps round at max_energy_range_uj. Since 2020 only root may read it (CVE-2020-8694). Source:
docs.kernel.org/power/powercap/powercap.html.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path

POWERCAP = "/sys/class/powercap"
# intel-rapl-mmio counts the same packages a second time.
_ZONE = re.compile(r"(?:intel|amd)-rapl:(\d+)(?::(\d+))?")


@dataclass(frozen=True)
class Zone:
    """A counter. name: as the kernel says, "package-0" or "dram". path: of energy_uj. range_uj: where it wraps."""

    name: str
    path: Path
    range_uj: int

    def read(self) -> int:
        """Microjoules. OSError or ValueError where the counter cannot be read."""
        return _number(self.path)


def find_zones(root=POWERCAP) -> tuple[list[Zone], str]:
    """(zones that add up to processor and memory, "") or ([], why there are none to be read)."""
    root = Path(root)
    folders = sorted(path for path in root.glob("*-rapl:*") if _ZONE.fullmatch(path.name)) if root.is_dir() else []
    if not folders:
        return [], f"no energy counters: {root} has no zones intel-rapl:N (a virtual machine, or another processor)"
    zones, refused = [], ""
    for folder in folders:
        try:
            name = (folder / "name").read_text().strip()
            if not _counts(name, _ZONE.fullmatch(folder.name)[2] is not None):
                continue
            zone = Zone(name, folder / "energy_uj", _number(folder / "max_energy_range_uj"))
            zone.read()
            zones.append(zone)
        except PermissionError:
            refused = f"{folder / 'energy_uj'} may be read by root only: run as root, or let it be read"
        except (OSError, ValueError) as error:
            refused = f"{folder} cannot be read ({error})"
    if refused or not any(zone.name.startswith("package") for zone in zones):
        # A part of the counters would look like less energy.
        return [], refused or f"no energy counters: {root} has no package that can be read"
    return zones, ""


def used_uj(before: int, after: int, range_uj: int) -> int:
    """Microjoules between two readings of a counter that wraps round at most once."""
    return after - before if after >= before else after - before + range_uj


@dataclass(frozen=True)
class Measured:
    """joules, of all zones together, in `seconds`, in which `calls` calls were made."""

    joules: float
    seconds: float
    calls: int

    @property
    def watts(self) -> float:
        """Mean power."""
        return self.joules / self.seconds


def measure(call, zones, seconds=1.0, clock=time.perf_counter) -> Measured:
    """Call again and again for so many seconds and read the counters before and after."""
    calls, begin, before = 0, clock(), [zone.read() for zone in zones]
    while True:
        call()
        calls += 1
        taken = clock() - begin
        if taken >= seconds:
            break
    after = [zone.read() for zone in zones]
    used = sum(used_uj(a, b, zone.range_uj) for a, b, zone in zip(before, after, zones))
    return Measured(used / 1e6, taken, calls)


def _counts(name, is_part):
    # A package holds its cores; memory is beside it. "psys" is the whole board, which only some have.
    return name == "dram" if is_part else name.startswith("package")


def _number(path):
    text = path.read_text().strip()
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ValueError(f"{path} says {text[:40]!r}, expected a whole number")
    return int(text)
