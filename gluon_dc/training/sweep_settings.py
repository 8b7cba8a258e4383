"""What a sweep is made of: the numbers that decide its outcome, and the points it measures."""
from dataclasses import asdict, dataclass, fields, replace

from ..coding import STARTS
from .settings import MAX_SEED, NETWORKS, setting

EXPERIMENTS = {
    "compression": "test error against file size for pruning alone, sharing alone, both, and truncated SVD (Fig. 6)",
    "starts": "test error against bits for the starts of k-means, with and without training of the centroids (Fig. 8)",
    "sensitivity": "validation error with one layer alone pruned or shared, without retraining (Fig. 7)",
}


@dataclass(frozen=True)
class SweepSettings:
    """The settings of one sweep. Equal settings and data give equal points.

    Raises
    ------
    ValueError
        A setting out of its range, before any work is done.
    """

    experiment: str = setting("compression", "the experiment", choices=tuple(EXPERIMENTS))
    network: str = setting("lenet-300-100", "the network", choices=NETWORKS)
    seed: int = setting(0, "seed of the initial weights, the order of the images and the random starts", low=0,
                        high=MAX_SEED)
    threads: int = setting(1, "OpenMP threads; the same seed gives the same bits at the same number only", low=1)
    batch_size: int = setting(512, "images a step", low=1)
    shift: int = setting(1, "training images are moved by up to this many pixels, 0 leaves them", low=0, high=14)
    dense_epochs: int = setting(15, "epochs of dense training, without --dense", low=1)
    dense_rate: float = setting(4e-3, "Adam's first learning rate there; it falls to 0 as a cosine", low=0)
    prune_epochs: int = setting(12, "epochs of pruning and retraining before the weights are shared", low=1)
    share_epochs: int = setting(4, "epochs of centroid training after it; one method alone gets the sum of both", low=1)
    prune_rate: float = setting(1e-2, "first learning rate of pruning", low=0)
    share_rate: float = setting(4e-3, "first learning rate of the centroids", low=0)
    svd_rate: float = setting(1e-2, "first learning rate of the factors of truncated SVD", low=0)
    start: str = setting("optimal", "where k-means starts, but in the experiment starts", choices=STARTS)

    def __post_init__(self):
        for item in fields(self):
            value, about = getattr(self, item.name), item.metadata
            if about["choices"] and value not in about["choices"]:
                raise ValueError(f"{item.name} is one of {', '.join(about['choices'])}; got {value!r}")
            # Written so that NaN fails too.
            if about["low"] is not None and not (about["low"] <= value <= about["high"] and value < about["below"]):
                bound = "finite" if about["high"] == float("inf") else f"at most {about['high']}"
                raise ValueError(f"{item.name} must be at least {about['low']} and {bound}, got {value}")

    def as_dict(self):
        """JSON-able."""
        return asdict(self)


# The learning rates for LeNet-300-100 were compared on the validation split with seed 1; those for LeNet-5 are
# Settings' own.
_OF_NETWORK = {
    "lenet-300-100": {},
    "lenet-5": {"batch_size": 128, "dense_epochs": 8, "dense_rate": 2e-3, "prune_epochs": 4, "share_epochs": 2,
                "prune_rate": 3e-3, "share_rate": 2e-3, "svd_rate": 3e-3},
}


def sweep_settings_for(experiment, network, **given):
    """The default settings of an experiment on a network, with the fields in `given` (those not None) in their place.

    Raises
    ------
    ValueError
        No such experiment or network; a setting out of its range.
    """
    given = {name: value for name, value in given.items() if value is not None}
    return replace(SweepSettings(experiment, network), **{**_OF_NETWORK.get(network, {}), **given})


_SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99)
# Kind of point -> its values. Pruning by nothing is the dense net trained for as long as all the others.
DEFAULT_POINTS = {
    "compression": {
        "pruning": (0.0, *_SPARSITIES),
        "sharing": (2, 3, 4, 5, 6, 8),
        "pruning+sharing": tuple((sparsity, 4) for sparsity in _SPARSITIES),
        "svd": (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4),
    },
    "starts": {start: tuple(range(2, 9)) for start in STARTS},
    "sensitivity": {
        "sparsity": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98),
        "bits": tuple(range(1, 9)),
    },
}
VALUES = {"pruning": "sparsity", "sharing": "bits", "pruning+sharing": "sparsity:bits", "svd": "rank share",
          "sparsity": "sparsity", "bits": "bits", **{start: "bits" for start in STARTS}}


def parse_points(experiment, texts):
    """``["pruning=0.8,0.9", "pruning+sharing=0.9:4"]`` -> ``{"pruning": (0.8, 0.9), "pruning+sharing": ((0.9, 4),)}``.

    Raises
    ------
    ValueError
        An unknown kind, or a value out of its range: the message names both and what is expected.
    """
    kinds, points = DEFAULT_POINTS[experiment], {}
    for text in texts:
        kind, _, values = text.partition("=")
        if kind not in kinds:
            expected = ", ".join(f"{name}={VALUES[name].upper()}" for name in kinds)
            raise ValueError(f"{text!r} is no point of the experiment {experiment}; expected {expected}, with commas "
                             "between several values")
        points.setdefault(kind, []).extend(_parse(kind, value.strip()) for value in values.split(","))
    return {kind: tuple(dict.fromkeys(values)) for kind, values in points.items()}


def _parse(kind, text):
    what = VALUES[kind]
    try:
        if what == "sparsity:bits":
            sparsity, bits = text.split(":")
            return _in_range("sparsity", float(sparsity)), _in_range("bits", int(bits))
        return _in_range(what, int(text) if what == "bits" else float(text))
    except ValueError:
        raise ValueError(f"{kind}: expected {what}, got {text!r} ({_RANGES[what]})") from None


_RANGES = {"sparsity": "a number of at least 0 and below 1", "bits": "a whole number in 1..8",
           "rank share": "a number above 0 and at most 1",
           "sparsity:bits": "a number of at least 0 and below 1, and a whole number in 1..8, as in 0.9:4"}


def _in_range(what, number):
    within = {"sparsity": 0 <= number < 1, "bits": 1 <= number <= 8, "rank share": 0 < number <= 1}[what]
    if not within:
        raise ValueError(number)
    return number
