"""Energy of a layer, estimated from what it computes and which memory it reads: dense against compressed.

Every number here is an estimate: published energies of single operations, times how often each is done. Nothing is
measured; control, leakage and wires are left out (a general-purpose processor spends some 70 pJ on every instruction,
says the same source). What holds is the proportion of arithmetic to memory, which is the paper's argument.
docs/energy.md has the formulas and their source.
"""

import math
from dataclasses import asdict, dataclass, fields

from .fields import NUMBER, check_fields

SOURCE = ("M. Horowitz, \"Computing's energy problem\", ISSCC 2014 (45 nm, 0.9 V), as in Han et al., \"Learning both "
          "weights and connections\", NIPS 2015, Table 1; on-chip memory of megabytes by Horowitz's 100 pJ for 64 bits "
          "of a 1 MB cache")
DENSE, FLOAT = "dense", "float32"
WORD_NBYTES = 4
MAX_PJ = 1e9
_LAYER = {"name": str, "op": str, "shape": list, "kept": int, "inputs": int, "outputs": int, "file_nbytes": int,
          "fixed_nbytes": int, "form": str, "resident_nbytes": int}
_MAX_AXES, _MAX_EXTENT = 8, 2**32


@dataclass(frozen=True)
class Costs:
    """Picojoules of one operation on 32 bits, or of one access to a 32-bit word.

    register: of a small register file, codebooks too. sram: 8 KB, for activations. onchip: 1 MB, for what else lies on
    the chip. dram: off the chip.
    """

    multiply: float = 3.7
    add: float = 0.9
    index_add: float = 0.1
    register: float = 1.0
    sram: float = 5.0
    onchip: float = 50.0
    dram: float = 640.0

    def __post_init__(self):
        for name, value in vars(self).items():
            if not 0 <= value <= MAX_PJ:
                raise ValueError(f"{name} is {value} pJ, expected 0..{MAX_PJ:g}")

    def of(self, place: str) -> float:
        """Of a word in "on-chip memory" or in "DRAM"."""
        return self.dram if place == DRAM else self.onchip


ON_CHIP, DRAM = "on-chip memory", "DRAM"


@dataclass(frozen=True)
class Layer:
    """A layer's work for one image, as `runtime.work.LayerWork` tells it in JSON; see there."""

    name: str
    op: str
    shape: tuple[int, ...]
    kept: int
    inputs: int
    outputs: int
    file_nbytes: int
    fixed_nbytes: int
    form: str
    resident_nbytes: int

    @property
    def weights(self) -> int:
        return math.prod(self.shape)

    @property
    def dense_nbytes(self) -> int:
        """Of the weights as float32."""
        return WORD_NBYTES * self.weights

    @property
    def density(self) -> float:
        """Share of the weights that is kept."""
        return self.kept / self.weights if self.weights else 0.0

    @property
    def dense_macs(self) -> int:
        """Multiply-adds with all weights."""
        return self.outputs * math.prod(self.shape[1:])

    @property
    def sparse_macs(self) -> int:
        """Multiply-adds with the kept weights."""
        return self.kept * (self.outputs // self.shape[0]) if self.shape[0] else 0


@dataclass(frozen=True)
class Energy:
    """Picojoules for one image. macs: multiply-adds done. skips: whether zeros are skipped.

    arithmetic: multiplications and additions. operands: fetching what they take. decoding: codebook and positions.
    weights: reading the weights. activations: reading inputs and writing outputs.
    """

    macs: int
    skips: bool
    arithmetic: float
    operands: float
    decoding: float
    weights: float
    activations: float

    @property
    def total(self) -> float:
        """All together."""
        return sum(getattr(self, part) for part in PARTS)

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return {**asdict(self), "total": self.total}


PARTS = ("arithmetic", "operands", "decoding", "weights", "activations")


def dense_energy(layer, costs, batch=1, weights_at=DRAM, activations_at=ON_CHIP) -> Energy:
    """The Energy for one image of a dense float32 layer, `batch` images at a time, which read the weights once.

    weights_at, activations_at: ON_CHIP or DRAM.
    """
    return _every_weight(layer, costs, batch, layer.dense_nbytes, 0, weights_at, activations_at)


def compressed_energy(layer, costs, batch=1, weights_at=ON_CHIP, activations_at=ON_CHIP) -> Energy:
    """Likewise of the layer as it is kept resident: of `compressed_ways` the one that takes less."""
    return min(compressed_ways(layer, costs, batch, weights_at, activations_at), key=lambda energy: energy.total)


def compressed_ways(layer, costs, batch=1, weights_at=ON_CHIP, activations_at=ON_CHIP) -> list[Energy]:
    """How the layer can run from what is resident: with all weights and, if it is coded, skipping zeros."""
    coded = layer.form not in (DENSE, FLOAT)
    decoded = layer.weights if coded else 0
    every = _every_weight(layer, costs, batch, layer.resident_nbytes, decoded, weights_at, activations_at)
    return [every] + [_kept_weights(layer, costs, batch, weights_at, activations_at)] * coded


def _every_weight(layer, costs, batch, nbytes, decoded, weights_at, activations_at):
    macs = layer.dense_macs
    return Energy(
        macs, False, macs * (costs.multiply + costs.add), 3 * macs * costs.register,
        decoded * costs.register / batch, nbytes / WORD_NBYTES * costs.of(weights_at) / batch,
        _activations(layer, costs, activations_at))


def _kept_weights(layer, costs, batch, weights_at, activations_at):
    # The input that a kept weight meets is anywhere: it comes from the small memory and not from a register.
    macs = layer.sparse_macs
    return Energy(
        macs, True, macs * (costs.multiply + costs.add), macs * (costs.sram + 2 * costs.register),
        layer.kept * (costs.register + costs.index_add) / batch,
        layer.resident_nbytes / WORD_NBYTES * costs.of(weights_at) / batch,
        _activations(layer, costs, activations_at))


def _activations(layer, costs, place):
    return (layer.inputs + layer.outputs) * costs.of(place)


FORMULAS = (
    "dense layer = MACs x (multiply + add) + MACs x 3 register + weight words x memory / batch + (inputs + outputs) x "
    "memory",
    "compressed layer, zeros skipped = kept MACs x (multiply + add) + kept MACs x (SRAM + 2 register) + kept weights x "
    "(register + index add) / batch + resident words x memory / batch + (inputs + outputs) x memory; or with all "
    "weights where that is better (MACs as in a dense layer, weights x register / batch for the codebook)",
)


def checked_layer(record, where) -> Layer:
    """The Layer of a JSON object. Raises ValueError that begins with `where`."""
    check_fields(record, _LAYER, where, tuple(_LAYER))
    shape = record["shape"]
    if not 1 <= len(shape) <= _MAX_AXES or not all(type(n) is int and 0 <= n < _MAX_EXTENT for n in shape):
        raise ValueError(f"{where}: shape is {shape!r:.60}, expected 1 to {_MAX_AXES} whole numbers")
    layer = Layer(**{field.name: record[field.name] for field in fields(Layer) if field.name != "shape"},
                  shape=tuple(shape))
    for key in ("inputs", "outputs", "kept"):
        if getattr(layer, key) < 0:
            raise ValueError(f"{where}: {key} is {getattr(layer, key)}, expected 0 or more")
    if layer.kept > layer.weights:
        raise ValueError(f"{where}: {layer.kept:,} of {layer.weights:,} weights are kept")
    return layer


def checked_costs(record, where) -> Costs:
    """The Costs of a JSON object; what it does not say is as published. Raises ValueError that begins with `where`."""
    names = [field.name for field in fields(Costs)]
    check_fields(record, dict.fromkeys(names, NUMBER), where)
    try:
        return Costs(**{name: float(record[name]) for name in names if record.get(name) is not None})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def costs_line(costs) -> str:
    """One line that says what an estimate is made of."""
    return (f"Estimates, nothing measured: pJ for 32 bits: multiply {costs.multiply:g}, add {costs.add:g}, index add "
            f"{costs.index_add:g}, register {costs.register:g}, SRAM {costs.sram:g}, on-chip memory {costs.onchip:g}, "
            f"DRAM {costs.dram:g}.")
