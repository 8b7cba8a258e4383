"""First weights of the best context coder's mixers, in 1/256: what they had come to on small pruned nets.

Learned by coding LeNet-300-100 nets of 2,600 to 5,000 weights (training seed 10, none that results are reported for)
several times over and averaging the weights of all sets. They are part of the format: another number, another stream.
Rows: direct predictions (one weight), then context slots (one weight a level: bit length of what the slot has seen).
"""

import numpy as np

FLAG_DIRECT = (7, -11, 49, -8, -10, 24, -13)
FLAG_SLOTS = (
    (9, 8, 7, 4, 18, 24, 29, 5),
    (1, 7, 16, 14, 29, 27, 34, 4),
    (4, 5, 15, 21, 31, 27, 29, 24),
    (-4, 7, -1, -1, 3, 23, 47, 82),
    (2, 7, 15, 21, 31, 37, 33, 32),
    (15, 11, 19, 12, 21, 19, 25, 27),
    (7, 6, 14, 9, 23, 26, 24, 35),
    (7, 6, 11, 10, 15, 27, 32, 79),
)
FLAG_CONSTANT = -16

VALUE_DIRECT = (17, -10, 54, 8)
VALUE_SLOTS = (
    (0, 10, 9, 23, 22, -6, 30, 14),
    (5, 11, 15, 29, 39, 14, 29, 32),
    (11, 15, 17, 19, 4, 21, 18, 2),
    (2, 24, 38, 63, 83, 90, 96, 51),
    (15, 14, 14, 25, 15, -8, 18, -5),
    (2, 9, 12, 24, 22, -7, 20, -7),
    (-22, 20, 53, 69, 67, 75, 75, 43),
    (18, 12, 15, 11, 10, -5, 0, 17),
    (8, 20, 20, 22, 24, 17, 25, 20),
)
VALUE_CONSTANT = 44


def priors(direct: tuple, slots: tuple, constant: int) -> np.ndarray:
    """int64 (inputs, levels): the weights of every input, 0 where an input does not have that level."""
    weights = np.zeros((len(direct) + len(slots) + 1, len(slots[0])), np.int64)
    weights[:len(direct), 0] = direct
    weights[len(direct):-1] = slots
    weights[-1, 0] = constant
    return weights
