"""The numbers of the paper: Han, Mao, Dally, "Deep Compression", ICLR 2016 (arXiv:1510.00149v5), Tables 1 to 3.

Copied as printed: errors and rates in percent, sizes in bytes with the paper's rounding (27 KB = 27,000), weights
as the paper abbreviates them ("235K"). Networks are looked up by the names of `gluon_dc.models.MODELS`.

Two things to know when comparing. The rates of Tables 2 and 3 count kept weights (fillers included) times
weight bits plus index bits, and a full codebook of 2**bits float32 values for each layer; Huffman tables and biases
are not counted. And the totals do not follow exactly from the rows: summing the rows gives 41.0x and 36.6x against
the headline 40x and 39x.
"""

from dataclasses import dataclass

SOURCE = "Han, Mao, Dally. Deep Compression. ICLR 2016, arXiv:1510.00149v5"


@dataclass(frozen=True)
class PaperNetwork:
    """A row of Table 1: errors in percent, sizes in bytes, ratio = dense size / compressed size.

    dataset: what the network was trained on (section 5), "mnist" or "imagenet".
    """

    network: str
    dataset: str
    top1_error_percent_ref: float
    top1_error_percent: float
    top5_error_percent_ref: float | None
    top5_error_percent: float | None
    nbytes_ref: int
    nbytes: int
    ratio: int


@dataclass(frozen=True)
class PaperLayer:
    """A row of Table 2 or 3; P = pruning, Q = quantization, H = Huffman coding; rates are percent of float32.

    weight_bits, index_bits and rate_percent are for P+Q; those that end in _huffman are for P+Q+H.
    """

    layer: str
    weights: str
    kept_percent: float
    weight_bits: float
    weight_bits_huffman: float
    index_bits: float
    index_bits_huffman: float
    rate_percent: float
    rate_percent_huffman: float


@dataclass(frozen=True)
class PaperTable:
    """Table 2 or 3: its number in the paper, the network's printed name and its rows, the Total last."""

    number: int
    network: str
    rows: tuple[PaperLayer, ...]


TABLE1 = {
    "lenet-300-100": PaperNetwork("LeNet-300-100", "mnist", 1.64, 1.58, None, None, 1_070_000, 27_000, 40),
    "lenet-5": PaperNetwork("LeNet-5", "mnist", 0.80, 0.74, None, None, 1_720_000, 44_000, 39),
    "alexnet": PaperNetwork("AlexNet", "imagenet", 42.78, 42.78, 19.73, 19.70, 240_000_000, 6_900_000, 35),
    "vgg-16": PaperNetwork("VGG-16", "imagenet", 31.50, 31.17, 11.32, 10.91, 552_000_000, 11_300_000, 49),
}

TABLE2 = PaperTable(
    2,
    "LeNet-300-100",
    (
        PaperLayer("ip1", "235K", 8.0, 6.0, 4.4, 5.0, 3.7, 3.1, 2.32),
        PaperLayer("ip2", "30K", 9.0, 6.0, 4.4, 5.0, 4.3, 3.8, 3.04),
        PaperLayer("ip3", "1K", 26.0, 6.0, 4.3, 5.0, 3.2, 15.7, 12.7),
        PaperLayer("Total", "266K", 8.0, 6.0, 5.1, 5.0, 3.7, 3.1, 2.49),
    ),
)

TABLE3 = PaperTable(
    3,
    "LeNet-5",
    (
        PaperLayer("conv1", "0.5K", 66.0, 8.0, 7.2, 5.0, 1.5, 78.5, 67.45),
        PaperLayer("conv2", "25K", 12.0, 8.0, 7.2, 5.0, 3.9, 6.0, 5.28),
        PaperLayer("ip1", "400K", 8.0, 5.0, 4.5, 5.0, 4.5, 2.7, 2.45),
        PaperLayer("ip2", "5K", 19.0, 5.0, 5.2, 5.0, 3.7, 6.9, 6.13),
        PaperLayer("Total", "431K", 8.0, 5.3, 4.1, 5.0, 4.4, 3.05, 2.55),
    ),
)

LAYER_TABLES = {"lenet-300-100": TABLE2, "lenet-5": TABLE3}


def paper_network(network):
    """Return the PaperNetwork of Table 1 for a network's name ("lenet-5"), or None where the paper has none."""
    return TABLE1.get(network)


def paper_table(network):
    """Return the PaperTable (Table 2 or 3) of a network's name, or None where there is none here."""
    return LAYER_TABLES.get(network)


def paper_layer(network, layer):
    """Return the PaperLayer of a network's name and the paper's layer name ("ip1", "Total"), or None."""
    table = paper_table(network)
    rows = table.rows if table else ()
    return next((row for row in rows if row.layer == layer), None)
