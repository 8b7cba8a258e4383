"""Codebooks in a version 2 file: on a grid, in a pool as float16 or float32, or as the codebook before.

Entry 0, the value 0.0, is never stored. All forms give back every bit.
"""

from typing import NamedTuple

import numpy as np

from .bits import BitReader, BitWriter
from .coded import checked_codebook
from .errors import FormatError
from .grids import Grid, find_grid, read_ascending, read_step, write_ascending, write_step
from .lossless import exact_half
from .pools import PoolReader, PoolWriter

ON_GRID, HALF, SINGLE, REPEATED = range(4)


class CodebookPlan(NamedTuple):
    """What the header says of a codebook of `size` + 1 entries.

    values: float32 (size,), where it says them; dtype: of the values in a pool; neither: those of the codebook before.
    """

    size: int
    values: np.ndarray | None = None
    dtype: np.dtype | None = None


def write_codebook(writer: BitWriter, pools: PoolWriter, codebook: np.ndarray, previous, owner: str) -> None:
    """A codebook float32 (k,): its k - 1 as a number of order 3, and unless that is 0 its form in 2 bits.

    ON_GRID: step and numbers follow. HALF, SINGLE: the values are in a pool. REPEATED: the values are those of
    `previous`, the last codebook written that had any (None where there was none).
    """
    values = codebook[1:]
    writer.number(values.size, 3)
    if not values.size:
        return
    if previous is not None and previous.tobytes() == codebook.tobytes():
        writer.bits(REPEATED, 2)
    elif (grid := codebook_grid(values)) is not None:
        writer.bits(ON_GRID, 2)
        write_step(writer, grid.step)
        write_ascending(writer, grid.numbers)
    else:
        half = exact_half(values)
        writer.bits(SINGLE if half is None else HALF, 2)
        pools.add("codebook", values.astype("<f4") if half is None else half, owner)


def codebook_grid(values: np.ndarray) -> Grid | None:
    """The grid of entries float32 (n,), n >= 1, where they are on one, ascending, without 0, and it saves bytes."""
    if not (values[1:] > values[:-1]).all() or (values == 0).any():
        return None
    grid = find_grid(values)
    if grid is None:
        return None
    writer = BitWriter()
    write_step(writer, grid.step)
    write_ascending(writer, grid.numbers)
    width = 32 if exact_half(values) is None else 16
    return grid if writer.size < width * values.size else None


def read_codebook(reader: BitReader, pools: PoolReader, previous_size: int) -> CodebookPlan:
    """What `write_codebook` wrote; previous_size: k - 1 of the codebook before, 0 for none. FormatError otherwise."""
    size = reader.number(3, "codebook size")
    if size > 255:
        raise FormatError(f"codebook of {size + 1} entries, expected 1..256")
    if not size:
        return CodebookPlan(0, np.zeros(0, np.float32))
    form = reader.bits(2, "codebook form")
    if form == REPEATED:
        if previous_size != size:
            raise FormatError(f"codebook of {size + 1} entries repeats one of {previous_size + 1}")
        return CodebookPlan(size)
    if form == ON_GRID:
        step = read_step(reader)
        return CodebookPlan(size, Grid(step, read_ascending(reader, size)).values())
    dtype = np.dtype("<f2" if form == HALF else "<f4")
    pools.ask("codebook", size, dtype.itemsize)
    return CodebookPlan(size, None, dtype)


def planned_codebook(plan: CodebookPlan, pools: PoolReader, previous: np.ndarray | None) -> np.ndarray:
    """The codebook float32 (k,) of a plan, read-only. ValueError for values that are not finite."""
    if plan.values is not None:
        values = plan.values
    elif plan.dtype is not None:
        values = pools.take("codebook", plan.size, plan.dtype)
    else:
        return previous
    codebook = np.concatenate([np.zeros(1, np.float32), values.astype(np.float32)])
    codebook.flags.writeable = False
    return checked_codebook(codebook)
