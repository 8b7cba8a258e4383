"""Sharing of one layer on a uniform grid such that the net's outputs change least for the bits spent; no retraining.

Weight by weight, row by row, the code is chosen that costs least: the growth of the divergence of the net's outputs
plus the price of its bits, 0 being one of the choices, so that pruning comes out of it. What a choice gets wrong is
made up for by the weights, the bias and the outputs that are still to come (B. Hassibi, D. Stork, "Optimal Brain
Surgeon", 1993; E. Frantar et al., "GPTQ", ICLR 2023; here along both factors of the curvature). Bits are those of an
ideal adaptive coder, so a code that few others have costs more (entropy-constrained quantization: P. Chou,
T. Lookabaugh, R. Gray, 1989).
"""
from dataclasses import dataclass, field

import numpy as np

from ..coding import CodedTensor
from .lattice import feed_back, improve, order_of

# At the slope where a bit saves as much as it costs, a uniform quantizer has step**2 = 12 / ln 2 * price / curvature
# (17.3); a little finer is better where many ways are kept open to choose among (measured; flat from 10 to 14).
STEP_RATIO = 12.0
# A grid may reach so many times as far as codes could number it, so that a few large weights do not make it coarse:
# most of its far numbers are used by none. Where too many are used, a grid coarser by this is tried.
REACH, COARSER = 4, 1.2
MIN_BITS, MAX_BITS = 2, 8
# First a pass with one way open alone, for what bits cost; one with so many; and so many more in which each output is
# decided anew beside the others.
WIDTH, SWEEPS = 32, 2
# Fewer ways in large layers: outputs times weights of an output squared times ways are no more than this.
MAX_WORK, MAX_WIDTH = 2e10, 1024
# The shares of kept weights of a row, column or kernel position count as if so many more weights had the average.
PRIOR_COUNT = 4.0
# So many weights' worth of a geometric distribution smooth the histogram of codes.
PRIOR_CODES = 8.0


@dataclass(frozen=True, eq=False)
class Curvature:
    """How the divergence of a net's outputs grows: 1/2 sum(G * (D A D^T)) nats for a change D (out, d + 1) of weight
    and bias (a Kronecker-factored Fisher matrix: J. Martens, R. Grosse, 2015).

    inputs: A, float64 (groups, d + 1, d + 1) over the d weights of an output in the order of the flattened weight, and
    the bias, last. outputs: G, float64 (out, out). Both symmetric and positive definite. damping: how much of it is in
    `inputs`, relative to the mean square of the inputs. Raises ValueError for other shapes.
    """

    inputs: np.ndarray = field(repr=False)
    outputs: np.ndarray = field(repr=False)
    damping: float = 0.0

    def __post_init__(self):
        for name, dims in (("inputs", 3), ("outputs", 2)):
            array = np.asarray(getattr(self, name), np.float64)
            if array.ndim != dims or array.shape[-1] != array.shape[-2] or not np.isfinite(array).all():
                raise ValueError(f"curvature: expected {name} as finite square matrices in {dims} dimensions, got "
                                 f"shape {array.shape}")
            object.__setattr__(self, name, array)
        if len(self.outputs) % len(self.inputs):
            raise ValueError(f"curvature: {len(self.outputs)} outputs cannot be in {len(self.inputs)} groups")

    def rows(self, group):
        """Slice of the outputs of a group."""
        n = len(self.outputs) // len(self.inputs)
        return slice(group * n, (group + 1) * n)

    def loss_nats(self, change):
        """Divergence that a change (out, d + 1) is expected to bring; outputs of different groups count apart."""
        total = 0.0
        for group, inputs in enumerate(self.inputs):
            part = change[self.rows(group)]
            total += 0.5 * float(np.sum((self.outputs[self.rows(group), self.rows(group)] @ part @ inputs) * part))
        return total


@dataclass(frozen=True, eq=False)
class GridShared:
    """A layer on its grid: every weight is step * a whole number, and so is every bias with a step of its own.

    bias: float32 (out,), None where the layer has none. loss_nats: as predicted. bits: that an ideal coder takes for
    the codes.
    """

    coded: CodedTensor
    bias: np.ndarray | None = field(repr=False)
    step: float
    loss_nats: float
    bits: float


def share_on_grid(weight, bias, curvature, price, bits=8, target=None, width=WIDTH):
    """Share a layer on the grid that suits a price.

    Parameters
    ----------
    weight : float32 (out, in, ...)
    bias : float32 (out,) or None
    curvature : Curvature
    price : float > 0
        Nats of divergence that a bit may save, the same for all layers of a net: each then gives what costs it least.
    bits : int in 2..8
        At most 2**bits - 2 values beside the 0.0; the grid is coarse enough for that.
    target : float64 (out, d + 1), optional
        What to come near to in place of the weight and the bias.
    width : int
        In 1..1024: how many ways to decide a row are kept open; fewer in large layers. 1 is quick, and leaves a loss a
        quarter larger for nearly the same bits.

    Returns
    -------
    GridShared

    Raises
    ------
    ValueError
        A number out of range; a curvature of another shape.
    """
    weight = np.asarray(weight, np.float32)
    if target is None:
        target = np.concatenate([weight.reshape(len(weight), -1), np.zeros((len(weight), 1))
                                 if bias is None else np.reshape(bias, (-1, 1))], axis=1).astype(np.float64)
    _check(target, curvature, price, bits, width)
    price = float(price)  # for whole numbers the kernels would be compiled anew
    if not target.any():
        zeros = CodedTensor(np.zeros(1, np.float32), np.zeros(weight.shape, np.uint8))
        return GridShared(zeros, bias, 0.0, 0.0, 0.0)
    factors = [_Factors(inputs, curvature.outputs[curvature.rows(group), curvature.rows(group)])
               for group, inputs in enumerate(curvature.inputs)]
    weight_log, bias_log = (np.mean([getattr(one, name) for one in factors]) for name in ("log_weight", "log_bias"))
    bias_step = 0.0 if bias is None else _step(np.exp(bias_log), price, np.abs(target[:, -1]).max(), 127)
    for step, limit in _grids(np.exp(weight_log), price, target[:, :-1], bits):
        numbers, biases, length = _chosen(target, weight.shape, curvature, factors, (step, bias_step), price, limit,
                                          width)
        if _fits(numbers, bits):
            break
    found = np.concatenate([numbers * step, biases[:, None] * bias_step], axis=1)
    return GridShared(_coded(numbers.reshape(weight.shape), step), None if bias is None else
                      (np.float32(bias_step) * biases.astype(np.float32) + np.float32(0)), step,  # -0.0 is 0.0
                      curvature.loss_nats(found - target), length)


def bits_of_codes(numbers, shape, limit):
    """What an ideal adaptive coder takes for each choice, in bits.

    Parameters
    ----------
    numbers : int64 (out, d)
        The grid's numbers as they are now, in -limit..limit; their statistics are taken.
    shape : tuple
        Of the weight.

    Returns
    -------
    (float64 (out, d): of a zero; float64 (out, d): that it is none; float64 (2 limit + 1,): of each number but 0)
    """
    p = _kept_probability(numbers != 0, shape)
    counts = np.bincount((numbers[numbers != 0] + limit).ravel(), minlength=2 * limit + 1).astype(np.float64)
    counts += counts[::-1]  # a grid has no preferred sign
    magnitudes = np.abs(np.arange(-limit, limit + 1))
    mean = (counts @ magnitudes / counts.sum()) if counts.any() else 1.0
    geometric = max(1 - 1 / mean, 0.1) ** (magnitudes - 1.0) * (magnitudes > 0)
    smooth = counts + PRIOR_CODES * geometric / geometric.sum()
    return -np.log2(1 - p), -np.log2(p), -np.log2(np.maximum(smooth / smooth.sum(), 1e-7))


class _Factors:
    """Triangular factors of a group's curvature, in the order in which its weights and outputs are decided: those that
    matter most come first (`order_of`), and the bias after all weights."""

    def __init__(self, inputs, outputs):
        d = len(inputs) - 1
        self.columns = order_of(inputs[:d, :d])
        self.order = np.append(self.columns, d)
        self.rows = np.argsort(-np.diag(outputs), kind="stable")
        self.inputs = _inverse_factor(inputs[np.ix_(self.order, self.order)])
        self.outputs = _inverse_factor(outputs[np.ix_(self.rows, self.rows)])
        # Curvatures that are left when everything that is still to come makes up for the error: geometric means.
        row = -2 * np.log(np.diag(self.outputs)).mean()
        self.log_weight = row - 2 * np.log(np.diag(self.inputs)[:d]).mean()
        self.log_bias = row - 2 * np.log(self.inputs[d, d])


def _check(target, curvature, price, bits, width):
    if width not in range(1, MAX_WIDTH + 1):
        raise ValueError(f"width must be a whole number in 1..{MAX_WIDTH}, got {width!r}")
    if isinstance(bits, bool) or bits not in range(MIN_BITS, MAX_BITS + 1):
        raise ValueError(f"bits of a grid must be a whole number in {MIN_BITS}..{MAX_BITS}, got {bits!r}")
    if not 0 < price < np.inf:
        raise ValueError(f"price must be above 0 nats a bit, got {price!r}")
    expected = target.shape[1], len(target)
    if (curvature.inputs.shape[-1], len(curvature.outputs)) != expected:
        raise ValueError(f"curvature is of {curvature.inputs.shape[-1]} inputs and {len(curvature.outputs)} outputs, "
                         f"expected {expected[0]} (bias included) and {expected[1]}")


def _grids(curvature, price, weights, bits):
    # (step, largest number): from the one that suits the price on, ever coarser, those on which not too many numbers
    # would be used; and the one on which there are no more.
    limit, largest = 2**(bits - 1) - 1, np.abs(weights).max()
    step, coarse = (_step(curvature, price, largest, reach * limit) for reach in (REACH, 1))
    while step < coarse:
        if _fits(np.rint(weights / step), bits):
            yield step, REACH * limit
        step = _float16_above(step * COARSER, largest, REACH * limit)
    yield coarse, limit


def _fits(numbers, bits):
    return np.unique(numbers[numbers != 0]).size <= 2**bits - 2


def _step(curvature, price, largest, limit):
    return _float16_above(max(np.sqrt(STEP_RATIO * price / curvature), largest / (limit - 0.5)), largest, limit)


def _float16_above(step, largest, limit):
    # As a float16, which a file stores in two bytes; the products of it and a small number are exact in float32.
    half = float(np.float16(step))
    while half * (limit + 0.5) < largest:
        half = float(np.nextafter(np.float16(half), np.float16(np.inf)))
    return half if 2**-14 <= half < 60000 else float(np.float32(step))


def _inverse_factor(matrix):
    # Upper triangular U with U^T U the inverse of the matrix.
    inverse = np.linalg.inv(matrix)
    return np.linalg.cholesky((inverse + inverse.T) / 2).T.copy()


def _chosen(target, shape, curvature, factors, steps, price, limit, width):
    # The numbers, in passes: each with the bits that the choices of the pass before make likely.
    weights = target[:, :-1]
    near = np.sign(weights) * np.rint(np.maximum(np.abs(weights) / steps[0] - 0.15, 0))
    numbers = np.clip(near, -limit, limit).astype(np.int64)
    biases = np.zeros(len(target))
    width = max(1, min(width, int(MAX_WORK / (len(target) * weights.shape[1]**2))))
    for number in range(2 + (SWEEPS if width > 1 else 0)):
        lengths = bits_of_codes(numbers, shape, limit)
        for group, one in enumerate(factors):
            rows = curvature.rows(group)
            outputs = one.outputs if number < 2 else np.ascontiguousarray(curvature.outputs[rows, rows])
            if number < 2 or np.count_nonzero(outputs) > len(outputs):  # outputs that count apart are done
                (feed_back if number < 2 else improve)(
                    np.ascontiguousarray(target[rows][:, one.order]), one.inputs, outputs, one.columns, one.rows,
                    *steps, price, lengths[0][rows], lengths[1][rows], lengths[2], width if number else 1,
                    numbers[rows], biases[rows])
    zero, other, code = bits_of_codes(numbers, shape, limit)
    kept = numbers != 0
    return numbers, biases, float(zero[~kept].sum() + other[kept].sum() + code[numbers[kept] + limit].sum())


def _kept_probability(kept, shape):
    # Of each weight, float64 (out, d): its row's, its input channel's and its kernel position's share of kept weights,
    # taken as independent.
    kept = kept.reshape(shape[0], shape[1], -1).astype(np.float64)
    share = (kept.sum() + 1) / (kept.size + 2)
    odds = -2 * _log_odds(share)
    for axes in ((1, 2), (0, 2), (0, 1)):
        count = kept.sum(axis=axes, keepdims=True)
        odds = odds + _log_odds((count + PRIOR_COUNT * share) / (kept.size / count.size + PRIOR_COUNT))
    return np.clip(1 / (1 + np.exp(-odds)), 1e-3, 1 - 1e-3).reshape(shape[0], -1)


def _log_odds(p):
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def _coded(numbers, step):
    used = np.unique(numbers[numbers != 0])
    codes = np.where(numbers != 0, np.searchsorted(used, numbers) + 1, 0).astype(np.uint8)
    values = np.float32(step) * used.astype(np.float32)
    return CodedTensor(np.concatenate([np.zeros(1, np.float32), values]), codes)
