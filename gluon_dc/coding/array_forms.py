"""Lossless arrays in a version 2 file: nothing for zeros, a grid in the header, a pool, or a section of their own.

The writer takes whatever takes the fewest bytes; every form gives back every bit.
"""

import math
from typing import NamedTuple

import numpy as np

from . import context
from .bits import BitReader, BitWriter
from .coded import CodedTensor
from .errors import FormatError
from .grids import Grid, find_grid, read_signed, read_step, write_signed, write_step
from .lossless import DTYPES, dtype_index, exact_half, read_bitmap, spread, widened
from .pools import PoolReader, PoolWriter, byte_coded, decode_byte_coded
from .work import WorkLimit, byte_units, mask_units

ALL_ZERO, ON_GRID, POOLED, SECTION = range(4)
# What is left out of a section: nothing, or zeros, by a bitmap or by the context coder.
ALL, BITMAP, FAST_MASK, BEST_MASK = range(4)
EFFORT_OF_MASK = {FAST_MASK: "fast", BEST_MASK: "best"}
MAX_GRID_SIZE = 2**12
MAX_POOLED_NBYTES = 2**16
# A mask is decoded when the file is opened; mixing (effort "best") would take too long for a larger one. What all of
# a file's masks and byte-coded values may cost together: `work`.
MAX_BEST_MASK_SIZE = 2**20
MIN_MASK_SIZE = 2**8
SECTION_NBYTES = 4

_MASK_CODEBOOK = np.array([0, 1], np.float32)


class ArrayPlan(NamedTuple):
    """What the header says of an array: index into DTYPES, whether float32 is stored as float16, form, the values of
    a grid, and of a section: what is left out, the bytes of its mask, whether the values are byte-coded."""

    dtype_index: int
    form: int
    is_half: bool = False
    values: np.ndarray | None = None
    left_out: int = ALL
    mask_nbytes: int = 0
    is_coded: bool = False

    @property
    def dtype(self) -> np.dtype:
        """Of the array, native byte order."""
        return np.dtype(DTYPES[self.dtype_index]).newbyteorder("=")

    @property
    def stored(self) -> np.dtype:
        """Of the values as they are stored."""
        return np.dtype("<f2" if self.is_half else DTYPES[self.dtype_index])


class Section(NamedTuple):
    """Bytes of an array's section, what stands of it in the header, and the units of work that decoding it takes."""

    left_out: int
    mask_nbytes: int
    is_coded: bool
    units: int
    data: bytes


class Mask(NamedTuple):
    """What is left out of a section, the bytes that say where, and the units of work that decoding them takes."""

    left_out: int
    data: bytes = b""
    units: int = 0


class Values(NamedTuple):
    """Bytes of values as they are stored, whether they are byte-coded, and the units of work that decoding takes."""

    data: bytes
    is_coded: bool = False
    units: int = 0


def write_array(writer: BitWriter, pools: PoolWriter, array: np.ndarray, effort: str | None,
                owner: str) -> bytes | None:
    """Header bits of an array, and its section or None; pooled values go to `pools`, for the tensor `owner`.

    3 bits: dtype; 2 bits: form. ON_GRID: step, numbers. POOLED: 1 bit, as float16 (float32 only). SECTION: likewise,
    2 bits what is left out, 1 bit byte-coded, the mask's bytes (of the context coder) as a number of order 8.
    effort: "fast" or "best" of the context coder, None for no adaptive coding at all; there is less of it where
    `pools.work` is used up, from which the section's share is taken.
    """
    index = dtype_index(array)
    flat = np.ascontiguousarray(array, DTYPES[index]).reshape(-1)
    half = exact_half(flat)
    stored = flat if half is None else half
    writer.bits(index, 3)
    if not stored.view(f"u{stored.itemsize}").any():
        writer.bits(ALL_ZERO, 2)
        return None
    pooled_nbytes = _pooled_nbytes(stored, effort, pools.work.left)
    section = _smallest_section(stored, array.shape, effort, pools.work.left)
    on_grid = _grid_bits(flat)
    if on_grid is not None and on_grid.size < 8 * min(pooled_nbytes, len(section.data)):
        writer.bits(ON_GRID, 2)
        writer.extend(on_grid)
        return None
    # A section has a size too, and what a pool learned of others is not in this estimate.
    is_pooled = pooled_nbytes <= len(section.data) + SECTION_NBYTES
    writer.bits(POOLED if is_pooled else SECTION, 2)
    if index == 0:
        writer.bits(half is not None, 1)
    if is_pooled:
        pools.add("arrays", stored, owner)
        return None
    pools.work.spend(section.units, "an array")
    writer.bits(section.left_out, 2)
    writer.bits(section.is_coded, 1)
    if section.left_out in EFFORT_OF_MASK:
        writer.number(section.mask_nbytes, 8)
    return section.data


def read_array_plan(reader: BitReader, pools: PoolReader, shape: tuple[int, ...]) -> ArrayPlan:
    """What `write_array` wrote into the header. FormatError for anything else."""
    index = reader.bits(3, "dtype")
    if index >= len(DTYPES):
        raise FormatError(f"unknown dtype {index}, expected 0..{len(DTYPES) - 1}")
    form, size = reader.bits(2, "array form"), math.prod(shape)
    if form == ALL_ZERO:
        return ArrayPlan(index, form)
    if form == ON_GRID:
        if index:
            raise FormatError(f"an array of dtype {DTYPES[index]} on a grid, expected float32")
        if size > MAX_GRID_SIZE:
            # Each number is a Python object before it is a value: a header of 10 MB could ask for gigabytes of them.
            raise FormatError(f"an array of {size} values on a grid, expected at most {MAX_GRID_SIZE}")
        step = read_step(reader)
        return ArrayPlan(index, form, values=Grid(step, read_signed(reader, size)).values())
    plan = ArrayPlan(index, form, is_half=index == 0 and bool(reader.bits(1, "stored as float16")))
    if form == POOLED:
        pools.ask("arrays", size, plan.stored.itemsize)
        return plan
    left_out, is_coded = reader.bits(2, "what is left out"), bool(reader.bits(1, "byte-coded"))
    if left_out == BEST_MASK and size > MAX_BEST_MASK_SIZE:
        raise FormatError(f"a mask of {size} elements at effort best, expected at most {MAX_BEST_MASK_SIZE}")
    mask_nbytes = reader.number(8, "mask size") if left_out in EFFORT_OF_MASK else 0
    return plan._replace(left_out=left_out, mask_nbytes=mask_nbytes, is_coded=is_coded)


def planned_array(plan: ArrayPlan, shape: tuple[int, ...], pools: PoolReader, section: memoryview | None) -> np.ndarray:
    """The read-only array of a plan and its section. ValueError for a section that does not fit.

    FormatError, before anything is decoded, for more work than `pools.work` has left.
    """
    if plan.form == ALL_ZERO:
        array = np.zeros(shape, plan.dtype)
    elif plan.form == ON_GRID:
        array = plan.values.reshape(shape)
    elif plan.form == POOLED:
        array = widened(pools.take("arrays", math.prod(shape), plan.stored).copy(), plan.dtype).reshape(shape)
    else:
        array = _read_section(plan, shape, pools.work, section)
    array.flags.writeable = False
    return array


def _read_section(plan: ArrayPlan, shape: tuple[int, ...], work: WorkLimit, section: memoryview) -> np.ndarray:
    size = math.prod(shape)
    if plan.left_out == ALL:
        # A copy: a view would hold the whole file in memory.
        values = np.frombuffer(_values(plan, work, section, size), plan.stored).copy()
        return widened(values, plan.dtype).reshape(shape)
    if plan.left_out == BITMAP:
        present, values = read_bitmap(section, size)
        present = present.reshape(shape)
    else:
        if plan.mask_nbytes > len(section):
            raise FormatError(f"mask of {plan.mask_nbytes} bytes in a section of {len(section)}")
        effort = EFFORT_OF_MASK[plan.left_out]
        work.spend(mask_units(size, effort), f"mask of {size} elements at effort {effort}")
        (codes,) = context.decode_codes(section[:plan.mask_nbytes], [(shape, _MASK_CODEBOOK)], effort)
        present, values = codes.view(bool), section[plan.mask_nbytes:]
    values = _values(plan, work, values, int(np.count_nonzero(present)))
    return widened(spread(present, values, plan.stored), plan.dtype)


def _values(plan: ArrayPlan, work: WorkLimit, stored: memoryview, count: int):
    nbytes = count * plan.stored.itemsize
    if plan.is_coded:
        return decode_byte_coded(stored, nbytes, plan.stored.itemsize, work)
    if len(stored) != nbytes:
        raise FormatError(f"array data has {len(stored)} bytes, {count} values take {nbytes}")
    return stored


def _pooled_nbytes(stored: np.ndarray, effort: str | None, units: int) -> float:
    # What the array would take in a pool of its own.
    if stored.nbytes > MAX_POOLED_NBYTES:
        return math.inf
    return len(_smallest_values(stored, effort, units).data)


def _grid_bits(flat: np.ndarray) -> BitWriter | None:
    if flat.dtype != np.float32 or flat.size > MAX_GRID_SIZE or (grid := find_grid(flat)) is None:
        return None
    writer = BitWriter()
    write_step(writer, grid.step)
    write_signed(writer, grid.numbers)
    return writer


def _smallest_section(stored: np.ndarray, shape: tuple[int, ...], effort: str | None, units: int) -> Section:
    # Of the forms that take at most so many units of work.
    present = stored.view(f"u{stored.itemsize}") != 0
    kept_nbytes = int(np.count_nonzero(present)) * stored.itemsize
    forms = []
    if kept_nbytes < stored.nbytes:
        values = _smallest_values(stored[present], effort, units)
        forms += [(Mask(BITMAP, np.packbits(present).tobytes()), values)]
        mask_effort = _mask_effort(stored.size, effort, units - values.units)
        if mask_effort is not None:
            forms += [(_mask(present.reshape(shape), mask_effort), values)]
    # The values of a large array are copied once, those of the form that is taken.
    if effort is not None or not forms or len(forms[0][0].data) + len(forms[0][1].data) >= stored.nbytes:
        forms += [(Mask(ALL), _smallest_values(stored, effort, units))]
    mask, values = min(forms, key=lambda form: len(form[0].data) + len(form[1].data))
    data = mask.data + values.data if mask.data else values.data
    return Section(mask.left_out, len(mask.data), values.is_coded, mask.units + values.units, data)


def _smallest_values(values: np.ndarray, effort: str | None, units: int) -> Values:
    data, cost = values.tobytes(), byte_units(values.nbytes, values.itemsize)
    coded = byte_coded(data, values.itemsize) if effort is not None and cost <= units else data
    return Values(coded, True, cost) if len(coded) < len(data) else Values(data)


def _mask_effort(size: int, effort: str | None, units: int) -> str | None:
    # Of the context coder for a mask; None where there is none, or it would take more than so many units of work.
    if effort is None or size < MIN_MASK_SIZE:
        return None
    if effort == "best" and size <= MAX_BEST_MASK_SIZE and mask_units(size, "best") <= units:
        return "best"
    return "fast" if mask_units(size, "fast") <= units else None


def _mask(present: np.ndarray, effort: str) -> Mask:
    tensor = CodedTensor(_MASK_CODEBOOK, present.astype(np.uint8))
    left_out = BEST_MASK if effort == "best" else FAST_MASK
    return Mask(left_out, context.encode_codes([tensor], effort), mask_units(present.size, effort))
