"""Words of memory that threads in compiled code share: read, written and exchanged in one piece, in order.

All take addresses (int64, multiples of 8) of int64 words. What a thread wrote before `put` or `exchange` is seen by
the one that reads what they wrote.
"""

import ctypes
import os
import platform
from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .simd import I32, I64, aligned

_ALIGN = 8
_SEMAPHORE_NBYTES = 128  # glibc's takes 32
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
def call_c(typing_context, address, argument):
    """Calls a C function int f(void *) at an address, and not where that is 0."""
    def generate(context, builder, signature, arguments):
        address, argument = arguments
        with builder.if_then(builder.icmp_signed("!=", address, ir.Constant(I64, 0))):
            builder.call(builder.inttoptr(address, ir.FunctionType(I32, [I64]).as_pointer()), [argument])
        return context.get_dummy_value()
    return types.void(types.int64, types.int64), generate


@lru_cache
def address_of(name: str) -> int:
    """Address of a function of the system's C library, of the Windows kernel there; 0 where there is none such."""
    try:
        library = ctypes.windll.kernel32 if os.name == "nt" else ctypes.CDLL(None)
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    except (AttributeError, OSError, TypeError):
        return 0


def new_semaphore() -> np.ndarray | None:
    """Memory of a POSIX semaphore, of count 0, at a multiple of 64 bytes; None where there are none (macOS, Windows)."""
    memory = aligned(_SEMAPHORE_NBYTES // 8, np.int64)
    memory[:] = 0
    try:
        if ctypes.CDLL(None).sem_init(ctypes.c_void_p(memory.ctypes.data), 0, 0) == 0:
            return memory
    except (AttributeError, OSError, TypeError):
        pass
    return None
