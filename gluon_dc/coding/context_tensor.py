"""Tensors of the context coder: several share one stream, a ContextGroup; a ContextTensor is one place in it."""

import math
import threading
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import context
from .coded import CodedTensor, StoredTensor, checked_codebook
from .errors import located
from .immutable import Immutable
from .lossless import plain_nbytes
from .threads import in_threads

# Consecutive tensors share a stream until it has as many weights; a larger tensor has a stream of its own, so that
# large ones are coded in threads.
GROUP_SIZE = 2**18
# A group of more weights is not decoded just to tell where its bytes went.
MAX_WEIGHED_SIZE = 2**23


@dataclass(frozen=True, eq=False)
class ContextGroup(Immutable):
    """One stream of the context coder (`context.decode_codes`) and what it holds.

    effort: "fast" or "best". specs: (shape, codebook float32 (k,)) of each tensor. stream: bytes. Raises ValueError
    for an effort, shape or codebook that cannot be; whether the stream decodes shows `codes`. Equal by content.
    Pickled without decoded codes.
    """

    effort: str
    specs: tuple[tuple[tuple[int, ...], np.ndarray], ...]
    stream: bytes
    _decoded: list = field(default_factory=list, init=False, repr=False)
    _lock: object = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self):
        if self.effort not in context.EFFORTS:
            raise ValueError(f"unknown effort {self.effort!r}, expected one of {', '.join(context.EFFORTS)}")
        specs = tuple((_checked_shape(shape), checked_codebook(codebook)) for shape, codebook in self.specs)
        object.__setattr__(self, "specs", specs)
        object.__setattr__(self, "stream", bytes(self.stream))

    @property
    def size(self) -> int:
        """Weights of all its tensors."""
        return sum(math.prod(shape) for shape, _ in self.specs)

    @property
    def is_decoded(self) -> bool:
        """Whether the codes are in memory."""
        return bool(self._decoded) or not self.specs

    def codes(self) -> list[np.ndarray]:
        """Codes of each tensor, uint8, read-only; decoded once and kept. FormatError for a stream that is damaged.

        The time is bounded by `size` alone, whatever the bytes of the stream: see `loads` for what that may come to.
        """
        with self._lock:
            if not self._decoded:
                self._keep(context.decode_codes(self.stream, list(self.specs), self.effort))
        return self._decoded

    @cached_property
    def shares(self) -> list[int]:
        """Bytes of the stream by tensor; they add up to it.

        By the zero-order entropy of all codes, zeros too, as a stream has no seams; by size in a group that is too
        large to be decoded for that. FormatError for a stream that is damaged.
        """
        if len(self.specs) == 1:
            return [len(self.stream)]
        if self.is_decoded or self.size <= MAX_WEIGHED_SIZE:
            return apportion(len(self.stream), [_entropy_bits(codes) for codes in self.codes()])
        return apportion(len(self.stream), [math.prod(shape) for shape, _ in self.specs])

    def _keep(self, codes):
        for array in codes:
            array.flags.writeable = False
        self._decoded.extend(codes)

    def __eq__(self, other) -> bool:
        return isinstance(other, ContextGroup) and self._content() == other._content()

    def _content(self) -> tuple:
        return self.effort, [(shape, codebook.tobytes()) for shape, codebook in self.specs], self.stream


@dataclass(frozen=True, eq=False)
class ContextTensor(StoredTensor):
    """A coded tensor without an index: its codes, zeros too, are at a place in the stream of a ContextGroup.

    group: the ContextGroup. place: index into its specs. It has what a PackedTensor has as far as there is such a
    thing: shape, size, codebook, code_bits, coder, decode, part_nbytes, nbytes. Equal by content.
    """

    group: ContextGroup
    place: int

    def __post_init__(self):
        if not 0 <= self.place < len(self.group.specs):
            raise ValueError(f"place {self.place} in a group of {len(self.group.specs)} tensors")

    coder = "context"

    @property
    def effort(self) -> str:
        """"fast" or "best"."""
        return self.group.effort

    @property
    def shape(self) -> tuple[int, ...]:
        return self.group.specs[self.place][0]

    @property
    def codebook(self) -> np.ndarray:
        """float32 (k,), entry 0 is +0.0."""
        return self.group.specs[self.place][1]

    @property
    def is_decoded(self) -> bool:
        """Whether the codes are in memory."""
        return self.group.is_decoded

    def unpack(self) -> CodedTensor:
        """The coded tensor. FormatError for a stream that is damaged."""
        return CodedTensor(self.codebook, self.group.codes()[self.place])

    def decode(self) -> np.ndarray:
        """The weight, float32. FormatError for a stream that is damaged."""
        return self.unpack().decode()

    def part_nbytes(self) -> dict[str, int]:
        """Bytes by part: codes (positions included), its share of the group's stream; codebook, stored plainly.

        In a file the codebook may take less; `CompressedModel.part_nbytes` tells.
        """
        return {"codes": self.group.shares[self.place], "codebook": plain_nbytes(self.codebook[1:])}

    def __repr__(self) -> str:
        return (f"ContextTensor(shape={self.shape}, {self.codebook.size} codebook entries, {self.effort!r}, "
                f"{self.place + 1} of {len(self.group.specs)} in a stream of {len(self.group.stream):,} bytes)")

    def __eq__(self, other) -> bool:
        return isinstance(other, ContextTensor) and self.place == other.place and self.group == other.group


def pack_group(tensors, effort: str = "best") -> dict[str, ContextTensor]:
    """{name: CodedTensor} in one stream: {name: ContextTensor}, in the same order; `unpack` gives them back exactly."""
    coded = list(tensors.values())
    group = ContextGroup(effort, tuple((tensor.shape, tensor.codebook) for tensor in coded),
                         context.encode_codes(coded, effort))
    group._decoded.extend(tensor.codes for tensor in coded)
    return {name: ContextTensor(group, place) for place, name in enumerate(tensors)}


def pack_groups(tensors, effort: str = "best", progress=None) -> dict[str, ContextTensor]:
    """{name: CodedTensor} in as many streams as `GROUP_SIZE` makes of them, on several threads; in the same order.

    progress(weights), if given, is called after each stream, from any of the threads.
    """
    def pack_names(names):
        packed = pack_group({name: tensors[name] for name in names}, effort)
        if progress:
            progress(sum(tensors[name].size for name in names))
        return packed
    packed = in_threads(pack_names, groups_of(tensors))
    return {name: tensor for group in packed for name, tensor in group.items()}


def groups_of(tensors) -> list[list[str]]:
    """The names of {name: tensor}, in groups of consecutive ones that are to share a stream."""
    groups, size = [], 0
    for name, tensor in tensors.items():
        if not groups or size + tensor.size > GROUP_SIZE:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += tensor.size
    return groups


def decode_groups(tensors, progress=None) -> None:
    """Decode the groups of all ContextTensors in {name: tensor}, on several threads: what follows finds them decoded.

    progress: called as progress(weights) after each group, from any thread. FormatError that names a tensor of a group
    whose stream is damaged.
    """
    groups = {id(tensor.group): (name, tensor.group) for name, tensor in reversed(tensors.items())
              if isinstance(tensor, ContextTensor) and not tensor.is_decoded}
    in_threads(lambda named: _decode(*named, progress), list(groups.values())[::-1])


def _decode(name: str, group: ContextGroup, progress) -> None:
    with located(f"tensor {name!r}, stream of its group"):
        group.codes()
    if progress:
        progress(group.size)


def apportion(total: int, weights) -> list[int]:
    """Whole numbers, each nearly in proportion to its weight (0 or more, some above 0), that add up to `total`."""
    weights = np.asarray(weights, np.float64)
    if not weights.sum() > 0:
        weights = np.ones(weights.size)
    ends = np.rint(total * np.cumsum(weights) / weights.sum()).astype(np.int64)
    return np.diff(ends, prepend=0).tolist()


def _entropy_bits(codes: np.ndarray) -> float:
    counts = np.bincount(codes.reshape(-1), minlength=1)
    used = counts[counts > 0].astype(np.float64)
    return float(np.sum(used * np.log2(used.sum() / used)))


def _checked_shape(shape) -> tuple[int, ...]:
    shape = tuple(int(extent) for extent in shape)
    if len(shape) > 8 or min(shape, default=0) < 0:
        raise ValueError(f"a shape has up to 8 dimensions >= 0, got {shape}")
    return shape
