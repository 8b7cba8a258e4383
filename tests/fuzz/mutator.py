"""Mutations of bytes, drawn from a random.Random: for machines without atheris, and beside libFuzzer's own."""

import gzip
import re
import zlib

from gluon_dc.coding import FormatError, loads
from gluon_dc.coding.container import MAGIC
from gluon_dc.coding.version2 import IS_SECTIONED
from gluon_dc.coding.wire import CHECKSUM_NBYTES, Cursor, write_varint
from gluon_dc.data.idx import GZIP_MAGIC

from .targets import MAX_DECODED_NBYTES, sealed, sealing

MAX_NBYTES = 4096
MAX_EDITS = 4
EDGES = (0, 1, 2, 7, 8, 15, 16, 31, 127, 128, 254, 255)
LONG_NUMBERS = tuple(write_varint(number) for number in (2**7, 2**14, 2**31, 2**32, 2**63, 2**64 - 1))
DECLARED = re.compile(r"it has (\d+) bytes, its header declares (\d+)")


def mutate(rng, data: bytes, others: list[bytes]) -> bytes:
    """The data after 1 to MAX_EDITS small edits, at most MAX_NBYTES long. `others` give pieces to paste."""
    data = bytearray(data)
    for _ in range(rng.randint(1, MAX_EDITS)):
        rng.choice(_EDITS)(rng, data, others)
    return bytes(data[:MAX_NBYTES])


def mutate_gdc(rng, data: bytes, others: list[bytes]) -> bytes:
    """A .gdc file with an edit in its header's body or behind it; sizes and checksums then put right.

    So that most mutants reach what lies behind the first checks. A part of them stays as it came from `mutate`.
    """
    parts = _split(data)
    if parts is None or rng.random() < 0.1:
        return sealed(mutate(rng, data, others))
    place = rng.choice([place for place, part in enumerate(parts) if part or place == 0])
    parts[place] = mutate(rng, parts[place], [piece for other in others for piece in (_split(other) or [])])
    return sealed(_fitted(rng, _joined(*parts)))


def mutate_idx(rng, data: bytes, others: list[bytes]) -> bytes:
    """An IDX file after an edit; of a gzipped one mostly what is in it is edited, since gzip has a checksum."""
    if data[:2] == GZIP_MAGIC and rng.random() < 0.7:
        try:
            return gzip.compress(mutate(rng, gzip.decompress(data), others), 1, mtime=0)
        except (OSError, EOFError, zlib.error):
            pass
    return mutate(rng, data, others)


def _split(data: bytes) -> list[bytes] | None:
    # [version and flags, header without size and checksum, what follows], or None where there are no such parts.
    cursor = Cursor(memoryview(data), len(MAGIC))
    try:
        version = cursor.varint("version")
        begin = bytes([version % 128]) + (bytes(cursor.take(1, "flags")) if version == 2 else b"")
        if _is_compact(begin):
            return [begin, bytes(cursor.take(max(0, cursor.left - CHECKSUM_NBYTES), "file")), b""]
        body = bytes(cursor.take(cursor.varint("size"), "body"))
        cursor.take(CHECKSUM_NBYTES, "checksum")
        return [begin, body, bytes(data[cursor.position:])]
    except FormatError:
        return None


def _joined(begin: bytes, body: bytes, rest: bytes) -> bytes:
    if _is_compact(begin):
        return MAGIC + begin + body + bytes(CHECKSUM_NBYTES)
    return MAGIC + begin + write_varint(len(body)) + body + bytes(CHECKSUM_NBYTES) + rest


def _is_compact(begin: bytes) -> bool:
    # Version 2 with one checksum, at its end.
    return len(begin) == 2 and begin[0] == 2 and not begin[1] & IS_SECTIONED


def _fitted(rng, data: bytes) -> bytes:
    # The file cut or filled up to the size that its header declares, where that is small.
    try:
        with sealing():
            loads(bytearray(data), MAX_DECODED_NBYTES)
    except FormatError as error:
        found = DECLARED.search(str(error))
        declared = int(found[2]) if found else len(data)
        if declared <= MAX_NBYTES:
            missing = declared - len(data)
            return data[:declared] + (rng.randbytes(missing) if missing > 0 else b"")
    return data


def _flip_bit(rng, data, others):
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set_byte(rng, data, others):
    if data:
        data[rng.randrange(len(data))] = rng.choice(EDGES) if rng.random() < 0.5 else rng.randrange(256)


def _add_to_byte(rng, data, others):
    if data:
        at = rng.randrange(len(data))
        data[at] = (data[at] + rng.randint(-4, 4)) % 256


def _insert(rng, data, others):
    at = rng.randint(0, len(data))
    data[at:at] = rng.choice(LONG_NUMBERS) if rng.random() < 0.2 else rng.randbytes(rng.randint(1, 8))


def _remove(rng, data, others):
    begin, end = _range(rng, data)
    del data[begin:end]


def _repeat(rng, data, others):
    begin, end = _range(rng, data)
    data[end:end] = data[begin:end]


def _fill(rng, data, others):
    begin, end = _range(rng, data)
    data[begin:end] = bytes([rng.choice(EDGES)]) * (end - begin)


def _paste(rng, data, others):
    if others:
        source = rng.choice(others)
        begin, end = _range(rng, source)
        at = rng.randint(0, len(data))
        # Over what is there, or between it.
        data[at:at + (end - begin) * rng.randint(0, 1)] = source[begin:end]


def _cut_off(rng, data, others):
    del data[rng.randint(0, len(data)):]


def _range(rng, data):
    # Mostly short ones.
    begin = rng.randint(0, len(data))
    return begin, min(len(data), begin + rng.choice((1, 1, 2, 4, 8, 32)))


_EDITS = (_flip_bit, _flip_bit, _set_byte, _set_byte, _add_to_byte, _insert, _remove, _repeat, _fill, _paste, _cut_off)
