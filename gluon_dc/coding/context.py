"""The context coder: codes of shared weights to one stream and back, without an index stream.

Every weight is a few binary decisions: kept or not, its sign, the bits of its magnitude's rank (`codebook_tree`). Each
decision goes through a range coder (`range_coder`) with a probability learned from what was coded before it.
effort "fast" gives every decision one context (`context_fast`), "best" mixes many (`context_mix`). A list of tensors
shares one stream and what was learned ("solid"), so that one thread codes it, decision after decision; what several
threads can do at once is several streams, and an encoder's trials.

Nothing but integer arithmetic decides a probability, in a fixed order, on int64 that never overflows; the codebook
enters through comparisons and through scaling by a power of two, which IEEE floats do exactly. So a stream means the
same on every machine.
"""

import math

import numpy as np

from . import context_fast, context_mix
from .arrays import symbol_input
from .codebook_tree import codebook_tree
from .context_grid import MAX_COLUMNS
from .errors import FormatError
from .range_coder import POSITION, ROOM, check_end, code_bit, finish, is_past_end, new_decoder, new_encoder, with_room
from .threads import in_threads

EFFORTS = ("fast", "best")
MAX_RANK = 8
# Chance, in 1/65536, that a tensor has a weight other than zero.
ANY_KEPT = 63000
EVEN = 32768
PERIODS = range(2, 33)
# Weights of a tensor that the encoder tries its periods on, and rows whose counts help the next tensor.
SAMPLE = 1 << 18
MAX_UNITS = 1 << 16
NO_UNITS = np.zeros(0, np.int64)


def encode_codes(tensors, effort: str) -> bytes:
    """One stream for a list of tensors, each with `codes` uint8 (up to 8 dimensions) and `codebook` float32 (k,).

    ValueError for a code that its codebook does not have, a codebook of other than 1 to 256 finite numbers, or an
    unknown effort; TypeError for codes of another dtype.
    """
    coder = _Coder(effort, *new_encoder(), decoding=False)
    for tensor in tensors:
        codes, codebook = np.array(symbol_input(tensor.codes)), _checked_codebook(tensor.codebook)
        if codes.size and codes.max() >= codebook.size:
            raise ValueError(f"code {codes.max()} is outside a codebook of {codebook.size} entries")
        coder.code(codes, _checked_shape(np.shape(tensor.codes)), codebook)
    return finish(coder.data, coder.state)


def decode_codes(stream, specs, effort: str) -> list[np.ndarray]:
    """The codes of the tensors of a stream: uint8 arrays, one for each (shape, codebook) of specs.

    FormatError for a stream that is not one that `encode_codes` could have made of such tensors. Assumes shapes whose
    sizes were found acceptable: they are allocated, and the time is proportional to them.
    """
    coder = _Coder(effort, *new_decoder(stream), decoding=True)
    results = []
    for shape, codebook in specs:
        shape = _checked_shape(shape)
        codes = np.zeros(math.prod(shape), np.uint8)
        coder.code(codes, shape, _checked_codebook(codebook))
        results.append(codes.reshape(shape))
    check_end(coder.data, coder.state)
    return results


class _Coder:
    """One stream under way, in either direction. data, state: of the range coder."""

    def __init__(self, effort: str, data: np.ndarray, state: np.ndarray, decoding: bool):
        if effort not in EFFORTS:
            raise ValueError(f"unknown effort {effort!r}, expected one of {', '.join(EFFORTS)}")
        self.data, self.state, self.decoding = data, state, decoding
        self.fast = context_fast.new_states() if effort == "fast" else None
        self.models = context_mix.new_models() if effort == "best" else None
        self.units = NO_UNITS

    def code(self, codes: np.ndarray, shape: tuple[int, ...], codebook: np.ndarray) -> None:
        """Write codes uint8 (n,), or fill them."""
        if codes.size == 0 or codebook.size == 1 or (self.decoding and is_past_end(self.data, self.state)):
            return
        if self._bits(codes.any(), ANY_KEPT, 1):
            self._code_fast(codes, shape, codebook) if self.models is None else self._code_best(codes, shape, codebook)

    def _code_fast(self, codes, shape, codebook):
        row_size = codes.size // shape[0] if len(shape) > 1 else codes.size
        tree = codebook_tree(codebook)
        if self.decoding:
            context_fast.decode_tensor(codes, row_size, tree, self.fast, self.data, self.state)
        else:
            self.data = context_fast.encode_tensor(codes, row_size, tree, self.fast, self.data, self.state)

    def _code_best(self, codes, shape, codebook):
        period = self._code_period(codes, shape, codebook)
        self.data = context_mix.code_tensor(self.decoding, codes, shape, codebook, period, self.units, self.models,
                                            self.data, self.state)
        if len(shape) > 1:
            few = shape[0] <= MAX_UNITS
            self.units = np.count_nonzero(codes.reshape(shape[0], -1), axis=1).astype(np.int64) if few else NO_UNITS

    def _code_period(self, codes, shape, codebook) -> int:
        # One bit, and five where it is 1, for matrices whose columns could be square images; 1 for others.
        possible = _possible_periods(shape)
        if not possible:
            return 1
        period = 1 if self.decoding else self._best_period(codes, shape, codebook, possible)
        if not self._bits(period > 1, EVEN, 1):
            return 1
        period = 1 + self._bits(period - 1, EVEN, 5)
        if period not in possible:
            raise FormatError(f"context-coded stream: rows of {shape[1]} columns are not images of {period} x {period}")
        return period

    def _best_period(self, codes, shape, codebook, possible) -> int:
        # The shortest of what is plausible (one or three channels, or those of the tensor before), on the first rows.
        plausible = [period for period in possible if shape[1] // period**2 in (1, 3, self.units.size)]
        rows = max(1, min(shape[0], SAMPLE // shape[1]))
        if not plausible:
            return 1
        sizes = in_threads(lambda period: self._trial(codes[:rows * shape[1]], (rows, shape[1]), codebook, period),
                           [1] + plausible)
        return ([1] + plausible)[sizes.index(min(sizes))]

    def _trial(self, codes, shape, codebook, period) -> int:
        # Bytes of a tensor after what was learned so far, which is left as it is.
        data, state = new_encoder()
        context_mix.code_tensor(False, codes.copy(), shape, codebook, period, self.units,
                                context_mix.copy_of(self.models), data, state)
        return int(state[POSITION])

    def _bits(self, value, chance: int, n_bits: int) -> int:
        # A number of n_bits, highest first, each with this chance of a 1.
        if not self.decoding:
            self.data = with_room(self.data, self.state, ROOM)
        result = 0
        for place in range(n_bits - 1, -1, -1):
            result = 2 * result + code_bit(self.decoding, self.data, self.state, chance, int(value) >> place & 1)
        return result


def _possible_periods(shape) -> list[int]:
    if len(shape) != 2 or shape[1] > MAX_COLUMNS:
        return []
    return [period for period in PERIODS if shape[1] % period**2 == 0]


def _checked_codebook(codebook) -> np.ndarray:
    codebook = np.asarray(codebook, np.float32)
    if codebook.ndim != 1 or not 1 <= codebook.size <= 256 or not np.isfinite(codebook).all():
        raise ValueError(f"a codebook has 1 to 256 finite entries in one dimension, got shape {codebook.shape}")
    return codebook


def _checked_shape(shape) -> tuple[int, ...]:
    shape = tuple(int(extent) for extent in shape)
    if len(shape) > MAX_RANK or min(shape, default=0) < 0:
        raise ValueError(f"expected up to {MAX_RANK} dimensions, none negative, got {shape}")
    return shape
