"""The sliced form's loops: as LLVM code with gathers, which needs simd.HAS_AVX512, and plain ones for other machines.

The plain ones serve inputs that are not finite too: they leave empty slots out, where 0 * inf would be NaN.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from . import simd
from .rows import copy_finite, finish_rows
from .simd import LANES

PREFETCHED = 64  # steps ahead, of 32 bytes
BLOCK = 4  # rows of x that share one pass over the weights
_HALVES = ir.VectorType(simd.I16, simd.LANES)


def _sliced_loop(look_up):
    """Intrinsic that runs the steps [begin, end) of a slice and writes its 16 sums."""
    @intrinsic
    def run(typing_context, words, x, codebook, code_bits, begin, end, sums):
        def generate(context, builder, signature, arguments):
            words, x, codebook, sums = (simd.data_pointer(context, builder, signature.args[place], arguments[place])
                                        for place in (0, 1, 2, 6))
            _emit(builder, look_up, words, x, codebook, *arguments[3:6], sums)
        return types.void(words, x, codebook, types.int64, types.int64, types.int64, sums), generate
    return run


def _emit(builder, look_up, words, x, codebook, code_bits, begin, end, sums):
    shift = simd.splat(builder, builder.trunc(code_bits, simd.I32), simd.WORDS)
    mask = builder.sub(builder.shl(simd.constant(simd.WORDS, 1), shift), simd.constant(simd.WORDS, 1))
    values = look_up(builder, codebook, mask)

    def step(index, carried):
        total, position = carried
        first = builder.mul(index, ir.Constant(simd.I64, simd.LANES))
        simd.prefetch(builder, words, builder.add(first, ir.Constant(simd.I64, simd.LANES * PREFETCHED)))
        word = builder.zext(simd.load(builder, words, first, _HALVES, 32), simd.WORDS)
        position = builder.add(position, builder.lshr(word, shift))
        return [simd.fma(builder, values(word), simd.gather(builder, x, position), total), position]

    total, _ = simd.counted_loop(builder, begin, end, [simd.constant(simd.VECTOR, 0.0), simd.constant(simd.WORDS, 0)],
                                 step)
    simd.store(builder, total, sums, ir.Constant(simd.I64, 0), 4)


def _from_registers(builder, codebook, mask):
    # Codebooks of up to 32 entries: the permutation looks at the lowest 5 bits alone, and those are the code.
    halves = [simd.load(builder, codebook, ir.Constant(simd.I64, 16 * half), simd.VECTOR, 64) for half in range(2)]
    return lambda word: simd.permute(builder, *halves, word)


def _from_memory(builder, codebook, mask):
    return lambda word: simd.gather(builder, codebook, builder.and_(word, mask))


_loop_registers, _loop_memory = _sliced_loop(_from_registers), _sliced_loop(_from_memory)


@njit(cache=True, nogil=True)
def run_vectors(words, bounds, order, codebook, code_bits, x, bias, relu, out, first, last):
    """out[:, rows of the slices first <= s < last] = x @ weight.T (+ bias) (ReLU).

    words (steps, 16) uint16, bounds (slices + 1,) int64, order (rows,) int32, codebook (256,) float32 on a multiple of
    64 bytes, code_bits 5 to 8; x (n, cols), bias (rows,) or (0,), out (n, rows).
    """
    block = min(BLOCK, x.shape[0])
    scratch, finite = np.empty((block, x.shape[1] + 1), np.float32), np.empty(block, np.bool_)
    sums = np.empty((block, last - first, LANES), np.float32)
    for begin in range(0, x.shape[0], BLOCK):
        taken = min(BLOCK, x.shape[0] - begin)
        for i in range(taken):
            finite[i] = copy_finite(x[begin + i], scratch[i])
        for s in range(first, last):
            for i in range(taken):
                total = sums[i, s - first]
                if not finite[i]:
                    _add_slice(words, bounds, s, codebook, code_bits, scratch[i], total)
                elif code_bits == 5:
                    _loop_registers(words, scratch[i], codebook, code_bits, bounds[s], bounds[s + 1], total)
                else:
                    _loop_memory(words, scratch[i], codebook, code_bits, bounds[s], bounds[s + 1], total)
        for i in range(taken):
            finish_rows(sums[i], order, first, bias, relu, out[begin + i])


@njit(cache=True, nogil=True)
def run_plain(words, bounds, order, codebook, code_bits, x, bias, relu, out, first, last):
    """As run_vectors, without vector instructions."""
    scratch, sums = np.empty(x.shape[1] + 1, np.float32), np.empty((last - first, LANES), np.float32)
    for i in range(x.shape[0]):
        copy_finite(x[i], scratch)
        for s in range(first, last):
            _add_slice(words, bounds, s, codebook, code_bits, scratch, sums[s - first])
        finish_rows(sums, order, first, bias, relu, out[i])


@njit(cache=True, nogil=True)
def _add_slice(words, bounds, s, codebook, code_bits, x, sums):
    # Four lanes at a time: their additions do not wait for one another.
    begin, end = bounds[s], bounds[s + 1]
    for lane in range(0, LANES, 4):
        at_0 = at_1 = at_2 = at_3 = np.int64(0)
        sum_0 = sum_1 = sum_2 = sum_3 = np.float32(0)
        for step in range(begin, end):
            at_0, sum_0 = _next(words[step, lane], at_0, sum_0, codebook, code_bits, x)
            at_1, sum_1 = _next(words[step, lane + 1], at_1, sum_1, codebook, code_bits, x)
            at_2, sum_2 = _next(words[step, lane + 2], at_2, sum_2, codebook, code_bits, x)
            at_3, sum_3 = _next(words[step, lane + 3], at_3, sum_3, codebook, code_bits, x)
        sums[lane], sums[lane + 1], sums[lane + 2], sums[lane + 3] = sum_0, sum_1, sum_2, sum_3


@njit(cache=True, nogil=True, inline="always")
def _next(word, at, total, codebook, code_bits, x):
    at += np.int64(word) >> code_bits
    code = np.int64(word) & ((1 << code_bits) - 1)
    product = codebook[code] * x[at]
    return at, total + (product if code else np.float32(0))
