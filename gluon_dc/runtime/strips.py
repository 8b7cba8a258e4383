"""LLVM code that walks down a strip of sixteen columns of a plane: for depthwise convolutions and pooling, no copies.

Lanes are neighbouring columns. A row of the input is loaded when it comes and goes into all rows of the output that
need it, which wait in registers, (kernel - 1) // stride of them at a time. Addresses are int64; nothing is checked:
callers have proved the bounds.
"""

from dataclasses import dataclass

from llvmlite import ir

from .simd import I32, I64, LANES, MASK, VECTOR, call, constant, counted_loop
from .tile_code import element, moved, prefetch_line, read, write

_WORD = 64  # bits of a mask of columns


@dataclass(frozen=True)
class Strip:
    """Where a strip lies. kernel (both ways), stride (1 or 2), masked: Python ints; all others are i64 values.

    source: address of a plane of height * width floats; missing: of `width` floats to read in place of rows outside of
    it. masked: 0 where all columns that are read lie in the plane and lanes is 16, else 1. top, left: the input row and
    column of the first tap, may be negative. dest: address of the first pixel of `rows` (at least 1) rows of
    output_width floats, of which `lanes` are written.
    """

    kernel: int
    stride: int
    masked: int
    source: object
    height: object
    width: object
    top: object
    left: object
    missing: object
    dest: object
    rows: object
    output_width: object
    lanes: object

    @property
    def waiting(self):
        """Rows of the output that are begun and not complete, between two steps."""
        return (self.kernel - 1) // self.stride


def walk(builder, strip, start, fill, seen, add, finished, ahead=False):
    """Emit the walk. start: the vector that every row of the output begins with; fill: a float, of missing columns.

    seen(vectors): what is made once of a row's pixels, one vector for each kx; add(made, ky, vector): the vector of a
    row of the output, with a row of the input for which it is at ky; finished(vector): what is written. ahead: whether
    to ask for the next plane's pixels, which lie behind this one's.
    """
    masks = column_masks(builder, strip.left, strip.width) if strip.masked else None
    kept = lane_mask(builder, ones(builder, strip.lanes)) if strip.masked else None
    pitch, missing = builder.shl(strip.width, ir.Constant(I64, 2)), element(builder, strip.missing, strip.left)
    plane_nbytes = builder.mul(pitch, strip.height)

    def advance(group, place, rows):
        # The next `stride` rows of the input into rows of the output, the last begun first.
        for e in range(strip.stride):
            number = builder.add(builder.add(builder.mul(group, ir.Constant(I64, strip.stride)), strip.top),
                                 ir.Constant(I64, e))
            # Compared as unsigned, rows above are far below.
            inside = builder.icmp_unsigned("<", number, strip.height)
            if ahead:
                prefetch_line(builder, builder.add(place, plane_nbytes))
            made = seen(_pixels(builder, strip, builder.select(inside, place, missing), masks, fill))
            rows = [add(made, e + strip.stride * age, row) if e + strip.stride * age < strip.kernel else row
                    for age, row in enumerate(rows)]
            place = builder.add(place, pitch)
        return place, rows

    def step(index, carried):
        place, to, *rows = carried
        group = builder.add(index, ir.Constant(I64, strip.waiting))
        place, rows = advance(group, place, [start, *rows])
        store(builder, finished(rows[-1]), to, kept)
        return [place, element(builder, to, strip.output_width), *rows[:-1]]
    place, rows = builder.add(element(builder, strip.source, strip.left), builder.mul(strip.top, pitch)), []
    for group in range(strip.waiting):
        place, rows = advance(ir.Constant(I64, group), place, [start, *rows])
    counted_loop(builder, ir.Constant(I64, 0), strip.rows, [place, strip.dest, *rows], step)


def _pixels(builder, strip, place, masks, fill):
    # A vector for each kx; at a stride of 2 two neighbouring ones share their loads.
    found = []
    for kx in range(0, strip.kernel, strip.stride):
        loaded = [load(builder, moved(builder, place, 4 * (kx + LANES * i)), masks and masks(kx + LANES * i), fill)
                  for i in range(strip.stride)]
        if strip.stride == 1:
            found += loaded
            continue
        picks = [ir.Constant(ir.VectorType(I32, LANES), list(range(odd, 2 * LANES, 2))) for odd in (0, 1)]
        found += [builder.shuffle_vector(*loaded, pick) for pick in picks[:strip.kernel - kx]]
    return found


def column_masks(builder, left, width):
    """Function from i, 0..48, to the mask of columns left + i .. left + i + 16 that lie in 0..width."""
    bits = builder.and_(ones(builder, builder.sub(width, left)), builder.not_(ones(builder, builder.neg(left))))
    return lambda i: lane_mask(builder, builder.lshr(bits, ir.Constant(I64, i)))


def ones(builder, count):
    """An i64 of `count` low bits: none where it is negative, at most 64."""
    some = builder.select(builder.icmp_signed("<", count, ir.Constant(I64, 0)), ir.Constant(I64, 0), count)
    bits = builder.sub(builder.shl(ir.Constant(I64, 1), some), ir.Constant(I64, 1))
    return builder.select(builder.icmp_signed(">=", some, ir.Constant(I64, _WORD)), ir.Constant(I64, -1), bits)


def lane_mask(builder, bits):
    """The low 16 bits of an i64 as a mask."""
    return builder.bitcast(builder.trunc(bits, ir.IntType(LANES)), MASK)


def load(builder, place, kept, fill):
    """The register at an address; where a mask is given, `fill` where it is not set, which is not read."""
    if kept is None:
        return read(builder, place, VECTOR)
    pointer = builder.inttoptr(place, VECTOR.as_pointer())
    return call(builder, f"llvm.masked.load.v{LANES}f32.p0", VECTOR, pointer, ir.Constant(I32, 4), kept,
                constant(VECTOR, fill))


def store(builder, vector, place, kept):
    """Write a register to an address; where a mask is given, only what it names."""
    if kept is None:
        write(builder, vector, place)
        return
    pointer = builder.inttoptr(place, VECTOR.as_pointer())
    call(builder, f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(), vector, pointer, ir.Constant(I32, 4), kept)
