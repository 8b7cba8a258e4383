"""LLVM code of the int8 convolution: bytes times bytes summed up in 32 bits, and floats made into bytes.

Four input channels stand side by side in one 32-bit word of a pixel, 16 pixels in a register. `vpdpbusd` multiplies
64 unsigned bytes of activations by 64 signed bytes of weights and adds each four products to a 32-bit sum: four times
what a float32 multiply-add does. All functions here take addresses (int64) and check nothing: their callers have
proved the bounds.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from .simd import F32, HAS_AVX512, I32, I64, LANES, VECTOR, WORDS, call, constant, counted_loop
from .tile_code import (VECTOR_BYTES, clipped, element, moved, prefetch_line, read, register_at, splat, widened,
                        write)
from .tile_copies import _between, _masked

AHEAD_NBYTES = 2048  # from weights that are read to those asked for
# 1.5 * 2**23: the last bit of a float32 of this size is worth 1, so that adding it rounds to whole numbers (halves to
# even), which then stand in the low bits.
ROUNDING = 12582912.0
_ROUNDING_WORD = 0x4B400000


def _find_vnni() -> bool:
    if not HAS_AVX512:
        return False
    if config.CPU_FEATURES:
        return "+avx512vnni" in config.CPU_FEATURES.split(",")
    return bool(dict(binding.get_host_cpu_features()).get("avx512vnni", False))


# Whether the processor multiplies bytes in 512-bit registers; never where GLUON_DC_NO_AVX512=1 says no.
HAS_VNNI = _find_vnni()


@intrinsic(prefer_literal=True)
def multiply_bytes(typing_context, registers, rows, weights, keys, offsets, x, starts, factors, biases, clip, dest,
                   dest_stride, extremes):
    """dest[i] = clip((starts[i] + sum of weight * x[key]) * factors[i] + biases[i]), `registers` * 16 pixels wide.

    clip: (low, high) float32. registers, rows: literal ints. weights: address of int8 [keys][rows][4]; x: of uint8
    [pixel][4], a key's pixels from offsets[key] (int32, bytes) on; starts: of int32; factors, biases: of float32; dest:
    of float32, dest_stride bytes from row to row. Product and sum of the last step are rounded one after the other.
    extremes: as `word_extremes` takes them, of what is written. Needs HAS_VNNI.
    """
    if not all(isinstance(literal, types.IntegerLiteral) for literal in (registers, rows)):
        return None
    r, g = registers.literal_value, rows.literal_value

    def generate(context, builder, signature, arguments):
        weights, keys, offsets, x, starts, factors, biases, clip, dest, dest_stride, extremes = arguments[2:]
        first = [splat(builder, read(builder, moved(builder, starts, 4 * i), I32)) for i in range(g)]
        for i in range(g):
            # Lines of the output come while the sums are made: stores would wait for them one by one.
            place = builder.add(dest, builder.mul(dest_stride, ir.Constant(I64, i)))
            for j in range(r + 1):
                _expect_write(builder, moved(builder, place, VECTOR_BYTES * j - (j == r)))

        def step(index, sums):
            place = builder.add(weights, builder.mul(index, ir.Constant(I64, 4 * g)))
            begin = builder.add(x, widened(builder, read(builder, element(builder, offsets, index), I32)))
            prefetch_line(builder, moved(builder, place, AHEAD_NBYTES))
            pixels = [read(builder, moved(builder, begin, VECTOR_BYTES * j), WORDS) for j in range(r)]
            values = [splat(builder, read(builder, moved(builder, place, 4 * i), I32)) for i in range(g)]
            return [call(builder, "llvm.x86.avx512.vpdpbusd.512", WORDS, sums[i * r + j], pixels[j], values[i])
                    for i in range(g) for j in range(r)]
        sums = counted_loop(builder, ir.Constant(I64, 0), keys, [vector for vector in first for _ in range(r)], step)
        least, most = (builder.extract_value(clip, i) for i in range(2))
        bounds = _read_bounds(builder, extremes)
        for i in range(g):
            factor, bias = (splat(builder, read(builder, moved(builder, where, 4 * i), F32))
                            for where in (factors, biases))
            place = builder.add(dest, builder.mul(dest_stride, ir.Constant(I64, i)))
            for j in range(r):
                value = builder.fmul(builder.sitofp(sums[i * r + j], VECTOR), factor)
                value = clipped(builder, builder.fadd(value, bias), least, most)
                write(builder, value, moved(builder, place, VECTOR_BYTES * j))
                bounds = _wider(builder, bounds, value)
        _write_bounds(builder, bounds, extremes)
        return context.get_dummy_value()
    clip = types.UniTuple(types.float32, 2)
    return types.void(registers, rows, *[types.int64] * 7, clip, *[types.int64] * 3), generate


@intrinsic
def byte_vectors(typing_context, source, plane, count, inverse, zero, dest):
    """dest[i][j] = the byte of source[j][i], i < 16 * count, j < 4, planes of float32 `plane` bytes apart.

    A byte is x * inverse + zero, rounded, at most 255; zero: float32, a whole number.
    """
    def generate(context, builder, signature, arguments):
        source, plane, count, inverse, zero, dest = arguments

        def step(index, nothing):
            ahead = builder.mul(index, ir.Constant(I64, VECTOR_BYTES))
            place, lanes = builder.add(source, ahead), []
            for _ in range(4):
                lanes.append(register_at(builder, place, 0))
                place = builder.add(place, plane)
            _write_words(builder, lanes, inverse, zero, builder.add(dest, ahead))
            return nothing
        counted_loop(builder, ir.Constant(I64, 0), count, [], step)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64, types.int64, types.float32, types.float32, types.int64), generate


@intrinsic
def byte_lanes(typing_context, source, plane, channels, low, high, inverse, zero, dest):
    """As `byte_vectors`, of one register: bytes of 0 for lanes outside of low..high and planes from `channels` on; what
    is not copied is not read."""
    def generate(context, builder, signature, arguments):
        source, plane, channels, low, high, inverse, zero, dest = arguments
        inside, place, lanes = _between(builder, low, high), source, []
        for j in range(4):
            there = builder.icmp_signed("<", ir.Constant(I64, j), channels)
            kept = builder.select(there, inside, constant(inside.type, 0))
            lanes.append(_masked(builder, "load", VECTOR, builder.inttoptr(place, VECTOR.as_pointer()), kept))
            place = builder.add(place, plane)
        _write_words(builder, lanes, inverse, zero, dest)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 5, types.float32, types.float32, types.int64), generate


def _expect_write(builder, place):
    # Ask for the cache line of an address, to be written.
    numbers = [ir.Constant(I32, number) for number in (1, 3, 1)]  # to write; kept in all levels; data
    call(builder, "llvm.prefetch.p0", ir.VoidType(), builder.inttoptr(place, ir.IntType(8).as_pointer()), *numbers)


@intrinsic
def word_extremes(typing_context, source, count, extremes):
    """Of `count` float32 the largest as signed integers, and as unsigned ones, of every 16th each, where they are
    larger than what is there already at `extremes`: address of int32 (2, 16).

    The first are the largest numbers, the second the least where some are below 0; NaN and infinities are beyond all
    others in one of them.
    """
    def generate(context, builder, signature, arguments):
        source, count, extremes = arguments
        bounds = _read_bounds(builder, extremes)
        zero, one, four = (ir.Constant(I64, number) for number in (0, 1, 4))

        def step_of(many):
            def step(index, bounds):
                place, found = builder.add(source, builder.mul(index, ir.Constant(I64, VECTOR_BYTES * many))), []
                for i in range(many):
                    found += _wider(builder, bounds[2 * i:2 * i + 2], register_at(builder, place, i))
                return found
            return step
        whole = builder.ashr(count, four)
        by_four = builder.ashr(whole, ir.Constant(I64, 2))
        several = counted_loop(builder, zero, by_four, bounds * 4, step_of(4))
        bounds = several[:2]
        for i in range(2, 8, 2):
            bounds = _wider(builder, bounds, *several[i:i + 2])
        source = builder.add(source, builder.mul(by_four, ir.Constant(I64, 4 * VECTOR_BYTES)))
        bounds = counted_loop(builder, zero, builder.and_(whole, ir.Constant(I64, 3)), bounds, step_of(1))
        source = builder.add(source, builder.mul(builder.and_(whole, ir.Constant(I64, 3)),
                                                 ir.Constant(I64, VECTOR_BYTES)))
        kept = _between(builder, zero, builder.and_(count, ir.Constant(I64, LANES - 1)))
        lanes = _masked(builder, "load", VECTOR, builder.inttoptr(source, VECTOR.as_pointer()), kept)
        _write_bounds(builder, _wider(builder, bounds, lanes), extremes)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 3), generate


@intrinsic
def copy_extremes(typing_context, source, count, dest, extremes):
    """Copy `count` float32, and `word_extremes` of them. source: of whole registers."""
    def generate(context, builder, signature, arguments):
        source, count, dest, extremes = arguments
        zero = ir.Constant(I64, 0)

        def copy(index, bounds):
            ahead = builder.mul(index, ir.Constant(I64, VECTOR_BYTES))
            lanes = read(builder, builder.add(source, ahead), VECTOR)
            write(builder, lanes, builder.add(dest, ahead))
            return _wider(builder, bounds, lanes)
        whole = builder.ashr(count, ir.Constant(I64, 4))
        bounds = counted_loop(builder, zero, whole, _read_bounds(builder, extremes), copy)
        ahead = builder.mul(whole, ir.Constant(I64, VECTOR_BYTES))
        kept = _between(builder, zero, builder.and_(count, ir.Constant(I64, LANES - 1)))
        lanes = builder.select(kept, read(builder, builder.add(source, ahead), VECTOR), constant(VECTOR, 0.0))
        pointer = builder.inttoptr(builder.add(dest, ahead), VECTOR.as_pointer())
        call(builder, f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(), lanes, pointer, ir.Constant(I32, 4), kept)
        _write_bounds(builder, _wider(builder, bounds, lanes), extremes)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 4), generate


def _read_bounds(builder, extremes):
    return [read(builder, moved(builder, extremes, VECTOR_BYTES * i), WORDS) for i in range(2)]


def _write_bounds(builder, bounds, extremes):
    for i, bound in enumerate(bounds):
        builder.store(bound, builder.inttoptr(moved(builder, extremes, VECTOR_BYTES * i), WORDS.as_pointer()), align=4)


def _wider(builder, bounds, vector, other=None):
    # Bounds that hold a vector of floats too, or other bounds.
    high, low = (builder.bitcast(value, WORDS) for value in (vector, vector if other is None else other))
    return [builder.select(builder.icmp_signed(">", high, bounds[0]), high, bounds[0]),
            builder.select(builder.icmp_unsigned(">", low, bounds[1]), low, bounds[1])]


@intrinsic
def fill_words(typing_context, word, count, dest):
    """The int32 `word` to dest[i], i < count rounded up to 16."""
    def generate(context, builder, signature, arguments):
        word, count, dest = arguments
        vector = splat(builder, word)

        def step(index, nothing):
            place = builder.add(dest, builder.mul(index, ir.Constant(I64, VECTOR_BYTES)))
            builder.store(vector, builder.inttoptr(place, WORDS.as_pointer()), align=4)
            return nothing
        whole = builder.ashr(builder.add(count, ir.Constant(I64, LANES - 1)), ir.Constant(I64, 4))
        counted_loop(builder, ir.Constant(I64, 0), whole, [], step)
        return context.get_dummy_value()
    return types.void(types.int32, types.int64, types.int64), generate


def _write_words(builder, lanes, inverse, zero, dest):
    # Four vectors of floats to one of words, the first in the lowest byte.
    inverse = splat(builder, inverse)
    rounding = splat(builder, builder.fadd(zero, ir.Constant(F32, ROUNDING)))
    most, word = constant(VECTOR, ROUNDING + 255), constant(WORDS, 0)
    mask = 0
    for j, vector in enumerate(lanes):
        value = builder.fadd(builder.fmul(vector, inverse), rounding)
        value = builder.select(builder.fcmp_ordered("<", value, most), value, most)
        bits = builder.shl(builder.bitcast(value, WORDS), constant(WORDS, 8 * j))
        word, mask = builder.xor(word, bits), mask ^ (_ROUNDING_WORD << 8 * j)
    word = builder.xor(word, constant(WORDS, mask & 0xFFFFFFFF))
    builder.store(word, builder.inttoptr(dest, WORDS.as_pointer()), align=4)
