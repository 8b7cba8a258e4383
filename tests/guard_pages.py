"""Arrays whose last byte is followed by a page that must not be touched; as a script, forms on such arrays (Linux)."""

import ctypes
import dataclasses
import mmap
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


def buffers():
    """A `Scratch` whose buffers are just as long as asked for, and hold NaN."""
    kept = {}

    def buffer(name, floats, share=0):
        array = kept.setdefault((name, share), guarded(0))
        if array.size < floats:
            array = kept[name, share] = guarded(floats)
            array[...] = np.nan
        return array
    return buffer


def behind_guards(form):
    """The same form, all its arrays before such pages."""
    changes = {}
    for field in dataclasses.fields(form):
        value = getattr(form, field.name)
        if isinstance(value, np.ndarray):
            changes[field.name] = flush(value)
        elif field.name == "weights":
            changes[field.name] = behind_guards(value)
    return dataclasses.replace(form, **changes)


def outputs(coded, geometry, x, bias, threads):
    """By form, what comes for a ReLU that ends at 2."""
    from gluon_dc.runtime import CONV_FORMS
    from gluon_dc.runtime.tasks import Program, run_stages
    shape = (x.shape[0], coded.shape[0], *geometry.output_size(x.shape[2:], coded.shape[2:]))
    for name in CONV_FORMS:
        for run in (run_stages, lambda stages: Program(stages)()):
            out = guarded(shape)
            out[...] = np.nan
            form = behind_guards(CONV_FORMS[name].build(coded, geometry))
            scale = flush(np.ones(coded.shape[0], np.float32)) if name == "direct" else None
            run(form.stages(x, bias, True, out, threads, buffers(), scale, 2.0))
            yield out


def check_pooling(x):
    """Maxima of 3x3, in strips and over whole rows."""
    from gluon_dc.runtime import kernels, max_pooling
    n, channels, height, width = x.shape
    for step, pad in product((1, 2), (0, 1)):
        if min(height, width) + 2 * pad < 3:
            continue
        out = guarded((n, channels, *((size + 2 * pad - 3) // step + 1 for size in (height, width))))
        out[...] = np.nan
        expected = np.empty_like(out).reshape(-1, *out.shape[2:])
        kernels.max_pool(x.reshape(-1, height, width), 3, 3, step, step, pad, pad, expected, 0, len(expected))
        if max_pooling.pools_in_strips((3, 3), (step, step)):
            max_pooling.max_pool_strips(x, step, (pad, pad), out, 0, n * channels)
            assert np.array_equal(out, expected.reshape(out.shape)), (x.shape, step, pad)


def main():
    from gluon_dc.coding import CodedTensor
    rng = np.random.default_rng(0)
    for number, (kernel, shape, geometry) in enumerate(convolutions(rng)):
        codebook = np.concatenate([[0], rng.standard_normal(7)]).astype(np.float32)
        coded = CodedTensor(codebook, (rng.integers(0, 8, kernel) * (rng.random(kernel) < 0.6)).astype(np.uint8))
        # Kernels may read what lies before an array, never what lies behind its last register; they write neither.
        x, bias = flush(rng.standard_normal(shape).astype(np.float32)), flush(rng.standard_normal(kernel[0], np.float32))
        first, *others = outputs(coded, geometry, x, bias, 1 + number % 3)
        assert all(np.allclose(first, other, rtol=1e-4, atol=1e-4) for other in others), (kernel, shape, geometry)
        assert first.max() <= 2 and first.min() >= 0
        check_pooling(x)
    print("touched nothing")


if __name__ == "__main__":
    main()
