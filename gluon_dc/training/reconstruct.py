"""Pruning and sharing of one layer such that its output changes least on calibration images, without retraining.

What is kept makes up for what is not: for each output the kept weights and the bias are chosen to minimise the mean
square of the change of that output, which only needs the second moments of the layer's inputs. Sharing then goes from
weight to weight, each error fed back into the weights that are still to come (B. Hassibi, D. Stork, "Optimal Brain
Surgeon", 1993; E. Frantar, D. Alistarh, "Optimal Brain Compression", NeurIPS 2022, and "GPTQ", ICLR 2023).
"""
from dataclasses import dataclass, field

import numpy as np
from mxnet import gluon
from numba import njit

from ..coding import CodedTensor, cluster
from ..data.progress import progress_bar
from ..nn import weighted_layers
from ..nn.calibration import can_be_calibrated, samples, second_moments
from .sensitivity import pruned

DAMPING = 0.01


@dataclass(frozen=True)
class Moments:
    """second: float64 (groups, d + 1, d + 1), the mean of x x^T over what the outputs of a group look at.

    x: the d inputs of one output, in the order of its flattened weight, and a constant 1 for the bias, last.
    """

    second: np.ndarray = field(repr=False)

    def of_output(self, row, outputs):
        """The (d + 1, d + 1) moments of one output, damped by a hundredth of the mean square of the inputs."""
        second = self.second[row * len(self.second) // outputs]
        return second + DAMPING * np.trace(second) / len(second) * np.eye(len(second))

    def squares(self, outputs):
        """Mean square of each weight's input, (outputs, d)."""
        diagonals = np.diagonal(self.second, axis1=1, axis2=2)[:, :-1]
        return np.repeat(diagonals, outputs // len(self.second), axis=0)


def input_moments(net, staged, seed=0):
    """{weight name: Moments} of the 2-D convolutions and dense layers, over the images of a StagedNet.

    Of a convolution's output 200 positions an image are drawn, by `seed`. Layers of other kinds, of more than 4608
    inputs, used in several places, or without a bias to adapt, are left out.
    """
    collectors = {layer.name: _Collector(layer.blocks[0], np.random.default_rng(seed)) for layer in weighted_layers(net)
                  if len(layer.blocks) == 1 and _can_be_adapted(layer.blocks[0])}
    was_active = _set_active(net, False)
    try:
        handles = [one.block.register_forward_pre_hook(one) for one in collectors.values()]
        steps = -(-len(staged.images) // staged.batch_size)
        for x in progress_bar(staged.inputs(0), steps, "looking at the layers' inputs", "batch"):
            net(x).wait_to_read()
    finally:
        for handle in handles:
            handle.detach()
        _set_active(net, was_active)
    return {name: Moments(one.total / one.count) for name, one in collectors.items()}


def reconstruct(weight, bias, moments, sparsity=0.0, bits=None):
    """Prune and share a layer with the least change of its outputs.

    Parameters
    ----------
    weight : float32 (out, in, ...)
        Zeros stay zeros.
    bias : float32 (out,)
    moments : Moments
    sparsity : float in [0, 1)
        Of the whole layer: the weights whose loss would change the outputs least go, weight**2 times the mean
        square of the input.
    bits : int in 1..8, optional
        None: not shared.

    Returns
    -------
    (CodedTensor, or float32 array where bits is None; float32 (out,) bias)
        A codebook and its bias hold float16 values, where that is possible.
    """
    outputs = len(weight)
    rows = weight.reshape(outputs, -1)
    squares = moments.squares(outputs)
    kept = (rows != 0) & (pruned(rows, sparsity, rows.astype(np.float64) ** 2 * squares) != 0)
    adapted, new_bias = _adapted(rows, bias, kept, moments)
    if bits is None:
        return adapted.reshape(weight.shape).astype(np.float32), new_bias.astype(np.float32)
    if not kept.any():
        return CodedTensor(np.zeros(1, np.float32), np.zeros(weight.shape, np.uint8)), halved(new_bias)
    centroids = cluster(adapted[kept], 2**bits - 1, "optimal", weights=squares[kept])
    centroids = np.unique(halved(centroids[centroids != 0])).astype(np.float64)
    codes, new_bias = _shared(adapted, new_bias, kept, moments, centroids)
    codebook = np.concatenate([[0], centroids]).astype(np.float32)
    return CodedTensor(codebook, codes.reshape(weight.shape)), halved(new_bias)


def halved(array):
    """The array as float32, rounded to float16 values, which a file stores in half the bytes; not where that would make
    a value infinite or 0."""
    array = np.asarray(array, np.float32)
    with np.errstate(over="ignore"):
        rounded = array.astype(np.float16).astype(np.float32)
    survives = np.isfinite(rounded).all() and not ((array != 0) & (rounded == 0)).any()
    return rounded if survives else array


class ReconstructedChange:
    """As `sensitivity.PlainChange`, with `reconstruct` in place of magnitude and k-means.

    kind "kept": the share of the layer's present non-zeros to keep; "bits": as it says.
    """

    name = "least change of the layers' outputs on the first half; no retraining"

    def __init__(self, moments):
        self.moments = moments

    def __call__(self, layer, kind, value):
        """The changed weight and bias, float32."""
        kept, bits = (value, None) if kind == "kept" else (1.0, value)
        weight, bias = self.coded(layer, kept, bits)
        return (weight.decode() if isinstance(weight, CodedTensor) else weight), bias

    def coded(self, layer, kept, bits):
        """What `reconstruct` gives for a layer of which a share `kept` of the non-zeros stays."""
        weight = layer.array()
        sparsity = 1 - kept * np.count_nonzero(weight) / weight.size
        return reconstruct(weight, layer.blocks[0].bias.data().asnumpy(), self.moments[layer.name], sparsity, bits)


class _Collector:
    """A hook before a layer that sums x x^T over the inputs x of its outputs."""

    def __init__(self, block, rng):
        self.block, self.rng, self.total, self.count = block, rng, 0.0, 0

    def __call__(self, block, inputs):
        found = samples(block, inputs[0].asnumpy(), self.rng)
        self.total = self.total + second_moments(found)
        self.count += found.shape[1]


def _can_be_adapted(block):
    return getattr(block, "bias", None) is not None and can_be_calibrated(block)


def _adapted(rows, bias, kept, moments):
    # For each output: the kept weights and bias that come nearest to the output of the whole row.
    adapted, new_bias = np.where(kept, rows, 0).astype(np.float64), bias.astype(np.float64)
    for row in np.flatnonzero((kept != (rows != 0)).any(axis=1)):
        second = moments.of_output(row, len(rows))
        stays = np.append(np.flatnonzero(kept[row]), len(second) - 1)
        goes = np.flatnonzero(~kept[row] & (rows[row] != 0))
        lost = second[np.ix_(stays, goes)] @ rows[row, goes]
        change = np.linalg.solve(second[np.ix_(stays, stays)], lost)
        adapted[row, stays[:-1]] += change[:-1]
        new_bias[row] += change[-1]
    return adapted, new_bias


def _shared(adapted, bias, kept, moments, centroids):
    codes, new_bias = np.zeros(adapted.shape, np.uint8), bias.copy()
    limits = (centroids[1:] + centroids[:-1]) / 2
    for row in range(len(adapted)):
        positions = np.flatnonzero(kept[row])
        if positions.size:
            stays = np.append(positions, adapted.shape[1])
            inverse = np.linalg.inv(moments.of_output(row, len(adapted))[np.ix_(stays, stays)])
            upper = np.linalg.cholesky((inverse + inverse.T) / 2).T.copy()
            values = np.append(adapted[row, positions], bias[row])
            indices = np.empty(positions.size, np.uint8)
            new_bias[row] = _feed_back(values, upper, centroids, limits, indices)
            codes[row, positions] = indices + 1
    return codes, new_bias


@njit(cache=True, nogil=True)
def _feed_back(values, upper, centroids, limits, indices):
    # Assumes upper^T upper is the inverse of the moments of values. Returns the last one, the bias, which stays free.
    for i in range(indices.size):
        index = 0
        for j in range(limits.size):
            index += limits[j] < values[i]
        indices[i] = index
        error = (values[i] - centroids[index]) / upper[i, i]
        for j in range(i + 1, values.size):
            values[j] -= error * upper[i, j]
    return values[-1]


def _set_active(net, active):
    # Hooks of inner blocks are not called in a hybridized net.
    was = isinstance(net, gluon.HybridBlock) and net._active
    if isinstance(net, gluon.HybridBlock):
        net.hybridize(active, **({"static_alloc": True, "static_shape": True} if active else {}))
    return was
