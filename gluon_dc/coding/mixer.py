"""Logistic mixing of adaptive predictions of one binary decision, in integers (as the PAQ family of compressors does).

A decision has direct predictions and context slots. A slot is an adaptive probability with a count of what it has
seen; a fresh one starts from the decision's first direct prediction, so that it learns what its context adds to that.
Every prediction is stretched (`logistic`). Each of SETS weight sets, selected by a small context of its own, adds them
up, and a second layer adds up these sums. What a slot weighs depends also on its level, the bit length of its count, so
that few observations count little. Two adaptive corrections (APM) with contexts of their own end it.

Integer arithmetic, no step beyond 2^63, >> rounds down; bounds: stretched values 2^12, weights 2^20, errors 2^16, their
rates 2^11. The inputs of a decision are added up and learned from LANES at a time (`lanes`).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .lanes import LANES, learn_lanes, weighted_sum
from .logistic import STRETCH_LIMIT, UNIT, squash_table, stretch_table
from .range_coder import code_bit

LEVELS = 8
SETS = 3
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
    """n_direct, n_slots: predictions of a decision; a constant is added as the last input, zeros fill up the LANES.

    Learned: slots uint32 (n_slots << SLOT_BITS,), a 22-bit probability above a 10-bit count, 0 fresh; weights int32
    (SETS, contexts, LANES, LEVELS) in 1/65536; set_counts int64 (SETS, contexts); finals int64 (contexts, SETS) in
    1/65536; apm int64 (2, contexts, APM_STEPS), 22-bit probabilities.
    Of the decision at hand: inputs int32 (LANES,); chosen int32 (SETS, LANES), the weight of each in each set; int64
    (LANES,): places of these weights among the LANES * LEVELS of a set's context, contexts of the slots, states found
    in them, sums, selected.
    Constant: stretch int16 (65536,), squash int32, levels int8 (1024,), slot_rates int32 (1024,), set_rates int32
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
    chosen: np.ndarray
    places: np.ndarray
    contexts: np.ndarray
    states: np.ndarray
    sums: np.ndarray
    selected: np.ndarray
    stretch: np.ndarray
    squash: np.ndarray
    levels: np.ndarray
    slot_rates: np.ndarray
    set_rates: np.ndarray


def new_mixer(n_direct: int, n_slots: int, n_contexts: int, priors) -> Mixer:
    """A mixer at its start. n_contexts: of every weight set, second layer and APM. priors: first weights of all inputs
    in 1/256, (n_direct + n_slots + 1, LEVELS), at most LANES; a direct input has only level 0."""
    n_inputs = n_direct + n_slots + 1
    weights = np.zeros((SETS, n_contexts, LANES, LEVELS), np.int32)
    weights[:, :, :n_inputs] = np.asarray(priors, np.int32) * 256
    inputs = np.zeros(LANES, np.int32)
    inputs[n_inputs - 1] = UNIT
    squash = squash_table()
    steps = np.clip((np.arange(APM_STEPS) - APM_STEPS // 2) * 128, -STRETCH_LIMIT, STRETCH_LIMIT)
    apm = np.empty((2, n_contexts, APM_STEPS), np.int64)
    apm[:] = squash[steps + STRETCH_LIMIT] << 6
    counts = np.arange(1024)
    levels = np.array([min(int(count).bit_length(), LEVELS - 1) for count in counts], np.int8)
    set_rates = 60 + 1500 * 200 // (200 + np.arange(SET_LIMIT + 1))
    return Mixer(
        n_direct, n_slots, np.zeros(n_slots << SLOT_BITS, np.uint32), weights, np.zeros((SETS, n_contexts), np.int64),
        np.full((n_contexts, SETS), 65536 // SETS, np.int64), apm, inputs, np.zeros((SETS, LANES), np.int32),
        np.arange(LANES) * LEVELS, *(np.zeros(LANES, np.int64) for _ in range(4)), stretch_table(),
        squash.astype(np.int32), levels, (131072 // (2 * counts + 5)).astype(np.int32), set_rates.astype(np.int32))


@njit(cache=True, nogil=True, forceinline=True)
def _clip(x, limit):
    return min(max(x, -limit), limit)


@njit(cache=True, nogil=True, forceinline=True)
def _gather(m):
    # Inputs and places of all slots, and their states. contexts[s] becomes the slot's place in m.slots.
    fresh = np.int64(m.squash[_clip(m.inputs[0], STRETCH_LIMIT) + STRETCH_LIMIT]) << 16
    for s in range(m.n_slots):
        place = (s << SLOT_BITS) + (m.contexts[s] & ((1 << SLOT_BITS) - 1))
        state = np.int64(m.slots[place])
        if state == 0:
            state = fresh
        m.contexts[s], m.states[s] = place, state
        m.inputs[m.n_direct + s] = m.stretch[state >> 16]
        m.places[m.n_direct + s] = (m.n_direct + s) * LEVELS + m.levels[state & 1023]


@njit(cache=True, nogil=True, forceinline=True)
def _row(m, k):
    # Where in m.weights the weights of a set for its selected context begin.
    return (k * m.set_counts.shape[1] + m.selected[k]) * (LANES * LEVELS)


@njit(cache=True, nogil=True, forceinline=True)
def _mix(m):
    # The sum of every set, and their sum by the second layer, stretched.
    total = 0
    for k in range(SETS):
        x = weighted_sum(m.weights, _row(m, k), m.places, m.inputs, m.chosen, k * LANES)
        m.sums[k] = _clip(x >> 16, STRETCH_LIMIT)
        total += m.finals[m.selected[FINAL], k] * m.sums[k]
    return _clip(total >> 16, STRETCH_LIMIT)


@njit(cache=True, nogil=True, forceinline=True)
def _learn_weights(m, bit, chance):
    target = bit << 16
    for k in range(SETS):
        selected = m.selected[k]
        seen = m.set_counts[k, selected]
        m.set_counts[k, selected] = min(seen + 1, SET_LIMIT)
        error = (target - m.squash[m.sums[k] + STRETCH_LIMIT]) * m.set_rates[seen]
        learn_lanes(m.weights, _row(m, k), m.places, m.inputs, m.chosen, k * LANES, error, MAX_WEIGHT)
    error = (target - chance) * FINAL_RATE
    for k in range(SETS):
        weight = m.finals[m.selected[FINAL], k] + ((m.sums[k] * error + (1 << 23)) >> 24)
        m.finals[m.selected[FINAL], k] = _clip(weight, MAX_WEIGHT)


@njit(cache=True, nogil=True, forceinline=True)
def _learn_slots(m, bit):
    for s in range(m.n_slots):
        count, chance = m.states[s] & 1023, m.states[s] >> 10
        chance += (((bit << 22) - chance) * m.slot_rates[count]) >> 16
        m.slots[m.contexts[s]] = np.uint32((chance << 10) | min(count + 1, SLOT_LIMIT))


@njit(cache=True, nogil=True, forceinline=True)
def code_mixed(decoding, data, coder, m, bit):
    """Code the decision whose direct predictions, contexts and selected contexts stand in m; learn. Returns it."""
    _gather(m)
    x = _mix(m)
    chance = np.int64(m.squash[x + STRETCH_LIMIT])
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
