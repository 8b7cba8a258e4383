"""The sliced form: 16 rows as lanes, two bytes a slot, x gathered from memory. For batch 1, any codebook.

Rows in order of their counts, 16 to a slice. A slot is a 16-bit word: the code in the low 5 bits (6 to 8 for codebooks
of more than 32 entries), above it the gap from the lane's previous column, the first from column 0. Where a gap is too
large for its bits, slots of code 0 bridge it; rows that have ended have slots of code 0 and gap 0. Where rows of a
slice have nearly equal counts, that is 2.0 bytes for a kept weight.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..coding.threads import in_threads
from . import simd, sliced_kernel
from .forms import MatrixForm, matrix_output, run_once
from .kept import kept_weights
from .simd import LANES
from .slices import bias_or_none, codebook_table, slice_parts, slice_stages

_LEAST_CODE_BITS = 5
_STEP_NS = 5.0  # of a Zen 5 core


@dataclass(frozen=True, eq=False)
class SlicedMatrix(MatrixForm):
    """See MatrixForm. words uint16 (steps, 16), bounds int64 (slices + 1,) of steps, order int32 (rows,), codebook
    float32 (256,)."""

    rows: int
    cols: int
    code_bits: int
    words: np.ndarray
    bounds: np.ndarray
    order: np.ndarray
    codebook: np.ndarray

    name = "sliced"

    @classmethod
    def build(cls, coded) -> "SlicedMatrix":
        kept = kept_weights(coded)
        rows, cols = kept.shape
        code_bits = max(_LEAST_CODE_BITS, coded.code_bits)
        slots = np.empty(rows, np.int64)
        in_threads(lambda part: _count_slots(kept.columns, kept.bounds, code_bits, slots, *part), slice_parts(rows))
        order = np.argsort(-slots, kind="stable").astype(np.int32)
        longest = slots[order[::LANES]]  # of each slice: its first row
        bounds = np.concatenate([[0], np.cumsum(longest)])
        words = simd.aligned((bounds[-1], LANES), np.uint16)
        in_threads(lambda part: _fill_slots(kept.columns, kept.codes, kept.bounds, order, code_bits, bounds, words,
                                            *part), slice_parts(longest.size))
        return cls(rows, cols, code_bits, words, bounds, order, codebook_table(coded, 256))

    @staticmethod
    def fits(coded, batch: int) -> bool:
        return len(coded.shape) == 2 and coded.shape[1] < 2**31

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in (self.words, self.bounds, self.order, self.codebook))

    def apply(self, x, bias=None, relu=False, out=None, threads=1):
        return run_once(self, x, bias, relu, matrix_output(x, bias, out, self.rows, self.cols), threads)

    def stages(self, x, bias, relu, out, threads, scratch):
        kernel = sliced_kernel.run_vectors if simd.HAS_AVX512 else sliced_kernel.run_plain
        return slice_stages(kernel, (self.words, self.bounds, self.order, self.codebook, self.code_bits, x,
                                     bias_or_none(bias), relu, out), self.bounds, len(x) * _STEP_NS, threads)


@njit(cache=True, nogil=True)
def _count_slots(columns, row_bounds, code_bits, slots, first, last):
    # slots[r] = kept weights of row r, and those that bridge its large gaps.
    largest = (1 << (16 - code_bits)) - 1
    for row in range(first, last):
        previous = count = 0
        for entry in range(row_bounds[row], row_bounds[row + 1]):
            count += 1 + max(0, columns[entry] - previous - 1) // largest
            previous = columns[entry]
        slots[row] = count


@njit(cache=True, nogil=True)
def _fill_slots(columns, codes, row_bounds, order, code_bits, bounds, words, first, last):
    largest = (1 << (16 - code_bits)) - 1
    for s in range(first, last):
        words[bounds[s]:bounds[s + 1]] = 0
        for lane in range(min(LANES, order.size - LANES * s)):
            row = order[LANES * s + lane]
            previous, step = 0, bounds[s]
            for entry in range(row_bounds[row], row_bounds[row + 1]):
                while columns[entry] - previous > largest:
                    words[step, lane] = largest << code_bits
                    previous += largest
                    step += 1
                words[step, lane] = (columns[entry] - previous) << code_bits | codes[entry]
                previous = columns[entry]
                step += 1
