"""LLVM code of the int8 convolution: bytes times bytes summed up in 32 bits, made float32 as they are written.

Four numbers of the input, mostly channels, stand side by side in one 32-bit word of a pixel, 16 pixels in a register.
`vpdpbusd` multiplies 64 unsigned bytes of activations by 64 signed bytes of weights and adds each four products to a
32-bit sum: four times what a float32 multiply-add does. All functions here take addresses (int64) and check nothing:
their callers have proved the bounds.
"""

from itertools import product

from llvmlite import binding, ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from .simd import F32, HAS_AVX512, I32, I64, LANES, VECTOR, WORDS, call, constant, counted_loop
from .tile_code import (VECTOR_BYTES, at_least, clipped, element, moved, prefetch_line, read, register_at, splat,
                        widened, write)
from .tile_copies import _between, _masked

KEYS_AHEAD = 18  # from pixels that are multiplied to those asked for: they come from copies far apart
AHEAD_NBYTES = 2048  # from weights that are read to those asked for
ANY, RELU, SUMS = 0, 1, 2  # what follows the sums of a convolution


def _find_vnni() -> bool:
    if not HAS_AVX512:
        return False
    if config.CPU_FEATURES:
        return "+avx512vnni" in config.CPU_FEATURES.split(",")
    return bool(dict(binding.get_host_cpu_features()).get("avx512vnni", False))


# Whether the processor multiplies bytes in 512-bit registers; never where GLUON_DC_NO_AVX512=1 says no.
HAS_VNNI = _find_vnni()


@intrinsic(prefer_literal=True)
def multiply_bytes(typing_context, registers, rows, finish, places, clip):
    """dest[i] = clip((starts[i] + sum of weight * x[key]) * factors[i] + biases[i]), `registers` * 16 pixels wide.

    registers, rows, finish: literal ints. finish: RELU: clip is (0, inf), and no bias is -0.0; SUMS: dest is int32, the
    sums alone; else ANY. clip: (low, high) float32. places: (weights, keys, offsets, x, starts, factors, biases, dest,
    dest_stride, extremes). weights: address of int8 [keys][rows][4]; x: of uint8 [pixel][4], a key's pixels from
    offsets[key] (int32, bytes) on; starts: of int32; factors, biases: of float32; dest: of float32, dest_stride bytes
    from row to row. Product and sum of the last step are rounded one after the other. extremes: as `word_extremes`
    takes them, of what is written. Needs HAS_VNNI.
    """
    if not all(isinstance(literal, types.IntegerLiteral) for literal in (registers, rows, finish)):
        return None
    r, g, how = (literal.literal_value for literal in (registers, rows, finish))

    def generate(context, builder, signature, arguments):
        places, clip = arguments[3:]
        weights, keys, offsets, x, starts, factors, biases, dest, dest_stride, extremes = (
            builder.extract_value(places, i) for i in range(10))
        first = [splat(builder, read(builder, moved(builder, starts, 4 * i), I32)) for i in range(g)]
        rows = [builder.add(dest, builder.mul(dest_stride, ir.Constant(I64, i))) for i in range(g)]
        # Lines of the output come while the sums are made: stores would wait for them one by one.
        for place, j in product(rows, range(r + 1 if how != SUMS else 0)):
            _expect_write(builder, moved(builder, place, VECTOR_BYTES * j - (j == r)))

        def step(index, sums):
            place = builder.add(weights, builder.mul(index, ir.Constant(I64, 4 * g)))
            begin = builder.add(x, widened(builder, read(builder, element(builder, offsets, index), I32)))
            prefetch_line(builder, moved(builder, place, AHEAD_NBYTES))
            far = builder.add(index, ir.Constant(I64, KEYS_AHEAD))
            far = builder.select(builder.icmp_signed("<", far, keys), far, index)
            later = builder.add(x, widened(builder, read(builder, element(builder, offsets, far), I32)))
            for j in range(r):
                prefetch_line(builder, moved(builder, later, VECTOR_BYTES * j + 60))
            pixels = [read(builder, moved(builder, begin, VECTOR_BYTES * j), WORDS) for j in range(r)]
            values = [splat(builder, read(builder, moved(builder, place, 4 * i), I32)) for i in range(g)]
            return [call(builder, "llvm.x86.avx512.vpdpbusd.512", WORDS, sums[i * r + j], pixels[j], values[i])
                    for i in range(g) for j in range(r)]
        sums = counted_loop(builder, ir.Constant(I64, 0), keys, [vector for vector in first for _ in range(r)], step)
        finished = Finish(builder, how, clip, extremes)
        for i, place in enumerate(rows):
            numbers = [splat(builder, read(builder, moved(builder, where, 4 * i), F32)) for where in (factors, biases)]
            for j in range(r):
                vector = sums[i * r + j] if how == SUMS else finished(sums[i * r + j], *numbers)
                pointer = builder.inttoptr(moved(builder, place, VECTOR_BYTES * j), vector.type.as_pointer())
                builder.store(vector, pointer, align=4)
        finished.close()
        return context.get_dummy_value()
    clip = types.UniTuple(types.float32, 2)
    return types.void(registers, rows, finish, types.UniTuple(types.int64, 10), clip), generate


class Finish:
    """LLVM code of what follows sums: clip(sum * factor + bias), and the extremes of that, which wait in `bounds`."""

    def __init__(self, builder, how, clip, extremes):
        self._builder, self._how, self._extremes = builder, how, extremes
        self._least, self._most = (builder.extract_value(clip, i) for i in range(2))
        self.bounds = read_bounds(builder, extremes) if how == ANY else [constant(WORDS, 0)]

    def __call__(self, sums, factor, bias, kept=None):
        """The floats of sums; kept: a mask of those that are in the extremes."""
        builder = self._builder
        value = builder.fadd(builder.fmul(builder.sitofp(sums, VECTOR), factor), bias)
        if self._how == RELU:
            value = at_least(builder, value, ir.Constant(F32, 0.0))
            self.bounds = [_larger_unsigned(builder, builder.bitcast(value, WORDS), *self.bounds)]
            return value
        value = clipped(builder, value, self._least, self._most)
        seen = value if kept is None else builder.select(kept, value, constant(VECTOR, 0.0))
        self.bounds = _wider(builder, self.bounds, seen)
        return value

    def close(self):
        """Write the extremes."""
        if self._how == RELU:
            # Nothing is below 0: the largest as unsigned are the largest numbers, or NaN of whatever sign.
            found = self._builder.bitcast(self.bounds[0], VECTOR)
            self.bounds = _wider(self._builder, read_bounds(self._builder, self._extremes), found)
        if self._how != SUMS:
            _write_bounds(self._builder, self.bounds, self._extremes)


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
        bounds = read_bounds(builder, extremes)
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
        bounds = counted_loop(builder, zero, whole, read_bounds(builder, extremes), copy)
        ahead = builder.mul(whole, ir.Constant(I64, VECTOR_BYTES))
        kept = _between(builder, zero, builder.and_(count, ir.Constant(I64, LANES - 1)))
        lanes = builder.select(kept, read(builder, builder.add(source, ahead), VECTOR), constant(VECTOR, 0.0))
        pointer = builder.inttoptr(builder.add(dest, ahead), VECTOR.as_pointer())
        call(builder, f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(), lanes, pointer, ir.Constant(I32, 4), kept)
        _write_bounds(builder, _wider(builder, bounds, lanes), extremes)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 4), generate


def read_bounds(builder, extremes):
    return [read(builder, moved(builder, extremes, VECTOR_BYTES * i), WORDS) for i in range(2)]


def _write_bounds(builder, bounds, extremes):
    for i, bound in enumerate(bounds):
        builder.store(bound, builder.inttoptr(moved(builder, extremes, VECTOR_BYTES * i), WORDS.as_pointer()), align=4)


def _wider(builder, bounds, vector, other=None):
    # Bounds that hold a vector of floats too, or other bounds.
    high, low = (builder.bitcast(value, WORDS) for value in (vector, vector if other is None else other))
    return [builder.select(builder.icmp_signed(">", high, bounds[0]), high, bounds[0]),
            _larger_unsigned(builder, low, bounds[1])]


def _larger_unsigned(builder, a, b):
    return builder.select(builder.icmp_unsigned(">", a, b), a, b)
