"""Gluon: masks and codebooks in the forward pass, and the verbs on nets."""
from .calibration import curvatures
from .convert import compress, quantize, restore, unwrap
from .graph import graph_of
from .layers import CodedLayer, MaskedLayer
from .pruning import prune
from .rounding import round_to_float16
from .saliency import adam_saliency
from .schedules import adjust_dropout, penalty, retraining_dropout_rate, sparsity_schedule
from .states import load_states, save_states
from .trainer import CentroidTrainer
from .units import sort_units, zero_unused_units
from .walk import WeightedLayer, weighted_layers

__all__ = ["prune", "quantize", "compress", "restore", "unwrap", "CentroidTrainer",
           "graph_of", "curvatures", "adam_saliency", "sparsity_schedule", "adjust_dropout", "retraining_dropout_rate", "penalty",
           "round_to_float16", "zero_unused_units", "sort_units", "save_states", "load_states", "weighted_layers", "WeightedLayer",
           "MaskedLayer", "CodedLayer"]
