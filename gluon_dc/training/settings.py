"""What a run is made of: every number that decides its outcome, with the defaults of each network."""
from dataclasses import asdict, dataclass, field, fields, replace


def _setting(default, text):
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """The settings of one run. Equal settings, data and thread count give equal files.

    Errors of the fields' ranges are found by the verbs that use them.
    """

    network: str = _setting("lenet-300-100", "lenet-300-100 or lenet-5")
    seed: int = _setting(0, "seed of the initial weights, the order of the images and their shifts")
    threads: int = _setting(1, "OpenMP threads; the same seed gives the same bits at the same number only")
    batch_size: int = _setting(512, "images a step")
    shift: int = _setting(1, "training images are moved by up to this many pixels, 0 leaves them")
    dense_epochs: int = _setting(15, "epochs of dense training")
    dense_rate: float = _setting(4e-3, "Adam's first learning rate there; it falls to 0 as a cosine")
    sparsity: object = _setting(0.9875, "share of weights to prune: a number, or {layer: number}")
    scope: str = _setting("global", "whether sparsity holds per layer or over the whole net")
    score: str = _setting("saliency", "rank weights by their saliency (weight squared times Adam's "
                                      "mean squared gradient) or by their magnitude")
    schedule: str = _setting("cubic", "how sparsity grows: one-shot, iterative or cubic")
    prune_steps: int = _setting(100, "in how many steps")
    prune_share: float = _setting(0.6, "share of the retraining over which sparsity grows")
    prune_epochs: int = _setting(60, "epochs of pruning and retraining")
    prune_rate: float = _setting(1e-2, "first learning rate there")
    bits: object = _setting(4, "bits of a code: a number, or {layer: number}")
    start: str = _setting("optimal", "where k-means starts: linear, density, random, kmeans++, optimal")
    share_epochs: int = _setting(8, "epochs of centroid training")
    share_rate: float = _setting(4e-3, "first learning rate there")

    def as_dict(self):
        """JSON-able."""
        return asdict(self)


# Tables 2 and 3 of the paper: share of weights kept and bits of a code, layer by layer.
_PAPER = {
    "lenet-300-100": {"sparsity": {"0": 0.92, "1": 0.91, "2": 0.74}, "bits": 6},
    "lenet-5": {"sparsity": {"0": 0.34, "2": 0.88, "4": 0.92, "5": 0.81},
                "bits": {"0": 8, "2": 8, "4": 5, "5": 5}},
}
_AS_IN_THE_PAPER = {"scope": "layer", "score": "magnitude", "schedule": "iterative", "start": "linear"}

# Both chosen on the validation split.
RECIPES = {
    "default": {"lenet-300-100": {}, "lenet-5": {}},
    "paper": {network: {**_AS_IN_THE_PAPER, **layers} for network, layers in _PAPER.items()},
}


def settings_for(network, recipe="default", **given):
    """The settings of a recipe for a network, with the fields in `given` (those not None) in their place.

    Raises
    ------
    ValueError
        No such recipe or network.
    """
    if recipe not in RECIPES or network not in RECIPES[recipe]:
        raise ValueError(f"no recipe {recipe!r} for {network!r}; recipes are {', '.join(RECIPES)}, "
                         f"networks {', '.join(RECIPES['default'])}")
    given = {name: value for name, value in given.items() if value is not None}
    return replace(Settings(network=network), **{**RECIPES[recipe][network], **given})


def parse_per_layer(text):
    """``0.9`` -> 0.9; ``0=0.92,1=0.91`` -> {"0": 0.92, "1": 0.91}; a value ``none`` leaves layers alone.

    Raises
    ------
    ValueError
        Something that is no number.
    """
    if "=" not in text:
        return _number(text)
    pairs = (part.split("=", 1) for part in text.split(","))
    return {pattern.strip(): _number(value) for pattern, value in pairs}


def _number(text):
    if text.strip().lower() == "none":
        return None
    number = float(text)
    return int(number) if number == int(number) and "." not in text else number
