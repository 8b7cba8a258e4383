"""Pieces of LLVM code that the tile kernels and copies share. Places are i64 addresses."""

from llvmlite import ir

from .simd import I16, I32, I64, LANES, VECTOR, call, constant

VECTOR_BYTES = 4 * LANES


def read(builder, place, kind, align=None):
    """The value of this kind at an address; 16-bit and given alignments apart, at a multiple of 4."""
    return builder.load(builder.inttoptr(place, kind.as_pointer()), align=align or (2 if kind is I16 else 4), typ=kind)


def write(builder, vector, place):
    """Write a vector at an address."""
    builder.store(vector, builder.inttoptr(place, VECTOR.as_pointer()), align=4)


def moved(builder, place, nbytes):
    """An address some bytes further."""
    return builder.add(place, ir.Constant(I64, nbytes)) if nbytes else place


def element(builder, place, index):
    """The address of element `index` of an array of 32-bit elements."""
    return builder.add(place, builder.shl(index, ir.Constant(I64, 2)))


def widened(builder, integer):
    """An unsigned integer as i64."""
    return integer if integer.type == I64 else builder.zext(integer, I64)


def splat(builder, scalar):
    """A vector whose lanes are all this scalar."""
    vector = ir.VectorType(scalar.type, LANES)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), constant(ir.VectorType(I32, LANES), 0))


def register_at(builder, place, register):
    """The register of this number from an address on."""
    return read(builder, moved(builder, place, VECTOR_BYTES * register), VECTOR)


def multiply_add(builder, a, b, c):
    """a * b + c, fused where the processor can: `llvm.fma` would call a library, lane by lane, where it cannot."""
    return call(builder, f"llvm.fmuladd.v{LANES}f32", VECTOR, a, b, c)


def at_least(builder, vector, least):
    """The larger of a vector's lanes and a scalar, NaN where the lane is."""
    low = splat(builder, least)
    return builder.select(builder.fcmp_ordered("<", vector, low), low, vector)


def clipped(builder, vector, least, most):
    """The lanes brought between two scalars, least <= most; NaN stays NaN."""
    vector, high = at_least(builder, vector, least), splat(builder, most)
    return builder.select(builder.fcmp_ordered(">", vector, high), high, vector)


def prefetch_line(builder, place):
    """Ask for the cache line of an address, to be read; any address will do."""
    numbers = [ir.Constant(I32, number) for number in (0, 3, 1)]  # to read; kept in all levels; data
    call(builder, "llvm.prefetch.p0", ir.VoidType(), builder.inttoptr(place, ir.IntType(8).as_pointer()), *numbers)
