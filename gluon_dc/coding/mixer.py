"""Logistic mixing of adaptive predictions of one binary decision, in integers (as the PAQ family of compressors does).

A decision has direct predictions and context slots. A slot is an adaptive probability with a count of what it has
seen; a fresh one starts from the decision's first direct prediction, so that it learns what its context adds to that.
Every prediction is stretched (`logistic`). Each of SETS weight sets, selected by a small context of its own, adds them
up, and a second layer adds up these sums. What a slot weighs depends also on its level, the bit length of its count, so
that few observations count little. Two adaptive corrections (APM) with contexts of their own end it.

Everything is int64 arithmetic, >> rounds down; bounds: stretched values 2^12, weights 2^20, errors 2^16, rates 2^12.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .logistic import STRETCH_LIMIT, UNIT, squash_table, stretch_table
from .range_coder import code_bit

LEVELS = 8
SETS = 3
MAX_INPUTS = 32
SLOT_BITS = 16
# Decisions that a slot's rate and a weight set's rate go on falling for.
SLOT_LIMIT = 1000
SET_LIMIT = 4095
MAX_WEIGHT = 16 << 16
APM_STEPS = 47
APM_RATE = 800
FINAL_RATE = 60
# Places in `selected`: a context for each weight set, one for the second layer, one for each APM.
FINAL, APM = SETS, SETS + 1


class Mixer(NamedTuple):
    """n_direct, n_slots: predictions of a decision; a constant is added as the last input.

    Learned: slots uint32 (n_slots << SLOT_BITS,), a 22-bit probability above a 10-bit count, 0 fresh; weights int32
    (SETS, contexts, inputs * LEVELS) in 1/65536; set_counts int64 (SETS, contexts); finals int64 (contexts, SETS) in
    1/65536; apm int64 (2, contexts, APM_STEPS), 22-bit probabilities.
    Of the decision at hand: inputs, places (of each input's weight), contexts (of each slot), sums, selected, int64.
    Constant: stretch int16 (65536,), squash int64, levels int64 (1024,), slot_rates int64 (1024,), set_rates int64
    (SET_LIMIT + 1,).
    """

    n_direct: int
    n_slots: int
    slots: np.ndarray
    weights: np.ndarray
    set_counts: np.ndarray
    finals: np.ndarray
    apm: np.ndarray
    inputs: np.ndarray
    places: np.ndarray
    contexts: np.ndarray
    sums: np.ndarray
    selected: np.ndarray
    stretch: np.ndarray
    squash: np.ndarray
    levels: np.ndarray
    slot_rates: np.ndarray
    set_rates: np.ndarray


def new_mixer(n_direct: int, n_slots: int, n_contexts: int, priors) -> Mixer:
    """A mixer at its start. n_contexts: of every weight set, second layer and APM. priors: first weights of all inputs
    in 1/256, (n_direct + n_slots + 1, LEVELS); a direct input has only level 0."""
    n_inputs = n_direct + n_slots + 1
    weights = np.zeros((SETS, n_contexts, n_inputs * LEVELS), np.int32)
    weights[:] = np.asarray(priors, np.int32).reshape(-1) * 256
    squash = squash_table()
    steps = np.clip((np.arange(APM_STEPS) - APM_STEPS // 2) * 128, -STRETCH_LIMIT, STRETCH_LIMIT)
    apm = np.empty((2, n_contexts, APM_STEPS), np.int64)
    apm[:] = squash[steps + STRETCH_LIMIT] << 6
    counts = np.arange(1024)
    levels = np.array([min(int(count).bit_length(), LEVELS - 1) for count in counts], np.int64)
    return Mixer(
        n_direct, n_slots, np.zeros(n_slots << SLOT_BITS, np.uint32), weights, np.zeros((SETS, n_contexts), np.int64),
        np.full((n_contexts, SETS), 65536 // SETS, np.int64), apm,
        *(np.zeros(MAX_INPUTS, np.int64) for _ in range(5)), stretch_table(), squash, levels,
        131072 // (2 * counts + 5), 60 + 1500 * 200 // (200 + np.arange(SET_LIMIT + 1)))


@njit(cache=True, nogil=True, forceinline=True)
def _clip(x, limit):
    return min(max(x, -limit), limit)


@njit(cache=True, nogil=True, forceinline=True)
def _gather(m):
    # Inputs and places of all slots and of the constant. contexts[s] becomes the slot's place in m.slots.
    fresh = m.squash[_clip(m.inputs[0], STRETCH_LIMIT) + STRETCH_LIMIT] << 16
    for s in range(m.n_slots):
        place = (s << SLOT_BITS) + (m.contexts[s] & ((1 << SLOT_BITS) - 1))
        m.contexts[s] = place
        state = np.int64(m.slots[place])
        if state == 0:
            state = fresh
            m.slots[place] = np.uint32(fresh)
        m.inputs[m.n_direct + s] = m.stretch[state >> 16]
        m.places[m.n_direct + s] = (m.n_direct + s) * LEVELS + m.levels[state & 1023]
    for j in range(m.n_direct):
        m.places[j] = j * LEVELS
    m.inputs[m.n_direct + m.n_slots] = UNIT
    m.places[m.n_direct + m.n_slots] = (m.n_direct + m.n_slots) * LEVELS


@njit(cache=True, nogil=True, forceinline=True)
def _mix(m):
    # The sum of every set, and their sum by the second layer, stretched.
    total = 0
    for k in range(SETS):
        chosen = m.selected[k]
        x = 0
        for j in range(m.n_direct + m.n_slots + 1):
            x += np.int64(m.weights[k, chosen, m.places[j]]) * m.inputs[j]
        m.sums[k] = _clip(x >> 16, STRETCH_LIMIT)
        total += m.finals[m.selected[FINAL], k] * m.sums[k]
    return _clip(total >> 16, STRETCH_LIMIT)


@njit(cache=True, nogil=True, forceinline=True)
def _learn_weights(m, bit, chance):
    target = bit << 16
    for k in range(SETS):
        chosen = m.selected[k]
        seen = m.set_counts[k, chosen]
        m.set_counts[k, chosen] = min(seen + 1, SET_LIMIT)
        error = (target - m.squash[m.sums[k] + STRETCH_LIMIT]) * m.set_rates[seen]
        for j in range(m.n_direct + m.n_slots + 1):
            weight = m.weights[k, chosen, m.places[j]] + ((m.inputs[j] * error + (1 << 23)) >> 24)
            m.weights[k, chosen, m.places[j]] = np.int32(_clip(weight, MAX_WEIGHT))
    error = (target - chance) * FINAL_RATE
    for k in range(SETS):
        weight = m.finals[m.selected[FINAL], k] + ((m.sums[k] * error + (1 << 23)) >> 24)
        m.finals[m.selected[FINAL], k] = _clip(weight, MAX_WEIGHT)


@njit(cache=True, nogil=True, forceinline=True)
def _learn_slots(m, bit):
    for s in range(m.n_slots):
        state = np.int64(m.slots[m.contexts[s]])
        count = state & 1023
        chance = state >> 10
        chance += (((bit << 22) - chance) * m.slot_rates[count]) >> 16
        m.slots[m.contexts[s]] = np.uint32((chance << 10) | min(count + 1, SLOT_LIMIT))


@njit(cache=True, nogil=True, forceinline=True)
def code_mixed(decoding, data, coder, m, bit):
    """Code the decision whose direct predictions, contexts and selected contexts stand in m; learn. Returns it."""
    _gather(m)
    x = _mix(m)
    chance = m.squash[x + STRETCH_LIMIT]
    step = (x + (APM_STEPS // 2 << 7)) >> 7
    part = (x + (APM_STEPS // 2 << 7)) & 127
    final = 2 * chance
    for k in range(2):
        chosen = m.selected[APM + k]
        final += (m.apm[k, chosen, step] * (128 - part) + m.apm[k, chosen, step + 1] * part) >> 13
    final = min(max((final + 2) >> 2, 1), 65535)
    bit = code_bit(decoding, data, coder, final, bit)
    near = step + (part >> 6)
    for k in range(2):
        chosen = m.selected[APM + k]
        m.apm[k, chosen, near] += (((bit << 22) - m.apm[k, chosen, near]) * APM_RATE) >> 16
    _learn_weights(m, bit, chance)
    _learn_slots(m, bit)
    return bit
