"""A binary range coder: decisions of given probability to bytes and back, in numba.

A probability is that of the bit 1, an integer 1..65535 in 1/65536. The interval has 32 bits; it is renewed byte by byte
while narrower than 2^24, and a carry runs back through the bytes already written. All arithmetic is on int64 with
values below 2^34, so that it is the same everywhere.

State of a coder, int64 (3,): in an encoder LOW, WIDTH, POSITION (next byte to write); in a decoder VALUE (the stream's
value minus low), WIDTH, POSITION (next byte to read; bytes behind the end are 0 and counted).

A stream is every byte of the encoder with the last four chosen so that as many of them as possible are zero; zero bytes
among these four are not stored. So one sequence of decisions has one stream, and `check_end` refuses any other.
"""

import numpy as np
from numba import njit

from .errors import FormatError

VALUE, WIDTH, POSITION = 0, 1, 2
TAIL_NBYTES = 4
FULL = 1 << 32
RENEWED = 1 << 24
# A buffer has room for this many bytes more before it is asked for: 30 decisions of 16 bits, a carry, and the tail.
ROOM = 80


def new_encoder(nbytes: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Buffer uint8 for the stream, and the state of an encoder at its start."""
    return np.zeros(nbytes + ROOM, np.uint8), np.array([0, FULL, 0], np.int64)


def new_decoder(stream) -> tuple[np.ndarray, np.ndarray]:
    """Bytes uint8 of a stream as the kernels want them (a copy), and the state of a decoder at its start."""
    data = np.array(np.frombuffer(stream, np.uint8))
    state = np.array([0, FULL, TAIL_NBYTES], np.int64)
    state[VALUE] = int.from_bytes(data[:TAIL_NBYTES].tobytes().ljust(TAIL_NBYTES, b"\0"), "big")
    return data, state


def finish(buffer: np.ndarray, state: np.ndarray) -> bytes:
    """The stream of an encoder after its last decision."""
    low, width, position = (int(number) for number in state)
    value = _roundest(low, width)
    if value >= FULL:
        _carry(buffer, position)
    tail = (value % FULL).to_bytes(TAIL_NBYTES, "big").rstrip(b"\0")
    return buffer[:position].tobytes() + tail


def check_end(data: np.ndarray, state: np.ndarray) -> None:
    """FormatError unless the stream `data` ends exactly where its decisions end, as `finish` would have ended it."""
    value, width, position = (int(number) for number in state)
    if not position - TAIL_NBYTES <= data.size <= position:
        raise FormatError(f"context-coded stream has {data.size} bytes, its decisions take "
                          f"{position - TAIL_NBYTES} to {position}")
    last = int.from_bytes(data[position - TAIL_NBYTES:].tobytes().ljust(TAIL_NBYTES, b"\0"), "big")
    if (data.size > position - TAIL_NBYTES and data[-1] == 0) or _roundest((last - value) % FULL, width) % FULL != last:
        raise FormatError(f"context-coded stream of {data.size} bytes does not end as its decisions do")


def _roundest(low: int, width: int) -> int:
    # The number in [low, low + width) with the most zero bits at its end.
    for bits in range(32, -1, -1):
        number = (low + (1 << bits) - 1) >> bits << bits
        if number < low + width:
            return number
    raise AssertionError("an interval of a range coder is never empty")


@njit(cache=True, nogil=True)
def _carry(buffer, position):
    position -= 1
    while buffer[position] == 255:
        buffer[position] = 0
        position -= 1
    buffer[position] += 1


@njit(cache=True, nogil=True)
def encode_bit(buffer, state, probability, bit):
    """Write one decision. Assumes room for 4 bytes in the buffer."""
    low, width = state[0], state[1]
    bound = (width >> 16) * probability
    if bit:
        width = bound
    else:
        low += bound
        width -= bound
        if low >= FULL:
            low -= FULL
            _carry(buffer, state[2])
    while width < RENEWED:
        buffer[state[2]] = low >> 24
        state[2] += 1
        low = (low << 8) & (FULL - 1)
        width <<= 8
    state[0], state[1] = low, width


@njit(cache=True, nogil=True)
def decode_bit(data, state, probability):
    """Read one decision, 0 or 1."""
    value, width = state[0], state[1]
    bound = (width >> 16) * probability
    bit = 1
    if value < bound:
        width = bound
    else:
        value -= bound
        width -= bound
        bit = 0
    while width < RENEWED:
        position = state[2]
        value <<= 8
        if position < data.size:
            value |= data[position]
        state[2] = position + 1
        width <<= 8
    state[0], state[1] = value, width
    return bit


@njit(cache=True, nogil=True)
def code_bit(decoding, data, state, probability, bit):
    """`decode_bit` where `decoding`, else `encode_bit` of `bit`: the decision, so that one model serves both ways."""
    if decoding:
        return decode_bit(data, state, probability)
    encode_bit(data, state, probability, bit)
    return bit


@njit(cache=True, nogil=True)
def is_past_end(data, state):
    """Whether a decoder has read more than the bytes a stream leaves out: `check_end` will refuse it, so that whoever
    reads on only loses time."""
    return state[2] > data.size + TAIL_NBYTES


@njit(cache=True, nogil=True)
def with_room(buffer, state, room):
    """`buffer`, or a copy twice as large where fewer than `room` bytes are left behind the state's position."""
    if state[2] + room <= buffer.size:
        return buffer
    larger = np.zeros(2 * buffer.size + room, np.uint8)
    larger[:buffer.size] = buffer
    return larger
