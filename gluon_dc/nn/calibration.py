"""What a net's layers are sensitive to, measured on a few hundred inputs, without labels and without training.

For each layer two factors of the Fisher matrix: the second moments of its inputs, and those of the gradient at its
outputs (J. Martens, R. Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", 2015). The
gradient is that of the divergence of the net's softmax outputs from what they are now.
"""
from contextlib import contextmanager
from dataclasses import dataclass

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.gluon import nn
from mxnet.gluon.nn import conv_layers

from .chain import unhybridized
from .error_feedback import Curvature
from .walk import named_blocks, refresh_graphs, weighted_layers

# Above, the moments of a layer (the square of it, in float64) would not fit beside the net: VGG's fc6 has 25,088.
MAX_INPUTS = 4608
POSITIONS_PER_IMAGE = 200
# Parts of the mean square of the inputs, and of the gradient, that count as independent of each other.
INPUT_DAMPING, OUTPUT_DAMPING = 0.02, 0.4
# Share of the gradient that comes from all classes alike, not from those that the net sees in the calibration images:
# these are rarely all there are.
EVEN_CLASSES = 0.6
# The last layer's gradient says only which classes were in the images: its outputs count alike there, by so much more.
LAST_WEIGHT, LAST_DAMPING = 1.5, 0.1


@dataclass
class _Sums:
    """Of one layer: over images, of x x^T (groups, d + 1, d + 1) and of g g^T (out, out), by kind of gradient."""

    inputs: object = 0.0
    count: int = 0
    predicted: object = 0.0
    even: object = 0.0


def can_be_calibrated(block):
    """Whether a layer's inputs can be looked at: Dense and 2-D convolutions of at most 4608 inputs an output."""
    if isinstance(block, nn.Dense):
        return block._flatten and _inputs_per_output(block) <= MAX_INPUTS
    return (isinstance(block, nn.Conv2D) and not isinstance(block, conv_layers.Conv2DTranspose)
            and block._kwargs["layout"] == "NCHW" and _inputs_per_output(block) <= MAX_INPUTS)


def curvatures(net, inputs, names=None, seed=0, progress=None):
    """Run a net over inputs, forward and backward, and take the curvature of its layers.

    Parameters
    ----------
    net : gluon.Block
        Of plain or pruned layers; outputs scores (n, classes). Its predictions stay, bit for bit.
    inputs : iterable of arrays or NDArrays (n, ...)
        Batches as the net takes them; each input is looked at by itself.
    names : list of str, optional
        Of the weights; default: of all layers that can be calibrated.
    seed : int
        For the positions that are looked at (200 an input and convolution) and the directions of the gradient.
    progress : callable, optional
        Called with 1 after each input.

    Returns
    -------
    dict
        {name: Curvature}

    Raises
    ------
    ValueError
        A layer that cannot be calibrated; no inputs; outputs that are not (n, classes) or not finite.
    """
    layers = _chosen(net, names)
    sums = {name: _Sums() for name in layers}
    rng, seen = np.random.default_rng(seed), 0
    with _gradients_of_inference(net, layers), _watched(layers, sums, rng):
        for batch in inputs:
            for i in range(len(batch)):
                classes = _one_input(net, mx.nd.array(batch[i:i + 1]), layers, sums, rng)
                seen += 1
                if progress:
                    progress(1)
    if not seen:
        raise ValueError("no calibration inputs: expected batches of them, as the net takes them")
    return _finished(layers, sums, seen, classes)


def samples(block, x, rng, positions=POSITIONS_PER_IMAGE):
    """What the outputs of a layer look at, float32 (groups, n, d): at so many positions an image, by `rng`.

    x: float32 array, the layer's input; d in the order of a flattened weight.
    """
    if isinstance(block, nn.Dense):
        return x.reshape(1, len(x), -1)
    settings = block._kwargs
    (height, width), (down, right) = settings["kernel"], settings["dilate"]
    x = np.pad(x, [(0, 0), (0, 0), *((pad, pad) for pad in settings["pad"])])
    span = (height - 1) * down + 1, (width - 1) * right + 1
    windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))
    windows = windows[:, :, ::settings["stride"][0], ::settings["stride"][1], ::down, ::right]
    n, channels, rows, columns = windows.shape[:4]
    chosen = rng.permutation(rows * columns)[:positions]
    patches = windows[:, :, chosen // columns, chosen % columns]  # (n, channels, positions, kh, kw)
    patches = patches.reshape(n, settings["num_group"], channels // settings["num_group"], len(chosen), height, width)
    return patches.transpose(1, 0, 3, 2, 4, 5).reshape(settings["num_group"], n * len(chosen), -1)


def with_ones(found):
    """Samples (..., n, d) with a constant 1 after each, for the bias: (..., n, d + 1)."""
    return np.concatenate([found, np.ones((*found.shape[:-1], 1), found.dtype)], axis=-1)


def second_moments(found):
    """Sum of x x^T over samples with a constant 1 after each: (groups, n, d) to float64 (groups, d + 1, d + 1)."""
    found = with_ones(found)
    return np.matmul(found.transpose(0, 2, 1), found).astype(np.float64)


def damped(second, damping, has_bias):
    """Mean x x^T (groups, d + 1, d + 1) to the `inputs` of a Curvature, float64: trace 1 over the weights, as the
    moments of the gradient have that of the inputs in them; `damping` of it spread evenly, on top."""
    d = second.shape[-1] - 1
    weights = np.trace(second[:, :d, :d], axis1=1, axis2=2).mean()
    second = second / weights if weights > 0 else np.zeros_like(second)
    second[:, range(d), range(d)] += damping / d
    if not has_bias or weights <= 0:
        second[:, d, :] = second[:, :, d] = 0
        second[:, d, d] = 1 / d
    return second


def _inputs_per_output(block):
    shape = getattr(block, "weight_shape", None) or block.weight.shape
    return int(np.prod(shape[1:]))


def _chosen(net, names):
    found = {layer.name: layer for layer in weighted_layers(net)}
    usable = {name: layer for name, layer in found.items() if not layer.is_coded and all(
        can_be_calibrated(block) for block in layer.blocks)}
    for name in names or ():
        if name not in usable:
            why = f"is of a {type(found[name].blocks[0]).__name__}" if name in found else "is no weight of this net"
            why = "is already shared" if name in found and found[name].is_coded else why
            raise ValueError(f"{name}: {why}; calibration serves Dense and 2-D convolutions of at most {MAX_INPUTS} "
                             "inputs an output: leave the others alone (bits None)")
    return usable if names is None else {name: usable[name] for name in names}


def _one_input(net, x, layers, sums, rng):
    with autograd.record():
        scores = net(x)
    values = scores.asnumpy().astype(np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"calibration: expected finite scores (1, classes) from the net, got shape {values.shape}" + (
            "" if np.isfinite(values).all() else " with NaN or infinite values"))
    p = np.exp(values[0] - values[0].max())
    p /= p.sum()
    kinds = ("predicted", p), ("even", np.full(len(p), 1 / len(p)))
    for kind, share in kinds:
        direction = _direction(share, rng)
        scores.backward(mx.nd.array(direction[None]), retain_graph=kind == "predicted")
        for name, layer in layers.items():
            g = layer.parameter.list_grad()[0].asnumpy().reshape(layer.shape[0], -1)
            one = sums[name]
            moments = np.square(g).sum() if _is_last(name, layers, len(p)) else g @ g.T
            setattr(one, kind, getattr(one, kind) + np.float64(moments))
    return len(p)


def _direction(share, rng):
    # Random with covariance diag(p) - p p^T: the curvature of the divergence in the scores.
    signed = rng.choice([-1.0, 1.0], len(share)) * np.sqrt(share)
    return signed - share * signed.sum()


def _is_last(name, layers, classes):
    return name == list(layers)[-1] and layers[name].shape[0] == classes


def _finished(layers, sums, seen, classes):
    # The gradient from all classes alike is given the size of the predictions' gradient, over all layers.
    inner = [one for name, one in sums.items() if not _is_last(name, layers, classes)]
    size = {kind: sum(np.trace(getattr(one, kind)) for one in inner) for kind in ("predicted", "even")}
    even = size["predicted"] / size["even"] if inner and size["even"] > 0 else 1.0
    result = {}
    for name, one in sums.items():
        if not one.count:
            raise ValueError(f"{name}: no input has reached this layer: give it bits None")
        has_bias, last = layers[name].blocks[0].bias is not None, _is_last(name, layers, classes)
        if last:
            per_output = LAST_WEIGHT * one.predicted / (seen * layers[name].shape[0])
            outputs = max(per_output, _tiny(size, seen)) * np.eye(layers[name].shape[0])
        else:
            outputs = ((1 - EVEN_CLASSES) * one.predicted + EVEN_CLASSES * even * one.even) / seen
            mean = max(np.trace(outputs) / len(outputs), _tiny(size, seen))
            outputs = outputs + OUTPUT_DAMPING * mean * np.eye(len(outputs))
        damping = LAST_DAMPING if last else INPUT_DAMPING
        result[name] = Curvature(damped(one.inputs / one.count, damping, has_bias), outputs, damping)
    return result


def _tiny(size, seen):
    # For layers that have no say in the outputs.
    return max(1e-9 * size["predicted"] / seen, 1e-12)


@contextmanager
def _watched(layers, sums, rng):
    def hook(name, block):
        def look(_, inputs):
            found = samples(block, inputs[0].asnumpy(), rng)
            sums[name].inputs = sums[name].inputs + second_moments(found)
            sums[name].count += found.shape[1]
        return look
    handles = [block.register_forward_pre_hook(hook(name, block))
               for name, layer in layers.items() for block in layer.blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.detach()


@contextmanager
def _gradients_of_inference(net, layers):
    """The net as it predicts, but under `autograd.record()` and with hooks: no dropout, batch norm by its running
    statistics, no graphs, gradients of the weights. (`record(train_mode=False)` gives wrong gradients with MaxPool.)"""
    blocks = [block for _, block in named_blocks(net)]
    before = [(block, dict(block._kwargs)) for block in blocks if isinstance(block, nn.BatchNorm)]
    rates = [(block, block._rate) for block in blocks if isinstance(block, nn.Dropout)]
    requests = [(layer.parameter, layer.parameter.grad_req) for layer in layers.values()]
    for block, _ in before:
        block._kwargs["use_global_stats"] = True
    for block, _ in rates:
        block._rate = 0
    for parameter, _ in requests:
        parameter.grad_req = "write"
    try:
        with unhybridized(net):
            yield
    finally:
        for block, kwargs in before:
            block._kwargs.clear()
            block._kwargs.update(kwargs)
        for block, rate in rates:
            block._rate = rate
        for parameter, request in requests:
            parameter.grad_req = request
        refresh_graphs(net)
