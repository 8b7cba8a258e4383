"""The smallest published files of the paper's networks on MNIST, as printed where they were published.

What is printed is a size in KB or a rate such as "64x"; bytes are worked out from that here. A rate is of the dense
float32 network, DENSE_NBYTES. A KB is 1,000 bytes where the rate beside it says so: EPR prints 8.56 KB and 124x, 2.84
KB and 606x, the paper 27 KB and 40x, 44 KB and 39x, none of which holds with 1,024. It is 1,024 bytes in MIRACLE, which
prints 3.03 KB and 555x, 1.52 KB and 1,110x: these rates make 3,107 and 1,553 bytes of LeNet-5, and 1,024 bytes a KB
3,103 and 1,556, but 1,000 a KB 3,030 and 1,520.

Rates of the number of weights alone, such as 68x and 280x in the paper of Sparse VD (Molchanov, Ashukha, Vetrov, ICML
2017, arXiv:1701.05369), are no sizes. What its nets take when they are coded is in the table of Bayesian Compression.
"""

from dataclasses import dataclass

DENSE_NBYTES = {"lenet-300-100": 4 * 266_610, "lenet-5": 4 * 431_080}


@dataclass(frozen=True)
class Published:
    """One result. printed: its size in its source's words. nbytes: that in bytes; is_from_rate: worked out from a rate,
    so good to about half a unit of the rate's last digit. error_percent: on the test set."""

    method: str
    network: str
    printed: str
    nbytes: int
    is_from_rate: bool
    error_percent: float
    source: str


def _size(method, network, kilobytes, error_percent, source, kilobyte=1000):
    return Published(method, network, f"{kilobytes:g} KB", round(kilobytes * kilobyte), False, error_percent, source)


def _rate(method, network, rate, error_percent, source):
    return Published(method, network, f"{rate}x", round(DENSE_NBYTES[network] / rate), True, error_percent, source)


_PAPER = "Han, Mao, Dally, Deep Compression, ICLR 2016 (arXiv:1510.00149), Table 1"
_SOFT = ("Ullrich, Meeds, Welling, Soft Weight-Sharing for Neural Network Compression, ICLR 2017 (arXiv:1702.04008), "
         "Table 1")
_BAYES = "Louizos, Ullrich, Welling, Bayesian Compression for Deep Learning, NIPS 2017 (arXiv:1705.08665), Table 2"
_SPARSE_VD = f"Molchanov, Ashukha, Vetrov, ICML 2017 (arXiv:1701.05369), as coded by {_BAYES}"
_MIRACLE = "Havasi, Peharz, Hernandez-Lobato, Minimal Random Code Learning, ICLR 2019 (arXiv:1810.00440), Table 1"
_EPR = ("Oktay, Balle, Singh, Shrivastava, Scalable Model Compression by Entropy Penalized Reparameterization, "
        "ICLR 2020 (arXiv:1906.06624), Table 1")

PUBLISHED = (
    _size("Deep Compression", "lenet-300-100", 27, 1.58, _PAPER),
    _rate("BC-GHS", "lenet-300-100", 59, 2.0, _BAYES),
    _rate("soft weight-sharing", "lenet-300-100", 64, 1.94, _SOFT),
    _rate("Sparse VD", "lenet-300-100", 113, 1.8, _SPARSE_VD),
    _size("EPR", "lenet-300-100", 8.56, 1.9, _EPR),
    _size("Deep Compression", "lenet-5", 44, 0.74, _PAPER),
    _rate("soft weight-sharing", "lenet-5", 162, 0.97, _SOFT),
    _rate("Sparse VD", "lenet-5", 365, 1.0, _SPARSE_VD),
    _size("MIRACLE", "lenet-5", 3.03, 0.69, _MIRACLE, 1024),
    _size("EPR", "lenet-5", 2.84, 0.9, _EPR),
    _rate("BC-GHS", "lenet-5", 771, 1.0, _BAYES),
    _size("MIRACLE", "lenet-5", 1.52, 0.96, _MIRACLE, 1024),
)


def published_for(network) -> tuple[Published, ...]:
    """Return what was published of a network, by its name in `gluon_dc.models`; largest first."""
    found = [one for one in PUBLISHED if one.network == network]
    return tuple(sorted(found, key=lambda one: -one.nbytes))
