"""What the paper measured of its six fully connected layers: Tables 8 and 9 (appendix A), behind Figs. 9 and 10."""

import math
from dataclasses import dataclass

LAYERS = ("AlexNet fc6", "AlexNet fc7", "AlexNet fc8", "VGG-16 fc6", "VGG-16 fc7", "VGG-16 fc8")
CPU, GPU, MOBILE_GPU = "Core i7-5930K", "Titan X", "Tegra K1"
BATCHES = (1, 64)


@dataclass(frozen=True)
class PaperRuns:
    """One device and batch. microseconds for one input and watts, of each of LAYERS: dense, and pruned in CSR."""

    device: str
    batch: int
    dense_us: tuple[float, ...]
    sparse_us: tuple[float, ...]
    dense_watts: tuple[float, ...]
    sparse_watts: tuple[float, ...]


# The pruned layers were not quantized there, and the batch is of inputs that share one pass over the weights.
TABLES_8_9 = (
    PaperRuns(GPU, 1, (541.5, 243.0, 80.5, 1467.8, 243.0, 80.5), (134.8, 65.8, 54.6, 167.0, 39.8, 48.0),
              (157, 159, 159, 166, 163, 159), (181, 183, 162, 189, 166, 162)),
    PaperRuns(GPU, 64, (19.8, 8.9, 5.9, 53.6, 8.9, 5.9), (94.6, 51.5, 23.2, 121.5, 24.4, 22.0),
              (168, 173, 166, 173, 173, 167), (156, 158, 163, 160, 158, 161)),
    PaperRuns(CPU, 1, (7516.2, 6187.1, 1134.9, 35022.8, 5372.8, 774.2), (3066.5, 1282.1, 890.5, 3774.3, 545.1, 777.3),
              (83.5, 72.8, 77.6, 70.6, 74.6, 77.0), (42.3, 37.4, 36.5, 38.0, 37.4, 36.0)),
    PaperRuns(CPU, 64, (318.4, 188.9, 45.8, 1056.0, 188.3, 45.7), (1417.6, 682.1, 407.7, 1780.3, 274.9, 363.1),
              (85.4, 84.7, 101.6, 83.1, 97.1, 87.5), (37.2, 37.1, 38.0, 39.5, 36.6, 38.2)),
    PaperRuns(MOBILE_GPU, 1, (12437.2, 5765.0, 2252.1, 35427.0, 5544.3, 2243.1),
              (2879.3, 1256.5, 837.0, 4377.2, 626.3, 745.1), (5.1, 5.1, 5.4, 5.3, 5.3, 5.4),
              (5.9, 6.1, 5.8, 5.6, 6.3, 5.8)),
    PaperRuns(MOBILE_GPU, 64, (1663.6, 2056.8, 298.0, 2001.4, 2050.7, 483.9),
              (4003.9, 1372.8, 576.7, 8024.8, 660.2, 544.1), (5.6, 5.6, 6.3, 5.4, 5.6, 6.3),
              (5.0, 4.6, 5.1, 4.8, 4.7, 5.0)),
)


def paper_speedup(layer, batch, device=CPU) -> float | None:
    """Dense time / pruned time of one of LAYERS on a device; None for what the paper does not have."""
    found = _runs(layer, batch, device)
    return None if found is None else found[0].dense_us[found[1]] / found[0].sparse_us[found[1]]


def paper_energy_ratio(layer, batch, device=CPU) -> float | None:
    """Dense energy / pruned energy (time x power), as Fig. 10 has it; None for what the paper does not have."""
    found = _runs(layer, batch, device)
    if found is None:
        return None
    runs, i = found
    return runs.dense_us[i] * runs.dense_watts[i] / (runs.sparse_us[i] * runs.sparse_watts[i])


def paper_energy_mj(layer, batch, device=CPU) -> tuple[float, float] | None:
    """(dense, pruned) millijoules for one input; None for what the paper does not have."""
    found = _runs(layer, batch, device)
    if found is None:
        return None
    runs, i = found
    return runs.dense_us[i] * runs.dense_watts[i] / 1e3, runs.sparse_us[i] * runs.sparse_watts[i] / 1e3


def geometric_mean(ratios) -> float | None:
    """Of positive numbers; None for none, or where one is None or not positive."""
    ratios = list(ratios)
    if not ratios or not all(ratio is not None and ratio > 0 for ratio in ratios):
        return None
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _runs(layer, batch, device):
    if layer not in LAYERS:
        return None
    found = [runs for runs in TABLES_8_9 if (runs.device, runs.batch) == (device, batch)]
    return (found[0], LAYERS.index(layer)) if found else None
