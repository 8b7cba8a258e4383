"""The int8 form of a convolution: weights and activations as bytes, sums in 32 bits. Not exact: see docs/runtime.md."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import int8_code
from .forms import ConvForm, Geometry, conv_output, run_once
from .int8_kernel import convolve_plain, convolve_vectors, copy_words, find_extremes, prepare
from .int8_packing import by_row, byte_weights
from .int8_plan import BUNDLE, NO_WINDOW, lies_by_row, plan_bytes, pooled_pays
from .simd import LANES, aligned
from .tasks import Task, shared
from .tile_plan import joined, worth_threads

MAX_KEYS = 2**31 // (255 * 127)  # weights of a filter: more could overflow a sum of 32 bits
_SHARE = 2**20  # floats whose extremes one thread finds, at least


@dataclass(frozen=True, eq=False)
class Int8Conv(ConvForm):
    """A convolution of bytes: each filter's weights in steps of its own, 127 to the largest; each image's input in 255
    steps from its least to its largest number (0 among them), found as it runs.

    An image whose input has a NaN or an infinity gives NaN everywhere, a filter that has one likewise.
    """

    filters: np.ndarray  # int8 (groups, bundles, keys, BUNDLE, 4)
    scales: np.ndarray  # float64 (groups, bundles * BUNDLE)
    sums: np.ndarray  # int32, likewise: of a filter's bytes
    shape: tuple[int, int, int, int]
    geometry: Geometry
    name: ClassVar[str] = "int8"

    @property
    def nbytes(self) -> int:
        return self.filters.nbytes + self.scales.nbytes + self.sums.nbytes

    @classmethod
    def build(cls, coded, geometry):
        if not cls.fits(coded, geometry, None):
            raise ValueError("an int8 convolution's weight has shape (out, in / groups, kh, kw), none 0, `out` even in "
                             f"{geometry.groups} groups, and at most {MAX_KEYS:,} weights a filter, got {coded.shape}")
        groups = geometry.groups
        weight = coded.decode().reshape(groups, coded.shape[0] // groups, *coded.shape[1:])
        if lies_by_row(geometry, coded.shape[2:], coded.shape[1]):
            weight = by_row(weight)
        found = byte_weights(weight, BUNDLE)
        packed = aligned(found[0].shape, np.int8)
        packed[...] = found[0]
        for array in (packed, *found[1:]):
            array.flags.writeable = False
        return cls(packed, *found[1:], coded.shape, geometry)

    @staticmethod
    def fits(coded, geometry, shape):
        if not (len(coded.shape) == 4 and math.prod(coded.shape) > 0 and coded.shape[0] % geometry.groups == 0
                and 4 * -(-coded.shape[1] // 4) * math.prod(coded.shape[2:]) <= MAX_KEYS):
            return False
        try:
            return shape is None or _plan(coded.shape, geometry, tuple(shape), 1) is not None
        except ValueError:
            return False

    def apply(self, x, bias=None, relu=False, out=None, threads=1):
        return run_once(self, x, bias, relu, conv_output(x, bias, out, self.shape, self.geometry), threads)

    def stages(self, x, bias, relu, out, threads, scratch):
        return self.stages_between(x, bias, (0 if relu else -np.inf, np.inf), out, threads, scratch)[0]

    def stages_between(self, x, bias, clip, out, threads, scratch, known=None, window=NO_WINDOW):
        """(stages, extremes of the output) of a convolution whose output is clipped to (low, high).

        known: the extremes of all layers that x comes from, as this function gives them: arrays int32 (n, 2, 16); None
        where they must be found. window: a `Window` whose maxima `out` takes in place of the convolution's output.
        """
        # Where the layers before had other images, theirs say nothing.
        is_known = bool(known) and all(len(array) == len(x) for array in known)
        find, extremes = _collect(known) if is_known else self._find(x, threads)
        threads = worth_threads(self.plan(x.shape, 1, window).cycles, threads)
        plan, n, planes = self.plan(x.shape, threads, window), len(x), out
        bytes_of = (np.empty(n, np.float32), np.empty(n, np.float32), np.empty((n, *self.sums.shape), np.float32),
                    np.empty((n, *self.sums.shape), np.int32))
        biases = np.zeros(self.sums.shape, np.float32)
        if bias is not None:
            biases[:, :len(bias) // len(biases)] = bias.reshape(len(biases), -1) + np.float32(0)  # none is -0.0
        if joined(self.geometry, tuple(self.shape[2:])) and not plan.pooled:
            x, planes = (array.reshape(*array.shape[:2], 1, -1) for array in (x, out))
        count = plan.tiles * n * self.geometry.groups
        found = np.zeros((max(1, min(threads, count)), n, 2, LANES), np.int32)
        prepared = Task(prepare, (extremes, self.scales, self.sums, *bytes_of, found), 0, n)
        # The last words packed reach beyond the last position, those read to be written or pooled beyond the last sum.
        words = plan.words * plan.copies * plan.copy_words + LANES
        convolve = shared(convolve_vectors if int8_code.HAS_VNNI else convolve_plain, lambda share: (
            plan, x, planes, biases, tuple(map(np.float32, clip)), self.filters, *bytes_of,
            scratch("row", plan.row_words + LANES, share), scratch("buffer", words, share),
            scratch("sums", BUNDLE * plan.registers * LANES + 6 * LANES, share), found[share]), count, threads)
        return [*find, (prepared,), *convolve], list(found)

    def plan(self, shape, threads=1, window=NO_WINDOW):
        """The BytePlan for inputs of this shape."""
        return _plan(self.shape, self.geometry, tuple(shape), threads, window)

    def pools(self, shape, window) -> bool:
        """Whether to take a window's maxima here is less work, for inputs of this shape, than to take them later."""
        filters, channels, *kernel = self.shape
        return pooled_pays(self.geometry, tuple(kernel), tuple(shape[2:]), channels, filters // self.geometry.groups,
                           window)

    @staticmethod
    def _find(x, threads):
        # (stages, extremes of parts of x)
        rows = x.reshape(len(x), -1)
        threads = max(1, min(threads, rows.size // _SHARE, rows.shape[1]))
        parts = np.zeros((threads, len(x), 2, LANES), np.int32)
        return shared(find_extremes, lambda share: (rows, parts[share]), rows.shape[1], threads), parts


def _plan(weight_shape, geometry, shape, threads, window=NO_WINDOW):
    filters, channels, *kernel = weight_shape
    return plan_bytes(geometry, tuple(kernel), shape[2:], channels, filters // geometry.groups, shape[0], threads,
                      window)


def _collect(known):
    # (stages, extremes) of arrays that the layers before have filled.
    parts = np.zeros((len(known), *known[0].shape), np.int32)
    return [(Task(copy_words, (array, part), 0, len(array)),) for array, part in zip(known, parts)], parts
