"""As a script: int8 convolutions whose arrays and buffers end at pages that must not be touched (Linux)."""

import numpy as np
from guard_pages import buffers, convolutions, flush, guarded
from int8_reference import int8_convolution, maxima

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime.int8_conv import Int8Conv
from gluon_dc.runtime.int8_plan import Window
from gluon_dc.runtime.tasks import run_stages


def main():
    """Run them all."""
    rng = np.random.default_rng(0)
    for kernel, shape, geometry in convolutions(rng):
        codebook = np.concatenate([[0], rng.standard_normal(7)]).astype(np.float32)
        coded = CodedTensor(codebook, (rng.integers(0, 8, kernel) * (rng.random(kernel) < 0.6)).astype(np.uint8))
        x = flush(rng.standard_normal(shape).astype(np.float32))
        built = Int8Conv.build(coded, geometry)
        form = Int8Conv(*map(flush, (built.filters, built.scales, built.sums)), built.shape, geometry)
        expected = int8_convolution(x, coded.decode(), geometry)
        out = guarded(expected.shape)
        for threads in (1, 2):
            run_stages(form.stages(x, None, False, out, threads, buffers()))
            assert np.array_equal(out, expected), (kernel, shape, geometry)
        pooled(form, x, expected)
    print("touched nothing")


def pooled(form, x, expected):
    """The same with maxima over all windows of a kind, for planes of more than one pixel."""
    for kernel, pad in ((2, 0), (3, 1), (3, 0)):
        size = [-(-(pixels + 2 * pad - kernel) // 2) + 1 for pixels in expected.shape[2:]]
        if min(expected.shape[2:]) < kernel or any(2 * (many - 1) - pad >= pixels
                                                   for many, pixels in zip(size, expected.shape[2:])):
            continue
        out = guarded((*expected.shape[:2], *size))
        run_stages(form.stages_between(x, None, (-np.inf, np.inf), out, 1, buffers(), None,
                                       Window(kernel, pad, pad, *size))[0])
        assert np.array_equal(out, maxima(expected, kernel, pad, size)), (form.shape, form.geometry, kernel, pad)


if __name__ == "__main__":
    main()
