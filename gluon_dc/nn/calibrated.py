"""Sharing of a whole net on grids, without retraining: one price of a bit for all layers."""
import mxnet as mx
import numpy as np

from ..coding.threads import in_threads
from .calibration import curvatures
from .error_feedback import Curvature, share_on_grid
from .layers import set_coded
from .parameters import assign
from .patterns import resolve
from .sequence import share_in_sequence
from .walk import refresh_graphs, weighted_layers

# Predicted divergence: near enough to what was asked for, and how often to try.
NEAR, TRIES = 0.03, 8
FIRST_PRICE = 1e-7


def quantize_calibrated(net, bits, calibration, divergence, seed=0, gradient="centroid"):
    """What `quantize` does where it is given calibration inputs; the arguments are its.

    Returns {name: CodedTensor}; biases of those layers are on grids of their own.
    """
    if not 0 < divergence < np.inf:
        raise ValueError(f"divergence must be above 0 nats, got {divergence!r}")
    chosen = resolve(bits, [layer.name for layer in weighted_layers(net)], "bits")
    batches = None if _is_measured(calibration) else _batches(calibration)
    found = calibration if batches is None else curvatures(net, batches, list(chosen), seed)
    missing = [name for name in chosen if name not in found]
    if missing:
        raise ValueError(f"calibration has no curvature of {', '.join(missing)}: measure it, or give them bits None")
    price = price_for(net, found, divergence, chosen)
    return put(net, on_grids(net, found, price, chosen) if batches is None else
               share_in_sequence(net, batches, found, price, chosen, seed), gradient)


def on_grids(net, curvature_of, price, bits, width=1):
    """{name: GridShared} of the layers named in `bits` ({name: bits}) at one price of a bit, each by itself, with so
    many ways kept open (1: the quick way); the net stays."""
    layers = {layer.name: layer for layer in weighted_layers(net)}

    def shared(name):
        bias = layers[name].blocks[0].bias
        return share_on_grid(layers[name].array(), None if bias is None else bias.list_data()[0].asnumpy(),
                             curvature_of[name], price, bits[name], width=width)
    return dict(zip(bits, in_threads(shared, list(bits))))


def price_for(net, curvature_of, divergence, bits):
    """The price of a bit, in nats, at which the layers' predicted divergences add up to `divergence` (within 3 %, or
    as near as grids of those bits come)."""
    price, tried = FIRST_PRICE, {}
    for _ in range(TRIES):
        tried[price] = loss = max(loss_nats(on_grids(net, curvature_of, price, bits)), 1e-300)
        if abs(np.log(loss / divergence)) < NEAR:
            break
        # The divergence grows a little more slowly than the price; never more than a thousandfold step at once.
        price = float(np.clip(price * (divergence / loss) ** 1.1, price / 1e3, price * 1e3))
    return min(tried, key=lambda one: abs(np.log(tried[one] / divergence)))


def loss_nats(shared):
    """Predicted divergence of a net with these layers."""
    return sum(one.loss_nats for one in shared.values())


def put(net, shared, gradient="centroid"):
    """Put {name: GridShared} into a net: shared layers, and their biases. Returns {name: CodedTensor}."""
    layers = {layer.name: layer for layer in weighted_layers(net)}
    for name, one in shared.items():
        set_coded(layers[name], one.coded, gradient)
        if one.bias is not None:
            assign(layers[name].blocks[0].bias, one.bias)
    refresh_graphs(net)
    return {name: one.coded for name, one in shared.items()}


def _is_measured(calibration):
    return isinstance(calibration, dict) and all(isinstance(one, Curvature) for one in calibration.values())


def _batches(calibration):
    # One array of inputs, or batches of them.
    return [calibration] if isinstance(calibration, (np.ndarray, mx.nd.NDArray)) else list(calibration)
