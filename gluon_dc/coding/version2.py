"""Version 2 of the .gdc file, read: the architecture, a few bits a tensor, and sections; see docs/format.md.

A small file is compact: one checksum, no sizes that follow from the rest. A larger one has sections with checksums.
"""

import math
from typing import NamedTuple

from .array_forms import SECTION, ArrayPlan, planned_array, read_array_plan
from .bits import BitReader
from .codebooks import CodebookPlan, planned_codebook, read_codebook
from .context import EFFORTS
from .context_tensor import ContextGroup, ContextTensor
from .errors import FormatError, located
from .layout import read_layout
from .packed_form import PackedPlan, planned_packed, read_packed_plan
from .pools import PoolReader
from .squeezed import expand
from .texts import MAX_METADATA_NBYTES, parse_metadata
from .wire import CHECKSUM_NBYTES, Cursor, check_decoded_nbytes, check_file_nbytes, section_cursor
from .work import WorkLimit

HAS_GRAPH, HAS_METADATA, IS_SECTIONED, EFFORT_SHIFT = 1, 2, 4, 3

# What deflate may refer to in metadata. Part of the format.
METADATA_DICTIONARY = (b'"preprocessing":"gluoncv","recipe":"default","retrained":false,"seed":0,"weights":"'
                       b'{"classes":10,"data":"mnist","network":"squeezenet1.0"}{"network":"lenet-300-100"}'
                       b'{"network":"lenet-5"}')


class TensorPlan(NamedTuple):
    """What the header says of one tensor. Coded ones have a codebook; `packed` and `array` are those of their kind, a
    tensor of the context coder has neither but starts a group of an effort or goes on with the one before."""

    name: str
    shape: tuple[int, ...]
    codebook: CodebookPlan | None = None
    effort_of_new_group: str | None = None
    packed: PackedPlan | None = None
    array: ArrayPlan | None = None

    @property
    def decoded_nbytes(self) -> int:
        """Bytes of the decoded array; a dimension of 0 counts as 1, so that no other one can be absurd beside it."""
        itemsize = self.array.dtype.itemsize if self.array else 4
        return itemsize * math.prod(max(1, extent) for extent in self.shape)

    @property
    def has_section(self) -> bool:
        """Whether a section begins with this tensor."""
        if self.array:
            return self.array.form == SECTION
        return bool(self.packed or self.effort_of_new_group)


def read(cursor: Cursor, max_decoded_nbytes: int, max_tensors: int) -> tuple[dict, str | None, dict, str | None]:
    """Tensors, graph, metadata, effort of a file whose magic and version were read. FormatError for anything else."""
    flags = cursor.take(1, "flags")[0]
    if flags >> EFFORT_SHIFT > len(EFFORTS):
        raise FormatError(f"header: unknown flags {flags:#04x} at byte {cursor.position - 1}")
    effort = (None, *EFFORTS)[flags >> EFFORT_SHIFT]
    header = _open_header(cursor, flags & IS_SECTIONED)
    graph, metadata, texts_nbytes = _read_texts(header, flags, max_decoded_nbytes)
    layout = read_layout(header, max_tensors)
    reader = BitReader(header.data, header.position, header.end)
    pools = PoolReader(WorkLimit(len(cursor.data)))
    plans = _read_plans(reader, layout, pools)
    check_decoded_nbytes(texts_nbytes, ((plan.name, plan.shape, plan.decoded_nbytes) for plan in plans),
                         max_decoded_nbytes)
    sizes, coded_pools = _read_sizes(reader, plans, pools, not flags & IS_SECTIONED)
    header.position = reader.finish("the header")
    sections = _sections(cursor, header, sizes, flags & IS_SECTIONED)
    for (key, _), is_coded, section in zip(pools.used(), coded_pools, sections):
        with located(f"{key[0]} pool of {key[1]}-byte values at byte {section.position}"):
            pools.fill(key, section.take(section.left, "pool"), is_coded)
    return _build(plans, pools, sections[len(coded_pools):]), graph, metadata, effort


def _open_header(cursor: Cursor, is_sectioned: bool) -> Cursor:
    # A cursor over the header and, in a compact file, all that follows it, once their checksum is known to be right.
    if not is_sectioned:
        nbytes = cursor.left - CHECKSUM_NBYTES
        start = cursor.position
        cursor.take(max(0, nbytes), "file")
        cursor.check(0, "file")
        return Cursor(cursor.data, start, start + nbytes)
    nbytes = cursor.varint("header size")
    start = cursor.position
    cursor.take(nbytes, "header")
    cursor.check(0, "header")
    return Cursor(cursor.data, start, start + nbytes)


def _read_texts(header: Cursor, flags: int, max_decoded_nbytes: int) -> tuple[str | None, dict, int]:
    graph, metadata, nbytes = None, {}, 0
    if flags & HAS_GRAPH:
        with located("graph"):
            text = expand(header, "graph", max_decoded_nbytes)
            graph, nbytes = text.decode(), len(text)
    if flags & HAS_METADATA:
        with located("metadata"):
            text = expand(header, "metadata", MAX_METADATA_NBYTES, METADATA_DICTIONARY)
            metadata, nbytes = parse_metadata(text.decode()), nbytes + len(text)
    return graph, metadata, nbytes


def _read_plans(reader: BitReader, layout, pools: PoolReader) -> list[TensorPlan]:
    plans, previous_size, has_group = [], 0, False
    for name, shape in layout:
        with located(f"tensor {name!r}"):
            plan = _read_plan(reader, name, shape, pools, previous_size, has_group)
        previous_size = plan.codebook.size if plan.codebook and plan.codebook.size else previous_size
        has_group = has_group or plan.effort_of_new_group is not None
        plans.append(plan)
    return plans


def _read_plan(reader, name, shape, pools, previous_size, has_group) -> TensorPlan:
    if reader.bits(1, "kind"):
        effort = None
        if not has_group or reader.bits(1, "whether a group begins"):
            effort = EFFORTS[reader.bits(1, "effort")]
        return TensorPlan(name, shape, read_codebook(reader, pools, previous_size), effort)
    if reader.bits(1, "kind"):
        return TensorPlan(name, shape, array=read_array_plan(reader, pools, shape))
    packed = read_packed_plan(reader, shape)
    return TensorPlan(name, shape, read_codebook(reader, pools, previous_size), packed=packed)


def _read_sizes(reader: BitReader, plans, pools: PoolReader, is_compact: bool) -> tuple[list[int | None], list[bool]]:
    # Bytes of each section, None for one that takes what is left, and which pools are byte-coded.
    used = pools.used()
    coded_pools = [bool(reader.bits(1, "whether a pool is byte-coded")) for _ in used]
    sizes = [None if is_coded else nbytes for (_, nbytes), is_coded in zip(used, coded_pools)]
    sizes += [None for plan in plans if plan.has_section]
    for place, size in enumerate(sizes):
        if size is None and not (is_compact and place == len(sizes) - 1):
            sizes[place] = reader.number(8, "section size")
    return sizes, coded_pools


def _sections(cursor: Cursor, header: Cursor, sizes, is_sectioned: bool) -> list[Cursor]:
    if is_sectioned:
        if header.left:
            raise FormatError(f"header: {header.left} bytes left over, at byte {header.position}")
        check_file_nbytes(cursor, sum(sizes) + CHECKSUM_NBYTES * len(sizes))
        return [section_cursor(cursor, size, f"section {place}") for place, size in enumerate(sizes)]
    sections = []
    for size in sizes:
        start = header.position
        header.take(header.left if size is None else size, "section")
        sections.append(Cursor(header.data, start, header.position))
    if header.left:
        raise FormatError(f"{header.left} bytes left over after the last section, at byte {header.position}")
    return sections


def _build(plans: list[TensorPlan], pools: PoolReader, sections: list[Cursor]) -> dict:
    sections, codebook, tensors, members = iter(sections), None, {}, []
    for plan in plans:
        section = next(sections) if plan.has_section else None
        where = f"tensor {plan.name!r}" + (f", section at byte {section.position}" if section else "")
        with located(where):
            if plan.array:
                data = section.take(section.left, "array") if section else None
                tensors[plan.name] = planned_array(plan.array, plan.shape, pools, data)
                continue
            own = planned_codebook(plan.codebook, pools, codebook)
            codebook = own if own.size > 1 else codebook
            if plan.packed:
                tensors[plan.name] = planned_packed(plan.packed, plan.shape, own, section)
                continue
        if plan.effort_of_new_group:
            members.append((plan.effort_of_new_group, section.take(section.left, "stream"), []))
        members[-1][2].append((plan.name, plan.shape, own))
        tensors[plan.name] = None  # keeps its place
    tensors.update(_groups(members))
    return tensors


def _groups(members) -> dict[str, ContextTensor]:
    tensors = {}
    for effort, stream, of_group in members:
        group = ContextGroup(effort, tuple((shape, codebook) for _, shape, codebook in of_group), bytes(stream))
        tensors.update((name, ContextTensor(group, place)) for place, (name, _, _) in enumerate(of_group))
    return tensors
