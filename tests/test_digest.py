import hashlib

import numpy as np

from gluon_dc.coding import weights_digest


def test_by_hand():
    expected = hashlib.sha256(b"a <f4 (2,)\n" + np.float32([1, -2]).tobytes()).hexdigest()
    assert weights_digest({"a": np.float32([1, -2])}) == expected


def test_names_shapes_dtypes_order_and_every_bit_count_but_not_byte_order_or_strides():
    base = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, np.float32)}
    other = [
        {"x": base["a"], "b": base["b"]}, {"a": base["a"].reshape(3, 2), "b": base["b"]},
        {"a": base["a"].astype(np.float64), "b": base["b"]}, {"b": base["b"], "a": base["a"]},
        {"a": base["a"], "b": -base["b"]}, {"a": base["a"]},
    ]
    digests = {weights_digest(arrays) for arrays in [base, *other]}
    assert len(digests) == 1 + len(other)
    same = {"a": np.asfortranarray(base["a"]).astype(">f4"), "b": base["b"]}
    assert weights_digest(same) == weights_digest(base)
