"""Version 2 of the .gdc file, written; `version2` reads it."""

from dataclasses import dataclass, field

import numpy as np

from .array_forms import write_array
from .bits import BitWriter
from .codebooks import write_codebook
from .context import EFFORTS
from .context_tensor import ContextTensor, apportion, pack_groups
from .layout import write_layout
from .packed_form import write_packed
from .pools import PoolWriter
from .squeezed import squeeze
from .tensor import unpack
from .version2 import EFFORT_SHIFT, HAS_GRAPH, HAS_METADATA, IS_SECTIONED, METADATA_DICTIONARY
from .wire import CHECKSUM_NBYTES, checksum, write_varint

# A file whose sections take less has one checksum for everything.
MAX_COMPACT_NBYTES = 2**16


@dataclass(frozen=True)
class Body:
    """Everything of a file but its texts.

    effort: how lossless arrays are stored. layout: squeezed. header_bits: by whether the file is compact, the bits of
    the header as bytes. sections: their bytes. bits: (tensor, part, bits) of all that stands in the header's bits.
    owners: (tensor, part, weight), for each section, among whom its bytes are shared out; the weight may be a
    ContextTensor, as only its codes tell it. "" stands for the file.
    """

    effort: str | None
    layout: bytes
    header_bits: dict[bool, bytes]
    sections: list[bytes]
    bits: list[tuple[str, str, int]]
    owners: list[list[tuple[str, str, float | ContextTensor]]]

    @property
    def nbytes(self) -> int:
        """Bytes of the sections."""
        return sum(map(len, self.sections))

    @property
    def is_compact(self) -> bool:
        """Whether the file has one checksum."""
        return self.nbytes < MAX_COMPACT_NBYTES


def make_body(tensors, effort: str | None) -> Body:
    """The body of a file of {name: PackedTensor, ContextTensor or array}; groups must be whole (`whole_groups`)."""
    layout = write_layout((name, tensor.shape) for name, tensor in tensors.items())
    writer = _Writer(effort)
    for name, tensor in tensors.items():
        writer.add(name, tensor)
    return writer.finish(layout)


def dumps(begin: bytes, body: Body, texts: dict[str, bytes]) -> bytes:
    """The file that begins with `begin` (magic and version)."""
    header, _ = _header(begin, body, texts)
    if body.is_compact:
        data = b"".join([header, *body.sections])
        return data + checksum(data)
    return b"".join(part + checksum(part) for part in (header, *body.sections))


def part_nbytes(begin: bytes, body: Body, texts: dict[str, bytes], names) -> dict[str, dict[str, int]]:
    """Bytes of that file by tensor and part, see `CompressedModel.part_nbytes`; all add up to the file."""
    header, text_nbytes = _header(begin, body, texts)
    bits = body.header_bits[body.is_compact]
    parts = {name: {} for name in (*names, "")}
    parts[""] = {"header": len(header) - len(bits) - sum(text_nbytes.values()),
                 "checksums": CHECKSUM_NBYTES * (1 if body.is_compact else 1 + len(body.sections)),
                 "graph": text_nbytes.get("graph", 0), "metadata": text_nbytes.get("metadata", 0)}
    padding = ("", "header", 8 * len(bits) - sum(width for *_, width in body.bits))
    for nbytes, owners in ((len(bits), [*body.bits, padding]), *zip(map(len, body.sections), body.owners)):
        weights = [_weight(weight) for *_, weight in owners]
        for (name, part, _), share in zip(owners, apportion(nbytes, weights)):
            parts[name][part] = parts[name].get(part, 0) + share
    return parts


def _weight(weight) -> float:
    return weight.group.shares[weight.place] if isinstance(weight, ContextTensor) else weight


def whole_groups(tensors) -> dict:
    """{name: tensor} in which every ContextTensor is in a group whose tensors are all there, in order and together.

    Equal groups are one, so that it does not matter whether tensors are copies, or were loaded together. Those that
    are in no such group are decoded and coded anew. FormatError for a stream that does not decode.
    """
    coded = [(name, tensor) for name, tensor in tensors.items() if isinstance(tensor, ContextTensor)]
    placed, run, at = {}, [], 0
    while at < len(coded):
        name, tensor = coded[at]
        whole = _whole_group(coded[at:at + len(tensor.group.specs)])
        if whole or (run and run[-1][1].effort != tensor.effort):
            placed |= _packed_anew(run)
            run = []
        run += [] if whole else [(name, tensor)]
        placed |= whole
        at += len(whole) or 1
    placed |= _packed_anew(run)
    return {name: placed.get(name, tensor) for name, tensor in tensors.items()}


def _whole_group(members) -> dict[str, ContextTensor]:
    # These (name, tensor), all in the group of the first, if they are a whole group in its order; else nothing.
    group = members[0][1].group
    if len(members) != len(group.specs) or any(tensor.place != place for place, (_, tensor) in enumerate(members)):
        return {}
    if any(tensor.group is not group and tensor.group != group for _, tensor in members):
        return {}
    return {name: ContextTensor(group, place) for place, (name, _) in enumerate(members)}


def _packed_anew(run) -> dict[str, ContextTensor]:
    return pack_groups({name: unpack(tensor, name) for name, tensor in run}, run[0][1].effort) if run else {}


def _header(begin: bytes, body: Body, texts: dict[str, bytes]) -> tuple[bytes, dict[str, int]]:
    # The header without its checksum, and the bytes that each text takes in it.
    flags = (HAS_GRAPH if "graph" in texts else 0) | (HAS_METADATA if "metadata" in texts else 0)
    flags |= (0 if body.is_compact else IS_SECTIONED) | (None, *EFFORTS).index(body.effort) << EFFORT_SHIFT
    squeezed = {what: squeeze(text, METADATA_DICTIONARY if what == "metadata" else b"") for what, text in texts.items()}
    rest = b"".join([*squeezed.values(), body.layout, body.header_bits[body.is_compact]])
    size = b"" if body.is_compact else write_varint(len(rest))
    return begin + bytes([flags]) + size + rest, {what: len(text) for what, text in squeezed.items()}


@dataclass
class _Writer:
    """State while the tensors are written one after the other."""

    effort: str | None
    control: BitWriter = field(default_factory=BitWriter)
    pools: PoolWriter = field(default_factory=PoolWriter)
    sections: list = field(default_factory=list)
    owners: list = field(default_factory=list)
    bits: list = field(default_factory=list)
    codebook: np.ndarray | None = None
    has_group: bool = False

    def add(self, name: str, tensor) -> None:
        """Header bits of a tensor, and its section if one begins with it."""
        if isinstance(tensor, np.ndarray):
            self._bits(name, 1, 2)
            start = self.control.size
            self._section(write_array(self.control, self.pools, tensor, self.effort, name), [(name, "arrays", 1)])
            self.bits.append((name, "arrays", self.control.size - start))
        elif isinstance(tensor, ContextTensor):
            self._add_context(name, tensor)
        else:
            self._bits(name, 0, 2)
            start = self.control.size
            section = write_packed(self.control, tensor)
            self.bits.append(("", "header", self.control.size - start))
            self._section(section, [(name, part, nbytes) for part, nbytes in tensor.part_nbytes().items()
                                    if part != "codebook"])
            self._codebook(name, tensor.codebook)

    def _add_context(self, name, tensor):
        self._bits(name, 1, 1)
        if self.has_group:
            self._bits(name, int(tensor.place == 0), 1)
        if tensor.place == 0:
            self.has_group = True
            self._bits(name, EFFORTS.index(tensor.effort), 1)
            self._section(tensor.group.stream, [])
        self.owners[self._last_stream].append((name, "codes", tensor))
        self._codebook(name, tensor.codebook)

    def _bits(self, name, value, width):
        self.control.bits(value, width)
        self.bits.append(("", "header", width))

    def _codebook(self, name, codebook):
        start = self.control.size
        write_codebook(self.control, self.pools, codebook, self.codebook, name)
        self.bits.append((name, "codebook", self.control.size - start))
        self.codebook = codebook if codebook.size > 1 else self.codebook

    def _section(self, section, owners):
        if section is not None:
            self.pools.work.stored(len(section))
            self.sections.append(section)
            self.owners.append(owners)
            if not owners:
                self._last_stream = len(self.owners) - 1

    def finish(self, layout: bytes) -> Body:
        """The body, once all tensors are written."""
        pools = self.pools.sections(self.effort is not None)
        for is_coded, *_ in pools:
            self._bits("", int(is_coded), 1)
        # A plain pool's size follows from its values, and in a compact file that of the last section from the file.
        sizes = [None if not is_coded else len(data) for is_coded, data, *_ in pools] + list(map(len, self.sections))
        header_bits = {}
        for is_compact in (True, False):
            control = self.control.copy()
            for size in sizes[:-1] if is_compact else sizes:
                if size is not None:
                    control.number(size, 8)
            header_bits[is_compact] = control.to_bytes()
        owners = [[(owner, part, nbytes) for owner, nbytes in values] for _, _, part, values in pools]
        return Body(self.effort, layout, header_bits, [data for _, data, *_ in pools] + self.sections, self.bits,
                    owners + self.owners)
