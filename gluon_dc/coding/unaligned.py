"""Eight bytes of an array at any place, read or written by one machine instruction.

NumPy and numba offer this only byte by byte. Nothing here checks its bounds: every caller proves them.
"""

import sys

from numba import types
from numba.extending import intrinsic


@intrinsic
def load_big_endian(typing_context, array, index):
    """uint64 whose highest byte is array[index], for a contiguous uint8 array. Assumes 0 <= index <= size - 8."""
    def generate(context, builder, signature, arguments):
        pointer = _word_pointer(context, builder, signature, arguments)
        return _swapped(builder, builder.load(pointer, align=1), "little")
    return types.uint64(array, index), generate


@intrinsic
def store_big_endian(typing_context, array, index, word):
    """Write the uint64 `word` to array[index:index + 8], highest byte first. Assumes 0 <= index <= size - 8."""
    def generate(context, builder, signature, arguments):
        pointer = _word_pointer(context, builder, signature, arguments)
        builder.store(_swapped(builder, arguments[2], "little"), pointer, align=1)
    return types.void(array, index, types.uint64), generate


@intrinsic
def store_little_endian(typing_context, array, index, word):
    """Write the uint64 `word` to array[index:index + 8], lowest byte first. Assumes 0 <= index <= size - 8."""
    def generate(context, builder, signature, arguments):
        pointer = _word_pointer(context, builder, signature, arguments)
        builder.store(_swapped(builder, arguments[2], "big"), pointer, align=1)
    return types.void(array, index, types.uint64), generate


def _word_pointer(context, builder, signature, arguments):
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    word_pointer = context.get_value_type(types.uint64).as_pointer()
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), word_pointer)


def _swapped(builder, word, byte_order: str):
    # Bytes reversed on a machine of this order.
    return builder.bswap(word) if sys.byteorder == byte_order else word
