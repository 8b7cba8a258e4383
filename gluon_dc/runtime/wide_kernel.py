"""The wide form's loops: as LLVM code, which needs simd.HAS_AVX512, and plain ones; and what puts weights into it.

A step has a window of 128 columns, begun at starts[step] << coarse, and for each of 16 lanes a 32-bit word of two slots
of 16 bits: the position's low 5 bits, the code's low 5 bits, the position's other 2, the code's other `extra` (1 to 3).
An empty slot has code 0. Table look-ups are permutations of registers, as in window_kernel.py; 256 codebook entries
take eight of them and still less time than one gather from memory.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from . import simd
from .rows import copy_finite, finish_rows
from .simd import LANES
from .window_pack import next_start, open_slice

SLOTS = 2
HIGH_BITS = 2
WIDTH = 32 << HIGH_BITS
MAX_COLS = 2**23  # beyond, windows could begin only further apart than that
PREFETCHED = 64  # steps ahead
BLOCK = 4  # rows of x that share one pass over the weights


def _wide_loop(extra):
    """Intrinsic that writes the 16 sums of a slice's steps [begin, end), for codebooks of 32 << extra entries."""
    @intrinsic
    def run(typing_context, words, starts, x, codebook, coarse, begin, end, sums):
        def generate(context, builder, signature, arguments):
            pointers = [simd.data_pointer(context, builder, kind, value)
                        for kind, value in zip(signature.args[:4], arguments[:4])]
            sums = simd.data_pointer(context, builder, signature.args[7], arguments[7])
            _emit(builder, extra, *pointers, *arguments[4:7], sums)
        return types.void(words, starts, x, codebook, types.int64, types.int64, types.int64, sums), generate
    return run


def _emit(builder, extra, words, starts, x, codebook, coarse, begin, end, sums):
    number = lambda value: ir.Constant(simd.I64, value)

    def step(index, totals):
        values = _table(builder, codebook, extra)
        first = builder.mul(index, number(LANES))
        simd.prefetch(builder, words, builder.add(first, number(LANES * PREFETCHED)))
        word = simd.load(builder, words, first, simd.WORDS, 64)
        start = builder.shl(builder.zext(simd.load(builder, starts, index, simd.I16, 2), simd.I64), coarse)
        window = [simd.load(builder, x, builder.add(start, number(16 * part)), simd.VECTOR, 4)
                  for part in range(2 << HIGH_BITS)]
        following = []
        for slot, total in enumerate(totals):
            bit = 16 * slot
            high = [_mask(builder, word, bit + 10 + place) for place in range(HIGH_BITS + extra)]
            position = builder.lshr(word, simd.constant(simd.WORDS, bit)) if bit else word
            code = builder.lshr(word, simd.constant(simd.WORDS, bit + 5))
            inputs = simd.look_up(builder, window, position, high[:HIGH_BITS])
            following.append(simd.fma(builder, simd.look_up(builder, values, code, high[HIGH_BITS:]), inputs, total))
        return following

    totals = simd.counted_loop(builder, begin, end, [simd.constant(simd.VECTOR, 0.0)] * SLOTS, step)
    simd.store(builder, builder.fadd(*totals), sums, number(0), 4)


def _table(builder, codebook, extra):
    # The codebook in registers. Of 256 entries, 16 registers full, LLVM would move some to the stack and back: a
    # pointer that it cannot follow makes the look-ups read them where they are.
    if extra == 3:
        kind = ir.FunctionType(codebook.type, [codebook.type])
        codebook = builder.asm(kind, "", "=r,0", [codebook], True)
    return [simd.load(builder, codebook, ir.Constant(simd.I64, 16 * part), simd.VECTOR, 64)
            for part in range(2 << extra)]


def _mask(builder, word, bit):
    chosen = builder.and_(word, simd.constant(simd.WORDS, 1 << bit))
    return builder.icmp_unsigned("!=", chosen, simd.constant(simd.WORDS, 0))


_loop_64, _loop_128, _loop_256 = (_wide_loop(extra) for extra in (1, 2, 3))


@njit(cache=True, nogil=True)
def run_vectors(words, starts, bounds, order, codebook, coarse, extra, x, bias, relu, out, first, last):
    """out[:, rows of the slices first <= s < last] = x @ weight.T (+ bias) (ReLU).

    words (steps, 16) uint32, starts (steps,) uint16, bounds (slices + 1,) int64, order (rows,) int32, codebook (256,)
    float32 on a multiple of 64 bytes; x (n, cols), bias (rows,) or (0,), out (n, rows).
    """
    block = min(BLOCK, x.shape[0])
    scratch, finite = np.empty((block, x.shape[1] + WIDTH), np.float32), np.empty(block, np.bool_)
    sums = np.empty((block, last - first, LANES), np.float32)
    for begin in range(0, x.shape[0], BLOCK):
        taken = min(BLOCK, x.shape[0] - begin)
        for i in range(taken):
            finite[i] = copy_finite(x[begin + i], scratch[i])
        for s in range(first, last):
            for i in range(taken):
                total = sums[i, s - first]
                if not finite[i]:
                    _add_slice(words, starts, bounds[s], bounds[s + 1], codebook, coarse, scratch[i], total)
                elif extra == 1:
                    _loop_64(words, starts, scratch[i], codebook, coarse, bounds[s], bounds[s + 1], total)
                elif extra == 2:
                    _loop_128(words, starts, scratch[i], codebook, coarse, bounds[s], bounds[s + 1], total)
                else:
                    _loop_256(words, starts, scratch[i], codebook, coarse, bounds[s], bounds[s + 1], total)
        for i in range(taken):
            finish_rows(sums[i], order, first, bias, relu, out[begin + i])


@njit(cache=True, nogil=True)
def run_plain(words, starts, bounds, order, codebook, coarse, extra, x, bias, relu, out, first, last):
    """As run_vectors, without vector instructions."""
    sums = np.empty((last - first, LANES), np.float32)
    for i in range(x.shape[0]):
        for s in range(first, last):
            _add_slice(words, starts, bounds[s], bounds[s + 1], codebook, coarse, x[i], sums[s - first])
        finish_rows(sums, order, first, bias, relu, out[i])


@njit(cache=True, nogil=True)
def _add_slice(words, starts, begin, end, codebook, coarse, x, sums):
    sums[:] = 0
    for step in range(begin, end):
        start = np.int64(starts[step]) << coarse
        for lane in range(LANES):
            for slot in range(SLOTS):
                field = np.int64(words[step, lane] >> np.uint32(16 * slot))
                code = (field >> 5 & 31) | (field >> 12 & 7) << 5
                if code:
                    sums[lane] += codebook[code] * x[start + ((field & 31) | (field >> 10 & 3) << 5)]


@njit(cache=True, nogil=True)
def count_steps(columns, row_bounds, order, coarse, counts, first, last):
    """counts[s] = steps of the slices first <= s < last, greedily as in window_pack.py."""
    heads, ends = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    for s in range(first, last):
        lanes = open_slice(row_bounds, order, s, heads, ends)
        steps = 0
        while True:
            start = next_start(columns, heads, ends, lanes, coarse)
            if start < 0:
                break
            steps += 1
            for lane in range(lanes):
                for _ in range(SLOTS):
                    if heads[lane] < ends[lane] and columns[heads[lane]] < start + WIDTH:
                        heads[lane] += 1
        counts[s] = steps


@njit(cache=True, nogil=True)
def fill_steps(columns, codes, row_bounds, order, coarse, bounds, words, starts, first, last):
    """Write the steps of the slices first <= s < last, as many as count_steps found."""
    heads, ends = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    for s in range(first, last):
        lanes = open_slice(row_bounds, order, s, heads, ends)
        for step in range(bounds[s], bounds[s + 1]):
            start = next_start(columns, heads, ends, lanes, coarse)
            words[step] = 0
            starts[step] = start >> coarse
            for lane in range(lanes):
                for slot in range(SLOTS):
                    head = heads[lane]
                    if head < ends[lane] and columns[head] < start + WIDTH:
                        position, code = columns[head] - start, np.int64(codes[head])
                        field = (position & 31) | (code & 31) << 5 | (position >> 5) << 10 | (code >> 5) << 12
                        words[step, lane] |= np.uint32(field) << np.uint32(16 * slot)
                        heads[lane] = head + 1
