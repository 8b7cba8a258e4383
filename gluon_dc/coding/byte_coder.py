"""Small adaptive coder for what is not codes: numbers of a few bytes (biases, codebooks) and text.

The encoder tries the models below and keeps the shortest stream; two decisions at its start say which.

0 PLAIN   every bit with a chance of 1/2.
1 PREFIX  numbers: the first PREFIX_BITS bits from the highest (sign, exponent, a little mantissa of a float), each in
          the context of those before it; the others with a chance of 1/2.
2 STEPS   ascending numbers: floats become integers of the same order, and the steps between them are written as
          their length in bits, in the context of the length before, then the bits, the first two in context.
3 TEXT    bytes, in the contexts of none, one, two and three bytes before them, mixed.
"""

import numpy as np
from numba import njit

from .errors import FormatError
from .logistic import squash_table, stretch_table
from .range_coder import check_end, code_bit, finish, is_past_end, new_decoder, new_encoder, with_room

PLAIN, PREFIX, STEPS, TEXT = range(4)
WIDTHS = (1, 2, 4, 8)
PREFIX_BITS = 12
EVEN = 32768
# A state is a 22-bit probability above a 10-bit count of what it has seen, as in context_fast.
NEW_STATE = (1 << 21) << 10
LIMIT = 250
TEXT_SLOTS = 1 << 16
TEXT_ORDERS = 4


def encode_bytes(data: bytes, width: int) -> bytes:
    """Stream of little-endian numbers of `width` bytes (1, 2, 4, 8), or of text with width 1; no data, no stream.

    ValueError where the size is no multiple of the width.
    """
    _check_width(len(data), width)
    if not data:
        return b""
    return min((_encode(data, width, mode) for mode in _modes(width)), key=len)


def decode_bytes(stream, nbytes: int, width: int) -> bytes:
    """The `nbytes` bytes of a stream that `encode_bytes` made. FormatError where it does not end with them.

    Assumes an acceptable nbytes: it is allocated.
    """
    _check_width(nbytes, width)
    if nbytes == 0:
        if len(stream):
            raise FormatError(f"coded bytes: {len(stream)} bytes of stream for no data")
        return b""
    data, state = new_decoder(stream)
    mode = 2 * code_bit(True, data, state, EVEN, 0) + code_bit(True, data, state, EVEN, 0)
    if mode not in _modes(width):
        raise FormatError(f"coded bytes: model {mode} does not go with numbers of {width} bytes")
    planes = np.zeros((nbytes // width, width), np.uint8)
    _run(True, data, state, planes, mode)
    check_end(data, state)
    return _from_planes(planes, width, mode)


def _encode(data, width: int, mode: int) -> bytes:
    buffer, state = new_encoder()
    code_bit(False, buffer, state, EVEN, mode >> 1)
    code_bit(False, buffer, state, EVEN, mode & 1)
    buffer = _run(False, buffer, state, _to_planes(data, width, mode), mode)
    return finish(buffer, state)


def _run(decoding, buffer, state, planes, mode):
    if mode == PLAIN:
        return _code_prefix(decoding, buffer, state, planes, 0, np.full(1, NEW_STATE, np.int64))
    if mode == PREFIX:
        prefix = min(PREFIX_BITS, 8 * planes.shape[1])
        return _code_prefix(decoding, buffer, state, planes, prefix, np.full(1 << prefix, NEW_STATE, np.int64))
    if mode == STEPS:
        return _code_steps(decoding, buffer, state, planes, np.full(129 * 128 + 512, NEW_STATE, np.int64))
    slots = np.full(TEXT_ORDERS * TEXT_SLOTS, NEW_STATE, np.int64)
    return _code_text(decoding, buffer, state, planes, slots, stretch_table(), squash_table())


def _modes(width: int) -> tuple[int, ...]:
    return (PLAIN, PREFIX, TEXT) if width == 1 else (PLAIN, PREFIX, STEPS)


def _check_width(nbytes: int, width: int) -> None:
    if width not in WIDTHS or nbytes < 0 or nbytes % width:
        raise ValueError(f"{nbytes} bytes are no whole count of numbers of {width} bytes, of {WIDTHS}")


def _to_planes(data, width: int, mode: int) -> np.ndarray:
    # uint8 (n, width), the highest byte of every number first; the steps between them where the mode is STEPS.
    numbers = np.frombuffer(data, f"<u{width}")
    if mode == STEPS:
        numbers = _ordered(numbers)
        numbers = np.diff(numbers, prepend=numbers.dtype.type(0))
    return np.ascontiguousarray(numbers.astype(f">u{width}")).view(np.uint8).reshape(-1, width)


def _from_planes(planes, width: int, mode: int) -> bytes:
    numbers = planes.reshape(-1).view(f">u{width}").astype(f"<u{width}")
    if mode == STEPS:
        numbers = _as_stored(np.cumsum(numbers, dtype=numbers.dtype))
    return numbers.tobytes()


def _ordered(numbers):
    # Bits of floats to unsigned integers of the same order: all bits of the negative ones, the sign of the others flip.
    top = numbers.dtype.type(1 << (8 * numbers.itemsize - 1))
    return np.where(numbers & top, ~numbers, numbers | top)


def _as_stored(numbers):
    top = numbers.dtype.type(1 << (8 * numbers.itemsize - 1))
    return np.where(numbers & top, numbers ^ top, ~numbers)


@njit(cache=True, nogil=True)
def _code_state(decoding, buffer, coder, states, index, bit):
    state = states[index]
    count = state & 1023
    chance = state >> 10
    bit = code_bit(decoding, buffer, coder, (chance >> 6) | 1, bit)
    chance += (((bit << 22) - chance) * (131072 // (2 * count + 3))) >> 16
    states[index] = (chance << 10) | (count + (count < LIMIT))
    return bit


@njit(cache=True, nogil=True)
def _code_prefix(decoding, buffer, coder, planes, prefix, states):
    # planes: read when encoding, filled when decoding.
    for i in range(planes.shape[0]):
        if not decoding:
            buffer = with_room(buffer, coder, 256)
        elif is_past_end(buffer, coder):
            break
        node = 1
        for place in range(8 * planes.shape[1]):
            bit = np.int64(planes[i, place >> 3] >> (7 - (place & 7))) & 1
            if place < prefix:
                bit = _code_state(decoding, buffer, coder, states, node, bit)
                node = 2 * node + bit
            else:
                bit = code_bit(decoding, buffer, coder, EVEN, bit)
            if decoding and bit:
                planes[i, place >> 3] |= np.uint8(128 >> (place & 7))
    return buffer


@njit(cache=True, nogil=True)
def _code_steps(decoding, buffer, coder, planes, states):
    total = 8 * planes.shape[1]
    before = 128
    for i in range(planes.shape[0]):
        if not decoding:
            buffer = with_room(buffer, coder, 256)
        elif is_past_end(buffer, coder):
            break
        length = 0
        if not decoding:
            for place in range(total):
                if planes[i, place >> 3] >> (7 - (place & 7)) & 1:
                    length = total - place
                    break
        node = 1
        for level in range(6, -1, -1):
            node = 2 * node + _code_state(decoding, buffer, coder, states, before * 128 + node, (length >> level) & 1)
        length = min(node - 128, total)
        before = length
        prefix = 1
        for place in range(total - length, total):
            bit = 1
            if place > total - length:
                bit = np.int64(planes[i, place >> 3] >> (7 - (place & 7))) & 1
                if place <= total - length + 2:
                    bit = _code_state(decoding, buffer, coder, states, 129 * 128 + 4 * length + prefix, bit)
                    prefix = 2 * prefix + bit
                else:
                    bit = code_bit(decoding, buffer, coder, EVEN, bit)
            if decoding and bit:
                planes[i, place >> 3] |= np.uint8(128 >> (place & 7))
    return buffer


@njit(cache=True, nogil=True)
def _code_text(decoding, buffer, coder, planes, slots, stretch, squash):
    weights = np.full(TEXT_ORDERS, 24000, np.int64)
    inputs = np.zeros(TEXT_ORDERS, np.int64)
    places = np.zeros(TEXT_ORDERS, np.int64)
    history = 0
    for i in range(planes.shape[0]):
        if not decoding:
            buffer = with_room(buffer, coder, 256)
        elif is_past_end(buffer, coder):
            break
        byte = np.int64(planes[i, 0])
        node = 1
        for level in range(7, -1, -1):
            total = 0
            for order in range(TEXT_ORDERS):
                seen = history & ((1 << (8 * order)) - 1)
                hashed = ((seen * 0x9E3779B1 >> 7) * 257 + node * 0x3D4D51CB) >> 3
                places[order] = order * TEXT_SLOTS + hashed % TEXT_SLOTS
                state = slots[places[order]]
                count = min(state & 1023, 15)
                inputs[order] = stretch[state >> 16] * count // (count + 1)
                total += inputs[order] * weights[order]
            x = min(max(total >> 16, -2839), 2839)
            chance = min(max(squash[x + 2839], 32), 65504)
            bit = code_bit(decoding, buffer, coder, chance, (byte >> level) & 1)
            error = (bit << 16) - chance
            for order in range(TEXT_ORDERS):
                weights[order] = min(max(weights[order] + ((inputs[order] * error) >> 12), -(1 << 20)), 1 << 20)
                state = slots[places[order]]
                count = state & 1023
                p = state >> 10
                p += (((bit << 22) - p) * (131072 // (2 * count + 3))) >> 16
                slots[places[order]] = (p << 10) | (count + (count < 30))
            node = 2 * node + bit
        if decoding:
            planes[i, 0] = node & 255
        history = ((history << 8) | (node & 255)) & 0xFFFFFF
    return buffer
