"""Packing a tile's inputs into its buffer, and writing a tile's sums to the output (see tile_plan)."""

from numba import njit

from .simd import LANES
from .tile_copies import copy_all_even, copy_even, copy_lanes, copy_strided, copy_vectors, store_lanes
from .tile_kernel import address

_LONG = 7  # registers of a row whose ends are worth telling from its middle


@njit(cache=True, nogil=True)
def place_tile(plan, oh, ow, tile):
    """(y, x, first, count, whole) of a tile: its first row and column by rows, else its first pixel; pixels that it has
    in a row; whether the tile is one run of the output's pixels. Tiles at the end overlap those before them.
    """
    if plan.flat:
        first = max(0, min(tile * plan.width, oh * ow - plan.width))
        return 0, 0, first, min(plan.width, oh * ow), plan.width <= oh * ow
    y = max(0, min(tile // plan.across * plan.rows, oh - plan.rows))
    left = max(0, min(tile % plan.across * plan.width, ow - plan.width))
    return y, left, y * ow + left, min(plan.width, ow), plan.width == ow


@njit(cache=True, nogil=True)
def pack_tile(plan, x, image, channel, channels, y, left, first, pixels, ow, buffer):
    """Pack what a tile needs of x (n, c, h, w), `channels` planes from `channel` on, as `place_tile` has placed it."""
    h, w = x.shape[2], x.shape[3]
    plane = address(x) + 4 * h * w * (image * x.shape[1] + channel)
    if plan.joined:
        pack_joined(plane, h * w, channels, first, plan.width, buffer)
    elif plan.flat:
        pack_flat(plane, h, w, channels, first, ow, plan.row_stride, plan.row_shifts, plan.col_stride, plan.col_shifts,
                  plan.width, pixels, buffer)
    else:
        pack_rows(plane, h, w, channels, y * plan.row_stride, plan.row_shifts, left * plan.col_stride, plan.col_stride,
                  plan.col_shifts, plan.width, buffer)


@njit(cache=True, nogil=True)
def pack_rows(plane, h, w, channels, row, row_shifts, first, col_stride, col_shifts, width, buffer):
    """Pack `channels` planes (h, w) of float32 at the address `plane`: [channel][copy][packed row][width] at `buffer`.

    row: the input row of the first output row; first: input column of the first output column, both before the shifts.
    """
    for channel in range(channels):
        for copy in range(col_shifts.size):
            column = first + col_shifts[copy]
            for i in range(row_shifts.size):
                y = row + row_shifts[i]
                if 0 <= y < h:
                    copy_run(plane + 4 * w * y, w, column, col_stride, width, buffer)
                else:
                    clear_run(width, buffer)
                buffer += 4 * width
        plane += 4 * h * w


@njit(cache=True, nogil=True)
def pack_flat(plane, h, w, channels, first, output_width, stride, row_shifts, col_stride, col_shifts, width, pixels,
              buffer):
    """Pack pixels first .. first + pixels of the output, for each channel and tap; width >= pixels floats each.

    What lies between pixels and width is left as it is, up to 15 floats beyond are overwritten.
    """
    for channel in range(channels):
        for tap in range(row_shifts.size):
            done = 0
            y, x = first // output_width, first % output_width
            while done < pixels:
                count = min(output_width - x, pixels - done)
                row = y * stride + row_shifts[tap]
                if 0 <= row < h:
                    copy_run(plane + 4 * w * row, w, x * col_stride + col_shifts[tap], col_stride, count,
                             buffer + 4 * done)
                else:
                    clear_run(count, buffer + 4 * done)
                done += count
                y, x = y + 1, 0
            buffer += 4 * width
        plane += 4 * h * w


@njit(cache=True, nogil=True)
def pack_joined(plane, plane_pixels, channels, first, width, buffer):
    """Pack `width` pixels from `first` on of each plane, zeros beyond its end: for kernels of one tap."""
    for channel in range(channels):
        if first + width <= plane_pixels:
            copy_vectors(plane + 4 * first, width // LANES, buffer)
        else:
            copy_run(plane, plane_pixels, first, 1, width, buffer)
        plane += 4 * plane_pixels
        buffer += 4 * width


@njit(cache=True, nogil=True)
def copy_run(row, w, column, stride, count, dest):
    """dest[i] = row[column + i * stride], 0 outside of 0..w, for i < count rounded up to a register."""
    whole = (count + LANES - 1) // LANES
    if stride == 1 and column >= 0 and column + LANES * whole <= w:
        copy_vectors(row + 4 * column, whole, dest)
    elif stride == 1 and whole < _LONG:
        for i in range(0, count, LANES):
            copy_lanes(row + 4 * (column + i), -column - i, w - column - i, dest + 4 * i)
    elif stride == 1:
        # Registers that begin before the row, then those that lie in it, then the rest.
        head = min(whole, (max(0, -column) + LANES - 1) // LANES)
        inside = max(head, min(whole, (w - column) // LANES))
        for i in range(0, LANES * head, LANES):
            copy_lanes(row + 4 * (column + i), -column - i, w - column - i, dest + 4 * i)
        copy_vectors(row + 4 * (column + LANES * head), inside - head, dest + 4 * LANES * head)
        for i in range(LANES * inside, count, LANES):
            copy_lanes(row + 4 * (column + i), -column - i, w - column - i, dest + 4 * i)
    else:
        # The first i inside is the least with column + i * stride >= 0, likewise the first behind the end.
        low, high = -(column // stride), -((column - w) // stride)
        for i in range(0, count, LANES):
            place = column + i * stride
            if stride == 2 and place >= 0 and place + 2 * LANES <= w:
                copy_all_even(row + 4 * place, dest + 4 * i)
            elif stride == 2:
                copy_even(row + 4 * place, low - i, high - i, dest + 4 * i)
            else:
                copy_strided(row + 4 * place, stride, low - i, high - i, dest + 4 * i)


@njit(cache=True, nogil=True)
def pack_runs(plan, x, image, channel, channels, first, length, buffer):
    """Pack `length` positions from `first` on into all copies of a RunPlan, of `channels` planes from `channel` on.

    Up to 15 floats beyond the last copy are overwritten.
    """
    h, w = x.shape[2], x.shape[3]
    plane = address(x) + 4 * h * w * (image * x.shape[1] + channel)
    row, column = first // plan.pitch, first % plan.pitch
    for _ in range(channels):
        for row_shift in plan.row_shifts:
            for col_shift in plan.col_shifts:
                y, left, done = row * plan.row_stride + row_shift, column, 0
                while done < length:
                    count, dest = min(plan.pitch - left, length - done), buffer + 4 * done
                    if 0 <= y < h:
                        copy_run(plane + 4 * w * y, w, left * plan.col_stride + col_shift, plan.col_stride, count, dest)
                    else:
                        clear_run(count, dest)
                    y, left, done = y + plan.row_stride, 0, done + count
                buffer += 4 * plan.copy_floats
        plane += 4 * h * w


@njit(cache=True, nogil=True)
def write_run(sums, filters, sums_stride, first, count, pitch, ow, dest, plane_floats):
    """`count` sums of each filter, of positions from `first` on, to planes of the output, `ow` floats a row."""
    for _ in range(filters):
        row, column, done = first // pitch, first % pitch, 0
        while done < count:
            some = min(ow - column, count - done)
            if some > 0:
                source, to, whole = sums + 4 * done, dest + 4 * (row * ow + column), some // LANES
                copy_vectors(source, whole, to)
                if some % LANES:
                    store_lanes(source + 4 * LANES * whole, some % LANES, to + 4 * LANES * whole)
            row, column, done = row + 1, 0, done + pitch - column
        sums += sums_stride
        dest += 4 * plane_floats


@njit(cache=True, nogil=True)
def clear_run(count, dest):
    """Zeros to `count` floats, rounded up to a register."""
    for i in range(0, count, LANES):
        copy_lanes(dest, 0, 0, dest + 4 * i)


@njit(cache=True, nogil=True)
def write_rows(sums, filters, sums_stride, rows, width, count, dest, plane_floats, row_floats):
    """Tiles [filter][row][width] of sums to planes of the output: `count` floats of each row."""
    for _ in range(filters):
        for row in range(rows):
            for i in range(0, count, LANES):
                store_lanes(sums + 4 * (row * width + i), count - i, dest + 4 * (row * row_floats + i))
        sums += sums_stride
        dest += 4 * plane_floats
