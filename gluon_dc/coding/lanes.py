"""The arithmetic of `mixer` on all inputs of a decision at once, in LLVM's vectors of LANES numbers.

LLVM turns them into whatever the machine has; numba turns such short loops into instructions for one number at a time.
Nothing here checks bounds: every caller proves them.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
_INT32, _INT64 = ir.IntType(32), ir.IntType(64)
_NARROW, _WIDE = ir.VectorType(_INT32, LANES), ir.VectorType(_INT64, LANES)


@intrinsic
def weighted_sum(typing_context, weights, row, places, inputs, chosen, at):
    """Sum over the lanes j of weights[row + places[j]] * inputs[j], int64; these weights go to chosen[at + j].

    weights, inputs, chosen int32 and places int64 are contiguous and indexed as if they had one dimension.
    """
    def generate(context, builder, signature, arguments):
        weights, row, places, inputs, chosen, at = _native(context, builder, signature, arguments)
        vector = ir.Constant(_NARROW, ir.Undefined)
        for j in range(LANES):
            weight = builder.load(_address(builder, weights, row, places, j))
            vector = builder.insert_element(vector, weight, ir.Constant(_INT32, j))
        builder.store(vector, _vector_at(builder, builder.gep(chosen, [at])), align=4)
        return _sum(builder, builder.mul(builder.sext(vector, _WIDE), builder.sext(_load(builder, inputs), _WIDE)))
    return types.int64(weights, row, places, inputs, chosen, at), generate


@intrinsic
def learn_lanes(typing_context, weights, row, places, inputs, chosen, at, error, limit):
    """weights[row + places[j]] = chosen[at + j] + ((inputs[j] * error + (1 << 23)) >> 24), clipped to -limit..limit.

    Arrays as in `weighted_sum`, places all distinct. Assumes that error and limit, int64, and what comes out of the
    shift and of the sum are within 2^31.
    """
    def generate(context, builder, signature, arguments):
        weights, row, places, inputs, chosen, at, error, limit = _native(context, builder, signature, arguments)
        error, limit = _all_lanes(builder, error), _all_lanes(builder, limit)
        products = builder.mul(builder.sext(_load(builder, inputs), _WIDE), builder.sext(error, _WIDE))
        rounded = builder.add(products, ir.Constant(_WIDE, [1 << 23] * LANES))
        steps = builder.trunc(builder.ashr(rounded, ir.Constant(_WIDE, [24] * LANES)), _NARROW)
        learned = builder.add(_load(builder, builder.gep(chosen, [at])), steps)
        learned = builder.select(builder.icmp_signed("<", learned, limit), learned, limit)
        least = builder.neg(limit)
        learned = builder.select(builder.icmp_signed(">", learned, least), learned, least)
        for j in range(LANES):
            weight = builder.extract_element(learned, ir.Constant(_INT32, j))
            builder.store(weight, _address(builder, weights, row, places, j))
        return context.get_dummy_value()
    return types.void(weights, row, places, inputs, chosen, at, error, limit), generate


def _native(context, builder, signature, arguments):
    # Arrays as the addresses of their first elements, integers as int64.
    return [context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array)
            else context.cast(builder, value, kind, types.int64) for kind, value in zip(signature.args, arguments)]


def _address(builder, weights, row, places, j):
    place = builder.load(builder.gep(places, [ir.Constant(_INT64, j)]))
    return builder.gep(weights, [builder.add(row, place)])


def _vector_at(builder, address):
    return builder.bitcast(address, _NARROW.as_pointer())


def _load(builder, address):
    return builder.load(_vector_at(builder, address), align=4)


def _all_lanes(builder, number):
    vector = ir.Constant(_NARROW, ir.Undefined)
    vector = builder.insert_element(vector, builder.trunc(number, _INT32), ir.Constant(_INT32, 0))
    return builder.shuffle_vector(vector, vector, ir.Constant(_NARROW, [0] * LANES))


def _sum(builder, vector):
    # Halves of the vector onto each other until one lane is left.
    half = LANES // 2
    while half:
        lower, upper = (builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(_INT32, half), list(lanes)))
                        for lanes in (range(half), range(half, 2 * half)))
        vector, half = builder.add(lower, upper), half // 2
    return builder.extract_element(vector, ir.Constant(_INT32, 0))
