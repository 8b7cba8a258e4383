"""Version 1 of the .gdc file: a header of records, then one section with its checksum for each text and tensor."""

import zlib

import numpy as np

from .errors import FormatError, located
from .records import Record, read_record, read_section, write_tensor
from .texts import check_metadata_nbytes, inflate, parse_metadata
from .wire import (CHECKSUM_NBYTES, Cursor, check_decoded_nbytes, check_file_nbytes, check_tensor_count, checksum,
                   section_cursor, write_varint)

HAS_GRAPH, HAS_METADATA = 1, 2


def dumps(begin: bytes, tensors, texts: dict[str, bytes]) -> bytes:
    """The file that begins with `begin` (magic and version): {name: PackedTensor or array}, {what: text}."""
    header, text_sections, sections = _assemble(begin, tensors, texts)
    return b"".join(part + checksum(part) for part in (header, *text_sections.values(), *sections.values()))


def part_nbytes(begin: bytes, tensors, texts: dict[str, bytes]) -> dict[str, dict[str, int]]:
    """Bytes of that file by tensor and part, see `CompressedModel.part_nbytes`."""
    header, text_sections, sections = _assemble(begin, tensors, texts)
    parts = {name: {"arrays": len(sections[name])} if isinstance(tensor, np.ndarray) else tensor.part_nbytes()
             for name, tensor in tensors.items()}
    parts[""] = {
        "header": len(header),
        "checksums": CHECKSUM_NBYTES * (1 + len(text_sections) + len(sections)),
        "graph": len(text_sections.get("graph", b"")),
        "metadata": len(text_sections.get("metadata", b"")),
    }
    return parts


def read(cursor: Cursor, max_decoded_nbytes: int, max_tensors: int) -> tuple[dict, str | None, dict, None]:
    """Tensors, graph, metadata and effort (None) of a file whose magic and version were read. FormatError for anything else."""
    texts, records = _read_header(_open_header(cursor), max_tensors)
    _check_sizes(cursor, texts, records, max_decoded_nbytes)
    found = {}
    for what, (text_nbytes, section_nbytes) in texts.items():
        section = section_cursor(cursor, section_nbytes, what)
        with located(f"{what} at byte {section.position}"):
            text = _read_text(section.take(section.left, what), text_nbytes)
            found[what] = text if what == "graph" else parse_metadata(text)
    tensors = {}
    for record in records:
        section = section_cursor(cursor, record.section_nbytes, f"tensor {record.name!r}")
        with located(f"tensor {record.name!r}, section at byte {section.position}"):
            tensors[record.name] = read_section(record, section)
    return tensors, found.get("graph"), found.get("metadata", {}), None


def _assemble(begin, tensors, texts) -> tuple[bytes, dict[str, bytes], dict[str, bytes]]:
    # The header without its checksum, and the sections of texts and of tensors.
    # zlib where that is smaller, else the text itself.
    text_sections = {what: min(text, zlib.compress(text, 9), key=len) for what, text in texts.items()}
    flags = (HAS_GRAPH if "graph" in texts else 0) | (HAS_METADATA if "metadata" in texts else 0)
    body = [bytes([flags])]
    for what, section in text_sections.items():
        body.append(write_varint(len(texts[what])) + write_varint(len(section)))
    body.append(write_varint(len(tensors)))
    tensor_sections, previous = {}, ""
    for name, tensor in tensors.items():
        record, tensor_sections[name] = write_tensor(name, tensor, previous)
        body.append(record)
        previous = name
    body = b"".join(body)
    return begin + write_varint(len(body)) + body, text_sections, tensor_sections


def _open_header(cursor: Cursor) -> Cursor:
    # Size and checksum; a cursor over what lies between.
    body_nbytes = cursor.varint("header size")
    start = cursor.position
    cursor.take(body_nbytes, "header")
    cursor.check(0, "header")
    return Cursor(cursor.data, start, start + body_nbytes)


def _read_header(header: Cursor, max_tensors: int) -> tuple[dict[str, tuple[int, int]], list[Record]]:
    flags = header.take(1, "header flags")[0]
    if flags & ~(HAS_GRAPH | HAS_METADATA):
        raise FormatError(f"header: unknown flags {flags:#04x} at byte {header.position - 1}")
    texts = {}
    for what, flag in (("graph", HAS_GRAPH), ("metadata", HAS_METADATA)):
        if flags & flag:
            texts[what] = header.varint(f"{what} text size"), header.varint(f"{what} section size")
    records, names, previous = [], set(), ""
    count = header.varint("number of tensors")
    check_tensor_count(count, max_tensors)
    for _ in range(count):
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
    check_metadata_nbytes(texts.get("metadata", (0, 0))[0])
    check_decoded_nbytes(sum(text_nbytes for text_nbytes, _ in texts.values()),
                         ((record.name, record.shape, record.decoded_nbytes) for record in records),
                         max_decoded_nbytes)
    sizes = [section_nbytes for _, section_nbytes in texts.values()] + [record.section_nbytes for record in records]
    check_file_nbytes(cursor, sum(sizes) + CHECKSUM_NBYTES * len(sizes))


def _read_text(section: memoryview, text_nbytes: int) -> str:
    if len(section) > text_nbytes:
        raise FormatError(f"section of {len(section)} bytes for a text of {text_nbytes}")
    if len(section) == text_nbytes:
        return bytes(section).decode()
    return inflate(section, text_nbytes).decode()
