"""The numbers of the paper: Han, Mao, Dally, "Deep Compression", ICLR 2016 (arXiv:1510.00149v5), Tables 1 to 7.

Copied as printed: errors and rates in percent, sizes in bytes with the paper's rounding (27 KB = 27,000), weights
as the paper abbreviates them ("235K"). Networks are looked up by the names of `gluon_dc.models`: "lenet-5", "vgg16".

Two things to know when comparing. The rates of Tables 2 to 5 count kept weights (fillers included) times
weight bits plus index bits, and a full codebook of 2**bits float32 values for each layer; Huffman tables and biases
are not counted. And the totals do not follow exactly from the rows: summing the rows gives 41.0x, 36.6x, 34.5x and
52.7x against the headline 40x, 39x, 35x and 49x.
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
    """A row of Tables 2 to 5; P = pruning, Q = quantization, H = Huffman coding; rates are percent of float32.

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
class PaperBits:
    """A row of Table 6: AlexNet with weights of so many bits; 32 is the reference net. Errors in percent."""

    conv_bits: int
    fc_bits: int
    top1_error_percent: float
    top5_error_percent: float


@dataclass(frozen=True)
class PaperMethod:
    """A row of Table 7: what a published method makes of AlexNet. Errors in percent, None where not printed."""

    method: str
    top1_error_percent: float
    top5_error_percent: float | None
    nbytes: int
    ratio: float


@dataclass(frozen=True)
class PaperTable:
    """One of Tables 2 to 5: its number in the paper, the network's printed name and its rows, the Total last."""

    number: int
    network: str
    rows: tuple[PaperLayer, ...]


TABLE1 = {
    "lenet-300-100": PaperNetwork("LeNet-300-100", "mnist", 1.64, 1.58, None, None, 1_070_000, 27_000, 40),
    "lenet-5": PaperNetwork("LeNet-5", "mnist", 0.80, 0.74, None, None, 1_720_000, 44_000, 39),
    "alexnet": PaperNetwork("AlexNet", "imagenet", 42.78, 42.78, 19.73, 19.70, 240_000_000, 6_900_000, 35),
    "vgg16": PaperNetwork("VGG-16", "imagenet", 31.50, 31.17, 11.32, 10.91, 552_000_000, 11_300_000, 49),
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

TABLE4 = PaperTable(
    4,
    "AlexNet",
    (
        PaperLayer("conv1", "35K", 84.0, 8.0, 6.3, 4.0, 1.2, 32.6, 20.53),
        PaperLayer("conv2", "307K", 38.0, 8.0, 5.5, 4.0, 2.3, 14.5, 9.43),
        PaperLayer("conv3", "885K", 35.0, 8.0, 5.1, 4.0, 2.6, 13.1, 8.44),
        PaperLayer("conv4", "663K", 37.0, 8.0, 5.2, 4.0, 2.5, 14.1, 9.11),
        PaperLayer("conv5", "442K", 37.0, 8.0, 5.6, 4.0, 2.5, 14.0, 9.43),
        PaperLayer("fc6", "38M", 9.0, 5.0, 3.9, 4.0, 3.2, 3.0, 2.39),
        PaperLayer("fc7", "17M", 9.0, 5.0, 3.6, 4.0, 3.7, 3.0, 2.46),
        PaperLayer("fc8", "4M", 25.0, 5.0, 4.0, 4.0, 3.2, 7.3, 5.85),
        PaperLayer("Total", "61M", 11.0, 5.4, 4.0, 4.0, 3.2, 3.7, 2.88),
    ),
)

TABLE5 = PaperTable(
    5,
    "VGG-16",
    (
        PaperLayer("conv1_1", "2K", 58.0, 8.0, 6.8, 5.0, 1.7, 40.0, 29.97),
        PaperLayer("conv1_2", "37K", 22.0, 8.0, 6.5, 5.0, 2.6, 9.8, 6.99),
        PaperLayer("conv2_1", "74K", 34.0, 8.0, 5.6, 5.0, 2.4, 14.3, 8.91),
        PaperLayer("conv2_2", "148K", 36.0, 8.0, 5.9, 5.0, 2.3, 14.7, 9.31),
        PaperLayer("conv3_1", "295K", 53.0, 8.0, 4.8, 5.0, 1.8, 21.7, 11.15),
        PaperLayer("conv3_2", "590K", 24.0, 8.0, 4.6, 5.0, 2.9, 9.7, 5.67),
        PaperLayer("conv3_3", "590K", 42.0, 8.0, 4.6, 5.0, 2.2, 17.0, 8.96),
        PaperLayer("conv4_1", "1M", 32.0, 8.0, 4.6, 5.0, 2.6, 13.1, 7.29),
        PaperLayer("conv4_2", "2M", 27.0, 8.0, 4.2, 5.0, 2.9, 10.9, 5.93),
        PaperLayer("conv4_3", "2M", 34.0, 8.0, 4.4, 5.0, 2.5, 14.0, 7.47),
        PaperLayer("conv5_1", "2M", 35.0, 8.0, 4.7, 5.0, 2.5, 14.3, 8.0),
        PaperLayer("conv5_2", "2M", 29.0, 8.0, 4.6, 5.0, 2.7, 11.7, 6.52),
        PaperLayer("conv5_3", "2M", 36.0, 8.0, 4.6, 5.0, 2.3, 14.8, 7.79),
        PaperLayer("fc6", "103M", 4.0, 5.0, 3.6, 5.0, 3.5, 1.6, 1.1),
        PaperLayer("fc7", "17M", 4.0, 5.0, 4.0, 5.0, 4.3, 1.5, 1.25),
        PaperLayer("fc8", "4M", 23.0, 5.0, 4.0, 5.0, 3.4, 7.1, 5.24),
        PaperLayer("Total", "138M", 7.5, 6.4, 4.1, 5.0, 3.1, 3.2, 2.05),
    ),
)

TABLE6 = (
    PaperBits(32, 32, 42.78, 19.73),
    PaperBits(8, 5, 42.78, 19.70),
    PaperBits(8, 4, 42.79, 19.73),
    PaperBits(4, 2, 44.77, 22.33),
)

TABLE7 = (
    PaperMethod("BVLC baseline", 42.78, 19.73, 240_000_000, 1),
    PaperMethod("Fastfood-32-AD", 41.93, None, 131_000_000, 2),
    PaperMethod("Fastfood-16-AD", 42.90, None, 64_000_000, 3.7),
    PaperMethod("Collins & Kohli", 44.40, None, 61_000_000, 4),
    PaperMethod("SVD (Denton)", 44.02, 20.56, 47_600_000, 5),
    PaperMethod("Pruning", 42.77, 19.67, 27_000_000, 9),
    PaperMethod("Pruning + quantization", 42.78, 19.70, 8_900_000, 27),
    PaperMethod("Pruning + quantization + Huffman", 42.78, 19.70, 6_900_000, 35),
)

# The authors' AlexNet, which tools and files name by where it is built: the paper's own net, unlike GluonCV's.
CAFFE_ALEXNET = "gluon_dc.models.caffe_alexnet:alexnet"
_SAME = {CAFFE_ALEXNET: "alexnet"}

LAYER_TABLES = {"lenet-300-100": TABLE2, "lenet-5": TABLE3, "alexnet": TABLE4, "vgg16": TABLE5}

# What differs between the net of that name here and the paper's, beyond its training.
VARIANTS = {
    "alexnet": "GluonCV's AlexNet has 64, 192, 384, 256, 256 ungrouped filters where the paper's has 96, 256, 384, "
               "384, 256 in two groups: its conv rows compare in kind, fc6 to fc8 have the paper's shapes.",
}

# Children of each net that hold the weights of its table, in the table's order: ours of the LeNets, GluonCV's else.
_CHILDREN = {
    "lenet-300-100": "0 1 2",
    "lenet-5": "0 2 4 5",
    "alexnet": "features.0 features.2 features.4 features.5 features.6 features.9 features.11 output",
    CAFFE_ALEXNET: "features.0 features.3 features.6 features.7 features.8 features.11 features.13 output",
    "vgg16": " ".join(f"features.{n}" for n in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33)) + " output",
}


def paper_network(network):
    """Return the PaperNetwork of Table 1 for a network's name ("lenet-5"), or None where the paper has none."""
    return TABLE1.get(_SAME.get(network, network))


def paper_table(network):
    """Return the PaperTable (one of Tables 2 to 5) of a network's name, or None where there is none."""
    return LAYER_TABLES.get(_SAME.get(network, network))


def paper_layer(network, layer):
    """Return the PaperLayer of a network's name and the paper's layer name ("ip1", "Total"), or None."""
    table = paper_table(network)
    rows = table.rows if table else ()
    return next((row for row in rows if row.layer == layer), None)


def paper_layer_names(network) -> dict[str, str]:
    """Return {structural name of a weight: the paper's name of its layer}, {} for networks not in the paper."""
    table = paper_table(network)
    if table is None:
        return {}
    layers = [row.layer for row in table.rows if row.layer != "Total"]
    return {f"{child}.weight": layer for child, layer in zip(_CHILDREN[network].split(), layers)}
