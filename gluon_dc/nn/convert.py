"""The verbs that take a net from shared weights to a compressed model and back."""
from dataclasses import replace

import mxnet as mx
import numpy as np

from ..coding import CODERS, EFFORTS, CodedTensor, CompressedModel, pack, pack_groups, share, unpack
from ..coding.coded import ascending, with_few_values
from ..coding.threads import in_threads
from .calibrated import quantize_calibrated
from .fit import check_fit, plain_targets
from .graph import check_graph, graph_of
from .layers import set_coded, set_plain
from .parameters import SharedWeight, allocate, fill, mean_value, shape_text, value
from .patterns import resolve
from .pruning import check_finite
from .walk import TRANSPOSED, WeightedLayer, plain_parameters, refresh_graphs, weighted_layers


def quantize(net, bits, start="optimal", seed=0, gradient="centroid", weights=None, calibration=None, divergence=0.02):
    """Share the weights of a net in place: k-means per layer over the kept weights (paper 3.1, 3.2), or on grids that
    change the net's outputs least, without retraining, where it is given inputs to look at.

    By k-means pruned weights stay 0.0. Train on with `CentroidTrainer`.

    Parameters
    ----------
    net : gluon.Block
        Initialized, all shapes known, pruned or not. Where a larger hybridized net holds it, call
        ``hybridize()`` on that again afterwards.
    bits : int in 1..8, or dict
        A layer gets at most 2**bits - 1 centroids and the locked 0.0. One number, or
        ``{pattern: number}`` over structural names, first match wins, None leaves a layer alone.
    start : "optimal", "linear", "density", "random" or "kmeans++"
        Where k-means starts; "linear" is the paper's choice (section 3.2). Clusters that run empty
        are dropped: on pruned weights, which have a hole around 0, "linear" leaves fewer centroids
        than the bits allow, "optimal" (the least inertia there is) as many.
    seed : int
    gradient : "centroid" or "dense"
        Where a centroid's gradient is summed: in the backward pass of the look-up, or by
        `CentroidTrainer` from the weight's dense gradient. "dense" is slower and serves
        transposed convolutions too.
    weights : dict, optional
        ``{name: nonnegative array, shape of the weight}``: what an error in each weight costs.
    calibration : iterable of inputs (n, ...), or the result of `nn.curvatures`, optional
        Batches as the net takes them, a few hundred inputs, no labels. Each weight then goes to the multiple of its
        layer's step that costs least in divergence and bits, 0.0 too, and errors are fed back into what is still to
        come (`nn.error_feedback`); `start` and `weights` have no say. Biases go to grids of their own, so
        ``compress(net, coder="context")`` makes them small. Dense and 2-D convolutions; others need bits None.
    divergence : float
        With calibration: the nats that the softmax outputs are to move, as predicted; they mostly move less. One
        price of a bit holds for all layers; `bits` (2..8) is only the most that a code may take, so 8 is best.

    Returns
    -------
    dict
        ``{structural name: CodedTensor}``.

    Raises
    ------
    ValueError
        A number out of range; a pattern that matches nothing; NaN or infinite weights; a layer
        that is already shared; shapes not known yet.
    """
    if gradient not in ("centroid", "dense"):
        raise ValueError(f'gradient is "centroid" or "dense", got {gradient!r}')
    if calibration is not None:
        return quantize_calibrated(net, bits, calibration, divergence, seed, gradient)
    found = {layer.name: layer for layer in weighted_layers(net, transposed=gradient == "dense")}
    chosen = resolve(bits, list(found), "bits")
    for name, number in chosen.items():
        _check_shareable(found[name], number, gradient, weights)
    shared = {name: share(found[name].view(), number, start=start, seed=seed,
                          weights=None if weights is None else weights[name])
              for name, number in chosen.items()}
    for name, coded in shared.items():
        set_coded(found[name], coded, gradient)
    refresh_graphs(net)
    return shared


def _check_shareable(layer, bits, gradient, weights):
    if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or not 1 <= bits <= 8:
        raise ValueError(f"bits of {layer.name} must be a whole number in 1..8, got {bits!r}")
    if layer.is_coded:
        raise ValueError(f"{layer.name} is already shared; gluon_dc.unwrap makes it plain again")
    if gradient == "dense" and layer.parameter._grad_stype != "default":
        raise ValueError(f'{layer.name} has sparse gradients: share it with gradient="centroid"')
    layer.zero_hidden()  # then what the forward pass uses can be read without a copy
    check_finite(layer.name, layer.view())
    if weights is not None and np.shape(weights.get(layer.name)) != layer.shape:
        raise ValueError(f"weights: expected an array of shape {layer.shape} for {layer.name}, got "
                         f"{np.shape(weights[layer.name]) if layer.name in weights else 'nothing'}")


def unwrap(net):
    """Make every pruned or shared layer plain again, in place, with the weights it has now.

    The net then has its original classes and parameter names, and predicts the same.
    """
    for layer in weighted_layers(net, transposed=True):
        if layer.is_masked or layer.is_coded:
            set_plain(layer)
    refresh_graphs(net)
    return net


def compress(net, coder="huffman", rel_bits=None, metadata=None, effort="best", progress=None, graph=False,
             input_shape=None):
    """Code a net: shared weights as codes, gaps and codebooks, everything else losslessly.

    Parameters
    ----------
    net : gluon.Block
        Usually pruned and shared. Weights that are pruned only are stored as the kept values and
        a bitmap; biases, batch norm and unknown layers as they are.
    coder : "huffman", "fixed" or "context"
        "context" writes version 2 of the file, the smallest: no gaps, adaptive coding of everything. There
        biases and the like whose values repeat (all zero, or on a codebook) are coded like weights.
    rel_bits : int in 0..8, or dict, optional
        Width of the relative index (paper section 2), one number or by pattern; by default the
        width that gives each layer the fewest bytes. 0 stores a code for every weight and no gaps.
        Not with the context coder, which has no gaps.
    metadata : dict, optional
        JSON-able; travels in the file.
    effort : "best" or "fast"
        Of the context coder: "best" is a few percent smaller and takes about a second per million weights,
        to read too; "fast" is many times faster.
    progress : callable, optional
        ``progress(weights)`` after each stream of the context coder, from any thread.
    graph : bool
        Whether the net's graph goes into the file too (about 1 to 10 KB), so that it runs without MXNet:
        ``gluon_dc.session``.
    input_shape : tuple of int, optional
        Shape of one input, such as (3, 224, 224), noted in the graph.

    Returns
    -------
    CompressedModel
        Its decoded arrays are bit for bit those the net's forward pass uses.

    Raises
    ------
    ValueError
        NaN or infinite weights; a codebook whose entry 0 has moved from 0.0; codes outside their codebook; a
        weight that does not follow its codebook; shapes not known yet; with graph=True a net that cannot be traced.
    """
    if coder not in CODERS:
        raise ValueError(f"coder is one of {', '.join(CODERS)}, got {coder!r}")
    if effort not in EFFORTS:
        raise ValueError(f"effort is one of {', '.join(EFFORTS)}, got {effort!r}")
    parameters = plain_parameters(net)
    text = graph_of(net, input_shape) if graph else None
    if graph and input_shape is not None:
        check_graph(text, {name: tuple(parameter.shape) for name, parameter in parameters.items()}, input_shape)
    if coder == "context":
        return replace(_context_coded(parameters, rel_bits, metadata, effort, progress), graph=text)
    coded_names = [name for name, parameter in parameters.items() if _is_shared(parameter)]
    widths = {} if rel_bits is None else resolve(rel_bits, coded_names, "rel_bits (of shared layers)")
    tensors = {}
    for name, parameter in parameters.items():
        tensor = _tensor(name, parameter)
        is_coded = isinstance(tensor, CodedTensor)
        tensors[name] = pack(tensor, coder=coder, rel_bits=widths.get(name)) if is_coded else tensor
    return CompressedModel(tensors, text, metadata or {})


def _context_coded(parameters, rel_bits, metadata, effort, progress):
    if rel_bits is not None:
        raise ValueError("rel_bits is the width of gaps, and the context coder stores none: leave it out, or take "
                         "coder huffman or fixed")
    tensors = {}
    for name, parameter in parameters.items():
        tensor = _tensor(name, parameter)
        if isinstance(tensor, np.ndarray) and not isinstance(parameter, WeightedLayer):
            tensor = with_few_values(tensor) or tensor
        tensors[name] = ascending(tensor) if isinstance(tensor, CodedTensor) else tensor
    coded = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, CodedTensor)}
    packed = pack_groups(coded, effort, progress)
    return CompressedModel({name: packed.get(name, tensor) for name, tensor in tensors.items()},
                           metadata=metadata or {}, effort=effort)


def _is_shared(parameter):
    return isinstance(parameter, WeightedLayer) and parameter.is_coded


def _tensor(name, parameter):
    """The CodedTensor of a shared weight, any other parameter as an array."""
    if _is_shared(parameter):
        return _coded(name, parameter)
    if isinstance(parameter, WeightedLayer):
        check_finite(name, parameter.view())
        array = parameter.array()
        array.flags.writeable = False  # so that it is not copied once more
        return array
    if parameter._data is None:
        raise ValueError(f"{name} is not initialized (shape {shape_text(parameter.shape)}); run one forward "
                         "pass first")
    return mean_value(parameter)


def _coded(name, layer):
    parameter = layer.parameter
    codebook = value(getattr(parameter, "codebook", parameter))
    check_finite(name + " codebook", codebook)
    if codebook[0] != 0:
        raise ValueError(f"{name}: entry 0 of the codebook must be 0.0, it is {codebook[0]}: train "
                         "shared nets with gluon_dc.CentroidTrainer, which locks it")
    try:
        coded = layer.coded_tensor()
    except (ValueError, IndexError) as error:  # codes or positions that were written past `load_parameters`
        raise ValueError(f"{name}: {error}") from None
    if isinstance(parameter, SharedWeight) and not np.array_equal(value(parameter), coded.decode()):
        raise ValueError(f"{name}: the weight does not follow its codebook; something other than "
                         "gluon_dc.CentroidTrainer has written it, such as load_parameters")
    return coded


def restore(model, net, ctx=None, coded=False):
    """Put a compressed model's weights into a plain net of the same architecture, in place.

    Parameters
    ----------
    model : CompressedModel
    net : gluon.Block
        Plain, initialized or not, hybridized or not.
    ctx : mxnet.Context or list of them, optional
        Where parameters that are not initialized yet go. Default: the current context.
    coded : bool
        Restore shared weights as shared layers, ready for more training with `CentroidTrainer`.

    Returns
    -------
    The net, whose weights are now bit for bit those of ``model.decode()``.

    Raises
    ------
    ValueError
        Names, shapes or dtypes of model and net differ, or the net is pruned or shared already. The
        net is unchanged then.
    FormatError
        A tensor that does not decode.
    """
    if not isinstance(model, CompressedModel):
        raise TypeError(f"restore takes a CompressedModel and then a net, got {type(model).__name__}: "
                        "gluon_dc.load(path) reads one from a file")
    parameters = plain_targets(net)
    check_fit(parameters, model)
    decoded = dict(zip(model, in_threads(lambda named: _unpacked(*named), model.items())))
    for name, parameter in parameters.items():
        assign_tensor(parameter, decoded[name], ctx)
    if coded:
        for layer in weighted_layers(net, transposed=True):
            if isinstance(decoded.get(layer.name), CodedTensor):
                is_transposed = isinstance(layer.blocks[0], TRANSPOSED)
                set_coded(layer, decoded[layer.name], "dense" if is_transposed else "centroid")
    refresh_graphs(net)
    return net


def _unpacked(name, tensor):
    return tensor if isinstance(tensor, np.ndarray) else unpack(tensor, name)


def assign_tensor(parameter, tensor, ctx):
    """Give a Parameter, initialized or not, the value of an array or CodedTensor."""
    if parameter._data is None:
        if parameter._deferred_init:
            ctx = ctx or parameter._deferred_init[1]
        allocate(parameter, tensor.shape, ctx or mx.current_context())
    if isinstance(tensor, CodedTensor):
        fill(parameter, lambda array: tensor.decode(out=array))
    else:
        fill(parameter, lambda array: np.copyto(array, tensor))
