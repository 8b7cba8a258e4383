import hashlib

import numpy as np

from gluon_dc.coding.logistic import STRETCH_LIMIT, exp_table, log2_table, squash_table, stretch_table


def test_by_hand():
    squash, stretch = squash_table(), stretch_table()
    assert squash[STRETCH_LIMIT] == 32768 and stretch[32768] == 0
    # e^1 = 2.71828: 65536 * e / (1 + e) = 47910.9...
    assert squash[STRETCH_LIMIT + 256] == 47911 and squash[STRETCH_LIMIT - 256] == 65536 - 47911
    assert squash[0] == 1 and squash[-1] == 65535
    assert log2_table()[[0, 1, 2, 3, 1024]].tolist() == [0, 0, 256, 405, 2560]
    assert exp_table()[0] == 2**30 and exp_table()[64] == int(2**30 / np.e) and exp_table()[-1] == 0


def test_squash_is_the_logistic_function_and_stretch_its_inverse():
    x = np.arange(-STRETCH_LIMIT, STRETCH_LIMIT + 1)
    exact = 65536 / (1 + np.exp(-x / 256))
    squash, stretch = squash_table(), stretch_table().astype(int)
    assert np.abs(squash - np.clip(exact, 1, 65535)).max() <= 0.5 + 1e-6
    assert (np.diff(squash) >= 0).all() and (np.diff(stretch) >= 0).all()
    # The probability nearest to p: no other x comes closer.
    back = squash[stretch + STRETCH_LIMIT]
    p = np.arange(1, 65536)
    for step in (-1, 1):
        beside = squash[np.clip(stretch[1:] + step, -STRETCH_LIMIT, STRETCH_LIMIT) + STRETCH_LIMIT]
        assert (np.abs(back[1:] - p) <= np.abs(beside - p)).all()


def test_log2_and_exp_follow_the_functions():
    i = np.arange(1, 4096)
    assert np.array_equal(log2_table()[1:], np.floor(256 * np.log2(i) + 1e-9))
    exact = 2**30 * np.exp(-np.arange(1024) / 64)
    assert (np.abs(exp_table()[:-1] - exact) <= 1).all()


def test_tables_never_change():
    # Files depend on every entry. The tables come out of integer arithmetic alone, so this holds on any machine.
    tables = b"".join(table.astype("<i8").tobytes() for table in
                      (squash_table(), stretch_table(), log2_table(), exp_table()))
    assert hashlib.sha256(tables).hexdigest() == "2b9f444259a6040055edbf8bee8e6e55c8a41baecfd958f8748f7476d718e0c6"


def test_tables_cannot_be_written():
    assert not any(table.flags.writeable for table in (squash_table(), stretch_table(), log2_table(), exp_table()))
