"""LLVM code of a depthwise convolution and of a maximum over windows, strip by strip (see strips)."""

from numba import types
from numba.extending import intrinsic

from .simd import F32, VECTOR, constant
from .strips import Strip, walk
from .tile_code import clipped, moved, multiply_add, read, splat

LOWEST = -3.4028234663852886e38  # float32: the maximum of no pixels
_MOST_KEPT = 9  # weights


@intrinsic(prefer_literal=True)
def multiply_strip(typing_context, kernel, stride, masked, place, weights, bias, least, most):
    """dest[y][c] = clip(bias + sum of weights[kx][ky] * source[y * stride + ky + top][c * stride + kx + left]).

    kernel, stride, masked: literal ints; place: (source, height, width, top, left, missing, dest, rows, output_width,
    lanes), int64, as in `strips.Strip`; weights: address of kernel * kernel floats, bias: of one. `missing` are zeros.
    NaN stays NaN.
    """
    if not all(isinstance(literal, types.IntegerLiteral) for literal in (kernel, stride, masked)):
        return None
    k, s, is_masked = (literal.literal_value for literal in (kernel, stride, masked))

    def generate(context, builder, signature, arguments):
        place, weights, bias, least, most = arguments[3:]
        def tap(kx, ky):
            return splat(builder, read(builder, moved(builder, weights, 4 * (kx * k + ky)), F32))
        # Few weights stay in registers; more are read again for each row, which the multiplication does by itself.
        kept = {(kx, ky): tap(kx, ky) for kx in range(k) for ky in range(k)} if k * k <= _MOST_KEPT else {}

        def add(pixels, ky, row):
            for kx, vector in enumerate(pixels):
                row = multiply_add(builder, kept.get((kx, ky)) or tap(kx, ky), vector, row)
            return row
        # Asking ahead pays where a plane is soon done, and costs where loads are many.
        walk(builder, _strip(builder, k, s, is_masked, place), splat(builder, read(builder, bias, F32)), 0.0,
             lambda pixels: pixels, add, lambda row: clipped(builder, row, least, most), ahead=(k, s) == (3, 1))
        return context.get_dummy_value()
    return types.void(kernel, stride, masked, _PLACE, types.int64, types.int64, types.float32, types.float32), generate


@intrinsic(prefer_literal=True)
def maximum_strip(typing_context, kernel, stride, masked, place):
    """dest[y][c] = the maximum of a window of the source; else as `multiply_strip`.

    `missing` are LOWEST, the least that comes out; NaN is passed over.
    """
    if not all(isinstance(literal, types.IntegerLiteral) for literal in (kernel, stride, masked)):
        return None
    k, s, is_masked = (literal.literal_value for literal in (kernel, stride, masked))

    def generate(context, builder, signature, arguments):
        def larger(vector, most):
            # One instruction; `most` where vector is NaN.
            return builder.select(builder.fcmp_ordered(">", vector, most), vector, most)

        def along(pixels):
            most = constant(VECTOR, LOWEST)
            for vector in pixels:
                most = larger(vector, most)
            return most
        walk(builder, _strip(builder, k, s, is_masked, arguments[3]), constant(VECTOR, LOWEST), LOWEST, along,
             lambda most, ky, row: larger(most, row), lambda row: row)
        return context.get_dummy_value()
    return types.void(kernel, stride, masked, _PLACE), generate


_PLACE = types.UniTuple(types.int64, 10)


def _strip(builder, kernel, stride, masked, place):
    return Strip(kernel, stride, masked, *(builder.extract_value(place, i) for i in range(len(_PLACE))))
