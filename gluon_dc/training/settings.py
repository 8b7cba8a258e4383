"""What a run is made of: every number that decides its outcome, with the defaults of each network."""
from dataclasses import asdict, dataclass, field, fields, replace

from ..coding import STARTS

NETWORKS = ("lenet-300-100", "lenet-5")
# Word for a schedule that is accepted -> the one that is kept; an earlier version knew "cubic" only.
SCHEDULE_SYNONYMS = {"cubic": "gradual"}
MAX_SEED = 2**32 - 1  # the largest that NumPy takes


def setting(default, text, choices=None, low=None, high=float("inf"), below=float("inf"), whole=False):
    """A field of a settings record: its default, what it is, and the numbers or words it takes."""
    return field(default=default, metadata={
        "help": text, "choices": choices, "low": low, "high": high, "below": below,
        "whole": whole or isinstance(default, int)})


@dataclass(frozen=True)
class StageSettings:
    """The settings that every run has: of its stages and of what makes it repeatable.

    Raises
    ------
    ValueError
        A setting out of its range, before any work is done.
    """

    seed: int = setting(0, "seed of the initial weights, the order of the images and how they are varied",
                        low=0, high=MAX_SEED)
    threads: int = setting(1, "OpenMP threads; the same seed gives the same bits at the same number "
                              "only", low=1)
    batch_size: int = setting(512, "images a step", low=1)
    dense_epochs: int = setting(15, "epochs of dense training", low=1)
    dense_rate: float = setting(4e-3, "first learning rate there; it falls to 0 as a cosine", low=0)
    sparsity: object = setting(0.9865, "share of weights to prune: a number, or by layer, as in "
                                       "0=0.92,1=0.91,*=0.74 with --scope layer", low=0, below=1)
    scope: str = setting("global", "whether sparsity holds per layer or over the whole net",
                         choices=("layer", "global"))
    schedule: str = setting("gradual", "how sparsity grows; cubic is another word for gradual",
                            choices=("one-shot", "iterative", "gradual", "cubic"))
    prune_steps: int = setting(100, "in how many steps; one-shot: 1", low=1)
    prune_share: float = setting(0.6, "share of the retraining over which sparsity grows",
                                 low=0, high=1)
    prune_epochs: int = setting(90, "epochs of pruning and retraining", low=1)
    prune_rate: float = setting(1e-2, "first learning rate there", low=0)
    bits: object = setting(4, "bits of a code: a number, or by layer", low=1, high=8)
    start: str = setting("optimal", "where k-means starts", choices=STARTS)
    share_epochs: int = setting(8, "epochs of centroid training", low=1)
    share_rate: float = setting(4e-3, "first learning rate there", low=0)

    def __post_init__(self):
        object.__setattr__(self, "schedule", SCHEDULE_SYNONYMS.get(self.schedule, self.schedule))
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata["choices"] and value not in item.metadata["choices"]:
                raise ValueError(f"{item.name} is one of {', '.join(item.metadata['choices'])}; "
                                 f"got {value!r}")
            if item.metadata["low"] is not None:
                self._check_range(item, value)
        if self.schedule == "one-shot" and self.prune_steps != 1:
            raise ValueError(f"schedule one-shot prunes in 1 step, got prune_steps {self.prune_steps}: leave that out, "
                             "or take schedule iterative or gradual")
        by_layer = self.sparsity.values() if isinstance(self.sparsity, dict) else [self.sparsity]
        if self.scope == "global" and len({number for number in by_layer if number is not None}) > 1:
            raise ValueError("scope global takes one sparsity for all layers; give scope layer with "
                             f"{self.sparsity}")

    def _check_range(self, item, value):
        low, high, below = (item.metadata[key] for key in ("low", "high", "below"))
        for number in value.values() if isinstance(value, dict) else [value]:
            if number is None:
                continue
            if item.metadata["whole"] and not isinstance(number, int):
                raise ValueError(f"{item.name} must be a whole number, got {number}")
            if not (low <= number <= high and number < below):
                bound = f"at most {high}" if high < below else f"below {below}"
                bound = "finite" if bound == "below inf" else bound
                raise ValueError(f"{item.name} must be at least {low} and {bound}, got {number}")

    def as_dict(self):
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class Settings(StageSettings):
    """The settings of a run on MNIST, trained with Adam. Equal settings and data give equal files."""

    network: str = setting("lenet-300-100", "the network", choices=NETWORKS)
    shift: int = setting(1, "training images are moved by up to this many pixels, 0 leaves them",
                         low=0, high=14)
    l1: float = setting(0.0, "L1 penalty on the kept weights, in dense training and retraining", low=0)
    l2: float = setting(0.0, "L2 penalty, likewise", low=0)
    score: str = setting("saliency", "rank weights by their saliency (weight squared times Adam's "
                         "mean squared gradient) or by their magnitude",
                         choices=("saliency", "magnitude"))


# Tables 2 and 3 of the paper: share of weights kept and bits of a code, layer by layer.
_PAPER = {
    "lenet-300-100": {"sparsity": {"0": 0.92, "1": 0.91, "2": 0.74}, "bits": 6},
    "lenet-5": {"sparsity": {"0": 0.34, "2": 0.88, "4": 0.92, "5": 0.81},
                "bits": {"0": 8, "2": 8, "4": 5, "5": 5}},
}
_AS_IN_THE_PAPER = {"scope": "layer", "score": "magnitude", "schedule": "iterative", "start": "linear"}

# Compared on the validation split.
_DEFAULT = {
    "lenet-300-100": {},
    "lenet-5": {"batch_size": 128, "dense_epochs": 8, "dense_rate": 2e-3, "sparsity": 0.9875,
                "prune_epochs": 30, "prune_rate": 3e-3, "share_epochs": 5, "share_rate": 2e-3},
}
RECIPES = {
    "default": _DEFAULT,
    "paper": {network: {**_DEFAULT[network], **_AS_IN_THE_PAPER, **layers}
              for network, layers in _PAPER.items()},
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
                         f"networks {', '.join(NETWORKS)}")
    given = with_steps({name: value for name, value in given.items() if value is not None})
    return replace(Settings(network=network), **{**RECIPES[recipe][network], **given})


def with_steps(given):
    """The given fields of a StageSettings, with the one step of schedule one-shot where no number of steps is given."""
    return {"prune_steps": 1, **given} if given.get("schedule") == "one-shot" else given


def parse_per_layer(text):
    """``0.9`` -> 0.9; ``0=0.92,*=none`` -> {"0": 0.92, "*": None}, None leaves layers alone.

    Raises
    ------
    ValueError
        Something that is no number.
    """
    if "=" not in text:
        return _number(text)
    pairs = (part.split("=", 1) for part in text.split(","))
    return {pattern.strip(): None if value.strip() == "none" else _number(value)
            for pattern, value in pairs}


def _number(text):
    return int(text) if text.strip().isdigit() else float(text)
