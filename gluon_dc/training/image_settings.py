"""What a run on photographs is made of: a recipe's numbers, with those given on the command line in their place."""
from dataclasses import dataclass, replace

from ..recipes.records import CODERS, EFFORTS, OPTIMIZERS
from .settings import StageSettings, setting, with_steps


@dataclass(frozen=True)
class ImageSettings(StageSettings):
    """The settings of a run on photographs. Equal settings, data and initial weights give equal files.

    ``sparsity`` and ``bits`` as in `StageSettings`, or None: nothing is pruned, nothing is shared.

    Raises
    ------
    ValueError
        A setting out of its range; sparsity and quality both given.
    """

    dense_epochs: int = setting(0, "epochs of fine-tuning before pruning; 0 leaves the weights as given", low=0)
    prune_epochs: int = setting(0, "epochs of retraining, all steps of pruning together", low=0)
    share_epochs: int = setting(0, "epochs of centroid training", low=0)
    quality: object = setting(None, "prune below this many standard deviations of a layer's weights, in place of "
                                    "sparsity: a number, or by layer", low=0)
    model: str = setting("", "the network")
    recipe: str = setting("default", "the recipe that the settings are from")
    preprocessing: str = setting("gluoncv", "what is done to the images")
    optimizer: str = setting("sgd", "the optimizer", choices=OPTIMIZERS)
    momentum: float = setting(0.9, "momentum of sgd; adam has its own", low=0, below=1)
    weight_decay: float = setting(1e-4, "L2 penalty on all parameters", low=0)
    head_rate: float = setting(10.0, "a new output layer learns this many times faster in fine-tuning", low=0)
    augment: bool = setting(True, "random crops and flips of the training images")
    adjust_dropout: bool = setting(True, "lower dropout as weights go")
    rel_bits: object = setting(None, "bits of a gap of the relative index: a number, or by layer; by default the best "
                                     "for each layer", low=0, high=8, whole=True)
    coder: str = setting("huffman", "Huffman codes, codes of fixed width, or the context coder", choices=CODERS)
    effort: str = setting("best", "of the context coder: the smaller file, or many times faster", choices=EFFORTS)
    validation_share: float = setting(0.1, "share of each class's training images that is held out for validation",
                                      low=0, below=1)

    def __post_init__(self):
        super().__post_init__()
        if self.sparsity is not None and self.quality is not None:
            raise ValueError("sparsity and quality: give one of them, not both")
        if self.coder == "context" and self.rel_bits is not None:
            raise ValueError("rel_bits: the context coder stores no gaps, so give no rel_bits, or another coder")


def settings_of_recipe(recipe, model, preprocessing, epochs_scale=1.0, **given):
    """The ImageSettings of a Recipe for a model, with the fields in `given` (those not None) in their place.

    epochs_scale: the recipe's numbers of epochs are multiplied by it and rounded, a stage that trains keeps at least
    one. The recipe's seed (of k-means) is the run's, unless one is given.

    Raises
    ------
    ValueError
        A setting out of its range.
    """
    if not 0 < epochs_scale < float("inf"):
        raise ValueError(f"epochs scale must be above 0 and finite, got {epochs_scale}")
    given = with_steps({name: value for name, value in given.items() if value is not None})
    if "sparsity" in given or "quality" in given:  # one takes the place of the other
        given = {"sparsity": None, "quality": None, **given}
    if given.get("coder") == "context":
        given = {"rel_bits": None, **given}  # it stores no gaps, whatever the recipe says of them
    epochs = {name: number and max(1, round(number * epochs_scale)) for name, number in _epochs(recipe).items()}
    return replace(ImageSettings(), model=model, recipe=recipe.name, preprocessing=preprocessing,
                   **{**_of_recipe(recipe), **epochs, **given})


def _epochs(recipe):
    return {"dense_epochs": recipe.dense.epochs, "prune_epochs": recipe.prune.epochs,
            "share_epochs": recipe.share.epochs}


def _of_recipe(recipe):
    training, prune, share, code = recipe.training, recipe.prune, recipe.share, recipe.code
    return {
        "seed": share.seed, "batch_size": training.batch_size, "optimizer": training.optimizer,
        "momentum": training.momentum, "weight_decay": training.weight_decay, "head_rate": training.head_rate,
        "augment": training.augment, "adjust_dropout": training.adjust_dropout,
        "dense_rate": recipe.dense.learning_rate, "sparsity": prune.sparsity, "quality": prune.quality,
        "scope": prune.scope, "schedule": prune.schedule, "prune_steps": prune.steps,
        "prune_rate": prune.learning_rate, "bits": share.bits, "start": share.start,
        "share_rate": share.learning_rate, "rel_bits": code.rel_bits, "coder": code.coder, "effort": code.effort,
    }
