"""Codebooks and other floats rounded to float16 values, which a file stores in two bytes each."""
import numpy as np

from .parameters import SharedWeight, assign, value
from .walk import WeightedLayer, plain_parameters


def round_to_float16(net):
    """Round codebooks and the parameters that are stored as floats to float16 values, in place.

    They stay float32 in the net; a file stores them in two bytes each, losslessly. Returns the
    net. Left alone: weights that are not shared, and arrays with a value that would become
    infinite or 0.
    """
    for parameter in plain_parameters(net).values():
        if not isinstance(parameter, WeightedLayer):
            _round(parameter)
        elif isinstance(parameter.parameter, SharedWeight):
            _round(parameter.parameter.codebook)
            parameter.parameter.follow_codebook()
        elif parameter.is_coded:
            _round(parameter.parameter)
    return net


def _round(parameter):
    array = value(parameter)
    with np.errstate(over="ignore"):
        rounded = array.astype(np.float16).astype(array.dtype)
    survives = np.isfinite(rounded).all() and not ((array != 0) & (rounded == 0)).any()
    if array.dtype == np.float32 and survives:
        assign(parameter, rounded)
