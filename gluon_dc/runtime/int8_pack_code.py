"""LLVM code that makes floats bytes, four of them to a word, where a tile of an int8 convolution wants them.

All functions take addresses (int64) and check nothing: their callers have proved the bounds.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .simd import F32, I32, I64, LANES, VECTOR, WORDS, constant, counted_loop
from .tile_code import VECTOR_BYTES, read, register_at, splat
from .tile_copies import _between, _masked

# 1.5 * 2**23: the last bit of a float32 of this size is worth 1, so that adding it rounds to whole numbers (halves to
# even), which then stand in the low bits.
ROUNDING = 12582912.0
_ROUNDING_WORD = 0x4B400000


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


@intrinsic
def byte_row(typing_context, source, count, inverse, zero, dest):
    """dest[i] = the byte of source[i] as `byte_vectors` makes it, i < count, and `zero` up to a multiple of 16."""
    def generate(context, builder, signature, arguments):
        source, count, inverse, zero, dest = arguments
        nothing, lanes = ir.Constant(I64, 0), ir.VectorType(ir.IntType(8), LANES)

        def write_bytes(index, vector):
            place = builder.add(dest, builder.mul(index, ir.Constant(I64, LANES)))
            found = builder.trunc(_rounded(builder, vector, inverse, zero), lanes)
            builder.store(found, builder.inttoptr(place, lanes.as_pointer()), align=1)

        def place_of(index):
            return builder.add(source, builder.mul(index, ir.Constant(I64, VECTOR_BYTES)))

        def step(index, nothing):
            write_bytes(index, read(builder, place_of(index), VECTOR))
            return nothing
        whole = builder.ashr(count, ir.Constant(I64, 4))
        counted_loop(builder, nothing, whole, [], step)
        kept = _between(builder, nothing, builder.and_(count, ir.Constant(I64, LANES - 1)))
        pointer = builder.inttoptr(place_of(whole), VECTOR.as_pointer())
        write_bytes(whole, _masked(builder, "load", VECTOR, pointer, kept))
        return context.get_dummy_value()
    return types.void(types.int64, types.int64, types.float32, types.float32, types.int64), generate


@intrinsic(prefer_literal=True)
def spread_bytes(typing_context, stride, source, count, dest):
    """dest[i] = the four bytes from source[i * stride] on, i < count rounded up to 16; stride: literal, 1, 2 or 4.

    Up to 64 bytes from the first of 16 on are read.
    """
    if not isinstance(stride, types.IntegerLiteral):
        return None
    s = stride.literal_value

    def generate(context, builder, signature, arguments):
        source, count, dest = arguments[1:]
        lanes = ir.VectorType(ir.IntType(8), 4 * LANES)
        picks = [s * i + j for i in range(LANES) for j in range(4)]

        def step(index, nothing):
            place = builder.add(source, builder.mul(index, ir.Constant(I64, LANES * s)))
            found = read(builder, place, lanes, align=1)
            found = builder.shuffle_vector(found, found, ir.Constant(ir.VectorType(I32, 4 * LANES), picks))
            place = builder.add(dest, builder.mul(index, ir.Constant(I64, VECTOR_BYTES)))
            builder.store(found, builder.inttoptr(place, lanes.as_pointer()), align=4)
            return nothing
        whole = builder.ashr(builder.add(count, ir.Constant(I64, LANES - 1)), ir.Constant(I64, 4))
        counted_loop(builder, ir.Constant(I64, 0), whole, [], step)
        return context.get_dummy_value()
    return types.void(stride, *[types.int64] * 3), generate


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
    word, mask = constant(WORDS, 0), 0
    for j, vector in enumerate(lanes):
        bits = builder.shl(_rounded(builder, vector, inverse, zero), constant(WORDS, 8 * j))
        word, mask = builder.xor(word, bits), mask ^ (_ROUNDING_WORD << 8 * j)
    word = builder.xor(word, constant(WORDS, mask & 0xFFFFFFFF))
    builder.store(word, builder.inttoptr(dest, WORDS.as_pointer()), align=4)


def _rounded(builder, vector, inverse, zero):
    # Words whose lowest byte is the byte of each float; what stands above it is _ROUNDING_WORD's.
    rounding = splat(builder, builder.fadd(zero, ir.Constant(F32, ROUNDING)))
    value = builder.fadd(builder.fmul(vector, splat(builder, inverse)), rounding)
    most = constant(VECTOR, ROUNDING + 255)
    return builder.bitcast(builder.select(builder.fcmp_ordered("<", value, most), value, most), WORDS)
