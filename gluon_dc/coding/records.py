"""The records of a .gdc header: one per tensor, its name, form and sizes; and the tensors' sections."""

import math
from typing import NamedTuple

import numpy as np

from .context_tensor import ContextTensor
from .errors import FormatError, located
from .lossless import dtype_index, form_dtypes, pack_array, pack_plain, plain_nbytes, unpack_array
from .names import MAX_NAME_NBYTES, MAX_RANK, read_name, read_shape, write_name, write_shape
from .packed_form import PackedPlan, planned_packed
from .relative import MAX_REL_BITS
from .tensor import PackedTensor
from .wire import Cursor, write_varint

CODED = 0x80
HALF_CODEBOOK = 0x40
GAP_TABLE = 0x20
CODE_TABLE = 0x10
REL_BITS = 0x0F


class Record(NamedTuple):
    """What the header says of one tensor. codebook_size and entries are 0 for a lossless array; gap_nbytes is 0
    where the gap stream's size follows from the rest."""

    name: str
    form: int
    shape: tuple[int, ...]
    codebook_size: int
    entries: int
    gap_nbytes: int
    section_nbytes: int

    @property
    def decoded_nbytes(self) -> int:
        """Bytes of the decoded array; a dimension of 0 counts as 1, so that no other one can be absurd beside it."""
        itemsize = 4 if self.form & CODED else form_dtypes(self.form)[0].itemsize
        return itemsize * math.prod(max(1, extent) for extent in self.shape)


def write_tensor(name: str, tensor, previous_name: str) -> tuple[bytes, bytes]:
    """Record and section of a PackedTensor or lossless array."""
    fields = []
    if isinstance(tensor, PackedTensor):
        form, section = _coded_form(tensor), _coded_section(tensor)
        fields.append(bytes([tensor.codebook.size - 1]))
        if tensor.rel_bits:
            fields.append(write_varint(tensor.entries))
        if form & GAP_TABLE:
            fields.append(write_varint(len(tensor.gap_stream)))
    else:
        form, section = pack_array(tensor)
    fields.append(write_varint(len(section)))
    return write_name(name, previous_name) + bytes([form]) + write_shape(tensor.shape) + b"".join(fields), section


def read_record(header: Cursor, previous_name: str) -> Record:
    """The next record of a header. FormatError for one that is cut short or contradicts itself."""
    start = header.position
    with located(f"tensor record at byte {start}"):
        name = read_name(header, previous_name)
    with located(f"tensor {name!r}, record at byte {start}"):
        form = header.take(1, "form")[0]
        _check_form(form)
        shape = read_shape(header)
        codebook_size = entries = gap_nbytes = 0
        if form & CODED:
            codebook_size = header.take(1, "codebook size")[0] + 1
            entries = header.varint("entries") if form & REL_BITS else math.prod(shape)
            gap_nbytes = header.varint("gap stream size") if form & GAP_TABLE else 0
        return Record(name, form, shape, codebook_size, entries, gap_nbytes, header.varint("section size"))


def read_section(record: Record, section: Cursor) -> PackedTensor | np.ndarray:
    """The tensor of a record from its section, all of it. ValueError for bytes that do not fit the record.

    Assumes that record.decoded_nbytes was found acceptable.
    """
    if not record.form & CODED:
        return unpack_array(record.form, section.take(section.left, "array"), record.shape)
    rel_bits = record.form & REL_BITS
    dtype = np.dtype("<f2" if record.form & HALF_CODEBOOK else "<f4")
    values = np.frombuffer(section.take((record.codebook_size - 1) * dtype.itemsize, "codebook"), dtype)
    codebook = np.concatenate([np.zeros(1, np.float32), values])
    plan = PackedPlan(rel_bits, bool(record.form & CODE_TABLE), bool(record.form & GAP_TABLE), False, record.entries,
                      record.gap_nbytes if record.form & GAP_TABLE else None)
    return planned_packed(plan, record.shape, codebook, section)


def check_storable(name: str, tensor) -> None:
    """ValueError or TypeError, naming the tensor, for a name or tensor that a file cannot hold."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"a tensor name is a non-empty string, got {name!r}")
    if len(name.encode()) > MAX_NAME_NBYTES:
        raise ValueError(f"tensor name {name[:40]!r}... has {len(name.encode())} bytes, expected at most {MAX_NAME_NBYTES}")
    if isinstance(tensor, (PackedTensor, ContextTensor)):
        return
    if not isinstance(tensor, np.ndarray):
        raise TypeError(f"tensor {name!r}: expected a PackedTensor or a NumPy array, got {type(tensor).__name__}")
    if tensor.ndim > MAX_RANK:
        raise ValueError(f"tensor {name!r}: {tensor.ndim} dimensions, expected at most {MAX_RANK}")
    try:
        dtype_index(tensor)
    except ValueError as error:
        raise ValueError(f"tensor {name!r}: {error}") from None


def _check_form(form: int) -> None:
    if not form & CODED:
        form_dtypes(form)
    elif form & REL_BITS > MAX_REL_BITS:
        raise FormatError(f"rel_bits {form & REL_BITS}, expected 0..{MAX_REL_BITS}")
    elif form & GAP_TABLE and not form & REL_BITS:
        raise FormatError("a gap table in dense mode (rel_bits 0), which has no gaps")


def _coded_form(tensor: PackedTensor) -> int:
    return (CODED | tensor.rel_bits
            | (HALF_CODEBOOK if plain_nbytes(tensor.codebook[1:]) < 4 * (tensor.codebook.size - 1) else 0)
            | (CODE_TABLE if tensor.code_table else 0)
            | (GAP_TABLE if tensor.gap_table else 0))


def _coded_section(tensor: PackedTensor) -> bytes:
    return b"".join([pack_plain(tensor.codebook[1:]), tensor.code_table, tensor.gap_table,
                     tensor.code_stream, tensor.gap_stream])
