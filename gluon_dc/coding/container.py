"""The .gdc file: named tensors, an optional graph and metadata, every byte under a checksum. See docs/format.md."""

import json
import os
import zlib
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from .arrays import frozen
from .errors import FormatError, located
from .files import write_atomically
from .records import Record, check_storable, read_record, read_section, write_tensor
from .tensor import PackedTensor, unpack
from .wire import CHECKSUM_NBYTES, Cursor, checksum, write_varint

MAGIC = b"\x89GDC"
VERSION = 1
MAX_DECODED_NBYTES = 2**32
# Parsed JSON can take fifty times the memory of its text.
MAX_METADATA_NBYTES = 2**20
MAX_METADATA_DEPTH = 64
HAS_GRAPH, HAS_METADATA = 1, 2


@dataclass(frozen=True, eq=False)
class CompressedModel:
    """A net as it travels: name -> PackedTensor or lossless array, in order, with its graph and notes.

    tensors: mapping of non-empty names to PackedTensor or to NumPy arrays of float32, float16, float64, int8, uint8,
    int32 or int64 with up to 8 dimensions (copied unless read-only). graph: symbol JSON or None. metadata: a dict with
    str keys that JSON can hold, finite, nested at most 64 deep. Raises ValueError or TypeError for anything else.
    """

    tensors: dict[str, PackedTensor | np.ndarray]
    graph: str | None = None
    metadata: dict = field(default_factory=dict)

    def __post_init__(self):
        tensors = {}
        for name, tensor in self.tensors.items():
            check_storable(name, tensor)
            is_array = isinstance(tensor, np.ndarray)
            tensors[name] = frozen(tensor, tensor.dtype.newbyteorder("=")) if is_array else tensor
        object.__setattr__(self, "tensors", MappingProxyType(tensors))
        object.__setattr__(self, "metadata", dict(self.metadata))
        _texts(self)

    def __repr__(self) -> str:
        return f"CompressedModel({len(self)} tensors, {self.nbytes:,} bytes)"

    def __getitem__(self, name: str) -> PackedTensor | np.ndarray:
        return self.tensors[name]

    def __len__(self) -> int:
        return len(self.tensors)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __iter__(self):
        return iter(self.tensors)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.tensors)

    def items(self):
        """Pairs of name and PackedTensor or array, in the file's order."""
        return self.tensors.items()

    def decode(self) -> dict[str, np.ndarray]:
        """Every tensor as an array: float32 for coded ones, lossless ones as they are. FormatError for bad streams."""
        return {name: unpack(tensor, name).decode() if isinstance(tensor, PackedTensor) else tensor
                for name, tensor in self.items()}

    def dumps(self) -> bytes:
        """The bytes of the file."""
        return dumps(self)

    def save(self, path) -> None:
        """Write the file, whole or not at all."""
        save(self, path)

    @property
    def nbytes(self) -> int:
        """len(dumps())."""
        return len(dumps(self))

    def part_nbytes(self) -> dict[str, dict[str, int]]:
        """Bytes of the file by tensor and part; all of them add up to nbytes exactly.

        A coded tensor has the parts codes, gaps, codebook and tables, a lossless one arrays. The key "" (no tensor's
        name) stands for the file itself: header (the records of all tensors included), checksums, graph, metadata.
        """
        header, texts, sections = _assemble(self)
        parts = {name: tensor.part_nbytes() if isinstance(tensor, PackedTensor) else {"arrays": len(sections[name])}
                 for name, tensor in self.items()}
        parts[""] = {
            "header": len(header),
            "checksums": CHECKSUM_NBYTES * (1 + len(texts) + len(sections)),
            "graph": len(texts.get("graph", b"")),
            "metadata": len(texts.get("metadata", b"")),
        }
        return parts


def dumps(model: CompressedModel) -> bytes:
    """The bytes of the .gdc file; equal models give equal bytes (with the same zlib, where there is a graph)."""
    header, texts, sections = _assemble(model)
    return b"".join(part + checksum(part) for part in (header, *texts.values(), *sections.values()))


def loads(data, max_decoded_nbytes: int = MAX_DECODED_NBYTES) -> CompressedModel:
    """The model in the bytes of a .gdc file.

    Checks every checksum, size, shape, table and codebook; what only decoding shows, `CompressedModel.decode` does.
    Raises FormatError, and nothing else, for any bytes that are not such a file, and for one whose decoded arrays
    and texts would take more than `max_decoded_nbytes`: before they are allocated.
    """
    data = memoryview(data).cast("B")
    cursor = Cursor(data)
    header = _open_header(cursor)
    texts, records = _read_header(header)
    _check_sizes(cursor, texts, records, max_decoded_nbytes)
    found = {}
    for what, (text_nbytes, section_nbytes) in texts.items():
        section = _section(cursor, section_nbytes, what)
        with located(f"{what} at byte {section.position}"):
            text = _read_text(section.take(section.left, what), text_nbytes)
            found[what] = text if what == "graph" else _parse_metadata(text)
    tensors = {}
    for record in records:
        section = _section(cursor, record.section_nbytes, f"tensor {record.name!r}")
        with located(f"tensor {record.name!r}, section at byte {section.position}"):
            tensors[record.name] = read_section(record, section)
    # All but the metadata's content is known to be right by now.
    with located("metadata"):
        return CompressedModel(tensors, found.get("graph"), found.get("metadata", {}))


def save(model: CompressedModel, path) -> None:
    """Write the model to a file, whole or not at all: an older file stays as it is until the new one is on disk."""
    data = dumps(model)
    write_atomically(path, lambda file: file.write(data))


def load(path, max_decoded_nbytes: int = MAX_DECODED_NBYTES) -> CompressedModel:
    """`loads` of a file's bytes; its FormatErrors begin with the path. OSError if it cannot be read."""
    with located(os.fspath(path)), open(path, "rb") as file:
        begin = file.read(len(MAGIC))
        _check_magic(begin)  # before a large file of something else is read
        return loads(begin + file.read(), max_decoded_nbytes)


def _assemble(model: CompressedModel) -> tuple[bytes, dict[str, bytes], dict[str, bytes]]:
    # The header without its checksum, and the sections of texts and of tensors.
    texts = _texts(model)
    # zlib where that is smaller, else the text itself.
    text_sections = {what: min(text, zlib.compress(text, 9), key=len) for what, text in texts.items()}
    flags = (HAS_GRAPH if "graph" in texts else 0) | (HAS_METADATA if "metadata" in texts else 0)
    body = [bytes([flags])]
    for what, section in text_sections.items():
        body.append(write_varint(len(texts[what])) + write_varint(len(section)))
    body.append(write_varint(len(model)))
    tensor_sections, previous = {}, ""
    for name, tensor in model.items():
        record, tensor_sections[name] = write_tensor(name, tensor, previous)
        body.append(record)
        previous = name
    body = b"".join(body)
    return MAGIC + write_varint(VERSION) + write_varint(len(body)) + body, text_sections, tensor_sections


def _texts(model: CompressedModel) -> dict[str, bytes]:
    texts = {}
    if model.graph is not None:
        texts["graph"] = model.graph.encode()
    if model.metadata:
        if not all(isinstance(key, str) for key in model.metadata):
            raise TypeError(f"metadata keys must be strings, got {list(model.metadata)}")
        if _is_deeper(model.metadata, MAX_METADATA_DEPTH):
            raise ValueError(f"metadata is nested more than {MAX_METADATA_DEPTH} deep")
        texts["metadata"] = json.dumps(
            model.metadata, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()
        if len(texts["metadata"]) > MAX_METADATA_NBYTES:
            raise ValueError(f"metadata of {len(texts['metadata'])} bytes as JSON, expected at most {MAX_METADATA_NBYTES}")
    return texts


def _is_deeper(value, depth: int) -> bool:
    if not isinstance(value, (dict, list, tuple)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in inner)


def _check_magic(begin: bytes) -> None:
    if begin != MAGIC:
        raise FormatError(f"not a .gdc file: it begins with {begin!r}, expected {MAGIC!r}")


def _open_header(cursor: Cursor) -> Cursor:
    # Magic, version and checksum; a cursor over what lies between.
    _check_magic(bytes(cursor.data[:len(MAGIC)]))
    cursor.position = len(MAGIC)
    version = cursor.varint("version")
    if version != VERSION:
        raise FormatError(f"version {version}, this reader knows {VERSION}: update gluon_dc")
    body_nbytes = cursor.varint("header size")
    start = cursor.position
    cursor.take(body_nbytes, "header")
    cursor.check(0, "header")
    return Cursor(cursor.data, start, start + body_nbytes)


def _read_header(header: Cursor) -> tuple[dict[str, tuple[int, int]], list[Record]]:
    flags = header.take(1, "header flags")[0]
    if flags & ~(HAS_GRAPH | HAS_METADATA):
        raise FormatError(f"header: unknown flags {flags:#04x} at byte {header.position - 1}")
    texts = {}
    for what, flag in (("graph", HAS_GRAPH), ("metadata", HAS_METADATA)):
        if flags & flag:
            texts[what] = header.varint(f"{what} text size"), header.varint(f"{what} section size")
    records, names, previous = [], set(), ""
    for _ in range(header.varint("number of tensors")):
        record = read_record(header, previous)
        if record.name in names:
            raise FormatError(f"tensor {record.name!r} occurs twice in the header, again before byte {header.position}")
        records.append(record)
        names.add(record.name)
        previous = record.name
    if header.left:
        raise FormatError(f"header: {header.left} bytes left over after the last record, at byte {header.position}")
    return texts, records


def _check_sizes(cursor: Cursor, texts: dict, records: list[Record], max_decoded_nbytes: int) -> None:
    decoded = sum(text_nbytes for text_nbytes, _ in texts.values())
    metadata_nbytes, _ = texts.get("metadata", (0, 0))
    if metadata_nbytes > MAX_METADATA_NBYTES:
        raise FormatError(f"metadata of {metadata_nbytes} bytes, expected at most {MAX_METADATA_NBYTES}")
    for record in records:
        decoded += record.decoded_nbytes
        if decoded > max_decoded_nbytes:
            raise FormatError(
                f"tensor {record.name!r} of shape {record.shape} brings the decoded size to {decoded} bytes, more than "
                f"max_decoded_nbytes={max_decoded_nbytes}: raise that limit if you trust the file")
    if decoded > max_decoded_nbytes:
        raise FormatError(f"graph and metadata take {decoded} bytes decoded, max_decoded_nbytes={max_decoded_nbytes}")
    sizes = [section_nbytes for _, section_nbytes in texts.values()] + [record.section_nbytes for record in records]
    expected = cursor.position + sum(sizes) + CHECKSUM_NBYTES * len(sizes)
    if expected != len(cursor.data):
        fault = "cut short" if expected > len(cursor.data) else "followed by trailing bytes"
        raise FormatError(f"file is {fault}: it has {len(cursor.data)} bytes, its header declares {expected}")


def _section(cursor: Cursor, nbytes: int, what: str) -> Cursor:
    # A cursor over the next section; its checksum is right.
    start = cursor.position
    cursor.take(nbytes, what)
    cursor.check(start, what)
    return Cursor(cursor.data, start, start + nbytes)


def _read_text(section: memoryview, text_nbytes: int) -> str:
    if len(section) > text_nbytes:
        raise FormatError(f"section of {len(section)} bytes for a text of {text_nbytes}")
    if len(section) == text_nbytes:
        return bytes(section).decode()
    inflater = zlib.decompressobj()
    try:
        # One byte more than declared: so zlib reaches its own end, and a longer text shows.
        text = inflater.decompress(section, text_nbytes + 1)
    except zlib.error as error:
        raise FormatError(f"zlib: {error}") from None
    if len(text) != text_nbytes or not inflater.eof or inflater.unused_data:
        raise FormatError(f"compressed text does not end at its declared {text_nbytes} bytes")
    return text.decode()


def _parse_metadata(text: str) -> dict:
    def refuse(constant):
        raise FormatError(f"{constant} is no JSON")
    try:
        metadata = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise FormatError("nested too deep") from None
    if not isinstance(metadata, dict):
        raise FormatError(f"expected a JSON object, got {type(metadata).__name__}")
    return metadata
