"""CodedTensor: a weight as codes into a codebook."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from .arrays import flat_input, frozen
from .immutable import Immutable
from .threads import in_threads, pieces

MAX_CODEBOOK = 256


class WithCodebook(Immutable):
    """What all records of a shared weight have that have a shape and a codebook float32 (k,)."""

    @property
    def size(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def code_bits(self) -> int:
        """Bits of a code of fixed width: max(1, ceil(log2 k))."""
        return code_bits(self.codebook.size)


class StoredTensor(WithCodebook):
    """What PackedTensor and ContextTensor, as a file holds them, have in common: they tell their bytes by part."""

    @property
    def nbytes(self) -> int:
        """Sum of part_nbytes, the tensor's record in the header and checksums not included."""
        return sum(self.part_nbytes().values())


@dataclass(frozen=True, eq=False)
class CodedTensor(WithCodebook):
    """A weight as codes into a codebook. Code 0 is the value 0.0: a weight is kept where its code is not 0.

    codebook: float32 (k,), 1 <= k <= 256, finite, codebook[0] == +0.0. codes: uint8, the weight's shape, all < k.
    Both become read-only. Raises ValueError (TypeError for codes of another dtype). Equal by content.
    """

    codebook: np.ndarray
    codes: np.ndarray

    def __post_init__(self):
        codes = np.asarray(self.codes)
        if codes.dtype != np.uint8:
            raise TypeError(f"codes must be uint8, got {codes.dtype}: convert them with .astype(np.uint8)")
        object.__setattr__(self, "codebook", checked_codebook(self.codebook))
        if codes.size and codes.max() >= self.codebook.size:
            raise ValueError(f"largest code is {codes.max()}, but the codebook has {self.codebook.size} entries")
        object.__setattr__(self, "codes", frozen(codes, np.uint8))

    def __repr__(self) -> str:
        return (f"CodedTensor({'x'.join(map(str, self.shape)) or 'scalar'}, codebook of {self.codebook.size}, "
                f"{self.nnz:,} of {self.size:,} weights kept)")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.codes.shape

    @property
    def nnz(self) -> int:
        """Number of kept weights."""
        return int(np.count_nonzero(self.codes))

    @property
    def density(self) -> float:
        """nnz / size; 0.0 for an empty tensor."""
        return self.nnz / max(1, self.size)

    @property
    def mask(self) -> np.ndarray:
        """bool, True = kept."""
        return self.codes != 0

    def decode(self, out=None) -> np.ndarray:
        """The weight, float32: codebook[codes]; written into `out`, contiguous float32 of that shape, if it is given."""
        values = np.empty(self.shape, np.float32) if out is None else out
        if values.shape != self.shape or values.dtype != np.float32 or not values.flags.c_contiguous:
            raise ValueError(f"out must be a contiguous float32 array of shape {self.shape}, got {values.dtype} of "
                             f"shape {values.shape}")
        codebook, codes = flat_input(self.codebook, np.float32), flat_input(self.codes, np.uint8)
        flat = values.reshape(-1)
        in_threads(lambda piece: _look_up(codebook, codes[piece], flat[piece]), pieces(codes.size))
        return values

    def __eq__(self, other) -> bool:
        return isinstance(other, CodedTensor) and (
            self.codebook.tobytes() == other.codebook.tobytes() and np.array_equal(self.codes, other.codes))


def ascending(coded: CodedTensor) -> CodedTensor:
    """The same weights, codes other than 0 ordered by value (by code among equals); `coded` itself if they are."""
    values = coded.codebook[1:]
    if (values[1:] >= values[:-1]).all():
        return coded
    order = np.argsort(values, kind="stable")
    new_of_old = np.zeros(coded.codebook.size, np.uint8)
    new_of_old[1 + order] = np.arange(1, values.size + 1)
    return CodedTensor(np.concatenate([coded.codebook[:1], values[order]]), new_of_old[coded.codes])


def with_few_values(array) -> CodedTensor | None:
    """An array as codes of its distinct values, where these are few enough to be worth it; it decodes bit for bit.

    None for other arrays: of another dtype than float32, with more than 255 values beside 0.0, NaN or -0.0; without
    elements; or where codes at their zero-order entropy and the values take more than three quarters of the array.
    """
    if array.dtype != np.float32 or not array.size or not np.isfinite(array).all():
        return None
    values, codes, counts = np.unique(array, return_inverse=True, return_counts=True)
    is_zero = values == 0
    if np.count_nonzero(~is_zero) >= MAX_CODEBOOK or np.signbit(array[array == 0]).any():
        return None
    nbytes = 4 * np.count_nonzero(~is_zero) + counts @ np.log2(array.size / counts) / 8
    if nbytes > 0.75 * 4 * np.count_nonzero(array):
        return None
    code_of_value = np.where(is_zero, 0, np.cumsum(~is_zero)).astype(np.uint8)
    codebook = np.concatenate([np.zeros(1, np.float32), values[~is_zero]])
    return CodedTensor(codebook, code_of_value[codes].reshape(array.shape))


def code_bits(k: int) -> int:
    """Bits of a code of fixed width into a codebook of k entries: max(1, ceil(log2 k))."""
    return max(1, (k - 1).bit_length())


def checked_codebook(codebook) -> np.ndarray:
    """Read-only float32 (k,) codebook; ValueError unless 1 <= k <= 256, all finite and entry 0 is +0.0."""
    codebook = frozen(codebook, np.float32)
    if codebook.ndim != 1 or not 1 <= codebook.size <= MAX_CODEBOOK:
        raise ValueError(f"a codebook has 1..{MAX_CODEBOOK} entries in one dimension, got shape {codebook.shape}")
    bad = np.flatnonzero(~np.isfinite(codebook))
    if bad.size:
        raise ValueError(f"codebook entry {bad[0]} is {codebook[bad[0]]}: expected finite values")
    if codebook[:1].tobytes() != bytes(4):
        raise ValueError(f"codebook[0] must be +0.0, the value of code 0, got {codebook[0]}")
    return codebook


@njit(cache=True, nogil=True)
def _look_up(codebook, codes, values):
    # codebook[codes] without the int64 copy of the codes that NumPy makes.
    for i in range(codes.size):
        values[i] = codebook[codes[i]]
