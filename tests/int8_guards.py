"""As a script: int8 convolutions whose arrays and buffers end at pages that must not be touched (Linux)."""

import numpy as np
from guard_pages import buffers, convolutions, flush, guarded
from int8_reference import int8_convolution

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime.int8_conv import Int8Conv
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
    print("touched nothing")


if __name__ == "__main__":
    main()
