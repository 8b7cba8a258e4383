"""From data to a file: the stages of the method as one run that can be interrupted and goes on.

Importing this package does not import MXNet, so that a script can set its threads first.
"""
from .settings import RECIPES, Settings, settings_for

__all__ = ["RECIPES", "Settings", "settings_for"]
