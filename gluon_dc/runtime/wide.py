"""The wide form: the window form for codebooks of 33 to 256 entries. For batch 1.

Two slots of 16 bits in a lane's word, windows of 128 columns: 2.1 to 2.7 bytes for a kept weight, empty slots included.
"""

from dataclasses import dataclass

import numpy as np

from ..coding.threads import in_threads
from . import simd, wide_kernel
from .forms import MatrixForm, matrix_output, run_once
from .kept import kept_weights, slice_order
from .slices import bias_or_none, codebook_table, slice_parts, slice_stages
from .wide_kernel import MAX_COLS
from .window_layout import MAX_CODEBOOK as NARROW
from .window_layout import coarse_bits

_STEP_NS = (3.1, 3.7, 7.5)  # by extra - 1, on a Zen 5 core
_PLAIN_STEP_NS = 30.0


@dataclass(frozen=True, eq=False)
class WideMatrix(MatrixForm):
    """See MatrixForm. words uint32 (steps, 16), starts uint16 (steps,), bounds int64 (slices + 1,) of steps, order
    int32 (rows,), codebook float32 (256,), of which 32 << extra are used; windows begin at multiples of 2^coarse."""

    rows: int
    cols: int
    extra: int
    coarse: int
    words: np.ndarray
    starts: np.ndarray
    bounds: np.ndarray
    order: np.ndarray
    codebook: np.ndarray

    name = "wide"

    @classmethod
    def build(cls, coded) -> "WideMatrix":
        kept = kept_weights(coded)
        rows, cols = kept.shape
        if cols > MAX_COLS:
            raise ValueError(f"the wide form serves matrices of up to {MAX_COLS:,} columns, got shape {kept.shape}")
        order = slice_order(kept.counts)
        coarse = coarse_bits(cols)
        counts = np.zeros(-(-rows // simd.LANES), np.int64)
        in_threads(lambda part: wide_kernel.count_steps(kept.columns, kept.bounds, order, coarse, counts, *part),
                   slice_parts(counts.size))
        bounds = np.concatenate([[0], np.cumsum(counts)])
        words, starts = simd.aligned((bounds[-1], simd.LANES), np.uint32), simd.aligned(bounds[-1], np.uint16)
        in_threads(lambda part: wide_kernel.fill_steps(kept.columns, kept.codes, kept.bounds, order, coarse, bounds,
                                                       words, starts, *part), slice_parts(counts.size))
        return cls(rows, cols, max(1, coded.code_bits - 5), coarse, words, starts, bounds, order,
                   codebook_table(coded, 256))

    @staticmethod
    def fits(coded, batch: int) -> bool:
        """Codebooks of up to 32 entries could be served too, but the window form does it in fewer bytes."""
        return coded.codebook.size > NARROW and len(coded.shape) == 2 and coded.shape[1] <= MAX_COLS

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in (self.words, self.starts, self.bounds, self.order, self.codebook))

    def apply(self, x, bias=None, relu=False, out=None, threads=1):
        return run_once(self, x, bias, relu, matrix_output(x, bias, out, self.rows, self.cols), threads)

    def stages(self, x, bias, relu, out, threads, scratch):
        kernel, step_ns = wide_kernel.run_vectors, _STEP_NS[self.extra - 1]
        if not simd.HAS_AVX512:
            kernel, step_ns = wide_kernel.run_plain, _PLAIN_STEP_NS
        arguments = (self.words, self.starts, self.bounds, self.order, self.codebook, self.coarse, self.extra, x,
                     bias_or_none(bias), relu, out)
        return slice_stages(kernel, arguments, self.bounds, len(x) * step_ns, threads)
