"""The window form: 16 rows as lanes, x and the codebook looked up by permutations of registers. For batch 1.

Rows in order of their counts, 16 to a slice. A step has a window of 48 columns and up to three kept weights of each row
in it, 10 bits each (window_layout.py): 1.6 bytes for a kept weight at a density of 25 %, 2.1 at 9 %, 3.1 at 4 %, 8 at
1 %, empty slots included.
"""

from dataclasses import dataclass

import numpy as np

from ..coding.threads import in_threads
from . import simd, window_kernel, window_plain
from .forms import MatrixForm, matrix_output, run_once
from .kept import kept_weights, slice_order
from .slices import bias_or_none, codebook_table, slice_parts, slice_stages
from .window_layout import MAX_CODEBOOK, MAX_COLS, coarse_bits, section_columns, section_count
from .window_pack import count_steps, fill_steps

_STEP_NS = 1.8  # of a Zen 5 core: between weights in cache, 1.3, and in memory, 2.5
_PLAIN_STEP_NS = 40.0


@dataclass(frozen=True, eq=False)
class WindowMatrix(MatrixForm):
    """See MatrixForm. words uint32 (steps, 16), starts uint16 (steps,), bounds int64 (sections * slices + 1,) of steps,
    order int32 (rows,), codebook float32 (32,); windows begin at multiples of 2^coarse, sections have `section`
    columns."""

    rows: int
    cols: int
    coarse: int
    section: int
    words: np.ndarray
    starts: np.ndarray
    bounds: np.ndarray
    order: np.ndarray
    codebook: np.ndarray

    name = "window"

    @classmethod
    def build(cls, coded) -> "WindowMatrix":
        """See MatrixForm; codebooks of up to 32 entries."""
        if coded.codebook.size > MAX_CODEBOOK:
            raise ValueError(f"the window form serves codebooks of up to {MAX_CODEBOOK} entries, got "
                             f"{coded.codebook.size}")
        kept = kept_weights(coded)
        rows, cols = kept.shape
        if cols > MAX_COLS:
            raise ValueError(f"the window form serves matrices of up to {MAX_COLS:,} columns, got shape {kept.shape}")
        order, coarse, section = slice_order(kept.counts), coarse_bits(cols), section_columns(cols)
        slices = -(-rows // simd.LANES)
        counts, taken = np.zeros(section_count(cols, section) * slices, np.int64), np.zeros(kept.columns.size, np.bool_)
        in_threads(lambda part: count_steps(kept.columns, kept.bounds, order, coarse, section, taken, counts, *part),
                   slice_parts(slices))
        bounds = np.concatenate([[0], np.cumsum(counts)])
        words, starts = simd.aligned((bounds[-1], simd.LANES), np.uint32), simd.aligned(bounds[-1], np.uint16)
        taken[:] = False
        in_threads(lambda part: fill_steps(kept.columns, kept.codes, kept.bounds, order, coarse, section, taken, bounds,
                                           words, starts, *part), slice_parts(slices))
        return cls(rows, cols, coarse, section, words, starts, bounds, order, codebook_table(coded, MAX_CODEBOOK))

    @staticmethod
    def fits(coded, batch: int) -> bool:
        return coded.codebook.size <= MAX_CODEBOOK and len(coded.shape) == 2 and coded.shape[1] <= MAX_COLS

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in (self.words, self.starts, self.bounds, self.order, self.codebook))

    def apply(self, x, bias=None, relu=False, out=None, threads=1):
        return run_once(self, x, bias, relu, matrix_output(x, bias, out, self.rows, self.cols), threads)

    def stages(self, x, bias, relu, out, threads, scratch):
        kernel, step_ns = window_kernel.run_vectors, _STEP_NS
        if not simd.HAS_AVX512:
            kernel, step_ns = window_plain.run_plain, _PLAIN_STEP_NS
        arguments = (self.words, self.starts, self.bounds, self.order, self.codebook, self.coarse, x,
                     bias_or_none(bias), relu, out)
        steps = np.diff(self.bounds).reshape(section_count(self.cols, self.section), -(-self.rows // simd.LANES))
        work = np.concatenate([[0], np.cumsum(steps.sum(axis=0))])  # slice by slice, all sections together
        return slice_stages(kernel, arguments, work, len(x) * step_ns, threads)
