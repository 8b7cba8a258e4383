"""LLVM code of the inner loops over tiles of inputs: sparse and dense multiply-add.

A tile is a piece of the inputs packed into a small aligned buffer that stays in the first cache: for each key (a
column of a matrix in a panel; a channel and tap of a convolution) r registers of 16 floats, the "pixels": neighbouring
output positions, or inputs of a batch. All functions here take addresses (int64) and check nothing: their callers have
proved the bounds. The vectors are split by LLVM where registers are shorter (AVX2, NEON).
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .simd import F32, I16, I32, I64, VECTOR, counted_loop, data_pointer
from .tile_code import (VECTOR_BYTES, at_least, clipped, element, moved, multiply_add, prefetch_line, read, register_at,
                        splat, widened, write)

AHEAD_NBYTES = 2048  # from weights that are read to those asked for: over the end of a page, where processors stop


@intrinsic
def address(typing_context, array):
    """int64 address of the first element of a contiguous array. The array must outlive its use."""
    def generate(context, builder, signature, arguments):
        return builder.ptrtoint(data_pointer(context, builder, signature.args[0], arguments[0]), I64)
    return types.int64(array), generate


@intrinsic(prefer_literal=True)
def multiply_kept(typing_context, registers, rows, entries, steps, unit, share, extra, codebook, x, order, source,
                  source_stride, dest, dest_stride, bias, least):
    """A group of rows over one tile: dest[row] = max(least, start[row] + sum of value * x[key]), `registers` wide.

    registers, rows: literal ints, registers * rows + 2 of them live at once. entries: address of uint16 [steps][rows],
    key + 256 * code; codebook: of float32. A key's pixels lie unit * key + extra * (key * share >> 16) bytes after x: a
    table of places would cost a load more, a sixth of the speed. order: address of uint16 numbers of the rows.
    start[row] is read at source + row * source_stride (bytes) or, where source is 0, is bias[row] in every pixel; dest
    likewise. least: float32, 0 for ReLU, -inf for none; NaN stays NaN.
    """
    if not all(isinstance(literal, types.IntegerLiteral) for literal in (registers, rows)):
        return None
    r, g = registers.literal_value, rows.literal_value

    def generate(context, builder, signature, arguments):
        (entries, steps, unit, share, extra, codebook, x, order, source, source_stride, dest, dest_stride, bias,
         least) = arguments[2:]
        numbers = [widened(builder, read(builder, moved(builder, order, 2 * i), I16)) for i in range(g)]
        sums = _starts(builder, r, numbers, source, source_stride, bias)
        step = _add_entries(builder, r, g, g, entries, codebook, _places(builder, x, unit, share, extra))
        sums = counted_loop(builder, ir.Constant(I64, 0), steps, sums, step)
        _finish(builder, r, numbers, sums, dest, dest_stride, lambda vector: at_least(builder, vector, least))
        return context.get_dummy_value()
    return types.void(registers, rows, *[types.int64] * 13, types.float32), generate


@intrinsic(prefer_literal=True)
def multiply_filter(typing_context, registers, entries, steps, order, others):
    """As `multiply_kept` for a single row, clipped to least..most.

    others: (unit, share, extra, codebook, x, source, source_stride, dest, dest_stride, bias, scale, shift, least,
    most). scale: address of float32 [rows], or 0: what is clipped and written is sum * scale[row] + shift[row].
    """
    if not isinstance(registers, types.IntegerLiteral):
        return None
    r = registers.literal_value

    def generate(context, builder, signature, arguments):
        _, entries, steps, order, others = arguments
        (unit, share, extra, codebook, x, source, source_stride, dest, dest_stride, bias, scale, shift, least,
         most) = (builder.extract_value(others, i) for i in range(len(signature.args[-1])))
        number, places = widened(builder, read(builder, order, I16)), _places(builder, x, unit, share, extra)
        sums = _starts(builder, r, [number], source, source_stride, bias)
        # Two entries are read as one word.
        pairs, one = builder.lshr(steps, ir.Constant(I64, 1)), builder.and_(steps, ir.Constant(I64, 1))
        sums = counted_loop(builder, ir.Constant(I64, 0), pairs, sums,
                            _add_entries(builder, r, 1, 2, entries, codebook, places))
        entries = builder.add(entries, builder.shl(pairs, ir.Constant(I64, 2)))
        sums = counted_loop(builder, ir.Constant(I64, 0), one, sums,
                            _add_entries(builder, r, 1, 1, entries, codebook, places))
        sums = _scaled(builder, sums, number, scale, shift)
        _finish(builder, r, [number], sums, dest, dest_stride, lambda vector: clipped(builder, vector, least, most))
        return context.get_dummy_value()
    kind = types.Tuple([types.int64] * 12 + [types.float32] * 2)
    return types.void(registers, *[types.int64] * 3, kind), generate


def _places(builder, x, unit, share, extra):
    # Function from a key to the address of its pixels.
    def place_of(key):
        times = builder.lshr(builder.mul(key, share), ir.Constant(I64, 16))
        return builder.add(builder.add(x, builder.mul(key, unit)), builder.mul(times, extra))
    return place_of


def _add_entries(builder, registers, rows, many, entries, codebook, place_of):
    # A loop's body that adds `many` entries, read as one word: each to the sums of its own row, or all to those of one.
    def step(index, sums):
        place = builder.add(entries, builder.mul(index, ir.Constant(I64, 2 * many)))
        word = widened(builder, read(builder, place, ir.IntType(16 * many), align=2))
        for i in range(many):
            key = builder.and_(builder.lshr(word, ir.Constant(I64, 16 * i)), ir.Constant(I64, 255))
            code = builder.and_(builder.lshr(word, ir.Constant(I64, 16 * i + 8)), ir.Constant(I64, 255))
            pixels, value = place_of(key), splat(builder, read(builder, element(builder, codebook, code), F32))
            first = i % rows * registers
            added = [multiply_add(builder, value, register_at(builder, pixels, j), sums[first + j])
                     for j in range(registers)]
            sums = [*sums[:first], *added, *sums[first + registers:]]
        return sums
    return step


def _scaled(builder, sums, number, scale, shift):
    # sums * scale[number] + shift[number] where scale is not 0.
    before = builder.block
    block, after = builder.append_basic_block("scale"), builder.append_basic_block("scaled")
    builder.cbranch(builder.icmp_unsigned("!=", scale, ir.Constant(I64, 0)), block, after)
    builder.position_at_end(block)
    factor, offset = (splat(builder, read(builder, element(builder, place, number), F32)) for place in (scale, shift))
    found = [multiply_add(builder, vector, factor, offset) for vector in sums]
    builder.branch(after)
    builder.position_at_end(after)
    phis = [builder.phi(VECTOR) for _ in sums]
    for phi, plain, scaled in zip(phis, sums, found):
        phi.add_incoming(plain, before)
        phi.add_incoming(scaled, block)
    return phis


@intrinsic(prefer_literal=True)
def multiply_dense(typing_context, registers, rows, weights, keys, offsets, x, source, source_stride, dest,
                   dest_stride, bias, least, most):
    """As `multiply_kept`, of neighbouring rows (0, 1, ...) and all weights: float32 [keys][rows] at `weights`.

    A key's pixels lie offsets[key] bytes after x, offsets: address of int32. Clipped to least..most.
    """
    if not all(isinstance(literal, types.IntegerLiteral) for literal in (registers, rows)):
        return None
    r, g = registers.literal_value, rows.literal_value

    def generate(context, builder, signature, arguments):
        (weights, keys, offsets, x, source, source_stride, dest, dest_stride, bias, least,
         most) = arguments[2:]
        numbers = [ir.Constant(I64, i) for i in range(g)]
        start = _starts(builder, r, numbers, source, source_stride, bias)

        def step(index, sums):
            place = builder.add(weights, builder.mul(index, ir.Constant(I64, 4 * g)))
            first = builder.add(x, widened(builder, read(builder, element(builder, offsets, index), I32)))
            prefetch_line(builder, moved(builder, place, AHEAD_NBYTES))
            pixels = [register_at(builder, first, j) for j in range(r)]
            values = [splat(builder, read(builder, moved(builder, place, 4 * i), F32)) for i in range(g)]
            return [multiply_add(builder, values[i], pixels[j], sums[i * r + j]) for i in range(g) for j in range(r)]
        sums = counted_loop(builder, ir.Constant(I64, 0), keys, start, step)
        _finish(builder, r, numbers, sums, dest, dest_stride, lambda vector: clipped(builder, vector, least, most))
        return context.get_dummy_value()
    return types.void(registers, rows, *[types.int64] * 9, types.float32, types.float32), generate


def _starts(builder, registers, numbers, source, source_stride, bias):
    # What the sums begin with, from one of two places: a branch, as only one may be read.
    some = builder.icmp_unsigned("!=", source, ir.Constant(I64, 0))
    read_block, bias_block, after = (builder.append_basic_block(name) for name in ("start.read", "start.bias", "start"))
    builder.cbranch(some, read_block, bias_block)
    builder.position_at_end(read_block)
    found = []
    for number in numbers:
        place = builder.add(source, builder.mul(number, source_stride))
        found += [register_at(builder, place, j) for j in range(registers)]
    builder.branch(after)
    builder.position_at_end(bias_block)
    spread = [splat(builder, read(builder, element(builder, bias, number), F32)) for number in numbers]
    builder.branch(after)
    builder.position_at_end(after)
    starts = [builder.phi(VECTOR) for _ in found]
    for index, (phi, vector) in enumerate(zip(starts, found)):
        phi.add_incoming(vector, read_block)
        phi.add_incoming(spread[index // registers], bias_block)
    return starts


def _finish(builder, registers, numbers, sums, dest, dest_stride, finished):
    for i, number in enumerate(numbers):
        place = builder.add(dest, builder.mul(number, dest_stride))
        for j in range(registers):
            write(builder, finished(sums[i * registers + j]), moved(builder, place, VECTOR_BYTES * j))
