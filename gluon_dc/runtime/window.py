"""The window form: 16 rows as lanes, x and the codebook looked up by permutations of registers. For batch 1.

Rows in order of their counts, 16 to a slice. A step has a window of 32, 64 or 128 columns and up to three kept weights
of each row in it, 10 to 12 bits each (window_layout.py): 1.4 to 2.1 bytes for a kept weight, empty slots included.
"""

from dataclasses import dataclass

import numpy as np

from ..coding.threads import in_threads
from . import simd, window_kernel, window_pack, window_plain
from .forms import MatrixForm, matrix_output, run_once
from .kept import kept_weights, slice_order
from .slices import bias_or_none, codebook_table, slice_parts, slice_stages, spread
from .window_layout import (HIGH_BITS, MAX_CODEBOOK, MAX_COLS, SLOTS, coarse_bits, is_wide_enough,
                            side_width)

# Time of a step by high_bits, in nanoseconds on a Zen 5 core: the mean of weights in cache and in memory.
_STEP_NS = (1.9, 2.4, 3.6)
_PLAIN_STEP_NS = 40.0
_SAMPLED_SLICES = 8


@dataclass(frozen=True, eq=False)
class WindowMatrix(MatrixForm):
    """See MatrixForm. words uint32 (steps, 16), sides uint16 (steps, 1, 2 or 5), bounds int64 (slices + 1,) of steps,
    order int32 (rows,), codebook float32 (32,); windows of 32 << high_bits columns from multiples of 2^coarse."""

    rows: int
    cols: int
    high_bits: int
    coarse: int
    words: np.ndarray
    sides: np.ndarray
    bounds: np.ndarray
    order: np.ndarray
    codebook: np.ndarray

    name = "window"

    @classmethod
    def build(cls, coded, width: int | None = None) -> "WindowMatrix":
        """See MatrixForm; codebooks of up to 32 entries. width: columns of a window, 32, 64 or 128; by default the
        fastest."""
        if coded.codebook.size > MAX_CODEBOOK:
            raise ValueError(f"the window form serves codebooks of up to {MAX_CODEBOOK} entries, got "
                             f"{coded.codebook.size}")
        kept = kept_weights(coded)
        rows, cols = kept.shape
        if cols > MAX_COLS:
            raise ValueError(f"the window form serves matrices of up to {MAX_COLS:,} columns, got shape {kept.shape}")
        order = slice_order(kept.counts)
        coarse = coarse_bits(cols)
        high_bits = _high_bits(width, cols) if width is not None else _fastest(kept, order, coarse)
        bounds = np.concatenate([[0], np.cumsum(_step_counts(kept, order, high_bits, coarse))])
        words = simd.aligned((bounds[-1], simd.LANES), np.uint32)
        sides = simd.aligned((bounds[-1], side_width(high_bits)), np.uint16)
        in_threads(lambda part: window_pack.fill_steps(kept.columns, kept.codes, kept.bounds, order, high_bits, coarse,
                                                       bounds, words, sides, *part), slice_parts(bounds.size - 1))
        return cls(rows, cols, high_bits, coarse, words, sides, bounds, order, codebook_table(coded, MAX_CODEBOOK))

    @staticmethod
    def fits(coded, batch: int) -> bool:
        return coded.codebook.size <= MAX_CODEBOOK and len(coded.shape) == 2 and coded.shape[1] <= MAX_COLS

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in (self.words, self.sides, self.bounds, self.order, self.codebook))

    def apply(self, x, bias=None, relu=False, out=None, threads=1):
        return run_once(self, x, bias, relu, matrix_output(x, bias, out, self.rows, self.cols), threads)

    def stages(self, x, bias, relu, out, threads, scratch):
        kernel, step_ns = window_kernel.run_vectors, _STEP_NS[self.high_bits]
        if not simd.HAS_AVX512:
            kernel, step_ns = window_plain.run_plain, _PLAIN_STEP_NS
        arguments = (self.words, self.sides, self.bounds, self.order, self.codebook, self.coarse, self.high_bits, x,
                     bias_or_none(bias), relu, out)
        return slice_stages(kernel, arguments, self.bounds, len(x) * step_ns, threads)


def _high_bits(width: int, cols: int) -> int:
    if width not in (32, 64, 128):
        raise ValueError(f"a window has 32, 64 or 128 columns, got {width}")
    high_bits = (width // 64).bit_length()
    if not is_wide_enough(high_bits, cols):
        raise ValueError(f"windows of {width} columns are too narrow for {cols:,} columns")
    return high_bits


def _fastest(kept, order, coarse: int) -> int:
    # By the steps of a few slices.
    sampled = spread(-(-order.size // simd.LANES), _SAMPLED_SLICES)
    usable = [high_bits for high_bits in HIGH_BITS if is_wide_enough(high_bits, kept.shape[1])]
    times = [_STEP_NS[high_bits] * sum(int(_step_counts(kept, order, high_bits, coarse, [part]).sum())
                                       for part in sampled) for high_bits in usable]
    return usable[int(np.argmin(times))]


def _step_counts(kept, order, high_bits: int, coarse: int, parts=None) -> np.ndarray:
    counts = np.zeros(-(-order.size // simd.LANES), np.int64)
    in_threads(lambda part: window_pack.count_steps(kept.columns, kept.bounds, order, SLOTS, high_bits, coarse, counts,
                                                    *part),
               slice_parts(counts.size) if parts is None else parts)
    return counts
