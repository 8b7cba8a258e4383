"""The window form's loops as LLVM code, which needs simd.HAS_AVX512.

A step is three pairs of table look-ups and a multiply-add of 16 lanes each; which input a lane multiplies is found in
the window of x by a permutation of registers, and so is the codebook's value: nothing is gathered from memory. Inputs
that are not finite take the plain loops of window_plain.py, which leave empty slots out, where 0 * inf would be NaN.

On a Zen 5 core the six permutations, five shifts and three multiply-adds of a step take 4.1 cycles, with the loads from
the first cache 4.4, and 5 to 5.5 in a layer.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from . import simd
from .rows import copy_finite, finish_rows
from .simd import LANES
from .window_layout import SLOT_BITS, SLOTS, THIRD, WIDTH
from .window_plain import add_part

PREFETCHED = 64  # steps ahead, 4 KB of words: 24 halves the speed from memory
BLOCK = 4  # rows of x that share one pass over the weights
_SEEN = ((0, 1), (0, 1), (0, 2))  # the thirds that each slot looks at


@intrinsic
def _add_steps(typing_context, words, starts, x, codebook, coarse, begin, end, sums):
    """Add the steps [begin, end) of a slice to its 16 sums."""
    def generate(context, builder, signature, arguments):
        pointers = [simd.data_pointer(context, builder, kind, value)
                    for kind, value in zip(signature.args[:4], arguments[:4])]
        sums = simd.data_pointer(context, builder, signature.args[7], arguments[7])
        _emit(builder, *pointers, *arguments[4:7], sums)
    return types.void(words, starts, x, codebook, types.int64, types.int64, types.int64, sums), generate


def _emit(builder, words, starts, x, codebook, coarse, begin, end, sums):
    values = [simd.load(builder, codebook, _number(16 * half), simd.VECTOR, 64) for half in range(2)]

    def step(index, place, start, totals):
        first = builder.mul(index, _number(simd.LANES))
        ahead = builder.add(first, _number(simd.LANES * PREFETCHED))
        simd.prefetch(builder, words, ahead, again=True)
        word = simd.load(builder, words, first, simd.WORDS, 64)
        # Sums of its own for every second step: with fewer, a step would wait for the multiply-adds before it.
        mine, totals = slice(SLOTS * (place % 2), SLOTS * (place % 2 + 1)), list(totals)
        totals[mine] = _step(builder, values, word, x, builder.shl(start, coarse), totals[mine])
        return totals

    zeros = [simd.constant(simd.VECTOR, 0.0)] * (2 * SLOTS - 1)
    totals = [simd.load(builder, sums, _number(0), simd.VECTOR, 4), *zeros]
    totals = simd.loop_by_fours(builder, begin, end, starts, totals, step)
    halves = [builder.fadd(totals[slot], totals[slot + SLOTS]) for slot in range(SLOTS)]
    simd.store(builder, builder.fadd(builder.fadd(halves[0], halves[1]), halves[2]), sums, _number(0), 4)


def _step(builder, values, word, x, start, totals):
    # The totals of the three slots after a step whose window begins at x[start].
    window = [simd.load(builder, x, builder.add(start, _number(THIRD * part)), simd.VECTOR, 4) for part in range(3)]
    following = []
    for slot, total in enumerate(totals):
        position, code = (_shifted(builder, word, SLOT_BITS * slot + bits) for bits in (0, 5))
        inputs = simd.permute(builder, *(window[third] for third in _SEEN[slot]), position)
        following.append(simd.fma(builder, simd.permute(builder, *values, code), inputs, total))
    return following


def _shifted(builder, word, bits):
    return builder.lshr(word, simd.constant(simd.WORDS, bits)) if bits else word


def _number(value):
    return ir.Constant(simd.I64, value)


@njit(cache=True, nogil=True)
def run_vectors(words, starts, bounds, order, codebook, coarse, x, bias, relu, out, first, last):
    """out[:, rows of the slices first <= s < last] = x @ weight.T (+ bias) (ReLU).

    words (steps, 16) uint32, starts (steps,) uint16, bounds (sections * slices + 1,) int64, order (rows,) int32,
    codebook (32,) float32 on a multiple of 64 bytes; windows begin at multiples of 2^coarse. x (n, cols), bias (rows,)
    or (0,), out (n, rows).
    """
    block, slices = min(BLOCK, x.shape[0]), -(-order.size // LANES)
    scratch, finite = np.empty((block, x.shape[1] + WIDTH), np.float32), np.empty(block, np.bool_)
    sums = np.empty((block, last - first, LANES), np.float32)
    for begin in range(0, x.shape[0], BLOCK):
        taken = min(BLOCK, x.shape[0] - begin)
        for i in range(taken):
            finite[i] = copy_finite(x[begin + i], scratch[i])
        sums[:] = 0
        for section in range((bounds.size - 1) // slices):
            for s in range(first, last):
                part = section * slices + s
                for i in range(taken):
                    if finite[i]:
                        _add_steps(words, starts, scratch[i], codebook, coarse, bounds[part], bounds[part + 1],
                                   sums[i, s - first])
                    else:
                        add_part(words, starts, bounds[part], bounds[part + 1], codebook, coarse, scratch[i],
                                 sums[i, s - first])
        for i in range(taken):
            finish_rows(sums[i], order, first, bias, relu, out[begin + i])
