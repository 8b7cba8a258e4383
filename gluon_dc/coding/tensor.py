"""PackedTensor, a coded tensor as the streams of its entries; packing by any coder, and unpacking."""

from dataclasses import dataclass

import numpy as np

from . import chunked, huffman, relative
from .arrays import frozen
from .coded import MAX_CODEBOOK, CodedTensor, StoredTensor, checked_codebook, code_bits
from .context_tensor import ContextTensor, pack_groups
from .errors import located
from .lossless import plain_nbytes

__all__ = ["CODERS", "MAX_CODEBOOK", "CodedTensor", "PackedTensor", "checked_codebook", "code_bits", "pack", "pack_all",
           "unpack"]

CODERS = ("huffman", "fixed", "context")
# From so many entries on, Huffman streams are cut into chunks, which are coded and decoded in threads.
CHUNKED_ENTRIES = 2**20


@dataclass(frozen=True, eq=False)
class PackedTensor(StoredTensor):
    """A coded tensor as two streams of symbols: the codes of its entries and the gaps before them.

    shape: up to 8 dimensions. rel_bits: 0..8 bits of a gap; 0 = dense mode, every position is an entry and there are
    no gaps. codebook: as in CodedTensor, k entries. entries: kept weights and fillers. code_lengths: uint8, of a
    Huffman code over the k codes, or `flat_lengths(k)` for fixed width. gap_lengths: likewise over the 2**rel_bits
    gaps, (0,) in dense mode. code_stream, gap_stream: bytes. chunked: both are streams of `chunked.encode_chunks`, as
    only version 2 of the file has them, and not of `huffman.encode`. Raises ValueError where these disagree; the
    streams themselves are read by `unpack`. Equal by content.
    """

    shape: tuple[int, ...]
    rel_bits: int
    codebook: np.ndarray
    entries: int
    code_lengths: np.ndarray
    gap_lengths: np.ndarray
    code_stream: bytes
    gap_stream: bytes
    chunked: bool = False

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(int(extent) for extent in self.shape))
        object.__setattr__(self, "codebook", checked_codebook(self.codebook))
        for field in ("code_lengths", "gap_lengths"):
            object.__setattr__(self, field, frozen(getattr(self, field), np.uint8))
        _check_counts(self)
        _check_stream("code", self.code_lengths, self.codebook.size, self.entries, self.code_stream, self.chunked)
        if self.rel_bits:
            _check_stream("gap", self.gap_lengths, 2**self.rel_bits, self.entries, self.gap_stream, self.chunked)
        elif self.gap_lengths.size or self.gap_stream:
            raise ValueError("dense mode (rel_bits 0) has no gaps, but there is a gap table or stream")

    @property
    def coder(self) -> str:
        """"huffman" where either stream has a Huffman code of its own, "fixed" where both are of fixed width."""
        return "huffman" if self.code_table or self.gap_table else "fixed"

    @property
    def decoder(self):
        """What decodes its streams: `huffman.decode`, or `chunked.decode_chunks`."""
        return chunked.decode_chunks if self.chunked else huffman.decode

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

    def decode(self) -> np.ndarray:
        """The weight, float32. Raises FormatError for streams that do not decode."""
        return unpack(self).decode()

    def __eq__(self, other) -> bool:
        return isinstance(other, PackedTensor) and self._content() == other._content()

    def _content(self) -> tuple:
        return (self.shape, self.rel_bits, self.codebook.tobytes(), self.entries, self.code_lengths.tobytes(),
                self.gap_lengths.tobytes(), self.code_stream, self.gap_stream, self.chunked)


def pack(coded: CodedTensor, coder: str = "huffman", rel_bits: int | None = None, effort: str = "best"):
    """Coded tensor to streams; `unpack` gives back exactly the same.

    coder: "huffman" (a stream still stays at fixed width where that takes no more bytes, table included) or "fixed"
    for a PackedTensor, "context" for a ContextTensor in a group of its own (`pack_all` lets several share one).
    rel_bits: 0..8, or None for the width with the fewest bytes, ties to the smaller; the context coder has none.
    effort: "fast" or "best", of the context coder. Raises ValueError for others. Source: paper sections 2 and 4.
    """
    return pack_all({"": coded}, coder, {} if rel_bits is None else {"": rel_bits}, effort)[""]


def pack_all(tensors, coder: str = "huffman", rel_bits=None, effort: str = "best", progress=None) -> dict:
    """`pack` for {name: CodedTensor}, in the same order; small tensors share a stream of the context coder.

    rel_bits: {name: 0..8}, those with the fewest bytes for the others. progress(weights), if given, is called after
    each stream of the context coder.
    """
    if coder not in CODERS:
        raise ValueError(f"unknown coder {coder!r}, expected one of {', '.join(CODERS)}")
    rel_bits = rel_bits or {}
    if coder == "context":
        if any(width is not None for width in rel_bits.values()):
            raise ValueError("rel_bits: the context coder stores no gaps, so there is no width to choose")
        return pack_groups(tensors, effort, progress)
    return {name: _pack(coded, coder, rel_bits.get(name)) for name, coded in tensors.items()}


def _pack(coded: CodedTensor, coder: str, rel_bits: int | None) -> PackedTensor:
    plans = _plans(coded, coder)
    if rel_bits is None:
        rel_bits = min(range(len(plans)), key=lambda width: plans[width][0])
    elif not 0 <= rel_bits <= relative.MAX_REL_BITS:
        raise ValueError(f"rel_bits must be 0..{relative.MAX_REL_BITS} or None, got {rel_bits}")
    _, code_lengths, gap_lengths = plans[rel_bits]
    entry_codes, gaps = relative.encode_gaps(coded.codes.reshape(-1), rel_bits)
    is_chunked = coder == "huffman" and entry_codes.size >= CHUNKED_ENTRIES
    encode = chunked.encode_chunks if is_chunked else huffman.encode
    return PackedTensor(
        shape=coded.shape, rel_bits=rel_bits, codebook=coded.codebook, entries=entry_codes.size,
        code_lengths=code_lengths, gap_lengths=gap_lengths, code_stream=encode(entry_codes, code_lengths),
        gap_stream=encode(gaps, gap_lengths) if rel_bits else b"", chunked=is_chunked)


def unpack(packed, name: str = "") -> CodedTensor:
    """Streams of a PackedTensor or ContextTensor back to the coded tensor. Raises FormatError, naming the tensor by
    `name`, for streams that are too short or long, hold a code outside the codebook, or place an entry past the end."""
    if isinstance(packed, ContextTensor):
        with located(f"tensor {name!r}, stream of its group"):
            return packed.unpack()
    with located(f"tensor {name!r}, code stream"):
        codes = packed.decoder(packed.code_stream, packed.code_lengths, packed.entries)
    if packed.rel_bits:
        with located(f"tensor {name!r}, gap stream"):
            gaps = packed.decoder(packed.gap_stream, packed.gap_lengths, packed.entries)
            codes = relative.decode_gaps(codes, gaps, packed.size)
    codes.flags.writeable = False
    with located(f"tensor {name!r}, code stream"):
        return CodedTensor(packed.codebook, codes.reshape(packed.shape))


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


def _check_stream(what: str, lengths: np.ndarray, n_symbols: int, entries: int, stream: bytes,
                  is_chunked: bool) -> None:
    huffman.check_lengths(lengths)
    if lengths.size != n_symbols and not np.array_equal(lengths, huffman.flat_lengths(n_symbols)):
        raise ValueError(f"{what} table has {lengths.size} lengths, expected {n_symbols} or a flat table")
    if is_chunked:
        return  # chunks have sizes of their own, which their decoder checks
    longest = -(-entries * int(lengths.max()) // 8)
    if len(stream) > longest or (_is_flat(lengths) and len(stream) != longest):
        raise ValueError(f"{what} stream has {len(stream)} bytes, {entries} entries take at most {longest}")
