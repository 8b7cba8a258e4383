"""Words of memory that threads in compiled code share: read, written and exchanged in one piece, in order.

All take addresses (int64, multiples of 8) of int64 words. What a thread wrote before `put` or `exchange` is seen by
the one that reads what they wrote.
"""

import ctypes
import os
import platform

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .simd import I32, I64

_ALIGN = 8
_PAUSES = {"x86_64": ("llvm.x86.sse2.pause", ()), "amd64": ("llvm.x86.sse2.pause", ()),
           "aarch64": ("llvm.aarch64.hint", (1,)), "arm64": ("llvm.aarch64.hint", (1,))}
_PAUSE = _PAUSES.get(platform.machine().lower())


def _pointer(builder, address):
    return builder.inttoptr(address, I64.as_pointer())


@intrinsic
def get(typing_context, address):
    """The word."""
    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_pointer(builder, arguments[0]), "acquire", _ALIGN)
    return types.int64(types.int64), generate


@intrinsic
def put(typing_context, address, word):
    """Write the word."""
    def generate(context, builder, signature, arguments):
        address, word = arguments
        builder.store_atomic(word, _pointer(builder, address), "release", _ALIGN)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64), generate


@intrinsic
def add(typing_context, address, amount):
    """Add to the word: what it was."""
    def generate(context, builder, signature, arguments):
        address, amount = arguments
        return builder.atomic_rmw("add", _pointer(builder, address), amount, "acq_rel")
    return types.int64(types.int64, types.int64), generate


@intrinsic
def exchange(typing_context, address, expected, word):
    """Write the word where `expected` stands: whether it did."""
    def generate(context, builder, signature, arguments):
        address, expected, word = arguments
        pair = builder.cmpxchg(_pointer(builder, address), expected, word, "acq_rel", "acquire")
        return builder.extract_value(pair, 1)
    return types.boolean(types.int64, types.int64, types.int64), generate


@intrinsic
def pause(typing_context):
    """Some tens of cycles of nothing, that leave the core to its other thread."""
    def generate(context, builder, signature, arguments):
        if _PAUSE is not None:
            name, numbers = _PAUSE
            kind = ir.FunctionType(ir.VoidType(), [I32] * len(numbers))
            builder.call(builder.module.declare_intrinsic(name, (), kind), [ir.Constant(I32, n) for n in numbers])
        return context.get_dummy_value()
    return types.void(), generate


@intrinsic
def call_plain(typing_context, address):
    """Calls a C function int f(void) at an address, and not where that is 0."""
    def generate(context, builder, signature, arguments):
        address, = arguments
        with builder.if_then(builder.icmp_signed("!=", address, ir.Constant(I64, 0))):
            builder.call(builder.inttoptr(address, ir.FunctionType(I32, []).as_pointer()), [])
        return context.get_dummy_value()
    return types.void(types.int64), generate


def yield_address() -> int:
    """Address of the C function that lets another thread have the core; 0 where none is found."""
    try:
        function = ctypes.windll.kernel32.SwitchToThread if os.name == "nt" else ctypes.CDLL(None).sched_yield
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    except (AttributeError, OSError, TypeError):
        return 0
