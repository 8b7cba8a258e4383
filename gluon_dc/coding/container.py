"""The .gdc file: named tensors, an optional graph and metadata, every byte under a checksum. See docs/format.md."""

import copy
import os
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from . import version1, version2, version2_writer
from .arrays import frozen
from .context import EFFORTS
from .context_tensor import ContextTensor, decode_groups
from .errors import FormatError, located
from .files import write_atomically
from .records import check_storable
from .tensor import PackedTensor, unpack
from .texts import text_bytes
from .wire import Cursor, write_varint

MAGIC = b"\x89GDC"
VERSIONS = (1, 2)
MAX_DECODED_NBYTES = 2**32
# Ten times what the largest nets have; a hostile file of so many keeps `loads` busy for two seconds.
MAX_TENSORS = 2**15


@dataclass(frozen=True, eq=False)
class CompressedModel:
    """A net as it travels: name -> PackedTensor, ContextTensor or lossless array, in order, with its graph and notes.

    tensors: mapping of non-empty names to PackedTensor, ContextTensor or to NumPy arrays of float32, float16, float64,
    int8, uint8, int32 or int64 with up to 8 dimensions (copied unless read-only). graph: symbol JSON or None. metadata:
    a dict with str keys that JSON can hold, finite, nested at most 64 deep. effort: "fast" or "best", how hard the
    adaptive coders try on codebooks and lossless arrays, or None: they do not. Raises ValueError or TypeError for
    anything else.

    A model with a ContextTensor, a PackedTensor in chunks or an effort makes a file of version 2, any other one of
    version 1. Tensors of a group that is not whole any more are coded anew when the file is made.
    """

    tensors: dict[str, PackedTensor | ContextTensor | np.ndarray]
    graph: str | None = None
    metadata: dict = field(default_factory=dict)
    effort: str | None = None

    def __post_init__(self):
        if self.effort not in (None, *EFFORTS):
            raise ValueError(f"effort is one of {', '.join(EFFORTS)} or None, got {self.effort!r}")
        tensors = {}
        for name, tensor in self.tensors.items():
            check_storable(name, tensor)
            is_array = isinstance(tensor, np.ndarray)
            tensors[name] = frozen(tensor, tensor.dtype.newbyteorder("=")) if is_array else tensor
        object.__setattr__(self, "tensors", MappingProxyType(tensors))
        object.__setattr__(self, "metadata", dict(self.metadata))
        text_bytes(self.graph, self.metadata)

    def __deepcopy__(self, memo):
        # The tensors do not change, the metadata may.
        return CompressedModel(self.tensors, self.graph, copy.deepcopy(self.metadata, memo), self.effort)

    def __reduce__(self):
        return CompressedModel, (dict(self.tensors), self.graph, self.metadata, self.effort)

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

    @property
    def version(self) -> int:
        """Version of the file that the model makes."""
        newer = any(isinstance(tensor, ContextTensor) or getattr(tensor, "chunked", False)
                    for tensor in self.tensors.values())
        return 2 if newer or self.effort else 1

    def items(self):
        """Pairs of name and PackedTensor, ContextTensor or array, in the file's order."""
        return self.tensors.items()

    def decode(self) -> dict[str, np.ndarray]:
        """Every tensor as an array: float32 for coded ones, lossless ones as they are. FormatError for bad streams."""
        decode_groups(self.tensors)
        return {name: tensor if isinstance(tensor, np.ndarray) else unpack(tensor, name).decode()
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

        A coded tensor has the parts codes, gaps, codebook and tables (with the context coder codes, positions included,
        and codebook), a lossless one arrays. The key "" (no tensor's name) stands for the file itself: header (the
        records of all tensors included), checksums, graph, metadata. Where tensors share a stream its bytes are shared
        out among them, see `context_tensor.group_shares`.
        """
        texts = text_bytes(self.graph, self.metadata)
        if self.version == 2:
            return version2_writer.part_nbytes(_begin(2), self._body, texts, self.names)
        return version1.part_nbytes(_begin(1), self.tensors, texts)

    @cached_property
    def _body(self):
        # Coded once: a model does not change.
        return version2_writer.make_body(version2_writer.whole_groups(self.tensors), self.effort)


def dumps(model: CompressedModel) -> bytes:
    """The bytes of the .gdc file; equal models give equal bytes (with the same zlib: it squeezes texts, and
    in version 2 the header)."""
    texts = text_bytes(model.graph, model.metadata)
    if model.version == 2:
        return version2_writer.dumps(_begin(2), model._body, texts)
    return version1.dumps(_begin(1), model.tensors, texts)


def loads(data, max_decoded_nbytes: int = MAX_DECODED_NBYTES, max_tensors: int = MAX_TENSORS) -> CompressedModel:
    """The model in the bytes of a .gdc file.

    Checks every checksum, size, shape, table and codebook; what only decoding shows, `CompressedModel.decode` does.
    Raises FormatError, and nothing else, for any bytes that are not such a file, and for one whose decoded arrays
    and texts would take more than `max_decoded_nbytes`, or that has more than `max_tensors` tensors: before they are
    allocated.

    What is decoded here (lossless arrays) takes some 7 s at most and 0.8 s more for each MB of the file, whatever the
    file says (`work`). Coded tensors are decoded when asked for, and a file of a few KB may declare as much as
    `max_decoded_nbytes` allows. In the worst case one core takes 1 s for each MB of that at effort best, 0.02 s at
    fast, less for all else, and 3 ms for each stream: an hour with the default, a minute with 2**26.
    """
    cursor = Cursor(memoryview(data).cast("B"))
    _check_magic(bytes(cursor.data[:len(MAGIC)]))
    cursor.position = len(MAGIC)
    version = cursor.varint("version")
    if version not in VERSIONS:
        raise FormatError(f"version {version}, this reader knows {' and '.join(map(str, VERSIONS))}: update gluon_dc")
    read = version1.read if version == 1 else version2.read
    tensors, graph, metadata, effort = read(cursor, max_decoded_nbytes, max_tensors)
    # All but the metadata's content is known to be right by now.
    with located("metadata"):
        return CompressedModel(tensors, graph, metadata, effort)


def save(model: CompressedModel, path) -> None:
    """Write the model to a file, whole or not at all: an older file stays as it is until the new one is on disk."""
    data = dumps(model)
    write_atomically(path, lambda file: file.write(data))


def load(path, max_decoded_nbytes: int = MAX_DECODED_NBYTES, max_tensors: int = MAX_TENSORS) -> CompressedModel:
    """`loads` of a file's bytes; its FormatErrors begin with the path. OSError if it cannot be read."""
    with located(os.fspath(path)), open(path, "rb") as file:
        begin = file.read(len(MAGIC))
        _check_magic(begin)  # before a large file of something else is read
        return loads(begin + file.read(), max_decoded_nbytes, max_tensors)


def _check_magic(begin: bytes) -> None:
    if begin != MAGIC:
        raise FormatError(f"not a .gdc file: it begins with {begin!r}, expected {MAGIC!r}")


def _begin(version: int) -> bytes:
    return MAGIC + write_varint(version)
