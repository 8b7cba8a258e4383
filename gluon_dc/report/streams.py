"""The symbol streams of a packed model: how often each symbol occurs, and what coding makes of it."""

import weakref
from dataclasses import dataclass, replace

import numpy as np

from ..coding import ContextTensor, FormatError, PackedTensor, chunked, huffman, pack, pack_all, unpack

REFERENCE_LIMIT = 100_000  # symbols; the readable decoder takes about a second for as many

# id of a PackedTensor -> (weak reference to it, its streams): a report asks many times, and decoding takes seconds.
_counted = {}
# id of a ContextTensor -> (weak reference to it, the PackedTensor of the same weights).
_packed = {}
# A model whose context coder holds more weights is not decoded just to report on it: that takes a second per million.
MAX_DECODED_SIZE = 2**23


@dataclass(frozen=True, eq=False)
class Stream:
    """One stream of a packed tensor, decoded and counted.

    tensor: its name. kind: "codes" or "gaps". counts: int64 (n,), occurrences of each symbol of the alphabet.
    fixed_bits: width of a symbol in fixed-width coding. code_lengths: uint8 (n,), the code that the file uses.
    nbytes, table_nbytes: bytes of the stream and of its packed table of code lengths in the file.
    """

    tensor: str
    kind: str
    counts: np.ndarray
    fixed_bits: int
    code_lengths: np.ndarray
    nbytes: int
    table_nbytes: int

    @property
    def symbols(self) -> int:
        """Number of symbols in the stream."""
        return int(self.counts.sum())

    @property
    def used(self) -> int:
        """Number of different symbols in the stream."""
        return int(np.count_nonzero(self.counts))

    @property
    def coded_bits(self) -> int:
        """Bits of the stream as it stands in the file, its padding not included."""
        return huffman.encoded_bits(self.counts, self.code_lengths)

    @property
    def huffman_bits(self) -> int:
        """Bits of the stream under the Huffman code of its own counts, whatever the file uses; no table."""
        return huffman.encoded_bits(self.counts, huffman.code_lengths(self.counts))

    @property
    def entropy_bits(self) -> float:
        """Zero-order entropy of the whole stream in bits."""
        return huffman.entropy_bits(self.counts)

    @property
    def fixed_nbytes(self) -> int:
        """Bytes of the stream in fixed-width coding."""
        return -(-self.symbols * self.fixed_bits // 8)

    @property
    def bound_nbytes(self) -> float:
        """Zero-order entropy in bytes, not rounded: no code of symbols one by one goes below it."""
        return self.entropy_bits / 8

    @property
    def percent_above_bound(self) -> float | None:
        """How far the stream's bytes (without its table) are above the bound; None where the bound is 0."""
        return 100 * (self.nbytes / self.bound_nbytes - 1) if self.bound_nbytes else None

    def to_dict(self) -> dict:
        """The numbers as plain JSON types; bits a symbol as means, 0.0 for an empty stream."""
        symbols = max(1, self.symbols)
        return {
            "tensor": self.tensor, "stream": self.kind, "symbols": self.symbols, "used": self.used,
            "alphabet": len(self.counts), "entropy_bits_per_symbol": self.entropy_bits / symbols,
            "mean_code_bits": self.coded_bits / symbols, "fixed_bits": self.fixed_bits, "nbytes": self.nbytes,
            "table_nbytes": self.table_nbytes, "fixed_nbytes": self.fixed_nbytes, "bound_nbytes": self.bound_nbytes,
            "percent_above_bound": self.percent_above_bound,
        }


def tensor_streams(name, packed) -> list[Stream]:
    """Decode and count the streams of a PackedTensor: codes, and gaps unless it is in dense mode (rel_bits 0).

    Raises FormatError that names the tensor where a stream does not decode.
    """
    known = _counted.get(id(packed))
    if known is None:
        # Tensors are compared by content and cannot be hashed, so a WeakKeyDictionary would not do.
        forget = weakref.ref(packed, lambda _, key=id(packed): _counted.pop(key, None))
        known = _counted[id(packed)] = (forget, _count_streams(name, packed))
    return [replace(stream, tensor=name) for stream in known[1]]


def model_streams(model) -> list[Stream]:
    """`tensor_streams` of every packed tensor of a CompressedModel, in its order."""
    return [stream for name, packed in packed_tensors(model) for stream in tensor_streams(name, packed)]


def packed_tensors(model) -> list[tuple[str, PackedTensor]]:
    """(name, PackedTensor) of the tensors that have an index; others are left out."""
    return [(name, tensor) for name, tensor in model.items() if isinstance(tensor, PackedTensor)]


def coded_tensors(model) -> list[tuple[str, PackedTensor | ContextTensor]]:
    """(name, tensor) of the tensors that are coded; those that travel losslessly are left out."""
    return [(name, tensor) for name, tensor in model.items() if isinstance(tensor, (PackedTensor, ContextTensor))]


def is_decoded_soon(model) -> bool:
    """Whether the tensors of the context coder are decoded already, or few enough to be decoded for a report."""
    coded = [tensor for _, tensor in model.items() if isinstance(tensor, ContextTensor)]
    return sum(tensor.size for tensor in coded if not tensor.is_decoded) <= MAX_DECODED_SIZE


def paper_form(model) -> list[tuple[str, PackedTensor]]:
    """(name, PackedTensor) of every coded tensor as the paper would store it.

    Tensors of the context coder have no index: they are packed anew, Huffman-coded, with the best gap width. Biases
    among them are left out, as the paper leaves them out; and all of them where `is_decoded_soon` says no. Raises
    FormatError for streams that do not decode.
    """
    if not is_decoded_soon(model):
        return packed_tensors(model)
    return [(name, _as_packed(name, tensor)) for name, tensor in coded_tensors(model)
            if isinstance(tensor, PackedTensor) or len(tensor.shape) > 1]


def _as_packed(name, tensor) -> PackedTensor:
    if isinstance(tensor, PackedTensor):
        return tensor
    known = _packed.get(id(tensor))
    if known is None:
        forget = weakref.ref(tensor, lambda _, key=id(tensor): _packed.pop(key, None))
        known = _packed[id(tensor)] = (forget, pack(unpack(tensor, name)))
    return known[1]


def check_reference(name, packed, limit=REFERENCE_LIMIT) -> bool:
    """Decode both streams with the slow reference decoder too and compare: True, or False where they are too long.

    limit: most symbols that are decoded this way. Raises FormatError where the two decoders disagree.
    """
    if packed.entries > limit:
        return False
    reference = chunked.decode_chunks_reference if packed.chunked else huffman.decode_reference
    pairs = zip(_symbols(packed, packed.decoder), _symbols(packed, reference))
    for kind, (fast, slow) in zip(("codes", "gaps"), pairs):
        if not np.array_equal(fast, slow):
            first = int(np.flatnonzero(fast != slow)[0])
            raise FormatError(
                f"tensor {name!r}, {kind}: symbol {first} is {fast[first]} to the fast decoder and {slow[first]} "
                "to the reference decoder: one of them has a bug, please report it with this file"
            )
    return True


def recode(model, coder, keep_rel_bits=True):
    """Return the model with every coded tensor coded by "huffman", "fixed" or "context"; its weights stay bit for bit.

    keep_rel_bits: keep each tensor's width of gaps, else choose the one with the fewest bytes for this coder.
    Raises FormatError for streams that do not decode, ValueError for another coder.
    """
    coded = {name: unpack(tensor, name) for name, tensor in coded_tensors(model)}
    kept = keep_rel_bits and coder != "context"
    recoded = pack_all(coded, coder, {name: packed.rel_bits for name, packed in packed_tensors(model)} if kept else {})
    tensors = {name: recoded.get(name, tensor) for name, tensor in model.items()}
    return replace(model, tensors=tensors, effort="best" if coder == "context" else None)


def _count_streams(name, packed):
    # unpack checks what the streams cannot know: codes outside the codebook, entries past the end.
    unpack(packed, name)
    codes, gaps = _symbols(packed, packed.decoder)
    streams = [
        _stream(name, "codes", codes, packed.code_lengths, packed.code_bits, packed.code_stream, packed.code_table)
    ]
    if packed.rel_bits:
        streams.append(
            _stream(name, "gaps", gaps, packed.gap_lengths, packed.rel_bits, packed.gap_stream, packed.gap_table)
        )
    return streams


def _symbols(packed, decode):
    codes = decode(packed.code_stream, packed.code_lengths, packed.entries)
    if not packed.rel_bits:
        return codes, np.zeros(0, np.uint8)
    return codes, decode(packed.gap_stream, packed.gap_lengths, packed.entries)


def _stream(name, kind, symbols, lengths, fixed_bits, stream, table):
    counts = huffman.count_symbols(symbols, len(lengths))
    return Stream(name, kind, counts, fixed_bits, lengths, len(stream), len(table))
