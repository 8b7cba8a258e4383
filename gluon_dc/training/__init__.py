"""From data to a file: the stages of the method as one run that can be interrupted and goes on."""
from .run import run_pipeline
from .settings import DEFAULTS, Settings, help_of, settings_for

__all__ = ["run_pipeline", "Settings", "DEFAULTS", "settings_for", "help_of"]
