"""Arguments of a compiled function taken apart once, for many calls.

numba's dispatcher turns each Python argument into machine words at every call: 0.1 microseconds for an array, 2 to 3
for a tuple of numbers and arrays. Here that is done once: `unboxed` writes the words to memory, and a thunk, a few
instructions of machine code for each list of types, loads them and calls the compiled function at its address.

Where that fails (numba's inside has changed) `unboxed` gives None and the dispatcher is
called as usual.
"""

import logging
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .simd import I32, I64

_LOG = logging.getLogger(__name__)
_OK = (0, -2)  # a status of compiled functions: done; done, and None is returned
_WORD = 8  # bytes
_thunks = {}


class Unboxed(NamedTuple):
    """thunk: address of machine code int32 (int64 address of words). words: int64; the arrays they point to must stay.

    The code gives 0, or 1 where the function has raised something.
    """

    thunk: int
    words: np.ndarray


def unboxed(function, arguments) -> Unboxed | None:
    """`function` (njit, returning None) with `arguments`; None where only the dispatcher can call it.

    Arguments: C-contiguous arrays, Python numbers and float32, and tuples of these. The function is compiled if it is
    not yet.
    """
    try:
        kinds = tuple(map(function.typeof_pyval, arguments))
        if kinds not in function.overloads:
            function.compile(kinds)
        compiled = function.overloads[kinds]
        address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        words = [word for kind, value in zip(kinds, arguments) for word in _words(kind, value)]
        return Unboxed(_thunk(compiled, len(words)), np.array([address, *words], np.int64))
    except (AssertionError, AttributeError, ImportError, LookupError, TypeError, ValueError, NotImplementedError,
            OverflowError) as error:
        _LOG.debug("%s is called through numba's dispatcher: %s", function, error)
        return None


def _words(kind, value):
    # In the order in which numba takes arguments apart.
    if isinstance(kind, types.Array):
        # Nobody counts references to it: the one who made the Unboxed holds it.
        yield from (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
    elif isinstance(kind, types.BaseTuple):
        for inner, part in zip(kind, value, strict=True):
            yield from _words(inner, part)
    elif isinstance(kind, (types.Integer, types.Boolean)):
        yield int(value)
    elif isinstance(kind, types.Float):
        bits = {32: np.int32, 64: np.int64}[kind.bitwidth]
        yield int(np.array(value, f"f{kind.bitwidth // 8}").view(bits))
    else:
        raise NotImplementedError(f"an argument of type {kind}")


def _thunk(compiled, count):
    """Address of the code that calls functions of this type, made once."""
    kind = compiled.target_context.call_conv.get_function_type(compiled.fndesc.restype, compiled.fndesc.argtypes)
    if len(kind.args) != 2 + count:  # behind the places for a result and an exception
        raise NotImplementedError(f"{len(kind.args) - 2} words are expected, {count} were made")
    from numba.core.compiler_lock import global_compiler_lock  # here: it is no name that numba promises to keep
    with global_compiler_lock:
        if str(kind) not in _thunks:
            _thunks[str(kind)] = _compiled_thunk(compiled, kind)
        return _thunks[str(kind)][0]


def _compiled_thunk(compiled, kind):
    library = compiled.target_context.codegen().create_library("gluon_dc.thunk")
    module, name = library.create_ir_module("gluon_dc.thunk"), f"gluon_dc_thunk_{len(_thunks)}"
    _emit(ir.Function(module, ir.FunctionType(I32, [I64]), name), kind)
    library.add_ir_module(module)
    library.finalize()
    return library.get_pointer_to_function(name), library  # the code lives as long as its library


def _emit(thunk, kind):
    builder = ir.IRBuilder(thunk.append_basic_block())
    place = lambda number: builder.inttoptr(  # noqa: E731
        builder.add(thunk.args[0], ir.Constant(I64, _WORD * number)), I64.as_pointer())
    results = [builder.alloca(wanted.pointee) for wanted in kind.args[:2]]
    words = [_converted(builder, builder.load(place(number)), wanted)
             for number, wanted in enumerate(kind.args[2:], start=1)]
    status = builder.call(builder.inttoptr(builder.load(place(0)), kind.as_pointer()), [*results, *words])
    done = [builder.icmp_signed("==", status, ir.Constant(I32, code)) for code in _OK]
    builder.ret(builder.select(builder.or_(*done), ir.Constant(I32, 0), ir.Constant(I32, 1)))


def _converted(builder, word, wanted):
    if isinstance(wanted, ir.PointerType):
        return builder.inttoptr(word, wanted)
    if isinstance(wanted, ir.FloatType):
        return builder.bitcast(builder.trunc(word, I32), wanted)
    if isinstance(wanted, ir.DoubleType):
        return builder.bitcast(word, wanted)
    if isinstance(wanted, ir.IntType):
        return word if wanted.width == I64.width else builder.trunc(word, wanted)
    raise NotImplementedError(f"an argument of LLVM type {wanted}")


@intrinsic
def call_at(typing_context, entry):
    """Calls a thunk: its status. entry: address of two int64: of the thunk, and of the words it takes."""
    def generate(context, builder, signature, arguments):
        entry, = arguments
        read = lambda place: builder.load(builder.inttoptr(place, I64.as_pointer()))  # noqa: E731
        thunk = builder.inttoptr(read(entry), ir.FunctionType(I32, [I64]).as_pointer())
        return builder.call(thunk, [read(builder.add(entry, ir.Constant(I64, _WORD)))])
    return types.int32(types.int64), generate
