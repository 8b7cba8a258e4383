"""Arrays whose last byte is followed by a page that must not be touched; as a script, forms on such arrays (Linux)."""

import ctypes
import mmap
import sys
from itertools import product

import numpy as np

PAGE = mmap.PAGESIZE
LANES_NBYTES = 64


def guarded(shape, dtype=np.float32):
    """An array that ends where a page begins whose every access is a SIGSEGV; 64-byte aligned."""
    dtype = np.dtype(dtype)
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    whole = -(-nbytes // LANES_NBYTES) * LANES_NBYTES
    pages = max(1, -(-whole // PAGE))
    memory = mmap.mmap(-1, (pages + 1) * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + pages * PAGE
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), PAGE, 0) == 0
    begin = pages * PAGE - whole
    return np.frombuffer(memory, np.uint8)[begin:begin + nbytes].view(dtype).reshape(shape)


def flush(values):
    """A copy of an array of whole registers that ends at such a page."""
    array = guarded(values.shape, values.dtype)
    array[...] = values
    return array


def convolutions(rng):
    """(kernel (out, in / groups, kh, kw), shape of x, geometry): where last registers reach far beyond a plane."""
    from gluon_dc.runtime import Geometry
    yield (2, 1, 2, 2), (1, 1, 65, 32), Geometry((5, 1), (1, 2))
    yield (4, 1, 3, 3), (1, 4, 80, 80), Geometry((1, 1), (36, 36), (36, 36), 4)
    for _ in range(60):
        groups = int(rng.choice([1, 1, 2, 4]))
        inputs, outputs = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 20))
        dilate, stride = int(rng.integers(1, 8)), int(rng.integers(1, 4))
        kernel, pad = int(rng.integers(1, 4)), int(rng.integers(0, 4))
        least = dilate * (kernel - 1) + 1
        size = [least + int(rng.integers(0, 40)) for _ in range(2)]
        yield ((outputs, inputs // groups, kernel, kernel), (int(rng.integers(1, 3)), inputs, *size),
               Geometry((stride, stride), (pad, pad), (dilate, dilate), groups))
    for kernel, stride, size in product((3, 5), (1, 2), ((1, 1), (7, 7), (9, 40), (33, 64))):
        yield (4, 1, kernel, kernel), (2, 2, *size), Geometry((stride, stride), (kernel // 2, kernel // 2), groups=2)


def main():
    from gluon_dc.coding import CodedTensor
    from gluon_dc.runtime import CONV_FORMS, convolution, dense, depthwise, panels  # noqa: F401
    for module in list(sys.modules.values()):
        if module.__name__.startswith("gluon_dc.runtime.") and hasattr(module, "scratch"):
            module.scratch = lambda name, floats: guarded(floats)
    rng = np.random.default_rng(0)
    for kernel, shape, geometry in convolutions(rng):
        codebook = np.concatenate([[0], rng.standard_normal(7)]).astype(np.float32)
        coded = CodedTensor(codebook, (rng.integers(0, 8, kernel) * (rng.random(kernel) < 0.6)).astype(np.uint8))
        # Kernels may read what lies before an array, never what lies behind its last register; they write neither.
        x, bias = flush(rng.standard_normal(shape).astype(np.float32)), rng.standard_normal(kernel[0], np.float32)
        found = [CONV_FORMS[name].build(coded, geometry).apply(x, bias, most=2) for name in CONV_FORMS]
        assert np.allclose(*found, rtol=1e-4, atol=1e-4), (kernel, shape, geometry)
    print("touched nothing")


if __name__ == "__main__":
    main()
