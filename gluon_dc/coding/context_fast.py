"""The fast context coder: every decision has one context, an adaptive probability (no mixing).

A weight's zero flag (1 = kept) sees which of the two weights before it in C order, and of the same place in the two
rows before (row: index along the first axis), are kept; beyond the tensor's start none are. The sign has one context
and so has each node of a sign's magnitude tree. States carry over from tensor to tensor.
"""

import numpy as np
from numba import njit

from .codebook_tree import CodebookTree
from .range_coder import FULL, RENEWED, TAIL_NBYTES, _carry, with_room

# A state is a 22-bit probability and below it the number of decisions seen so far, up to LIMIT.
COUNT_BITS = 10
LIMIT = 400
FLAG_CONTEXTS = 16
SIGN = FLAG_CONTEXTS
TREES = FLAG_CONTEXTS + 1
N_STATES = TREES + 2 * 256
# Weights between two looks at the room in the buffer, and the most bytes that these can take: 10 decisions of 16 bits.
STRIDE = 4096
STRIDE_NBYTES = 20 * STRIDE + 16


def new_states() -> np.ndarray:
    """States int64 (N_STATES,) of a coder at its start: probability 1/2, nothing seen."""
    return np.full(N_STATES, (1 << 21) << COUNT_BITS, np.int64)


def rates() -> np.ndarray:
    """int64 (LIMIT + 1,): how far, in 1/65536, a probability moves after n decisions: about 1 / (n + 1.5)."""
    return np.array([2 * 65536 // (2 * n + 3) for n in range(LIMIT + 1)], np.int64)


def encode_tensor(codes, row_size: int, tree: CodebookTree, states, buffer, state) -> np.ndarray:
    """Write codes uint8 (n,) and return the buffer, which may be a new one. Assumes k > 1."""
    return _encode(codes, row_size, tree.sizes, tree.depths, tree.signs, tree.magnitudes, states, rates(), buffer,
                   state)


def decode_tensor(codes, row_size: int, tree: CodebookTree, states, data, state) -> None:
    """Read into codes uint8 (n,). Assumes k > 1."""
    _decode(codes, row_size, tree.sizes, tree.depths, tree.codes, states, rates(), data, state)


# The two kernels below keep the coder in local numbers and have one body for all decisions of a weight: passing it
# through functions, as a tuple or in an array, made them ten times slower. `step` says what the decision is about.
_FLAG, _SIGN, _MAGNITUDE = 0, 1, 2


@njit(cache=True, nogil=True, forceinline=True)
def _next_node(node, level, size, depth):
    # From a node whose next bit is number `level` from below, down over bits that can only be 0. A level of -1: all done.
    while level >= 0 and ((2 * node + 1) << level) - (1 << depth) >= size:
        node *= 2
        level -= 1
    return node, level


@njit(cache=True, nogil=True)
def _encode(codes, row_size, sizes, depths, signs, magnitudes, states, rate, buffer, state):
    low, width, position = state[0], state[1], state[2]
    before = 0
    both = sizes[0] > 0 and sizes[1] > 0
    for begin in range(0, codes.size, STRIDE):
        state[2] = position
        buffer = with_room(buffer, state, STRIDE_NBYTES)
        for i in range(begin, min(begin + STRIDE, codes.size)):
            code = codes[i]
            index, bit, step = before, np.int64(code != 0), _FLAG
            if i >= row_size:
                index += 4 * (codes[i - row_size] != 0)
                if i >= 2 * row_size:
                    index += 8 * (codes[i - 2 * row_size] != 0)
            sign, node, level = signs[code], 1, np.int64(0)
            before = (2 * before + bit) & 3
            while True:
                entry = states[index]
                count, chance = entry & 1023, entry >> 10
                bound = (width >> 16) * ((chance >> 6) | 1)
                if bit:
                    width = bound
                    chance += ((4194304 - chance) * rate[count]) >> 16
                else:
                    low += bound
                    width -= bound
                    chance -= (chance * rate[count]) >> 16
                    if low >= FULL:
                        low -= FULL
                        _carry(buffer, position)
                states[index] = (chance << 10) | min(count + 1, LIMIT)
                while width < RENEWED:
                    buffer[position] = low >> 24
                    position += 1
                    low = (low << 8) & (FULL - 1)
                    width <<= 8
                if step == _FLAG:
                    if code == 0:
                        break
                    step, level = _SIGN, depths[sign] - 1
                    if both:
                        index, bit = SIGN, sign
                        continue
                elif step == _MAGNITUDE:
                    node, level = 2 * node + bit, level - 1
                step = _MAGNITUDE
                node, level = _next_node(node, level, sizes[sign], depths[sign])
                if level < 0:
                    break
                index, bit = TREES + 256 * sign + node, (magnitudes[code] >> level) & 1
    state[0], state[1], state[2] = low, width, position
    return buffer


@njit(cache=True, nogil=True)
def _decode(codes, row_size, sizes, depths, code_of, states, rate, data, state):
    value, width, position = state[0], state[1], state[2]
    before = 0
    both = sizes[0] > 0 and sizes[1] > 0
    only = np.int64(sizes[1] > 0)
    for i in range(codes.size):
        if i % STRIDE == 0 and position > data.size + TAIL_NBYTES:
            break
        # The flag, on its own since it is most of the time.
        index = before
        if i >= row_size:
            index += 4 * (codes[i - row_size] != 0)
            if i >= 2 * row_size:
                index += 8 * (codes[i - 2 * row_size] != 0)
        entry = states[index]
        count, chance = entry & 1023, entry >> 10
        bound = (width >> 16) * ((chance >> 6) | 1)
        if value < bound:
            width = bound
            chance += ((4194304 - chance) * rate[count]) >> 16
            bit = 1
        else:
            value -= bound
            width -= bound
            chance -= (chance * rate[count]) >> 16
            bit = 0
        states[index] = (chance << 10) | min(count + 1, LIMIT)
        while width < RENEWED:
            value <<= 8
            if position < data.size:
                value |= data[position]
            position += 1
            width <<= 8
        before = (2 * before + bit) & 3
        codes[i] = 0
        if bit == 0:
            continue
        sign, node, level, step, index = only, 1, depths[only] - 1, _SIGN, SIGN
        if not both:
            step = _MAGNITUDE
            node, level = _next_node(node, level, sizes[sign], depths[sign])
            index = TREES + 256 * sign + node
        while step == _SIGN or level >= 0:
            entry = states[index]
            count, chance = entry & 1023, entry >> 10
            bound = (width >> 16) * ((chance >> 6) | 1)
            if value < bound:
                width = bound
                chance += ((4194304 - chance) * rate[count]) >> 16
                bit = 1
            else:
                value -= bound
                width -= bound
                chance -= (chance * rate[count]) >> 16
                bit = 0
            states[index] = (chance << 10) | min(count + 1, LIMIT)
            while width < RENEWED:
                value <<= 8
                if position < data.size:
                    value |= data[position]
                position += 1
                width <<= 8
            if step == _SIGN:
                sign, level, step = np.int64(bit), depths[bit] - 1, _MAGNITUDE
            else:
                node, level = 2 * node + bit, level - 1
            node, level = _next_node(node, level, sizes[sign], depths[sign])
            index = TREES + 256 * sign + node
        codes[i] = code_of[sign, node - (1 << depths[sign])]
    state[0], state[1], state[2] = value, width, position
