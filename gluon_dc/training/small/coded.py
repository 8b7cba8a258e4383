"""From shared weights to the smallest file: codebooks rounded, units ordered, biases in the cheaper form."""
from dataclasses import replace
from functools import partial

import numpy as np
from tqdm import tqdm

from ...coding import CodedTensor, CompressedModel, pack_group
from ...nn.chain_specs import ORDERS, ordered
from ...nn.entropy_sharing import on_grid, to_coded
from .sharing_methods import sharings_of, with_values


def choose_rounding(student):
    """Round the centroids of a student's weights, which are shared, as coarsely as the validation images allow.

    Tried are grids from `grid_bits_low` to `grid_bits_high` bits, float16 and float32; the first that raises error and
    loss by no more than `rounding_points` and `rounding_loss` is taken.

    Returns
    -------
    str, list
        What was taken, and the CodedTensor of every tensor of the student's chain.
    """
    settings, chain = student.settings, student.chain
    sharings = sharings_of(chain)
    error, loss = _validate(student, sharings)
    for what, rounding in _roundings(settings):
        rounded = [one and replace(one, centroids=rounding(one)) for one in sharings]
        found_error, found_loss = _validate(student, rounded)
        if found_error <= error + settings.rounding_points and found_loss <= loss * (1 + settings.rounding_loss):
            break
    return what, [_coded(tensor, one) for tensor, one in zip(chain.tensors, rounded)]


def _roundings(settings):
    """Pairs: what it is, and a function from a Sharing to its centroids rounded; the last one changes nothing."""
    for bits in range(settings.grid_bits_low, settings.grid_bits_high + 1):
        yield f"grid of {bits} bits", partial(_on_grid, bits)
    for dtype in ("float16", "float32"):
        yield dtype, partial(_as_dtype, dtype)


def _on_grid(bits, sharing):
    return on_grid(sharing.centroids, np.bincount(sharing.codes, minlength=sharing.centroids.size), bits)


def _as_dtype(dtype, sharing):
    return sharing.centroids.astype(dtype).astype(np.float32)


def _validate(student, sharings):
    for tensor, sharing in zip(student.chain.tensors, sharings):
        tensor.shared = with_values(tensor, sharing)
    student.chain.push()
    return student.validate()


def _coded(tensor, sharing):
    if sharing is None:
        return to_coded(tensor.w.shape, tensor.kept, np.zeros(1), np.zeros(0, np.int64))
    return to_coded(tensor.w.shape, tensor.kept, sharing.centroids, sharing.codes)


def whole_tensors(chain, narrow):
    """{structural name: CodedTensor} of the whole net from those of a chain's tensors."""
    codes = chain.expand([coded.codes for coded in narrow])
    return {name: CodedTensor(coded.codebook, codes[name]) for name, coded in zip(codes, narrow)}


def smallest_model(specs, tensors, effort):
    """The CompressedModel of the fewest bytes that holds the same net.

    Tried are the ORDERS of its hidden units, and then, bias by bias, a lossless array in place of codes.

    Returns
    -------
    str, CompressedModel, dict
        The order, the model, and {name: float32 array} of what was packed, before it was.
    """
    biases = [f"{spec.name}.bias" for spec in specs]
    best_order = best = kept = None
    with tqdm(total=len(ORDERS) + len(biases), desc="coded", unit="file", delay=2, dynamic_ncols=True) as bar:
        for order in ORDERS:
            trial = _reordered(specs, tensors, order)
            model = _model(trial, effort)
            if best is None or model.nbytes < best.nbytes:
                best_order, best, kept = order, model, trial
            bar.update()
        for name in biases:
            trial = {**kept, name: kept[name].decode()}
            model = _model(trial, effort)
            if model.nbytes < best.nbytes:
                best, kept = model, trial
            bar.update()
    return best_order, best, {name: one if isinstance(one, np.ndarray) else one.decode() for name, one in kept.items()}


def _reordered(specs, tensors, order):
    codes = ordered(specs, {name: coded.codes for name, coded in tensors.items()}, order)
    return {name: CodedTensor(coded.codebook, codes[name]) for name, coded in tensors.items()}


def _model(tensors, effort):
    # One stream, however large: what the coder has learned of one tensor helps with the next.
    packed = pack_group({name: one for name, one in tensors.items() if not isinstance(one, np.ndarray)}, effort)
    return CompressedModel({name: packed.get(name, one) for name, one in tensors.items()}, effort=effort)
