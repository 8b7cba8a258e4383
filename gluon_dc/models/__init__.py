"""The networks of the paper, as plain Gluon blocks."""

from .lenet import LAYER_NAMES, MODELS, get_model, lenet_5, lenet_300_100

__all__ = ["LAYER_NAMES", "MODELS", "get_model", "lenet_5", "lenet_300_100"]
