"""Huffman-coded tensors with their relative index in a version 2 file: as in version 1, or in chunks."""

import math
from typing import NamedTuple

import numpy as np

from . import huffman
from .bits import BitReader, BitWriter
from .errors import FormatError
from .relative import MAX_REL_BITS
from .tensor import PackedTensor
from .wire import Cursor


class PackedPlan(NamedTuple):
    """What the header says of a PackedTensor, its codebook apart; gap_nbytes is None where it follows from the rest."""

    rel_bits: int
    has_code_table: bool
    has_gap_table: bool
    is_chunked: bool
    entries: int
    gap_nbytes: int | None


def write_packed(writer: BitWriter, tensor: PackedTensor) -> bytes:
    """Header bits of a tensor, and its section: code table, gap table, code stream, gap stream.

    4 bits rel_bits, 1 bit each: a code table, a gap table, streams in chunks. With rel_bits: entries as a number of
    order 8; and the size of the gap stream likewise, if there is a gap table or chunks.
    """
    writer.bits(tensor.rel_bits, 4)
    for flag in (tensor.code_table, tensor.gap_table, tensor.chunked):
        writer.bits(int(bool(flag)), 1)
    if tensor.rel_bits:
        writer.number(tensor.entries, 8)
        if tensor.gap_table or tensor.chunked:
            writer.number(len(tensor.gap_stream), 8)
    return b"".join([tensor.code_table, tensor.gap_table, tensor.code_stream, tensor.gap_stream])


def read_packed_plan(reader: BitReader, shape: tuple[int, ...]) -> PackedPlan:
    """What `write_packed` wrote into the header. FormatError for anything else."""
    rel_bits = reader.bits(4, "rel_bits")
    if rel_bits > MAX_REL_BITS:
        raise FormatError(f"rel_bits {rel_bits}, expected 0..{MAX_REL_BITS}")
    code_table, gap_table, is_chunked = (bool(reader.bits(1, "flag of a coded tensor")) for _ in range(3))
    if gap_table and not rel_bits:
        raise FormatError("a gap table in dense mode (rel_bits 0), which has no gaps")
    if not rel_bits:
        return PackedPlan(0, code_table, False, is_chunked, math.prod(shape), 0)
    entries = reader.number(8, "entries")
    gap_nbytes = reader.number(8, "gap stream size") if gap_table or is_chunked else None
    return PackedPlan(rel_bits, code_table, gap_table, is_chunked, entries, gap_nbytes)


def planned_packed(plan: PackedPlan, shape: tuple[int, ...], codebook: np.ndarray, section: Cursor) -> PackedTensor:
    """The tensor of a plan from its section, all of it. ValueError for bytes that do not fit."""
    code_lengths = read_table(section, plan.has_code_table, codebook.size)
    gap_lengths = (read_table(section, plan.has_gap_table, 2**plan.rel_bits) if plan.rel_bits else
                   np.zeros(0, np.uint8))
    gap_nbytes = -(-plan.entries * plan.rel_bits // 8) if plan.gap_nbytes is None else plan.gap_nbytes
    if gap_nbytes > section.left:
        raise FormatError(f"gap stream takes {gap_nbytes} bytes, {section.left} are left at byte {section.position}")
    code_stream = bytes(section.take(section.left - gap_nbytes, "code stream"))
    return PackedTensor(
        shape=shape, rel_bits=plan.rel_bits, codebook=codebook, entries=plan.entries, code_lengths=code_lengths,
        gap_lengths=gap_lengths, code_stream=code_stream, gap_stream=bytes(section.take(gap_nbytes, "gap stream")),
        chunked=plan.is_chunked)


def read_table(section: Cursor, is_stored: bool, n_symbols: int) -> np.ndarray:
    """Code lengths at the front of a section; those of fixed width where none are stored."""
    if not is_stored:
        return huffman.flat_lengths(n_symbols)
    lengths, nbytes = huffman.read_lengths(section.data[section.position:section.end], n_symbols)
    section.take(nbytes, "code length table")
    return lengths
