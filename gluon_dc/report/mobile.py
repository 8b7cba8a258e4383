"""Is mobile processing viable? Sizes, on-chip memories, operations, and estimates of time and energy for each net.

All estimates are made here, from counts, by formulas that the tables print. `mobile_report` reads and shows them.
"""

from dataclasses import dataclass

from .energy import DRAM, ON_CHIP, PARTS, WORD_NBYTES, Layer, compressed_ways, dense_energy

KINDS = ("dense", "compressed")
MAX_MEMORIES, MEMORY_END = 8, 2**48
# Least and most of what a Device is.
LIMITS = {"bandwidth_gb_s": (1e-6, 1e9), "dense_gop_s": (1e-6, 1e9), "sparse_share": (1e-6, 1)}


@dataclass(frozen=True)
class Device:
    """What estimates assume. bandwidth_gb_s: from DRAM. dense_gop_s: additions and multiplications of dense float32
    layers. sparse_share: of that rate that layers reach which skip zeros. memory_nbytes: on-chip memories to try."""

    bandwidth_gb_s: float = 12.8
    dense_gop_s: float = 40.0
    sparse_share: float = 0.5
    memory_nbytes: tuple[int, ...] = (256 * 2**10, 2 * 2**20, 8 * 2**20)

    def __post_init__(self):
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}, expected {least:g}..{most:g}")
        if not 1 <= len(self.memory_nbytes) <= MAX_MEMORIES or not all(
                type(n) is int and 0 < n < MEMORY_END for n in self.memory_nbytes):
            raise ValueError(f"memory_nbytes is {self.memory_nbytes!r:.80}, expected 1 to {MAX_MEMORIES} whole numbers")


@dataclass(frozen=True)
class Net:
    """A net's counts for one image, as `runtime.work.NetWork` tells them; see there. weights: whose they are."""

    network: str
    weights: str
    file: str
    input_shape: tuple[int, ...]
    file_nbytes: int
    parameter_nbytes: int
    activation_nbytes: int
    other_numbers: int
    layers: tuple[Layer, ...]

    def weights_nbytes(self, kind) -> int:
        """Bytes in memory of all parameters, "dense" as float32 or "compressed"; a shared weight once."""
        each = {layer.name: layer.dense_nbytes if kind == "dense" else layer.resident_nbytes for layer in self.layers}
        return self.parameter_nbytes + sum(each.values())

    def operations(self, kind) -> int:
        """Multiplications and additions of all layers, and one for each number that other operators touch."""
        macs = sum(layer.dense_macs if kind == "dense" else layer.sparse_macs for layer in self.layers)
        return 2 * macs + self.other_numbers

    @property
    def forms(self) -> str:
        """What the compressed weights are kept as."""
        return ", ".join(sorted({layer.form for layer in self.layers}))


@dataclass(frozen=True)
class Estimate:
    """One image on a device with so much on-chip memory (0: none). weights_at, activations_at: ON_CHIP or DRAM.

    seconds, joules: estimates. dram_nbytes: that pass between the chip and its DRAM.
    """

    weights_at: str
    activations_at: str
    dram_nbytes: int
    seconds: float
    joules: float


TIME_FORMULAS = (
    "time of a layer = the longer of (bytes from and to DRAM / bandwidth) and (2 x MACs / operations a second, of "
    "which a layer that skips zeros reaches a share); a compressed layer skips them where that is faster",
    "weights are read from on-chip memory if all of them fit, once an image; activations too where they fit beside "
    "them (or alone)",
)


def places(weights_nbytes, activation_nbytes, memory_nbytes) -> tuple[str, str]:
    """(where the weights are, where the activations are): as much in on-chip memory as fits, weights first, each
    whole: of weights that are read round and round, a cache that is too small keeps none."""
    if weights_nbytes + activation_nbytes <= memory_nbytes:
        return ON_CHIP, ON_CHIP
    if weights_nbytes <= memory_nbytes:
        return ON_CHIP, DRAM
    return DRAM, ON_CHIP if activation_nbytes <= memory_nbytes else DRAM


@dataclass(frozen=True)
class SpentOn:
    """Joules for one image by what they are spent on: energy.PARTS and "other"."""

    parts: dict[str, float]

    @property
    def joules(self) -> float:
        """All together."""
        return sum(self.parts.values())


def estimate(net, kind, memory_nbytes, device, costs) -> Estimate:
    """The Estimate of a Net, "dense" or "compressed", for one image at a time."""
    weights_at, activations_at = places(net.weights_nbytes(kind), net.activation_nbytes, memory_nbytes)
    runs = _layer_runs(net, kind, weights_at, activations_at, device, costs)
    # All else: biases and the like are read once, other operators' numbers are read or written and added.
    more = net.parameter_nbytes * (weights_at == DRAM) + WORD_NBYTES * net.other_numbers * (activations_at == DRAM)
    seconds = sum(taken for taken, _, _ in runs)
    seconds += max(more / device.bandwidth_gb_s, net.other_numbers / device.dense_gop_s) / 1e9
    return Estimate(weights_at, activations_at, more + sum(nbytes for _, nbytes, _ in runs), seconds,
                    spent_on(net, kind, memory_nbytes, device, costs).joules)


def spent_on(net, kind, memory_nbytes, device, costs) -> SpentOn:
    """What `estimate`'s joules are spent on."""
    weights_at, activations_at = places(net.weights_nbytes(kind), net.activation_nbytes, memory_nbytes)
    runs = _layer_runs(net, kind, weights_at, activations_at, device, costs)
    parts = {part: sum(getattr(energy, part) for _, _, energy in runs) / 1e12 for part in PARTS}
    other = net.parameter_nbytes / WORD_NBYTES * costs.of(weights_at)
    other += net.other_numbers * (costs.add + costs.of(activations_at))
    return SpentOn({**parts, "other": other / 1e12})


def _layer_runs(net, kind, weights_at, activations_at, device, costs):
    """(seconds, bytes from and to DRAM, Energy) of each layer in the fastest way, as the runtime chooses."""
    runs = []
    for layer in net.layers:
        nbytes = (layer.dense_nbytes if kind == "dense" else layer.resident_nbytes) * (weights_at == DRAM)
        nbytes += WORD_NBYTES * (layer.inputs + layer.outputs) * (activations_at == DRAM)
        ways = (compressed_ways(layer, costs, 1, weights_at, activations_at) if kind == "compressed"
                else [dense_energy(layer, costs, 1, weights_at, activations_at)])
        runs.append(min(((_layer_seconds(way, nbytes, device), nbytes, way) for way in ways),
                        key=lambda run: (run[0], run[2].total)))
    return runs


def _layer_seconds(energy, nbytes, device):
    rate = device.dense_gop_s * (device.sparse_share if energy.skips else 1)
    return max(nbytes / device.bandwidth_gb_s, 2 * energy.macs / rate) / 1e9
