"""What all prepared layers have in common: a form holds one layer's weights laid out for one way of multiplying.

A form is made once, from codes, and then only read: several threads may call `apply` at the same time. All forms of a
layer give the same numbers to float32 rounding (they add up in different orders). A pruned weight takes no part: where
dense float32 gives 0 * inf = NaN, a form may leave the infinity or NaN of x out of the sum.
"""

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from .scratch import own_scratch
from .tasks import run_stages


class MatrixForm(ABC):
    """Prepared weights of one (rows, cols) matrix. rows, cols, nbytes: ints; nbytes are all that it keeps resident."""

    name: str
    least_shared: ClassVar[int] = 2**23  # bytes kept, times rows of x, that take about 0.3 ms

    @classmethod
    @abstractmethod
    def build(cls, coded) -> "MatrixForm":
        """The form of a CodedTensor (rows, cols). ValueError where it does not fit."""

    @staticmethod
    @abstractmethod
    def fits(coded, batch: int) -> bool:
        """Whether the form can serve these weights, for inputs of `batch` rows."""

    @abstractmethod
    def apply(self, x, bias=None, relu=False, out=None, threads=1) -> np.ndarray:
        """x @ weight.T (+ bias) (then max(0, .)), float32 (n, rows). x: float32 (n, cols), bias: float32 (rows,).

        x is C-contiguous. Written into `out`, C-contiguous, where it is given. ValueError for other shapes or dtypes.
        """

    def stages(self, x, bias, relu, out, threads, scratch) -> list[tuple]:
        """What `apply` does for these very arrays, as stages (`tasks`) to be run any number of times.

        The arrays are as `apply` takes them, writeable (numba would compile anew for others), and stay where they are:
        what they hold when the stages run counts. scratch: a `Scratch` that no other thread uses. Nothing is checked.
        """
        return one_call(self, x, bias, relu, out, threads)


class ConvForm(ABC):
    """Prepared weights of one convolution (out, in / groups, kh, kw). nbytes: all that it keeps resident.

    finishes: whether `apply` and `stages` take two arguments more: scale, float32 (out,), what sums are multiplied by
    before the bias is added, and most: what is larger becomes it.
    """

    name: str
    finishes: ClassVar[bool] = False
    least_shared: ClassVar[int] = 2**26  # bytes kept, times pixels of the output, that take about 0.3 ms

    @classmethod
    @abstractmethod
    def build(cls, coded, geometry: "Geometry") -> "ConvForm":
        """The form of a CodedTensor (out, in / groups, kh, kw). ValueError where it does not fit."""

    @staticmethod
    @abstractmethod
    def fits(coded, geometry: "Geometry", shape: tuple[int, int, int, int]) -> bool:
        """Whether the form can serve these weights, for inputs of this shape (n, c, h, w)."""

    @abstractmethod
    def apply(self, x, bias=None, relu=False, out=None, threads=1) -> np.ndarray:
        """x float32 (n, c, h, w) C-contiguous -> float32 (n, out, oh, ow), bias and ReLU as in MatrixForm.apply."""

    def stages(self, x, bias, relu, out, threads, scratch) -> list[tuple]:
        """As `MatrixForm.stages`."""
        return one_call(self, x, bias, relu, out, threads)


def one_call(form, *arguments) -> list[tuple]:
    """The stages of a form that has only `apply`."""
    return [(partial(form.apply, *arguments),)]


def run_once(form, x, bias, relu, out, threads, *finish) -> np.ndarray:
    """`apply` of a form that has `stages`, for arguments that have been checked: `out`.

    Without a `Program` threads are woken through Python, which takes 0.1 ms or more: small work is done by one.
    """
    if out.size:
        is_small = form.nbytes * (out.size // out.shape[1]) < form.least_shared
        run_stages(form.stages(_writeable(x), bias if bias is None else _writeable(bias), relu, out,
                               1 if is_small else threads, own_scratch(), *finish))
    return out


def _writeable(array):
    return array if array.flags.writeable else array.copy()


@dataclass(frozen=True)
class Geometry:
    """How a 2-D convolution walks its input: pairs (vertical, horizontal), and the number of groups."""

    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    dilate: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self):
        for name, least in (("stride", 1), ("pad", 0), ("dilate", 1)):
            pair = tuple(getattr(self, name))
            if len(pair) != 2 or any(int(number) != number or number < least for number in pair):
                raise ValueError(f"{name} must be two whole numbers of at least {least}, got {getattr(self, name)}")
            object.__setattr__(self, name, tuple(map(int, pair)))
        if int(self.groups) != self.groups or self.groups < 1:
            raise ValueError(f"groups must be a whole number of at least 1, got {self.groups}")

    def output_size(self, size: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
        """(oh, ow) of an input (h, w) and a kernel (kh, kw). ValueError where the kernel is larger than the input."""
        reach = [extent + 2 * pad - dilate * (taps - 1) - 1
                 for extent, pad, dilate, taps in zip(size, self.pad, self.dilate, kernel, strict=True)]
        if min(reach) < 0:
            raise ValueError(f"a kernel of {kernel[0]}x{kernel[1]} (pad {self.pad}, dilate {self.dilate}) does not fit "
                             f"into an input of {size[0]}x{size[1]}")
        return reach[0] // self.stride[0] + 1, reach[1] // self.stride[1] + 1


class _Forms(Mapping):
    # Name -> class; a form's module (numba code) is imported when it is first asked for.
    def __init__(self, homes):
        self._homes = homes

    def __getitem__(self, name):
        module, attribute = self._homes[name].split(":")
        return getattr(importlib.import_module(f".{module}", __package__), attribute)

    def __iter__(self):
        return iter(self._homes)

    def __len__(self):
        return len(self._homes)


MATRIX_FORMS = _Forms({"sliced": "sliced:SlicedMatrix", "window": "window:WindowMatrix",
                       "wide": "wide:WideMatrix", "panels": "panels:PanelsMatrix", "dense": "dense:DenseMatrix"})
CONV_FORMS = _Forms({"direct": "convolution:DirectConv", "dense": "dense:DenseConv"})
# Those that are not exact, for precision="int8".
INT8_FORMS = _Forms({"int8": "int8_conv:Int8Conv"})


def matrix_output(x, bias, out, rows: int, cols: int) -> np.ndarray:
    """The array (n, rows) to write to, `out` or a new one. ValueError for a wrong argument of MatrixForm.apply."""
    check_array("x", x, (x.shape[0] if getattr(x, "ndim", 0) else 0, cols))
    return _checked_output(bias, out, (x.shape[0], rows), rows)


def conv_output(x, bias, out, weight_shape: tuple[int, int, int, int], geometry: Geometry) -> np.ndarray:
    """The array (n, out, oh, ow) to write to. ValueError where an argument of ConvForm.apply is wrong."""
    channels = weight_shape[1] * geometry.groups
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) != 4:
        raise ValueError(f"x must have shape (n, {channels}, h, w), got {shape}")
    check_array("x", x, (shape[0], channels, *shape[2:]))
    size = geometry.output_size(shape[2:], weight_shape[2:])
    return _checked_output(bias, out, (shape[0], weight_shape[0], *size), weight_shape[0])


def check_array(name: str, array, shape: tuple[int, ...]) -> None:
    """ValueError unless `array` is a C-contiguous float32 NumPy array of this shape."""
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or not array.dtype.isnative:
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{name} must be a float32 array of shape {shape}, got {kind}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous: pass np.ascontiguousarray({name})")


def _checked_output(bias, out, shape, n_outputs: int) -> np.ndarray:
    if bias is not None:
        check_array("bias", bias, (n_outputs,))
    if out is None:
        # Hostile shapes end as MemoryError here, not as a crash: NumPy refuses what cannot be had.
        return np.empty(shape, np.float32)
    check_array("out", out, shape)
    if not out.flags.writeable:
        raise ValueError("out must be writeable")
    return out


def conv_work(weight_shape, shape, geometry: Geometry) -> int:
    """Multiply-adds of the dense convolution for an input of this shape (n, c, h, w)."""
    return math.prod(weight_shape) * math.prod(geometry.output_size(shape[2:], weight_shape[2:])) * shape[0]
