"""Recipes: how a net is fine-tuned, pruned, shared and coded, in one YAML file. Needs PyYAML and nothing of ours."""

from .reading import load_recipe, parse_recipe, recipe_for, recipe_names
from .records import Code, Prune, Recipe, Share, Stage, Training

__all__ = ["Code", "Prune", "Recipe", "Share", "Stage", "Training", "load_recipe", "parse_recipe", "recipe_for",
           "recipe_names"]
