"""LLVM code of maxima over windows of sums that wait in a cache: one row of them at a time.

Addresses are int64, nothing is checked: callers have proved the bounds.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .int8_code import ANY, Finish
from .simd import I32, I64, LANES, VECTOR, WORDS, call, constant, counted_loop
from .tile_code import VECTOR_BYTES, moved, read, splat, write
from .tile_copies import _between


@intrinsic(prefer_literal=True)
def pool_row(typing_context, kernel, rows, width, left, count, factor, bias, clip, dest, extremes):
    """dest[i] = clip(m * factor + bias), m the largest of columns 2 * i - left + j, j < kernel, of all rows, of those
    inside of 0..width; i < count; and `word_extremes` of them.

    kernel: literal 2 or 3; rows: so many addresses of int32; left: 0 or 1; count: at least 1; factor, bias: float32;
    clip: (low, high). Each window has a column inside; of those outside one to the left and 64 to the right are read.
    """
    if not isinstance(kernel, types.IntegerLiteral):
        return None
    k = kernel.literal_value

    def generate(context, builder, signature, arguments):
        rows, width, left, count, factor, bias, clip, dest, extremes = arguments[1:]
        columns = _Columns(builder, k, rows, left)
        zero, one, finish = ir.Constant(I64, 0), ir.Constant(I64, 1), Finish(builder, ANY, clip, extremes)
        factor, bias = splat(builder, factor), splat(builder, bias)

        def step(index, carried):
            found, following = columns.taps(index, carried[:2])
            finish.bounds = carried[2:]
            value = finish(_largest(builder, found), factor, bias)
            write(builder, value, builder.add(dest, builder.mul(index, ir.Constant(I64, VECTOR_BYTES))))
            return [*following, *finish.bounds]
        wholes = builder.ashr(builder.sub(count, one), ir.Constant(I64, 4))
        carried = counted_loop(builder, zero, wholes, [*columns.first(), *finish.bounds], step)
        begun, finish.bounds = builder.shl(wholes, ir.Constant(I64, 4)), carried[2:]
        inside = builder.sub(builder.add(width, left), builder.shl(begun, one))
        found = columns.inside(columns.taps(wholes, carried[:2])[0], inside)
        kept = _between(builder, zero, builder.sub(count, begun))
        value = finish(_largest(builder, found), factor, bias, kept)
        pointer = builder.inttoptr(builder.add(dest, builder.shl(begun, ir.Constant(I64, 2))), VECTOR.as_pointer())
        call(builder, f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(), value, pointer, ir.Constant(I32, 4), kept)
        finish.close()
        return context.get_dummy_value()
    return types.void(kernel, types.UniTuple(types.int64, k), *[types.int64] * 3, types.float32, types.float32,
                      types.UniTuple(types.float32, 2), types.int64, types.int64), generate


class _Columns:
    # The columns of 16 windows at a time, the largest of all rows in each.
    def __init__(self, builder, kernel, rows, left):
        self._builder, self._kernel, self._left = builder, kernel, left
        ahead = builder.shl(left, ir.Constant(I64, 2))
        self._places = [builder.sub(builder.extract_value(rows, i), ahead) for i in range(kernel)]

    def _pairs(self, index):
        # The first and the second column of each window.
        builder, halves = self._builder, []
        ahead = builder.mul(index, ir.Constant(I64, 2 * VECTOR_BYTES))
        for nbytes in (0, VECTOR_BYTES):
            halves.append(_largest(builder, [read(builder, moved(builder, builder.add(place, ahead), nbytes), WORDS)
                                             for place in self._places]))
        picks = [ir.Constant(WORDS, list(range(first, 2 * LANES, 2))) for first in range(2)]
        return [builder.shuffle_vector(*halves, pick) for pick in picks]

    def first(self):
        """Those of the first windows, whose first column may be none."""
        first, second = self._pairs(ir.Constant(I64, 0))
        is_none = _between(self._builder, ir.Constant(I64, 0), self._left)
        return [self._builder.select(is_none, _LOWEST, first), second]

    def taps(self, index, pairs):
        """(all columns of windows whose first two are given, the first two of the next)."""
        following = self._pairs(self._builder.add(index, ir.Constant(I64, 1)))
        if self._kernel == 2:
            return pairs, following
        shifted = ir.Constant(WORDS, list(range(1, LANES + 1)))
        return [*pairs, self._builder.shuffle_vector(pairs[0], following[0], shifted)], following

    def inside(self, taps, columns):
        """The taps, where the last windows have no more than so many columns from the first one's first."""
        builder, zero, found = self._builder, ir.Constant(I64, 0), taps[:1]
        for j, tap in enumerate(taps[1:], 1):
            many = builder.ashr(builder.sub(columns, ir.Constant(I64, j - 1)), ir.Constant(I64, 1))
            found.append(builder.select(_between(builder, zero, many), tap, _LOWEST))
        return found


_LOWEST = constant(WORDS, -2**31)


def _largest(builder, vectors):
    most = vectors[0]
    for vector in vectors[1:]:
        most = builder.select(builder.icmp_signed(">", most, vector), most, vector)
    return most
