"""The window form's loops as LLVM code, for windows of 32, 64 and 128 columns. All of it needs simd.HAS_AVX512.

A step is three pairs of table look-ups and a multiply-add of 16 lanes each; which input a lane multiplies is found in
the window of x by a permutation of registers, and so is the codebook's value: nothing is gathered from memory. Inputs
that are not finite take the plain loops of window_plain.py, which leave empty slots out, where 0 * inf would be NaN.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from . import simd
from .rows import copy_finite, finish_slice
from .simd import LANES
from .window_layout import SLOT_BITS, SLOTS, side_width
from .window_plain import add_slice

PREFETCHED = 64  # steps ahead, 4 KB of words: 24 halves the speed from memory
BLOCK = 4  # rows of x that share one pass over the weights


def _window_loop(high_bits):
    """Intrinsic that writes the 16 sums of a slice's steps [begin, end), whose windows have 32 << high_bits columns."""
    @intrinsic
    def run(typing_context, words, sides, x, codebook, coarse, begin, end, sums):
        def generate(context, builder, signature, arguments):
            pointers = [simd.data_pointer(context, builder, kind, value)
                        for kind, value in zip(signature.args[:4], arguments[:4])]
            sums = simd.data_pointer(context, builder, signature.args[7], arguments[7])
            _emit(builder, high_bits, *pointers, *arguments[4:7], sums)
        return types.void(words, sides, x, codebook, types.int64, types.int64, types.int64, sums), generate
    return run


def _emit(builder, high_bits, words, sides, x, codebook, coarse, begin, end, sums):
    number = lambda value: ir.Constant(simd.I64, value)
    values = [simd.load(builder, codebook, number(16 * half), simd.VECTOR, 64) for half in range(2)]
    width = side_width(high_bits)

    def step(index, totals):
        first = builder.mul(index, number(simd.LANES))
        simd.prefetch(builder, words, builder.add(first, number(simd.LANES * PREFETCHED)))
        word = simd.load(builder, words, first, simd.WORDS, 64)
        side = builder.mul(index, number(width))
        start = builder.shl(builder.zext(simd.load(builder, sides, side, simd.I16, 2), simd.I64), coarse)
        masks = _masks(builder, high_bits, word, sides, side)
        window = [simd.load(builder, x, builder.add(start, number(16 * part)), simd.VECTOR, 4)
                  for part in range(2 << high_bits)]
        following = []
        for slot, total in enumerate(totals):
            position = _shifted(builder, word, SLOT_BITS * slot)
            code = _shifted(builder, word, SLOT_BITS * slot + 5)
            inputs = simd.look_up(builder, window, position, masks[slot])
            following.append(simd.fma(builder, simd.permute(builder, *values, code), inputs, total))
        return following

    zeros = [simd.constant(simd.VECTOR, 0.0)] * SLOTS
    totals = simd.counted_loop(builder, begin, end, zeros, step)
    total = builder.fadd(builder.fadd(totals[0], totals[1]), totals[2])
    simd.store(builder, total, sums, number(0), 4)


def _masks(builder, high_bits, word, sides, side):
    # For each slot its masks of the positions' bits 5, 6, ...: the first two in the words' bits 30 and 31.
    spare = [builder.icmp_signed("<", builder.shl(word, simd.constant(simd.WORDS, 1)), simd.constant(simd.WORDS, 0)),
             builder.icmp_signed("<", word, simd.constant(simd.WORDS, 0))][:SLOTS * high_bits]
    for place in range(1, side_width(high_bits)):
        bits = simd.load(builder, sides, builder.add(side, ir.Constant(simd.I64, place)), simd.I16, 2)
        spare.append(builder.bitcast(bits, simd.MASK))
    return [spare[slot * high_bits:(slot + 1) * high_bits] for slot in range(SLOTS)]


def _shifted(builder, word, bits):
    return builder.lshr(word, simd.constant(simd.WORDS, bits)) if bits else word


_loop_32, _loop_64, _loop_128 = (_window_loop(high_bits) for high_bits in range(3))


@njit(cache=True, nogil=True)
def run_vectors(words, sides, bounds, order, codebook, coarse, high_bits, x, bias, relu, out, first, last):
    """out[:, rows of the slices first <= s < last] = x @ weight.T (+ bias) (ReLU).

    words (steps, 16) uint32, sides (steps, 1, 2 or 5) uint16, bounds (slices + 1,) int64, order (rows,) int32, codebook
    (32,) float32 on a multiple of 64 bytes; windows of 32 << high_bits columns from multiples of 2^coarse. x (n, cols),
    bias (rows,) or (0,), out (n, rows).
    """
    block = min(BLOCK, x.shape[0])
    scratch, sums = np.empty((block, x.shape[1] + (32 << high_bits)), np.float32), np.empty(LANES, np.float32)
    finite = np.empty(block, np.bool_)
    for begin in range(0, x.shape[0], BLOCK):
        taken = min(BLOCK, x.shape[0] - begin)
        for i in range(taken):
            finite[i] = copy_finite(x[begin + i], scratch[i])
        for s in range(first, last):
            for i in range(taken):
                if finite[i]:
                    _add(words, sides, bounds[s], bounds[s + 1], codebook, coarse, high_bits, scratch[i], sums)
                else:
                    add_slice(words, sides, bounds[s], bounds[s + 1], codebook, coarse, high_bits, scratch[i], sums)
                finish_slice(sums, order, s, bias, relu, out[begin + i])


@njit(cache=True, nogil=True, inline="always")
def _add(words, sides, begin, end, codebook, coarse, high_bits, x, sums):
    # As add_slice.
    if high_bits == 0:
        _loop_32(words, sides, x, codebook, coarse, begin, end, sums)
    elif high_bits == 1:
        _loop_64(words, sides, x, codebook, coarse, begin, end, sums)
    else:
        _loop_128(words, sides, x, codebook, coarse, begin, end, sums)
