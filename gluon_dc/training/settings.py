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
    threads: int = _setting(2, "OpenMP threads; the same seed gives the same bits at the same number only")
    batch_size: int = _setting(128, "images a step")
    shift: int = _setting(1, "training images are moved by up to this many pixels, 0 leaves them")
    dense_epochs: int = _setting(10, "epochs of dense training")
    dense_rate: float = _setting(2e-3, "Adam's first learning rate there; it falls to 0 as a cosine")
    sparsity: object = _setting(0.98, "share of weights to prune: a number, or {layer: number}")
    scope: str = _setting("global", "whether sparsity holds per layer or over the whole net")
    score: str = _setting("saliency", "rank weights by their saliency (weight squared times Adam's "
                                      "mean squared gradient) or by their magnitude")
    schedule: str = _setting("cubic", "how sparsity grows: one-shot, iterative or cubic")
    prune_steps: int = _setting(100, "in how many steps")
    prune_share: float = _setting(0.6, "share of the retraining over which sparsity grows")
    prune_epochs: int = _setting(40, "epochs of pruning and retraining")
    prune_rate: float = _setting(3e-3, "first learning rate there")
    bits: object = _setting(4, "bits of a code: a number, or {layer: number}")
    start: str = _setting("linear", "where k-means starts: linear, density, random, kmeans++, optimal")
    share_epochs: int = _setting(8, "epochs of centroid training")
    share_rate: float = _setting(1e-3, "first learning rate there")

    def as_dict(self):
        """JSON-able."""
        return asdict(self)


# Chosen on the validation split.
DEFAULTS = {
    "lenet-300-100": {},
    "lenet-5": {},
}


def settings_for(network, **given):
    """The defaults of a network, with the fields in `given` (those not None) in their place."""
    if network not in DEFAULTS:
        raise ValueError(f"no defaults for {network!r}; choose one of {', '.join(DEFAULTS)}")
    given = {name: value for name, value in given.items() if value is not None}
    return replace(Settings(network=network), **{**DEFAULTS[network], **given})


def help_of(name):
    """The one-line description of a field."""
    return next(item.metadata["help"] for item in fields(Settings) if item.name == name)
