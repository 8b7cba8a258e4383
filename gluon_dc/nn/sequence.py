"""Sharing a net's layers one after another, each making up for what those before it got wrong.

A layer is given as its target not its own weights but those that come nearest, from the inputs that it now gets, to the
outputs that it had (least squares, from second moments), and errors are fed back along the moments of those inputs.
"""
from dataclasses import replace

import mxnet as mx
import numpy as np

from .calibration import damped, samples, second_moments, with_ones
from .chain import chain_of, run_chain, unhybridized
from .error_feedback import WIDTH, share_on_grid
from .walk import refresh_graphs, weighted_layers

# Part of the mean square of the inputs that speaks for leaving the weights as they are.
TARGET_DAMPING = 0.1
# How far the chain's scores may be from the net's own, relative to the largest: sums in another order.
TOLERANCE = 1e-4
POSITIONS_PER_IMAGE = 60


def share_in_sequence(net, inputs, curvature_of, price, bits, seed=0, done=None, after_layer=None,
                      width=WIDTH):
    """Share the layers of a plain or pruned net on grids at one price of a bit; the net stays as it is.

    Parameters
    ----------
    net : gluon.Block
    inputs : list of arrays or NDArrays (n, ...)
        Batches as the net takes them. The inputs of a part of the net are kept in memory, twice.
    curvature_of : dict
        {name: Curvature}: how much outputs matter; the inputs' moments are taken anew.
    price : float
        As `share_on_grid` takes it.
    bits : dict
        {name: bits} of the layers to share, in the order of the net.
    seed : int
        For the positions of a convolution that are looked at.
    done : dict, optional
        {name: GridShared} of layers that an earlier run, with the same of everything else, has got through.
    after_layer : callable, optional
        Called with the name and the GridShared of each layer that is through.
    width : int
        As `share_on_grid` takes it.

    Returns
    -------
    dict
        {name: GridShared}
    """
    layers = {layer.name: layer for layer in weighted_layers(net)}
    before = {name: _values(layers[name]) for name in bits}
    was = [mx.nd.array(batch) for batch in inputs]
    now, shared, done = list(was), {}, done or {}
    try:
        with unhybridized(net):
            for chain, names in _segments(net, list(bits), was[0][:2]):
                for name in names:
                    if name in done:
                        shared[name] = done[name]
                        continue
                    _write(layers, before)
                    old = _samples(chain, layers[name], was, seed)
                    _write(layers, {one: _new_values(shared[one]) for one in shared})
                    new = _samples(chain, layers[name], now, seed)
                    shared[name] = _shared(before[name], curvature_of[name], old, new, price, bits[name], width)
                    if after_layer:
                        after_layer(name, shared[name])
                _write(layers, before)
                _advance(was, chain)
                _write(layers, {one: _new_values(shared[one]) for one in shared})
                _advance(now, chain)
    finally:
        _write(layers, before)
        refresh_graphs(net)
    return shared


def target_for(weight, bias, old, new):
    """The weights and bias that come nearest, from inputs `new`, to the outputs for `old`.

    weight: float32 (out, ...); bias: float32 (out,) or None; old, new: float32 (groups, n, d), in the same order.
    Returns float64 (out, d + 1).
    """
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    rows = np.concatenate([rows, np.zeros((len(rows), 1)) if bias is None else bias.reshape(-1, 1)], axis=1)
    d, each = rows.shape[1] - 1, len(rows) // len(old)
    for group in range(len(old)):
        a, b = with_ones(old[group]), with_ones(new[group])
        if bias is None:
            a[:, -1] = b[:, -1] = 0
        now = (b.T @ b).astype(np.float64)
        damping = TARGET_DAMPING * max(np.trace(now[:d, :d]), 1e-30) / d * np.append(np.ones(d), 1e-6)
        change = np.linalg.solve(now + np.diag(damping), ((a - b).T @ b).astype(np.float64).T)
        part = slice(group * each, (group + 1) * each)
        rows[part] += rows[part] @ change.T
    return rows


def _shared(values, curvature, old, new, price, bits, width):
    weight, bias = values
    if old is None:
        return share_on_grid(weight, bias, curvature, price, bits, width=width)
    inputs = damped(second_moments(new) / new.shape[1], curvature.damping, bias is not None)
    return share_on_grid(weight, bias, replace(curvature, inputs=inputs), price, bits,
                         target_for(weight, bias, old, new), width)


def _segments(net, names, x):
    # (chain, names of its weights), in order; what has no weights goes with the part before it.
    chain = chain_of(net)
    if len(chain) > 1 and not _is_the_net(net, chain, x):
        chain = [("", net)]
    segments = []
    for prefix, block in chain:
        mine = [name for name in names if not prefix or name == prefix or name.startswith(prefix + ".")]
        if mine or not segments:
            segments.append(([], []))
        segments[-1][0].append((prefix, block))
        segments[-1][1].extend(mine)
    return segments


def _is_the_net(net, chain, x):
    try:
        found, expected = run_chain(x, chain).asnumpy(), net(x).asnumpy()
    except Exception:  # whatever blocks do that were never meant to be called one after another
        return False
    return found.shape == expected.shape and np.allclose(found, expected, rtol=0,
                                                         atol=TOLERANCE * np.abs(expected).max())


def _samples(chain, layer, batches, seed):
    # What the layer's outputs look at, (groups, n, d), at positions that `seed` alone decides; None for a layer that is
    # used in another part of the net.
    rng, found = np.random.default_rng(seed), []
    handles = [block.register_forward_pre_hook(
        lambda block, inputs: found.append(samples(block, inputs[0].asnumpy(), rng, POSITIONS_PER_IMAGE)))
        for block in layer.blocks]
    try:
        for x in batches:
            run_chain(x, chain).wait_to_read()
    finally:
        for handle in handles:
            handle.detach()
    return np.concatenate(found, axis=1) if found else None


def _advance(batches, chain):
    for i, x in enumerate(batches):
        batches[i] = run_chain(x, chain)
        batches[i].wait_to_read()


def _values(layer):
    bias = layer.blocks[0].bias
    return layer.array(), None if bias is None else bias.list_data()[0].asnumpy()


def _new_values(shared):
    return shared.coded.decode(), shared.bias


def _write(layers, values):
    for name, (weight, bias) in values.items():
        for parameter, array in ((layers[name].parameter, weight), (layers[name].blocks[0].bias, bias)):
            if array is not None:
                for data in parameter.list_data():
                    data[:] = mx.nd.array(array, ctx=data.context)
