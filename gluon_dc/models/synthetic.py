"""Weights that are drawn, not trained: for the size of a file, where the trained weights are not at hand.

Every weight is Laplace, independently: zero mean, standard deviation sqrt(2 / fan_in). The one distribution for all
layers, with nothing to tune. Why Laplace: in the real ImageNet net at hand, the authors' compressed_SqueezeNet.net,
the 13 layers that they left (nearly) unpruned have a kurtosis of 3.5 to 8 (one 23), median 6.0, and their magnitudes
have a standard deviation of 0.8 to 1.1 times their mean, median 1.0; Laplace has 6 and 1, a Gaussian 3 and 0.76.
(tests/test_synthetic.py counts them again where the file is at hand.)

What it leaves out: retraining moves kept weights away from the threshold, and trained layers prune unevenly by row
and column; so sizes are near those of trained nets, and no accuracy follows from them at all.
"""

import numpy as np
from mxnet import gluon, init, nd

from .params import named_parameters

SYNTHETIC = "synthetic weights: sizes only, no accuracy"
_CHUNK = 2**22  # values drawn at a time, for little memory


def draw_weights(net, seed=0, progress=None):
    """Fill a net with drawn weights, in place; returns the net.

    Weights (2 dimensions and more) are Laplace as the module says. What is one-dimensional (biases, batch norm) is
    drawn too, lest it compress better than in a trained net: Laplace of standard deviation 0.1 around 0; around 1 for
    scales and, as exp, for variances. Equal seeds give equal bits, whatever the number of threads.

    Parameters
    ----------
    net : gluon.Block
        All shapes known (`zoo.infer_shapes`); initialised here where it is not.
    seed : int >= 0
    progress : callable, optional
        Called with the number of values drawn, after every chunk.
    """
    for number, parameter in enumerate(named_parameters(net).values()):
        constant = _is_constant(parameter)
        if parameter._data is None:
            parameter.initialize(None if constant else init.Zero())
        if np.dtype(parameter.dtype) == np.float32 and not constant:
            _fill(parameter, np.random.default_rng([seed, number]), progress)
    return net


def laplace(rng, size, deviation=1.0):
    """Laplace values around 0, float32 (size,); deviation: their standard deviation."""
    values = rng.standard_exponential(size, dtype=np.float32)
    values *= np.float32(deviation * 0.5 ** 0.5)
    signs = np.unpackbits(np.frombuffer(rng.bytes((size + 7) // 8), np.uint8), count=size).astype(np.uint32)
    values.view(np.uint32)[:] |= np.left_shift(signs, np.uint32(31), out=signs)
    return values


def _is_constant(parameter):
    """Whether it is an array that a net only carries along, such as a detector's anchors."""
    return isinstance(parameter, gluon.Constant)


def _fill(parameter, rng, progress):
    target = parameter.data()
    shape = target.shape
    rows, row = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    deviation = (2 / row) ** 0.5 if len(shape) > 1 else 0.1
    step = max(1, _CHUNK // max(1, row))
    for begin in range(0, rows, step):
        values = laplace(rng, (min(rows, begin + step) - begin) * row, deviation)
        values = _around(parameter.name, values).reshape(-1, *shape[1:])
        target[begin:begin + step] = nd.array(values)
        if progress:
            progress(values.size)


def _around(name, values):
    if name.endswith("gamma"):
        return 1 + values
    return np.exp(values) if name.endswith("running_var") else values
