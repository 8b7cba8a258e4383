"""Recipes: how a net is fine-tuned, pruned, shared and coded, in one YAML file.

Needs nothing of ours, and PyYAML only where a recipe is read: what the records hold is known without it.
"""

from .records import Code, Prune, Recipe, Share, Stage, Training

_READING = ("load_recipe", "parse_recipe", "recipe_for", "recipe_names")
__all__ = ["Code", "Prune", "Recipe", "Share", "Stage", "Training", *_READING]


def __getattr__(name):
    if name not in _READING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import reading
    return getattr(reading, name)
