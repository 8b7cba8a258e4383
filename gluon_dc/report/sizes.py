"""Where the bytes of a .gdc file go: every one of them, by part and by layer."""

from dataclasses import dataclass

import numpy as np

from ..coding import CompressedModel, ContextTensor, unpack
from .accounting import LayerRow, layer_rows
from .streams import is_decoded_soon
from .tables import Table, count, decimal, times

# Key in CompressedModel.part_nbytes() -> what people call it, in the order of the table.
PARTS = {
    "codes": "codes",
    "gaps": "gaps",
    "codebook": "codebooks",
    "tables": "Huffman tables",
    "arrays": "biases and other lossless arrays",
    "graph": "graph",
    "metadata": "metadata",
    "header": "header",
    "checksums": "checksums",
}
TENSOR_HEADINGS = [
    "tensor", "travels", "shape", "kept %", "codes", "gaps", "code-\nbook", "tables", "lossless", "bytes", "ratio",
]


@dataclass(frozen=True)
class TensorSize:
    """One tensor of a file: its bytes by part, and what the same array takes plainly.

    kind: "coded" or "lossless". kept: kept weights of a coded tensor, None for a lossless one and where counting them
    would take long (large tensors of the context coder). dense_nbytes: as
    float32, or of the array's own dtype for a lossless one. Record and checksum of the tensor are not in here: they
    are in the file's header and checksums.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    kept: int | None
    part_nbytes: dict[str, int]
    dense_nbytes: int

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor in the file."""
        return sum(self.part_nbytes.values())

    def to_dict(self) -> dict:
        """The record as plain JSON types."""
        return {**vars(self), "shape": list(self.shape), "nbytes": self.nbytes}


@dataclass(frozen=True)
class SizeReport:
    """Bytes of a .gdc file; `str` gives tables, `to_dict` plain JSON types.

    nbytes: the file. dense_nbytes: all its arrays, plainly. part_nbytes: bytes by part (keys of PARTS), which sum to
    nbytes exactly. tensors: a TensorSize each. rows: the paper's accounting, see `accounting.layer_rows`.
    """

    nbytes: int
    dense_nbytes: int
    part_nbytes: dict[str, int]
    tensors: tuple[TensorSize, ...]
    rows: tuple[LayerRow, ...]

    @property
    def ratio(self) -> float:
        """Compression ratio: dense_nbytes / nbytes, every byte of the file counted."""
        return self.dense_nbytes / self.nbytes

    def to_dict(self) -> dict:
        """The report as plain JSON types."""
        return {
            "nbytes": self.nbytes, "dense_nbytes": self.dense_nbytes, "ratio": self.ratio,
            "part_nbytes": dict(self.part_nbytes),
            "tensors": [tensor.to_dict() for tensor in self.tensors],
            "paper_accounting": [row.to_dict() for row in self.rows],
        }

    def __str__(self) -> str:
        return f"{parts_table(self)}\n\n{tensors_table(self)}"


def size_report(model) -> SizeReport:
    """Count the bytes of a CompressedModel's file by part and by tensor.

    Raises FormatError for streams that do not decode (the kept weights are counted from them), TypeError for what is
    no CompressedModel.
    """
    if not isinstance(model, CompressedModel):
        raise TypeError(f"expected a CompressedModel, got {type(model).__name__}: gluon_dc.compress(net) makes one")
    parts = model.part_nbytes()
    rows = layer_rows(model)
    kept = {row.name: row.kept for row in rows} | _kept_by_context(model)
    tensors = tuple(_tensor_size(name, tensor, kept.get(name), parts[name]) for name, tensor in model.items())
    totals = {part: sum(of_one.get(part, 0) for of_one in parts.values()) for part in PARTS}
    dense_nbytes = sum(tensor.dense_nbytes for tensor in tensors)
    return SizeReport(sum(totals.values()), dense_nbytes, totals, tensors, tuple(rows))


def _kept_by_context(model):
    if not is_decoded_soon(model):
        return {}
    return {name: unpack(tensor, name).nnz for name, tensor in model.items() if isinstance(tensor, ContextTensor)}


def _tensor_size(name, tensor, kept, part_nbytes):
    if isinstance(tensor, np.ndarray):
        return TensorSize(name, "lossless", tensor.shape, None, dict(part_nbytes), tensor.nbytes)
    return TensorSize(name, "coded", tensor.shape, kept, dict(part_nbytes), 4 * tensor.size)


def parts_table(report) -> Table:
    """Return the bytes of a SizeReport by part."""
    rows = [
        [PARTS[part], count(nbytes), decimal(100 * nbytes / report.nbytes, 1)]
        for part, nbytes in report.part_nbytes.items() if nbytes
    ]
    rows += [None, ["the file", count(report.nbytes), "100.0"]]
    title = (
        f"{count(report.nbytes)} bytes for {count(report.dense_nbytes)} dense ones: "
        f"{times(report.ratio)}, every byte counted"
    )
    return Table(title, ["part", "bytes", "% of file"], rows)


def tensors_table(report) -> Table:
    """Return the bytes of a SizeReport by tensor."""
    rows = []
    for tensor in report.tensors:
        parts = tensor.part_nbytes
        coded = tensor.kind == "coded"
        size = tensor.dense_nbytes // 4 if coded else None
        rows.append([
            tensor.name, tensor.kind, "x".join(map(str, tensor.shape)) or "scalar",
            None if tensor.kept is None else decimal(100 * tensor.kept / max(1, size), 1),
            *(count(parts.get(part)) for part in ("codes", "gaps", "codebook", "tables", "arrays")),
            count(tensor.nbytes), times(tensor.dense_nbytes / tensor.nbytes) if tensor.nbytes else None,
        ])
    return Table("Bytes of each tensor", TENSOR_HEADINGS, rows, text_columns=2)
