import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dc.coding import FormatError
from gluon_dc.coding.layout import DICTIONARY, layout_bytes, read_layout, write_layout
from gluon_dc.coding.squeezed import expand, squeeze
from gluon_dc.coding.wire import Cursor

LENET_5 = [("0.weight", (20, 1, 5, 5)), ("0.bias", (20,)), ("2.weight", (50, 20, 5, 5)), ("2.bias", (50,)),
           ("4.weight", (500, 800)), ("4.bias", (500,)), ("5.weight", (10, 500)), ("5.bias", (10,))]


def cursor(data):
    return Cursor(memoryview(data))


def test_by_hand():
    data = layout_bytes([("fc.weight", (2, 300)), ("fc.bias", (300,)), ("x", ())])
    assert data == b"\1\2fc" b"\2\2\xac\2" b"\x12\0" b"\1\xac\2" b"\0\1x" b"\0"
    assert read_layout(cursor(write_layout([("x", ())]))) == [("x", ())]


def test_the_dictionary_is_part_of_the_format():
    assert (len(DICTIONARY), zlib.crc32(DICTIONARY)) == (232, 0x2BA3DFC0)


def test_the_lenets_take_six_bytes():
    assert len(write_layout(LENET_5)) == 6
    lenet_300_100 = [("0.weight", (300, 784)), ("0.bias", (300,)), ("1.weight", (100, 300)), ("1.bias", (100,)),
                     ("2.weight", (10, 100)), ("2.bias", (10,))]
    assert len(write_layout(lenet_300_100)) == 6
    assert write_layout([]) == b"\0" and read_layout(cursor(b"\0")) == []


shapes = st.lists(st.integers(0, 2**40), max_size=8).map(tuple)


@given(st.dictionaries(st.text("ab.ä", min_size=1, max_size=12), shapes, max_size=8))
def test_round_trip(tensors):
    data = write_layout(tensors.items())
    position = cursor(data + b"rest")
    assert read_layout(position) == list(tensors.items()) and position.left == 4


@given(st.binary(max_size=300), st.sampled_from([b"", DICTIONARY]))
def test_squeezed_bytes_come_back(data, dictionary):
    stored = squeeze(data, dictionary)
    assert len(stored) <= len(data) + 2
    position = cursor(stored + b"x")
    assert expand(position, "it", 300, dictionary) == data and position.left == 1


@pytest.mark.parametrize("content, method", [
    (np.random.default_rng(0).bytes(40), 0), (b"ab" * 40_000, 1), (b"the quick brown fox jumps over it; " * 3, 2)])
def test_methods(content, method):
    stored = squeeze(content)
    assert stored[0] % 4 == method and expand(cursor(stored), "it", 100_000) == content


@given(st.binary(max_size=60))
def test_random_bytes(data):
    for read in (read_layout, lambda position: expand(position, "it", 1000)):
        try:
            read(cursor(data))
        except FormatError:
            pass
