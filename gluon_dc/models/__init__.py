"""Nets by name: the paper's LeNets, GluonCV's zoo, one's own; weights from files, or drawn for sizes alone."""

from .lenet import LAYER_NAMES, MODELS, get_model, lenet_5, lenet_300_100
from .zoo import (build, infer_shapes, initialize, input_shape, layer_names, load_params, load_pretrained, model_names,
                  named_parameters, without_gradients)

__all__ = ["LAYER_NAMES", "MODELS", "build", "get_model", "infer_shapes", "initialize", "input_shape", "layer_names",
           "lenet_300_100", "lenet_5", "load_params", "load_pretrained", "model_names", "named_parameters",
           "without_gradients"]
