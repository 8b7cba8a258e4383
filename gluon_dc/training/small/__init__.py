"""The smallest files: rate-aware pruning and entropy-constrained sharing of a LeNet that learns from a teacher.

Importing this package does not import MXNet, so that a script can set its threads first.
"""
from .settings import SmallSettings, load_small_recipe, small_recipe_names, small_settings

__all__ = ["SmallSettings", "load_small_recipe", "small_recipe_names", "small_settings"]
