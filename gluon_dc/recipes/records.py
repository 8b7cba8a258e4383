"""What a recipe holds: frozen records whose attributes are the keys of the YAML file, each checked at the door.

The metadata of a field says what its value may be: `help`, `type`, `choices`, `low` <= value <= `high`,
value < `below`, `per_layer` (one value, or {pattern: value or None}), `optional` (None too).
"""

import math
from dataclasses import asdict, dataclass, field, fields

STARTS = ("linear", "density", "random", "kmeans++", "optimal")  # as gluon_dc.coding.STARTS; a test compares
SCOPES = ("layer", "global")
SCHEDULES = ("one-shot", "iterative", "gradual", "cubic")  # cubic is another word for gradual
OPTIMIZERS = ("sgd", "adam")
CODERS = ("huffman", "fixed", "context")  # as gluon_dc.coding.CODERS
EFFORTS = ("fast", "best")  # as gluon_dc.coding.EFFORTS

_TYPE_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _setting(default, text, *, kind=None, choices=None, low=None, high=None, below=None, per_layer=False,
             optional=False):
    return field(default=default, metadata={
        "help": text, "type": kind or type(default), "choices": choices, "low": low, "high": high, "below": below,
        "per_layer": per_layer, "optional": optional})


def check_value(item, value):
    """Return `value` for a field (whole numbers as float where the field is one); ValueError that says what is wrong.

    item: dataclasses.Field made by `_setting`. The message names neither file nor key, only a layer pattern.
    """
    if value is None and item.metadata["optional"]:
        return None
    if isinstance(value, dict):
        if not item.metadata["per_layer"]:
            raise ValueError(f"expected {_expected(item)}, got a mapping")
        if not value:
            raise ValueError(f"expected {_expected(item)}, got an empty mapping")
        return {pattern: _check_pattern(item, pattern, number) for pattern, number in value.items()}
    return _check_one(item, value)


def _check_pattern(item, pattern, value):
    if not isinstance(pattern, str) or not pattern:
        raise ValueError(f"a layer pattern is a text such as features.0 or *, got {pattern!r}")
    try:
        return None if value is None else _check_one(item, value)
    except ValueError as error:
        raise ValueError(f"{pattern}: {error}") from None


def _check_one(item, value):
    wanted, limits = item.metadata["type"], item.metadata
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, wanted) or isinstance(value, bool) is not (wanted is bool):
        raise ValueError(f"expected {_expected(item)}, got {_shown(value)}")
    if limits["choices"] and value not in limits["choices"]:
        raise ValueError(f"expected {_expected(item)}, got {value!r}")
    if wanted in (int, float) and not _within(value, limits):
        raise ValueError(f"expected {_expected(item)}, got {value}")
    return value


def _within(value, limits):
    return (math.isfinite(value) and (limits["low"] is None or value >= limits["low"])
            and (limits["high"] is None or value <= limits["high"])
            and (limits["below"] is None or value < limits["below"]))


def _expected(item):
    limits = item.metadata
    text = " or ".join(limits["choices"]) if limits["choices"] else _TYPE_NAMES[limits["type"]]
    bounds = [f"at least {limits['low']}"] * (limits["low"] is not None)
    bounds += [f"at most {limits['high']}"] * (limits["high"] is not None)
    bounds += [f"below {limits['below']}"] * (limits["below"] is not None)
    text += f" of {' and '.join(bounds)}" if bounds else ""
    text += ", or a mapping of layer patterns to such" if limits["per_layer"] else ""
    return text + (", or null" if limits["optional"] else "")


def _shown(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Checked:
    def __post_init__(self):
        for item in fields(self):
            if "type" in item.metadata:
                try:
                    object.__setattr__(self, item.name, check_value(item, getattr(self, item.name)))
                except ValueError as error:
                    raise ValueError(f"{item.name}: {error}") from None


@dataclass(frozen=True)
class Training(_Checked):
    """What all stages share that train. The learning rate of each stage falls to 0 as half a cosine."""

    batch_size: int = _setting(32, "images a step", low=1)
    optimizer: str = _setting("sgd", "the optimizer", choices=OPTIMIZERS)
    momentum: float = _setting(0.9, "momentum of sgd; adam has its own", low=0, below=1)
    weight_decay: float = _setting(1e-4, "L2 penalty on every weight", low=0)
    head_rate: float = _setting(10.0, "a new output layer (other classes) learns this many times faster", low=0)
    augment: bool = _setting(True, "random crops and flips of the training images")
    adjust_dropout: bool = _setting(True, "lower dropout as weights go (Han et al. 2015, Eq. 3)")


@dataclass(frozen=True)
class Stage(_Checked):
    """Fine-tuning before pruning; 0 epochs leave it out."""

    epochs: int = _setting(0, "passes over the training images", low=0)
    learning_rate: float = _setting(1e-3, "first learning rate", low=0)


@dataclass(frozen=True)
class Prune(_Checked):
    """Pruning and retraining (paper, section 2). Neither sparsity nor quality: nothing is pruned."""

    sparsity: float | dict | None = _setting(
        None, "share of weights to prune", kind=float, low=0, below=1, per_layer=True, optional=True)
    quality: float | dict | None = _setting(
        None, "prune below this many standard deviations, in place of sparsity", kind=float, low=0, per_layer=True,
        optional=True)
    scope: str = _setting("layer", "whether that holds for each layer or for the whole net", choices=SCOPES)
    schedule: str = _setting("one-shot", "how sparsity grows to its final value", choices=SCHEDULES)
    steps: int = _setting(1, "in how many steps (one-shot: 1)", low=1)
    epochs: int = _setting(0, "epochs of retraining, all steps together", low=0)
    learning_rate: float = _setting(1e-3, "first learning rate of the retraining", low=0)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "schedule", "gradual" if self.schedule == "cubic" else self.schedule)
        if self.schedule == "one-shot" and self.steps != 1:
            raise ValueError(f"steps: schedule one-shot prunes in 1 step, got {self.steps}: leave it out, or take "
                             "schedule iterative or gradual")
        if self.sparsity is not None and self.quality is not None:
            raise ValueError("sparsity and quality: give one of them, not both")
        given = self.sparsity if self.sparsity is not None else self.quality
        numbers = {number for number in given.values() if number is not None} if isinstance(given, dict) else set()
        if self.scope == "global" and len(numbers) > 1:
            raise ValueError(f"scope: global takes one number for all layers, got {sorted(numbers)}; "
                             "null leaves a layer out")


@dataclass(frozen=True)
class Share(_Checked):
    """Weight sharing by k-means, and training of the centroids (paper, section 3)."""

    bits: int | dict | None = _setting(
        8, "bits of a code: at most 2**bits - 1 centroids and 0.0", kind=int, low=1, high=8, per_layer=True,
        optional=True)
    start: str = _setting("optimal", "where k-means starts", choices=STARTS)
    seed: int = _setting(0, "seed of the random starts", low=0, high=2**32 - 1)
    epochs: int = _setting(0, "epochs of centroid training", low=0)
    learning_rate: float = _setting(1e-4, "first learning rate of the centroids", low=0)


@dataclass(frozen=True)
class Code(_Checked):
    """Coding into a file (paper, sections 2 and 4)."""

    rel_bits: int | dict | None = _setting(
        None, "bits of a gap of the relative index; null takes the best for each layer, 0 stores every weight",
        kind=int, low=0, high=8, per_layer=True, optional=True)
    coder: str = _setting("huffman", "Huffman codes, codes of fixed width, or the context coder", choices=CODERS)
    effort: str = _setting("best", "of the context coder: the smaller file, or many times faster", choices=EFFORTS)

    def __post_init__(self):
        super().__post_init__()
        if self.coder == "context" and self.rel_bits is not None:
            raise ValueError("rel_bits: the context coder stores no gaps, so give no rel_bits, or another coder")


@dataclass(frozen=True)
class Recipe(_Checked):
    """A recipe. Layer patterns are those of `gluon_dc.nn.patterns.resolve`: fnmatch, first match wins.

    model: fnmatch pattern of the zoo names that it is made for ("resnet*_v1"), None for any. source: where its numbers
    are from. note: one line for people.
    """

    name: str = _setting("", "name of the recipe; by default that of its file")
    model: str | None = _setting(None, "pattern of the model names it is for; null: any", kind=str, optional=True)
    source: str = _setting("", "where its numbers are from")
    note: str = _setting("", "what to know about it")
    training: Training = field(default_factory=Training)
    dense: Stage = field(default_factory=Stage)
    prune: Prune = field(default_factory=Prune)
    share: Share = field(default_factory=Share)
    code: Code = field(default_factory=Code)

    def as_dict(self) -> dict:
        """JSON-able; keys and values as in the YAML file."""
        return asdict(self)


SECTIONS = {"training": Training, "dense": Stage, "prune": Prune, "share": Share, "code": Code}
