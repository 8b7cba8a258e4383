"""What a run for the smallest file is made of: every number that decides its outcome, and the recipes with them."""
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path

from ...recipes.records import EFFORTS, check_value
from ..settings import MAX_SEED, NETWORKS

# Version of what is done with the settings: with another one, equal settings give other results.
METHOD = 1
SHARE_METHODS = ("gradual", "straight")
# Stage -> the first field of those that decide it, beside all that decide the stages before it.
FIRST_FIELD = {"dense": "network", "rough": "prune_steps", "pruned": "kept", "shared": "centroids",
               "centroids": "centroid_epochs", "coded": "grid_bits_low"}


def _key(default, text, *, choices=None, low=None, high=None, below=None):
    return field(default=default, metadata={"help": text, "type": type(default), "choices": choices, "low": low,
                                            "high": high, "below": below, "per_layer": False, "optional": False})


@dataclass(frozen=True)
class SmallSettings:
    """The settings of a run; those of a prefix belong to one stage. Equal settings and data give equal files.

    Raises
    ------
    ValueError
        A setting out of its range, before any work is done.
    """

    network: str = _key("lenet-300-100", "the network", choices=NETWORKS)
    note: str = _key("", "what the recipe is for")
    seed: int = _key(0, "seed of the initial weights and of the order of the images", low=0, high=MAX_SEED)
    threads: int = _key(1, "OpenMP threads; the same seed gives the same bits at the same number only", low=1)

    pool_copies: int = _key(12, "varied copies of the training images, one an epoch in turn", low=1)
    pool_seed: int = _key(123, "seed of the pool", low=0, high=MAX_SEED)
    pool_shift: float = _key(1.5, "an image is moved by up to this many pixels either way", low=0)
    pool_rotation: float = _key(8.0, "turned by up to this many degrees", low=0)
    pool_scale: float = _key(0.08, "scaled by up to this share", low=0, below=1)
    pool_shear: float = _key(0.08, "sheared by up to this share", low=0)
    pool_elastic: float = _key(0.5, "bent by this many pixels (root mean square)", low=0)
    pool_sigma: float = _key(4.0, "how smoothly it is bent: sigma of a Gaussian in pixels", low=0.1)
    pool_fields: int = _key(1500, "different ways of bending", low=1)

    teacher_seed: int = _key(7, "seed of the teacher", low=0, high=MAX_SEED)
    teacher_epochs: int = _key(8, "epochs of the teacher", low=1)
    teacher_rate: float = _key(3e-3, "its first learning rate; it falls to 0 as a cosine", low=0)
    teacher_batch_size: int = _key(128, "images a step of it", low=1)
    teacher_filters_1: int = _key(24, "filters of its first convolution", low=1)
    teacher_filters_2: int = _key(56, "filters of its second", low=1)
    teacher_hidden: int = _key(200, "units of its hidden layer", low=1)
    teacher_dropout: float = _key(0.4, "dropout after that", low=0, below=1)

    temperature: float = _key(2.0, "softmax temperature at which the student learns from the teacher", low=0.1)
    teacher_share: float = _key(0.9, "share of the teacher in what is learned; the rest is the label", low=0, high=1)
    batch_size: int = _key(256, "images a step of the student", low=1)

    dense_epochs: int = _key(6, "epochs of dense training", low=1)
    dense_rate: float = _key(4e-3, "first learning rate there", low=0)
    dense_floor: float = _key(0.3, "share of that rate at the end", low=0, high=1)

    prune_steps: int = _key(100, "in how many steps each stage of pruning prunes", low=1)
    rate_power: float = _key(0.5, "saliency is divided by the bits of a weight to this power", low=0)
    code_bits: float = _key(3.0, "bits of a weight beside its place", low=0)
    bias_bits: float = _key(6.0, "bits of a bias", low=0.1)
    neighbours: bool = _key(True, "whether a place next to kept ones costs less")
    rough_kept: int = _key(9000, "weights and biases that the first stage of pruning keeps; 0: there is no such stage",
                           low=0)
    rough_epochs: int = _key(14, "epochs of it", low=1)
    rough_rate: float = _key(6e-3, "first learning rate there", low=0)
    rough_floor: float = _key(0.6, "share of that rate at the end", low=0, high=1)
    rough_share: float = _key(0.9, "share of the stage over which it prunes", low=0, high=1)

    kept: int = _key(3000, "weights and biases that pruning keeps", low=1)
    prune_epochs: int = _key(40, "epochs of pruning", low=1)
    prune_rate: float = _key(6e-3, "first learning rate there; it falls to 0", low=0)
    prune_share: float = _key(0.65, "share of the stage over which it prunes; then it only trains", low=0, high=1)

    centroids: int = _key(8, "centroids of a weight, at most", low=1, high=255)
    bias_centroids: int = _key(6, "of a layer's biases", low=1, high=255)
    bit_price: float = _key(1e-7, "what a bit counts in choosing centroids and dropping weights, in units of v w^2",
                            low=0)
    share_method: str = _key("gradual", "codes are fixed a few at a time; or straight: assigned anew at every step",
                             choices=SHARE_METHODS)
    share_epochs: int = _key(25, "epochs of sharing", low=1)
    share_rate: float = _key(3e-3, "first learning rate there", low=0)
    share_floor: float = _key(0.0, "share of that rate at the end", low=0, high=1)
    fix_share: float = _key(0.8, "gradual: share of the stage after which all codes are fixed", low=0, high=1)
    fix_steps: int = _key(80, "gradual: in how many steps they are", low=1)
    fix_centroid_rate: float = _key(0.3, "gradual: the centroids' learning rate, relative to the weights'", low=0)
    share_settle: float = _key(0.9, "straight: share of the stage after which centroids stay where they are", low=0,
                               high=1)
    centroid_steps: int = _key(20, "straight: centroids move to their weights' means every so many steps", low=1)

    centroid_epochs: int = _key(0, "epochs of training the centroids alone, codes frozen; 0: there is no such stage",
                                low=0)
    centroid_rate: float = _key(5e-4, "first learning rate there; it falls to 0", low=0)

    grid_bits_low: int = _key(5, "coarsest grid that codebooks are rounded to, in bits", low=2, high=8)
    grid_bits_high: int = _key(8, "finest one; beyond it float16, then float32", low=2, high=8)
    rounding_points: float = _key(0.04, "validation error in percentage points that rounding may cost", low=0)
    rounding_loss: float = _key(0.01, "share by which it may raise the validation loss", low=0)
    effort: str = _key("best", "of the context coder", choices=EFFORTS)

    def __post_init__(self):
        for item in fields(self):
            try:
                object.__setattr__(self, item.name, check_value(item, getattr(self, item.name)))
            except ValueError as error:
                raise ValueError(f"{item.name}: {error}") from None
        if self.grid_bits_low > self.grid_bits_high:
            raise ValueError(f"grid_bits_low: expected at most grid_bits_high, {self.grid_bits_high}, got "
                             f"{self.grid_bits_low}")
        if self.rough_kept and self.rough_kept < self.kept:
            raise ValueError(f"rough_kept: expected 0 or at least kept, {self.kept}, got {self.rough_kept}")

    def as_dict(self):
        """JSON-able."""
        return asdict(self)

    def deciding(self, stage):
        """{key: value} of all that decides the outcome of a stage, but for the data."""
        stages, names = list(FIRST_FIELD), list(self.as_dict())
        after = stages[stages.index(stage) + 1:][:1]
        decide = names[:names.index(FIRST_FIELD[after[0]])] if after else names
        return {name: value for name, value in self.as_dict().items() if name in decide and name != "note"}


def small_recipe_names():
    """Names of the recipes that come with the package, sorted."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


def load_small_recipe(name_or_path):
    """The SmallSettings of a recipe that comes with the package, by its name, or of a .yaml file.

    Raises
    ------
    ValueError
        No such recipe; or a file that is none, with its path, line and key.
    OSError
        The file cannot be read.
    """
    from ...recipes.reading import MAX_NBYTES, SUFFIXES, parse_record
    if str(name_or_path) in small_recipe_names():
        data, where = (_folder() / f"{name_or_path}.yaml").read_bytes(), f"recipe {name_or_path}"
    elif Path(name_or_path).suffix in SUFFIXES:
        with open(name_or_path, "rb") as file:
            data, where = file.read(MAX_NBYTES + 1), str(name_or_path)
    else:
        raise ValueError(f"no recipe is named {str(name_or_path)!r}; there are {', '.join(small_recipe_names())}, and "
                         "any file whose name ends in .yaml")
    values = parse_record(SmallSettings, data, where)
    try:
        return SmallSettings(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def small_settings(recipe, given=(), **changes):
    """The settings of a recipe with texts such as "kept=3000" and then the fields in `changes` in their place.

    Raises
    ------
    ValueError
        As `load_small_recipe`; and for a text that is not of the form key=value, or has no such key.
    """
    from ...recipes.reading import parse_record
    settings, values = load_small_recipe(recipe), {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text}: expected key=value, such as kept=3000")
        values |= parse_record(SmallSettings, f"{key}: {value}", f"--set {text}")
    return replace(settings, **{**values, **changes})


def _folder():
    return resources.files("gluon_dc.recipes") / "smallest"
