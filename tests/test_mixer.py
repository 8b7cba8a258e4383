import numpy as np

from gluon_dc.coding.mixer import (APM, FINAL, LEVELS, MAX_WEIGHT, SETS, SLOT_LIMIT, code_mixed, new_mixer)
from gluon_dc.coding.logistic import STRETCH_LIMIT
from gluon_dc.coding.range_coder import ROOM, check_end, finish, new_decoder, new_encoder, with_room


def small_mixer():
    return new_mixer(1, 2, 4, np.full((4, LEVELS), 60))


def put_context(mixer, number, direct=0):
    mixer.inputs[0] = direct
    mixer.contexts[:2] = number, 7
    mixer.selected[:SETS + 3] = number % 4


def encode(bits, numbers, directs):
    mixer, (buffer, state) = small_mixer(), new_encoder()
    for bit, number, direct in zip(bits, numbers, directs):
        buffer = with_room(buffer, state, ROOM)
        put_context(mixer, number, direct)
        assert code_mixed(False, buffer, state, mixer, bit) == bit
    return finish(buffer, state), mixer


def test_the_first_decision_by_hand():
    # Direct prediction 0 is one half; fresh slots take it over; nothing but the constant, 256, is not 0: its weight,
    # 60 / 256, makes the sum 60 in every set. The second layer's weights are 65536 // 3, so it adds up to 59. After
    # the decision 1 both fresh slots have moved 2/5 of the way from squash(0) = 1/2 to 1 and have seen 1.
    _, mixer = encode([1], [2], [0])
    assert mixer.sums[:SETS].tolist() == [60] * SETS
    half = (32768 << 6) + (((1 << 22) - (32768 << 6)) * (131072 // 5) >> 16)
    assert mixer.slots[[2, (1 << 16) + 7]].tolist() == [half << 10 | 1] * 2
    assert np.count_nonzero(mixer.slots) == 2
    assert mixer.set_counts.sum() == SETS and mixer.set_counts[:, 2].tolist() == [1] * SETS
    assert (mixer.weights[:, 2, 3, 0] > 60 * 256).all() and (mixer.weights[:, 0, :4] == 60 * 256).all()
    assert FINAL == SETS and APM == SETS + 1


def test_round_trip_and_learning():
    random = np.random.default_rng(1)
    numbers = random.integers(0, 40, 4000).tolist()
    bits = [int(random.random() < (0.02, 0.9)[number % 2]) for number in numbers]
    directs = random.integers(-STRETCH_LIMIT, STRETCH_LIMIT, 4000).tolist()
    stream, _ = encode(bits, numbers, directs)
    # The contexts say almost all: entropy 0.02 and 0.9 is (0.141 + 0.469) / 2 bits a decision, 152 bytes for 4,000.
    assert len(stream) < 200
    mixer, (data, state) = small_mixer(), new_decoder(stream)
    for bit, number, direct in zip(bits, numbers, directs):
        put_context(mixer, number, direct)
        assert code_mixed(True, data, state, mixer, 0) == bit
    check_end(data, state)


def test_extremes_stay_in_bounds():
    # The direct prediction is as sure and as wrong as it can be, for longer than anything counts.
    directs = [STRETCH_LIMIT * (1 - 2 * (i // 700 % 2)) for i in range(6000)]
    _, mixer = encode([i // 700 % 2 for i in range(6000)], [0] * 6000, directs)
    assert np.abs(mixer.weights).max() <= MAX_WEIGHT and np.abs(mixer.finals).max() <= MAX_WEIGHT
    assert 0 <= mixer.apm.min() and mixer.apm.max() < 1 << 22
    assert (mixer.slots & 1023).max() <= SLOT_LIMIT
