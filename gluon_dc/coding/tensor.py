"""The two forms of a compressed weight: CodedTensor (codes into a codebook) and PackedTensor (streams, as on disk)."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from . import huffman, relative
from .arrays import flat_input, frozen
from .errors import located
from .lossless import plain_nbytes
from .threads import in_threads, pieces

MAX_CODEBOOK = 256
CODERS = ("huffman", "fixed")


@dataclass(frozen=True, eq=False)
class CodedTensor:
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

    @property
    def shape(self) -> tuple[int, ...]:
        return self.codes.shape

    @property
    def size(self) -> int:
        return self.codes.size

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

    @property
    def code_bits(self) -> int:
        """Bits of a code of fixed width: max(1, ceil(log2 k))."""
        return code_bits(self.codebook.size)

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


@dataclass(frozen=True, eq=False)
class PackedTensor:
    """A coded tensor as two streams of symbols: the codes of its entries and the gaps before them.

    shape: up to 8 dimensions. rel_bits: 0..8 bits of a gap; 0 = dense mode, every position is an entry and there are
    no gaps. codebook: as in CodedTensor, k entries. entries: kept weights and fillers. code_lengths: uint8, of a
    Huffman code over the k codes, or `flat_lengths(k)` for fixed width. gap_lengths: likewise over the 2**rel_bits
    gaps, (0,) in dense mode. code_stream, gap_stream: bytes. Raises ValueError where these disagree; the streams
    themselves are read by `unpack`. Equal by content.
    """

    shape: tuple[int, ...]
    rel_bits: int
    codebook: np.ndarray
    entries: int
    code_lengths: np.ndarray
    gap_lengths: np.ndarray
    code_stream: bytes
    gap_stream: bytes

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(int(extent) for extent in self.shape))
        object.__setattr__(self, "codebook", checked_codebook(self.codebook))
        for field in ("code_lengths", "gap_lengths"):
            object.__setattr__(self, field, frozen(getattr(self, field), np.uint8))
        _check_counts(self)
        _check_stream("code", self.code_lengths, self.codebook.size, self.entries, self.code_stream)
        if self.rel_bits:
            _check_stream("gap", self.gap_lengths, 2**self.rel_bits, self.entries, self.gap_stream)
        elif self.gap_lengths.size or self.gap_stream:
            raise ValueError("dense mode (rel_bits 0) has no gaps, but there is a gap table or stream")

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def code_bits(self) -> int:
        """Bits of a code of fixed width: max(1, ceil(log2 k))."""
        return code_bits(self.codebook.size)

    @property
    def coder(self) -> str:
        """"huffman" where either stream has a Huffman code of its own, "fixed" where both are of fixed width."""
        return "huffman" if self.code_table or self.gap_table else "fixed"

    @property
    def code_table(self) -> bytes:
        """Packed code lengths as they travel; empty for fixed width."""
        return _table_bytes(self.code_lengths)

    @property
    def gap_table(self) -> bytes:
        """Packed gap code lengths as they travel; empty for fixed width and in dense mode."""
        return _table_bytes(self.gap_lengths)

    def part_nbytes(self) -> dict[str, int]:
        """Bytes of the tensor's section in a file by part: codes, gaps, codebook, tables."""
        return {
            "codes": len(self.code_stream),
            "gaps": len(self.gap_stream),
            "codebook": plain_nbytes(self.codebook[1:]),
            "tables": len(self.code_table) + len(self.gap_table),
        }

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor's section in a file, its record in the header and its checksum not included."""
        return sum(self.part_nbytes().values())

    def decode(self) -> np.ndarray:
        """The weight, float32. Raises FormatError for streams that do not decode."""
        return unpack(self).decode()

    def __eq__(self, other) -> bool:
        return isinstance(other, PackedTensor) and self._content() == other._content()

    def _content(self) -> tuple:
        return (self.shape, self.rel_bits, self.codebook.tobytes(), self.entries, self.code_lengths.tobytes(),
                self.gap_lengths.tobytes(), self.code_stream, self.gap_stream)


def pack(coded: CodedTensor, coder: str = "huffman", rel_bits: int | None = None) -> PackedTensor:
    """Coded tensor to streams; `unpack` gives back exactly the same.

    coder: "huffman" (a stream still stays at fixed width where that takes no more bytes, table included) or "fixed".
    rel_bits: 0..8, or None for the width with the fewest bytes, ties to the smaller. Raises ValueError for others.
    Source: paper sections 2 and 4.
    """
    if coder not in CODERS:
        raise ValueError(f"unknown coder {coder!r}, expected one of {', '.join(CODERS)}")
    plans = _plans(coded, coder)
    if rel_bits is None:
        rel_bits = min(range(len(plans)), key=lambda width: plans[width][0])
    elif not 0 <= rel_bits <= relative.MAX_REL_BITS:
        raise ValueError(f"rel_bits must be 0..{relative.MAX_REL_BITS} or None, got {rel_bits}")
    _, code_lengths, gap_lengths = plans[rel_bits]
    entry_codes, gaps = relative.encode_gaps(coded.codes.reshape(-1), rel_bits)
    return PackedTensor(
        shape=coded.shape, rel_bits=rel_bits, codebook=coded.codebook, entries=entry_codes.size,
        code_lengths=code_lengths, gap_lengths=gap_lengths,
        code_stream=huffman.encode(entry_codes, code_lengths),
        gap_stream=huffman.encode(gaps, gap_lengths) if rel_bits else b"")


def unpack(packed: PackedTensor, name: str = "") -> CodedTensor:
    """Streams back to the coded tensor. Raises FormatError, naming the tensor by `name`, for streams that are too
    short or long, hold a code outside the codebook, or place an entry past the end."""
    with located(f"tensor {name!r}, code stream"):
        codes = huffman.decode(packed.code_stream, packed.code_lengths, packed.entries)
    if packed.rel_bits:
        with located(f"tensor {name!r}, gap stream"):
            gaps = huffman.decode(packed.gap_stream, packed.gap_lengths, packed.entries)
            codes = relative.decode_gaps(codes, gaps, packed.size)
    codes.flags.writeable = False
    with located(f"tensor {name!r}, code stream"):
        return CodedTensor(packed.codebook, codes.reshape(packed.shape))


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


def _plans(coded: CodedTensor, coder: str) -> list[tuple[int, np.ndarray, np.ndarray]]:
    # For each rel_bits: bytes of streams and tables, code lengths, gap lengths; from histograms, nothing is encoded.
    k = coded.codebook.size
    code_counts = huffman.count_symbols(coded.codes.reshape(-1), k)
    gap_counts, fillers = relative.gap_histograms(coded.codes.reshape(-1))
    plans = [(*_cheapest(code_counts, coder), np.zeros(0, np.uint8))]
    for width in range(1, relative.MAX_REL_BITS + 1):
        code_counts[0] = fillers[width]
        code_nbytes, code_lengths = _cheapest(code_counts, coder)
        gap_nbytes, gap_lengths = _cheapest(gap_counts[width, :2**width], coder)
        plans.append((code_nbytes + gap_nbytes, code_lengths, gap_lengths))
    return plans


def _cheapest(counts: np.ndarray, coder: str) -> tuple[int, np.ndarray]:
    # Bytes of stream and table, and the lengths, of one stream.
    flat = huffman.flat_lengths(counts.size)
    flat_nbytes = -(-int(counts.sum()) * int(flat[0]) // 8)
    if coder == "fixed" or flat_nbytes == 0:
        return flat_nbytes, flat
    lengths = huffman.code_lengths(counts)
    nbytes = -(-huffman.encoded_bits(counts, lengths) // 8) + len(huffman.pack_lengths(lengths))
    return (nbytes, lengths) if nbytes < flat_nbytes else (flat_nbytes, flat)


def _is_flat(lengths: np.ndarray) -> bool:
    return bool(lengths.size) and lengths.size == 2**int(lengths[0]) and bool(np.all(lengths == lengths[0]))


def _table_bytes(lengths: np.ndarray) -> bytes:
    return b"" if lengths.size == 0 or _is_flat(lengths) else huffman.pack_lengths(lengths)


def _check_counts(packed: PackedTensor) -> None:
    if not 0 <= packed.rel_bits <= relative.MAX_REL_BITS:
        raise ValueError(f"rel_bits must be 0..{relative.MAX_REL_BITS}, got {packed.rel_bits}")
    if len(packed.shape) > 8 or min(packed.shape, default=0) < 0:
        raise ValueError(f"a shape has up to 8 dimensions >= 0, got {packed.shape}")
    if not 0 <= packed.entries <= packed.size or (packed.rel_bits == 0 and packed.entries != packed.size):
        bound = f"{packed.size} in dense mode" if packed.rel_bits == 0 else f"0..{packed.size}"
        raise ValueError(f"{packed.entries} entries in shape {packed.shape}, expected {bound}")


def _check_stream(what: str, lengths: np.ndarray, n_symbols: int, entries: int, stream: bytes) -> None:
    huffman.check_lengths(lengths)
    if lengths.size != n_symbols and not np.array_equal(lengths, huffman.flat_lengths(n_symbols)):
        raise ValueError(f"{what} table has {lengths.size} lengths, expected {n_symbols} or a flat table")
    longest = -(-entries * int(lengths.max()) // 8)
    if len(stream) > longest or (_is_flat(lengths) and len(stream) != longest):
        raise ValueError(f"{what} stream has {len(stream)} bytes, {entries} entries take at most {longest}")


@njit(cache=True, nogil=True)
def _look_up(codebook, codes, values):
    # codebook[codes] without the int64 copy of the codes that NumPy makes.
    for i in range(codes.size):
        values[i] = codebook[codes[i]]
