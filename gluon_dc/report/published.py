"""The smallest published files of the paper's networks on MNIST, as printed where they were published.

KB is taken as 1,000 bytes throughout, which is the smaller reading. A rate such as "64x" is of the dense float32
network, 1,066,440 bytes of LeNet-300-100 and 1,724,320 of LeNet-5.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One result. printed: its size in its source's words. nbytes: that in bytes. error_percent: on the test set."""

    method: str
    network: str
    printed: str
    nbytes: int
    error_percent: float
    source: str


_PAPER = "Han, Mao, Dally, Deep Compression, ICLR 2016 (arXiv:1510.00149), Table 1"
_SOFT = "Ullrich, Meeds, Welling, Soft Weight-Sharing for Neural Network Compression, ICLR 2017 (arXiv:1702.04008)"
_MIRACLE = "Havasi, Peharz, Hernandez-Lobato, Minimal Random Code Learning, ICLR 2019 (arXiv:1810.00440)"
_EPR = ("Oktay, Balle, Singh, Shrivastava, Scalable Model Compression by Entropy Penalized Reparameterization, "
        "ICLR 2020 (arXiv:1906.06624)")

PUBLISHED = (
    Published("Deep Compression", "lenet-300-100", "27 KB", 27_000, 1.58, _PAPER),
    Published("soft weight-sharing", "lenet-300-100", "64x", 16_663, 1.94, _SOFT),
    Published("EPR", "lenet-300-100", "8.56 KB", 8_560, 1.9, _EPR),
    Published("Deep Compression", "lenet-5", "44 KB", 44_000, 0.74, _PAPER),
    Published("MIRACLE", "lenet-5", "3.03 KB", 3_030, 0.69, _MIRACLE),
    Published("EPR", "lenet-5", "2.84 KB", 2_840, 0.9, _EPR),
    Published("MIRACLE", "lenet-5", "1.52 KB", 1_520, 0.96, _MIRACLE),
)


def published_for(network) -> tuple[Published, ...]:
    """Return what was published of a network, by its name in `gluon_dc.models`; largest first."""
    found = [one for one in PUBLISHED if one.network == network]
    return tuple(sorted(found, key=lambda one: -one.nbytes))
