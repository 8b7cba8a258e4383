"""The dense forms: what layers that are hardly pruned run in, and all others are measured against.

They read only `shape` and `decode()` of what they are built from, so that weights without codes can be served too.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from . import kernels
from .dense_kernel import AT_ONCE, convolve_runs, pack_filters
from .depthwise import depthwise_work
from .forms import ConvForm, Geometry, MatrixForm, conv_output, matrix_output, run_once
from .run_plan import plan_runs
from .simd import HAS_AVX512, LANES, aligned
from .tasks import Task, shared
from .tile_plan import joined, worth_threads


@dataclass(frozen=True, eq=False)
class DenseMatrix(MatrixForm):
    """A matrix as float32, multiplied by NumPy's BLAS, which has its own number of threads (OPENBLAS_NUM_THREADS)."""

    weight: np.ndarray
    name: ClassVar[str] = "dense"

    @property
    def rows(self) -> int:
        return self.weight.shape[0]

    @property
    def cols(self) -> int:
        return self.weight.shape[1]

    @property
    def nbytes(self) -> int:
        return self.weight.nbytes

    @classmethod
    def build(cls, coded):
        if len(coded.shape) != 2:
            raise ValueError(f"a matrix has shape (rows, cols), got {coded.shape}")
        return cls(coded.decode())

    @staticmethod
    def fits(coded, batch):
        return len(coded.shape) == 2

    def apply(self, x, bias=None, relu=False, out=None, threads=1):
        return run_once(self, x, bias, relu, matrix_output(x, bias, out, self.rows, self.cols), threads)

    def stages(self, x, bias, relu, out, threads, scratch):
        # One row as a vector: BLAS has a routine of its own for that.
        product = partial(np.matmul, *((self.weight, x[0], out[0]) if len(x) == 1 else (x, self.weight.T, out)))
        low = np.float32(0 if relu else -np.inf)
        if bias is None and not relu:
            return [(product,)]
        bias = np.zeros(self.rows, np.float32) if bias is None else bias
        return [(product,), (Task(kernels.bias_rows, (bias, low, out), 0, len(x)),)]


@dataclass(frozen=True, eq=False)
class DenseConv(ConvForm):
    """A convolution from float32 weights and packed runs of its input: no im2col in memory, no library."""

    filters: np.ndarray  # float32 (groups, bundles, keys, bundle)
    shape: tuple[int, int, int, int]
    geometry: Geometry
    name: ClassVar[str] = "dense"
    finishes: ClassVar[bool] = True

    @property
    def nbytes(self) -> int:
        return self.filters.nbytes

    @classmethod
    def build(cls, coded, geometry):
        if not cls.fits(coded, geometry, None):
            raise ValueError(f"a convolution's weight has shape (out, in / groups, kh, kw), none 0 and `out` even in "
                             f"{geometry.groups} groups, got {coded.shape}")
        filters, channels, *kernel = coded.shape
        # As many filters at a time as there are sums for; few, where a group has few.
        bundle = next(many for many in (8, 4, 1) if (HAS_AVX512 or many < 8) and filters // geometry.groups > many // 2)
        bundles = -(-(filters // geometry.groups) // bundle)
        packed = aligned((geometry.groups, bundles, channels * math.prod(kernel), bundle))
        pack_filters(coded.decode().swapaxes(2, 3).reshape(geometry.groups, filters // geometry.groups, -1), packed)
        packed.flags.writeable = False
        return cls(packed, coded.shape, geometry)

    @staticmethod
    def fits(coded, geometry, shape):
        return len(coded.shape) == 4 and math.prod(coded.shape) > 0 and coded.shape[0] % geometry.groups == 0

    def apply(self, x, bias=None, relu=False, out=None, threads=1, scale=None, most=np.inf):
        out = conv_output(x, bias, out, self.shape, self.geometry)
        return run_once(self, x, bias, relu, out, threads, scale, most)

    def stages(self, x, bias, relu, out, threads, scratch, scale=None, most=np.inf):
        if scale is not None:
            raise ValueError("the dense form takes no scale: it is multiplied into the weights")
        groups, bundles, _, bundle = self.filters.shape
        biases = np.zeros((groups, bundles * bundle), np.float32)
        if bias is not None:
            biases[:, :len(bias) // groups] = bias.reshape(groups, -1)
        least, most = np.float32(0 if relu else -np.inf), np.float32(most)
        if self.shape[1] == 1 and bundle == 1:
            return self._depthwise(x, biases, (least, most), out, threads, scratch)
        threads = worth_threads(self.plan(x.shape).cycles, threads)
        plan, planes = self.plan(x.shape, threads), out
        if joined(self.geometry, tuple(self.shape[2:])):
            x, planes = (array.reshape(*array.shape[:2], 1, -1) for array in (x, out))
        # The last lanes copied reach beyond the last position, those read to be written beyond the last sum.
        copies = len(plan.row_shifts) * len(plan.col_shifts)
        buffer_floats = copies * plan.copy_floats * plan.panel_channels + LANES
        kept = 1 if plan.panel_channels == self.shape[1] else bundles
        sums_floats = kept * bundle * plan.registers * LANES + LANES
        return shared(convolve_runs, lambda share: (
            plan, x, planes, biases, least, most, self.filters, AT_ONCE[bundle],
            scratch("buffer", buffer_floats, share), scratch("sums", sums_floats, share)),
            plan.tiles * len(x) * groups, threads)

    def _depthwise(self, x, bias, bounds, out, threads, scratch):
        filters = self.filters.reshape(*self.filters.shape[:2], -1)
        run, arguments_of, cycles = depthwise_work(filters, self.geometry, tuple(self.shape[2:]), x, out, bias, bounds)
        return shared(run, lambda share: arguments_of(partial(scratch, share=share)), len(x) * len(filters),
                      worth_threads(cycles, threads))

    def plan(self, shape, threads=1):
        """The RunPlan for inputs of this shape."""
        filters, channels, *kernel = self.shape
        size = (1, math.prod(shape[2:])) if joined(self.geometry, tuple(kernel)) else tuple(shape[2:])
        return plan_runs(self.geometry, tuple(kernel), size, channels, filters // self.geometry.groups, shape[0],
                         threads)
