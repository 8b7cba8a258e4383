"""LLVM vector instructions for numba kernels, and which of them this machine has.

numba has no vector types of its own. An `@intrinsic` may emit any LLVM code, so a kernel's inner loop is written here
as LLVM code of <16 x float> vectors, with the pieces below, and called from an ordinary `@njit` function: C's speed
and no compiler on the user's machine. Whoever calls such an intrinsic has proved the bounds: nothing here checks them.
"""

import os
import platform

import numpy as np
from llvmlite import binding, ir
from numba.core import config

LANES = 16  # float32 values in a 512-bit register
ALIGNMENT = 64  # bytes: a register, and a cache line

F32, I16, I32, I64 = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(F32, LANES)
WORDS = ir.VectorType(I32, LANES)
MASK = ir.VectorType(ir.IntType(1), LANES)

_NEEDED = ("avx512f", "avx512bw", "avx512dq", "avx512vl")


def _find_avx512() -> bool:
    # numba compiles for another processor where these variables say so, and LLVM ends the whole process at an
    # instruction that the target lacks.
    if os.environ.get("GLUON_DC_NO_AVX512", "0") not in ("", "0"):
        return False
    if platform.machine().lower() not in ("x86_64", "amd64") or config.CPU_NAME not in (None, "", "host"):
        return False
    if config.CPU_FEATURES:
        found = {name[1:]: name[0] == "+" for name in config.CPU_FEATURES.split(",") if name}
    else:
        found = dict(binding.get_host_cpu_features())
    return all(found.get(name, False) for name in _NEEDED)


# Whether kernels may use 512-bit registers; GLUON_DC_NO_AVX512=1 says no (for tests, and as a way out).
HAS_AVX512 = _find_avx512()


def aligned(shape, dtype=np.float32) -> np.ndarray:
    """An uninitialised C-contiguous array whose first element lies at a multiple of 64 bytes."""
    dtype = np.dtype(dtype)
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start:start + nbytes].view(dtype).reshape(shape)


# ---- pieces of LLVM code: each takes an llvmlite IRBuilder and values

def data_pointer(context, builder, array_type, array):
    """Pointer to the first element of a numba array argument."""
    return context.make_array(array_type)(context, builder, array).data


def constant(vector_type, number) -> ir.Constant:
    """A vector whose elements are all `number`."""
    return ir.Constant(vector_type, [number] * vector_type.count)


def load(builder, pointer, index, value_type, align: int):
    """The value of `value_type` (a vector, say) that begins at pointer[index], a multiple of `align` bytes."""
    place = builder.gep(pointer, [index])
    return builder.load(builder.bitcast(place, value_type.as_pointer()), align=align, typ=value_type)


def store(builder, value, pointer, index, align: int) -> None:
    """Write `value` from pointer[index] on, a multiple of `align` bytes."""
    place = builder.gep(pointer, [index])
    builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=align)


def call(builder, name: str, result_type, *arguments):
    """Call the LLVM intrinsic `name`."""
    kind = ir.FunctionType(result_type, [argument.type for argument in arguments])
    return builder.call(builder.module.declare_intrinsic(name, (), kind), arguments)


def fma(builder, a, b, c):
    """a * b + c, rounded once, of vectors of LANES floats."""
    return call(builder, f"llvm.fma.v{LANES}f32", VECTOR, a, b, c)


def permute(builder, low, high, indices):
    """32-entry table look-up: element i is (low ++ high)[indices[i] mod 32]. Needs HAS_AVX512."""
    return call(builder, "llvm.x86.avx512.vpermi2var.ps.512", VECTOR, low, indices, high)


def look_up(builder, table, indices, masks):
    """Table look-up in 32 << len(masks) entries, `table` in vectors of 16: element i's entry has the number
    indices[i] mod 32, and 32 << b more where masks[b][i]. Needs HAS_AVX512."""
    found = [permute(builder, table[part], table[part + 1], indices) for part in range(0, len(table), 2)]
    for mask in masks:
        found = [builder.select(mask, found[part + 1], found[part]) for part in range(0, len(found), 2)]
    return found[0]


def prefetch(builder, pointer, index, again=False) -> None:
    """Ask for the cache line of pointer[index], to be read; any address will do.

    again: it stays in the caches. Otherwise a Zen 5 core drops it after use: the next calls wait for memory too.
    """
    byte = builder.bitcast(builder.gep(pointer, [index]), ir.IntType(8).as_pointer())
    numbers = [ir.Constant(I32, number) for number in (0, 3 if again else 0, 1)]  # to read; kept how long; data
    call(builder, "llvm.prefetch.p0", ir.VoidType(), byte, *numbers)


def counted_loop(builder, begin, end, carried, body) -> list:
    """for index in range(begin, end): carried = body(index, carried); the last `carried`. begin, end: i64 values.

    carried: list of values that live in registers from one round to the next. body returns their next values.
    """
    before = builder.block
    test = builder.append_basic_block("loop.test")
    inside = builder.append_basic_block("loop.body")
    after = builder.append_basic_block("loop.end")
    builder.branch(test)
    builder.position_at_end(test)
    index = builder.phi(I64)
    index.add_incoming(begin, before)
    phis = [builder.phi(value.type) for value in carried]
    for phi, value in zip(phis, carried):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", index, end), inside, after)
    builder.position_at_end(inside)
    following = body(index, phis)
    for phi, value in zip(phis, following):
        phi.add_incoming(value, builder.block)
    index.add_incoming(builder.add(index, ir.Constant(I64, 1)), builder.block)
    builder.branch(test)
    builder.position_at_end(after)
    return phis


def loop_by_fours(builder, begin, end, numbers, carried, body) -> list:
    """As counted_loop of body(index, place, number, carried), number: numbers[index], 16 bits without sign, as i64.

    Four steps a round, whose numbers come by one load: loads of one each compete with the loads that wait for them.
    place: 0 to 3 in a round, 0 for the steps left over.
    """
    count = lambda value: ir.Constant(I64, value)

    def four(index, carried):
        first = builder.add(begin, builder.mul(index, count(4)))
        loaded = load(builder, numbers, first, I64, 2)
        for place in range(4):
            number = builder.and_(builder.lshr(loaded, count(16 * place)), count(0xFFFF))
            carried = body(builder.add(first, count(place)), place, number, carried)
        return carried

    def one(index, carried):
        return body(index, 0, builder.zext(load(builder, numbers, index, I16, 2), I64), carried)

    rounds = builder.sdiv(builder.sub(end, begin), count(4))
    carried = counted_loop(builder, count(0), rounds, carried, four)
    return counted_loop(builder, builder.add(begin, builder.mul(rounds, count(4))), end, carried, one)


def splat(builder, number, vector_type):
    """A vector whose elements are all the value `number`."""
    undefined = ir.Constant(vector_type, ir.Undefined)
    single = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(single, undefined, constant(ir.VectorType(I32, vector_type.count), 0))


def gather(builder, pointer, indices):
    """The floats pointer[indices[i]], for int32 indices. Needs HAS_AVX512."""
    byte = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    every = constant(MASK, 1)
    return call(builder, "llvm.x86.avx512.mask.gather.dps.512", VECTOR, constant(VECTOR, 0.0), byte, indices, every,
                ir.Constant(I32, 4))
