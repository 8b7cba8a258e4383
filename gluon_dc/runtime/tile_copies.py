"""LLVM code that copies runs of floats into tiles and out of them: masked, strided, transposed.

All functions take addresses (int64) and check nothing: their callers have proved the bounds.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .simd import F32, I32, I64, LANES, VECTOR, call, constant, counted_loop
from .tile_code import VECTOR_BYTES, at_least, moved, read, register_at, splat, write


@intrinsic
def copy_lanes(typing_context, source, low, high, dest):
    """dest[i] = source[i] for low <= i < high, else 0, i = 0..15; what is not copied is not read."""
    def generate(context, builder, signature, arguments):
        source, low, high, dest = arguments
        kept = _between(builder, low, high)
        pointer = builder.inttoptr(source, VECTOR.as_pointer())
        lanes = _masked(builder, "load", VECTOR, pointer, kept)
        builder.store(lanes, builder.inttoptr(dest, VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 4), generate


@intrinsic
def copy_vectors(typing_context, source, count, dest):
    """dest[i] = source[i] for i < 16 * count; they do not overlap."""
    def generate(context, builder, signature, arguments):
        source, count, dest = arguments

        def copy(index, nothing):
            ahead = builder.mul(index, ir.Constant(I64, VECTOR_BYTES))
            write(builder, read(builder, builder.add(source, ahead), VECTOR), builder.add(dest, ahead))
            return nothing
        counted_loop(builder, ir.Constant(I64, 0), count, [], copy)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 3), generate


@intrinsic
def copy_strided(typing_context, source, stride, low, high, dest):
    """dest[i] = source[i * stride] for low <= i < high, else 0, i = 0..15; stride in elements."""
    def generate(context, builder, signature, arguments):
        source, stride, low, high, dest = arguments
        words = ir.VectorType(I64, LANES)
        steps = builder.mul(splat(builder, builder.shl(stride, ir.Constant(I64, 2))),
                            ir.Constant(words, list(range(LANES))))
        places = builder.inttoptr(builder.add(steps, splat(builder, source)), ir.VectorType(F32.as_pointer(), LANES))
        lanes = _masked(builder, "gather", VECTOR, places, _between(builder, low, high))
        builder.store(lanes, builder.inttoptr(dest, VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 5), generate


@intrinsic
def copy_even(typing_context, source, low, high, dest):
    """As `copy_strided` with a stride of 2, in two loads."""
    def generate(context, builder, signature, arguments):
        source, low, high, dest = arguments
        halves = []
        for half in range(2):
            # Elements 2 * low to 2 * high - 2: none is read that need not exist.
            first = [builder.sub(builder.shl(bound, ir.Constant(I64, 1)), ir.Constant(I64, LANES * half + ahead))
                     for bound, ahead in ((low, 0), (high, 1))]
            place = builder.inttoptr(moved(builder, source, VECTOR_BYTES * half), VECTOR.as_pointer())
            halves.append(_masked(builder, "load", VECTOR, place, _between(builder, *first)))
        write(builder, _even(builder, *halves), dest)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 4), generate


@intrinsic
def copy_all_even(typing_context, source, dest):
    """dest[i] = source[2 * i], i = 0..15; source[31] is read too."""
    def generate(context, builder, signature, arguments):
        source, dest = arguments
        write(builder, _even(builder, register_at(builder, source, 0), register_at(builder, source, 1)), dest)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64), generate


@intrinsic
def store_lanes(typing_context, source, count, dest):
    """dest[i] = source[i] for i < count, at most 16; source holds 16 floats, 64-byte aligned."""
    def generate(context, builder, signature, arguments):
        source, count, dest = arguments
        lanes = builder.load(builder.inttoptr(source, VECTOR.as_pointer()), align=4, typ=VECTOR)
        pointer = builder.inttoptr(dest, VECTOR.as_pointer())
        kept = _between(builder, ir.Constant(I64, 0), count)
        name = f"llvm.masked.store.v{LANES}f32.p0"
        call(builder, name, ir.VoidType(), lanes, pointer, ir.Constant(I32, 4), kept)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 3), generate


@intrinsic
def transpose_square(typing_context, source, source_stride, dest, dest_stride, least):
    """dest[j][i] = max(least, source[i][j]) for 16 by 16 floats; strides in bytes from row to row. NaN stays NaN."""
    def generate(context, builder, signature, arguments):
        source, source_stride, dest, dest_stride, least = arguments
        rows = [read(builder, builder.add(source, builder.mul(source_stride, ir.Constant(I64, i))), VECTOR)
                for i in range(LANES)]
        # Four perfect shuffles: interleaving row i with row i + 8, halves apart, moves one bit of the row's number
        # into the column's at a time.
        picks = [[LANES * (i % 2) + i // 2 + half * LANES // 2 for i in range(LANES)] for half in (0, 1)]
        masks = [ir.Constant(ir.VectorType(I32, LANES), pick) for pick in picks]
        for _ in range(4):
            rows = [builder.shuffle_vector(rows[i], rows[i + LANES // 2], mask)
                    for i in range(LANES // 2) for mask in masks]
        for j, row in enumerate(rows):
            place = builder.add(dest, builder.mul(dest_stride, ir.Constant(I64, j)))
            write(builder, at_least(builder, row, least), place)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 4, types.float32), generate


def _between(builder, low, high):
    # A mask of the lanes i with low <= i < high; low and high may lie far outside 0..16, but not beyond 32 bits.
    words = ir.VectorType(I32, LANES)
    lanes = ir.Constant(words, list(range(LANES)))
    low, high = (splat(builder, builder.trunc(bound, I32)) for bound in (low, high))
    return builder.and_(builder.icmp_signed(">=", lanes, low), builder.icmp_signed("<", lanes, high))


def _masked(builder, what, vector, place, kept):
    suffix = {"load": f"v{LANES}f32.p0", "gather": f"v{LANES}f32.v{LANES}p0"}[what]
    return call(builder, f"llvm.masked.{what}.{suffix}", vector, place, ir.Constant(I32, 4), kept,
                constant(vector, 0.0))


def _even(builder, low, high):
    picks = ir.Constant(ir.VectorType(I32, LANES), list(range(0, 2 * LANES, 2)))
    return builder.shuffle_vector(low, high, picks)
