"""Every byte of a .gdc file by tensor and by what it says: positions, codes, codebooks, arrays, and what frames them.

Works for both versions of the file, and without MXNet.
"""

from dataclasses import dataclass

import numpy as np

from ..coding import CodedTensor, ContextTensor, context, unpack
from ..coding.context_tensor import decode_groups
from .streams import is_decoded_soon
from .tables import Table, count, decimal

# What the bytes of a tensor say, in the order of the table, and where `CompressedModel.part_nbytes` has it.
COLUMNS = {"positions": ("gaps",), "codes": ("codes",), "codebook": ("codebook",), "tables": ("tables",),
           "arrays": ("arrays",)}
FRAME = ("header", "checksums", "graph", "metadata")
_MASK_CODEBOOK = np.array([0, 1], np.float32)
NOTE = ("Positions of context-coded tensors: what a stream of the masks alone takes; codes: the rest of the stream. "
        "Tensors that share a stream share its bytes in proportion to their entropies.")


@dataclass(frozen=True)
class ByteRow:
    """Bytes of one tensor. coder: "context", "huffman", "fixed" or "lossless". kept: kept weights, None where unknown
    (lossless, or not decoded). nbytes: by column; "positions" is None where codes and positions were not told apart."""

    name: str
    shape: tuple[int, ...]
    coder: str
    kept: int | None
    nbytes: dict[str, int | None]

    @property
    def total(self) -> int:
        """Bytes of the tensor in the file."""
        return sum(nbytes or 0 for nbytes in self.nbytes.values())

    @property
    def bits_per_kept_weight(self) -> float | None:
        """Of a coded tensor with kept weights."""
        return 8 * self.total / self.kept if self.kept else None

    def to_dict(self) -> dict:
        """The row as plain JSON types."""
        return {"name": self.name, "shape": list(self.shape), "coder": self.coder, "kept": self.kept,
                "nbytes": {**self.nbytes, "total": self.total}, "bits_per_kept_weight": self.bits_per_kept_weight}


@dataclass(frozen=True)
class ByteTable:
    """All bytes of a file. version: of the format. rows: a ByteRow for each tensor. frame: bytes that belong to no
    tensor, by FRAME. Everything adds up to nbytes, the file."""

    version: int
    nbytes: int
    rows: tuple[ByteRow, ...]
    frame: dict[str, int]

    @property
    def kept(self) -> int | None:
        """Kept weights of all coded tensors, biases among them too; None where some are unknown."""
        kept = [row.kept for row in self.rows if row.coder != "lossless"]
        return None if None in kept else sum(kept)

    def to_dict(self) -> dict:
        """The table as plain JSON types."""
        return {"version": self.version, "nbytes": self.nbytes, "kept": self.kept,
                "bits_per_kept_weight": 8 * self.nbytes / self.kept if self.kept else None,
                "tensors": [row.to_dict() for row in self.rows], "file": dict(self.frame)}

    def __str__(self) -> str:
        return str(byte_table_text(self))


def byte_table(model, decode=None) -> ByteTable:
    """Where the bytes of a CompressedModel's file are.

    decode: whether tensors of the context coder are decoded, to count what is kept and to tell positions from codes;
    by default if that is soon done. Raises FormatError for streams that do not decode.
    """
    decode = is_decoded_soon(model) if decode is None else decode
    parts = model.part_nbytes()
    if decode:
        decode_groups(model.tensors)
    splits = _position_shares(model) if decode else {}
    rows = tuple(_row(name, tensor, parts[name], splits, decode) for name, tensor in model.items())
    frame = {what: parts[""][what] for what in FRAME}
    return ByteTable(model.version, sum(row.total for row in rows) + sum(frame.values()), rows, frame)


def _row(name, tensor, parts, splits, decode):
    nbytes = {column: sum(parts.get(part, 0) for part in keys) for column, keys in COLUMNS.items()}
    if isinstance(tensor, np.ndarray):
        return ByteRow(name, tensor.shape, "lossless", None, nbytes)
    if isinstance(tensor, ContextTensor):
        positions = round(splits[name] * nbytes["codes"]) if name in splits else None
        nbytes |= {"positions": positions, "codes": nbytes["codes"] - (positions or 0)}
    kept = unpack(tensor, name).nnz if decode or not isinstance(tensor, ContextTensor) else None
    return ByteRow(name, tensor.shape, tensor.coder, kept, nbytes)


def _position_shares(model):
    """{name: share of its bytes of the stream that the mask alone would take} of the context-coded tensors."""
    groups = {id(tensor.group): tensor.group for _, tensor in model.items() if isinstance(tensor, ContextTensor)}
    masks_nbytes = {key: len(context.encode_codes([_mask(codes) for codes in group.codes()], group.effort))
                    for key, group in groups.items()}
    shares = {}
    for name, tensor in model.items():
        if isinstance(tensor, ContextTensor):
            group, codes = tensor.group, tensor.group.codes()
            positions = _scaled(codes, _mask_bits, masks_nbytes[id(group)])
            values = _scaled(codes, _value_bits, max(0, len(group.stream) - masks_nbytes[id(group)]))
            both = positions[tensor.place] + values[tensor.place]
            shares[name] = positions[tensor.place] / both if both else 0.0
    return shares


def _mask(codes):
    return CodedTensor(_MASK_CODEBOOK, (codes != 0).astype(np.uint8))


def _scaled(codes, bits, nbytes):
    bits = np.array([bits(array) for array in codes])
    return bits * (nbytes / bits.sum() if bits.sum() else 0)


def _mask_bits(codes):
    kept = np.count_nonzero(codes)
    return _entropy_bits(np.array([kept, codes.size - kept]))


def _value_bits(codes):
    return _entropy_bits(np.bincount(codes.reshape(-1), minlength=1)[1:])


def _entropy_bits(counts):
    used = counts[counts > 0].astype(np.float64)
    return float(np.sum(used * np.log2(used.sum() / used))) if used.size else 0.0


def byte_table_text(table) -> Table:
    """The ByteTable as text."""
    rows = [[row.name, row.coder, "x".join(map(str, row.shape)) or "scalar", count(row.kept),
             *(_cell(nbytes) for nbytes in row.nbytes.values()), count(row.total),
             decimal(row.bits_per_kept_weight, 2)] for row in table.rows]
    sums = [sum(row.nbytes[column] or 0 for row in table.rows) for column in COLUMNS]
    rows += [None, ["all tensors", "", "", count(table.kept), *map(_cell, sums), count(sum(sums)), None]]
    rows += [[what, "", "", None, *[None] * len(COLUMNS), count(nbytes), None]
             for what, nbytes in table.frame.items() if nbytes]
    bits = 8 * table.nbytes / table.kept if table.kept else None
    total = ["the file", "", "", count(table.kept), *[None] * len(COLUMNS), count(table.nbytes), decimal(bits, 2)]
    rows += [None, total]
    headings = ["tensor", "coder", "shape", "kept", "posi-\ntions", "codes", "code-\nbook", "tables", "arrays", "bytes",
                "bits a kept\nweight"]
    notes = (NOTE,) if any(row.coder == "context" for row in table.rows) else ()
    return Table(f"{table.nbytes:,} bytes, version {table.version}", headings, rows, text_columns=3, notes=notes)


def _cell(nbytes):
    return count(nbytes) if nbytes else None
