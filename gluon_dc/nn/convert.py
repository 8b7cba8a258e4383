"""The verbs that take a net from shared weights to a compressed model and back."""
import mxnet as mx
import numpy as np

from ..coding import CODERS, CodedTensor, CompressedModel, PackedTensor, pack, share, unpack
from ..coding.threads import in_threads
from .layers import set_coded, set_plain
from .parameters import SharedWeight, allocate, assign, fill, mean_value, value
from .patterns import resolve
from .pruning import check_finite
from .walk import TRANSPOSED, WeightedLayer, plain_parameters, refresh_graphs, weighted_layers, wrapped_names


def quantize(net, bits, start="optimal", seed=0, gradient="centroid", weights=None):
    """Share the weights of a net in place: k-means per layer over the kept weights (paper 3.1, 3.2).

    Pruned weights stay 0.0. Train on with `CentroidTrainer`.

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


def compress(net, coder="huffman", rel_bits=None, metadata=None):
    """Code a net: shared weights as codes, gaps and codebooks, everything else losslessly.

    Parameters
    ----------
    net : gluon.Block
        Usually pruned and shared. Weights that are pruned only are stored as the kept values and
        a bitmap; biases, batch norm and unknown layers as they are.
    coder : "huffman" or "fixed"
    rel_bits : int in 0..8, or dict, optional
        Width of the relative index (paper section 2), one number or by pattern; by default the
        width that gives each layer the fewest bytes. 0 stores a code for every weight and no gaps.
    metadata : dict, optional
        JSON-able; travels in the file.

    Returns
    -------
    CompressedModel
        Its decoded arrays are bit for bit those the net's forward pass uses.

    Raises
    ------
    ValueError
        NaN or infinite weights; a codebook whose entry 0 has moved from 0.0; codes outside their codebook; a
        weight that does not follow its codebook; shapes not known yet.
    """
    if coder not in CODERS:
        raise ValueError(f"coder is one of {', '.join(CODERS)}, got {coder!r}")
    parameters = plain_parameters(net)
    coded_names = [name for name, parameter in parameters.items()
                   if isinstance(parameter, WeightedLayer) and parameter.is_coded]
    widths = {} if rel_bits is None else resolve(rel_bits, coded_names, "rel_bits (of shared layers)")
    tensors = {name: _packed(name, parameter, coder, widths.get(name))
               for name, parameter in parameters.items()}
    return CompressedModel(tensors, metadata=metadata or {})


def _packed(name, parameter, coder, rel_bits):
    if isinstance(parameter, WeightedLayer):
        if parameter.is_coded:
            return pack(_coded(name, parameter), coder=coder, rel_bits=rel_bits)
        check_finite(name, parameter.view())
        array = parameter.array()
        array.flags.writeable = False  # so that it is not copied once more
        return array
    if parameter._data is None:
        raise ValueError(f"{name} is not initialized (shape {parameter.shape}); run one forward "
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
    parameters = _plain_targets(net)
    _check_fit(parameters, model)
    decoded = dict(zip(model, in_threads(lambda named: _unpacked(*named), model.items())))
    for name, parameter in parameters.items():
        _assign(parameter, decoded[name], ctx)
    if coded:
        for layer in weighted_layers(net, transposed=True):
            if isinstance(decoded.get(layer.name), CodedTensor):
                is_transposed = isinstance(layer.blocks[0], TRANSPOSED)
                set_coded(layer, decoded[layer.name], "dense" if is_transposed else "centroid")
    refresh_graphs(net)
    return net


def _plain_targets(net):
    """Structural name -> Parameter, each Parameter once."""
    wrapped = wrapped_names(net)
    if wrapped:
        raise ValueError(f"restore needs a plain net; this one is pruned or shared already (layer "
                         f"{wrapped[0]!r}): call gluon_dc.unwrap(net) first")
    named = {}
    for name, parameter in net._collect_params_with_prefix().items():
        named.setdefault(id(parameter), (name, parameter))
    return dict(named.values())


def _check_fit(parameters, decoded):
    missing = [name for name in parameters if name not in decoded]
    unknown = [name for name in decoded if name not in parameters]
    if missing or unknown:
        raise ValueError("model and net are of different architectures: the model lacks "
                         f"{', '.join(missing[:5]) or 'nothing'}; the net lacks "
                         f"{', '.join(unknown[:5]) or 'nothing'} "
                         f"({len(missing)} and {len(unknown)} names in all)")
    for name, parameter in parameters.items():
        expected, shape = parameter.shape, tuple(decoded[name].shape)
        if expected is not None and (len(expected) != len(shape) or any(
                e > 0 and e != s for e, s in zip(expected, shape))):
            raise ValueError(f"{name}: the net's shape is {tuple(expected)}, the model's {shape}; "
                             "restore into the architecture (and class count) that was compressed")
        if np.dtype(parameter.dtype) != _dtype(decoded[name]):
            raise ValueError(f"{name}: the net's dtype is {np.dtype(parameter.dtype)}, the model's "
                             f"{_dtype(decoded[name])}; restore first, then net.cast(...)")


def _dtype(tensor):
    return np.dtype(np.float32) if isinstance(tensor, PackedTensor) else tensor.dtype


def _unpacked(name, tensor):
    return unpack(tensor, name) if isinstance(tensor, PackedTensor) else tensor


def _assign(parameter, tensor, ctx):
    if parameter._data is None:
        if parameter._deferred_init:
            ctx = ctx or parameter._deferred_init[1]
        allocate(parameter, tensor.shape, ctx or mx.current_context())
    if isinstance(tensor, CodedTensor):
        fill(parameter, lambda array: tensor.decode(out=array))
    else:
        fill(parameter, lambda array: np.copyto(array, tensor))


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
