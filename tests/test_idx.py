import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from idx_files import CODES, idx_bytes

from gluon_dc.data.idx import IdxError, read_bytes, read_idx

# 2 x 3 bytes 1..6, by hand: zeros, type 08, 2 dimensions, 2, 3, then the elements.
HAND = bytes.fromhex("00000802 00000002 00000003 010203040506")


def test_by_hand():
    found = read_idx(HAND)
    assert found.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found.dtype == np.uint8


def test_by_hand_int16_is_big_endian():
    found = read_idx(bytes.fromhex("00000b01 00000002 0102 ffff"))
    assert found.tolist() == [258, -1]
    assert found.dtype == np.dtype("=i2")


def test_writer_agrees_with_hand():
    assert idx_bytes(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)) == HAND


def test_result_is_read_only():
    for data in (HAND, bytes.fromhex("00000b01 00000002 0102 ffff")):
        with pytest.raises(ValueError, match="read-only"):
            read_idx(data)[0] = 1


@pytest.mark.parametrize("name", ["plain", "packed.gz", "gzip-without-suffix"])
@pytest.mark.parametrize("as_type", [str, lambda path: path])
def test_path(tmp_path, name, as_type):
    path = tmp_path / name
    path.write_bytes(HAND if name == "plain" else gzip.compress(HAND))
    assert read_idx(as_type(path)).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_missing_path(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "absent")


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 28, 28), (), (1,), (1, 1, 1, 1, 1, 1, 1, 1), (0, 2**32 - 1)])
def test_edge_shapes(shape):
    data = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + (b"" if 0 in shape else b"\x07")
    found = read_idx(data)
    assert found.shape == shape
    assert found.size == 0 or found.item() == 7


SHAPES = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
ELEMENTS = st.sampled_from(sorted(CODES)).map(np.dtype)


@settings(deadline=None, max_examples=60)
@given(ELEMENTS.flatmap(lambda dtype: arrays(dtype, SHAPES)), st.booleans())
def test_round_trip(array, packed):
    data = idx_bytes(array)
    found = read_idx(gzip.compress(data) if packed else data)
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", r"<bytes>: is truncated: an IDX file starts with 4 bytes, found 0: fetch the file again"),
        (b"\0\0\x08", r"is truncated: an IDX file starts with 4 bytes, found 3"),
        (b"\x89PNG....", r"not an IDX file: starts with 0x89504e47, expected 0x0000TTDD .*check that"),
        (b"\0\0\x0a\x01\0\0\0\0", r"not an IDX file: starts with 0x00000a01"),
        (b"\0\x01\x08\x01\0\0\0\0", r"not an IDX file: starts with 0x00010801"),
        (HAND[:11], r"declares 2 dimensions \(at most 8 are read\) and so needs 12 bytes, found 11"),
        (b"\0\0\x08\x09" + bytes(100), r"declares 9 dimensions \(at most 8 are read\)"),
        (HAND[:-1], r"is truncated: shape \(2, 3\) of uint8 needs 6 bytes after the header, found 5: fetch"),
        (HAND + b"\0", r"has bytes left over: shape \(2, 3\) of uint8 needs 6 bytes after the header, found 7"),
        (struct.pack(">HBB2I", 0, 8, 2, 2**32 - 1, 2**31), r"is truncated: .* needs 9,223,372,034,707,292,160 bytes"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, 2**32 - 1, 2**32 - 1), r"impossible shape \(0, 4294967295, 4294967295\)"),
    ],
)
def test_errors(data, message):
    with pytest.raises(IdxError, match=message):
        read_idx(data)


def test_errors_name_the_path(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(HAND[:-1])
    with pytest.raises(IdxError, match=f"^{path}: is truncated"):
        read_idx(path)


PACKED = gzip.compress(HAND, mtime=0)


@pytest.mark.parametrize(
    "data, message",
    [
        (PACKED[:-1], rf"gzip data ends early, after {len(PACKED) - 1} bytes \(18 decompressed\): delete the file"),
        (PACKED[:12], r"gzip data ends early, after 12 bytes"),
        (PACKED[:2], r"gzip data ends early, after 2 bytes \(0 decompressed\)"),
        (PACKED[:-5] + b"\xff" + PACKED[-4:], r"damaged gzip data \(.*incorrect data check\): delete the file"),
        (PACKED[:10] + b"\xff" * 20, r"damaged gzip data"),
        (PACKED + b"xyz", r"3 bytes left over after the gzip data"),
        (PACKED + PACKED, rf"{len(PACKED)} bytes left over after the gzip data"),
    ],
    ids=["one byte short", "in the data", "in the header", "checksum", "garbage", "appended", "two members"],
)
def test_damaged_gzip(data, message):
    with pytest.raises(IdxError, match=message):
        read_idx(data)


def test_decompression_is_bounded(tmp_path):
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(IdxError, match=r"decompresses to more than 1,000 bytes: raise max_nbytes"):
        read_idx(bomb, max_nbytes=1_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(bomb)
    with pytest.raises(IdxError, match=f"^{path}: decompresses to more than 20,000 bytes"):
        read_idx(path, max_nbytes=20_000)


@pytest.mark.parametrize("data", [HAND, PACKED])
def test_the_bound_is_exact(data):
    assert read_bytes(data, max_nbytes=18) == HAND
    with pytest.raises(IdxError, match="more than 17 bytes"):
        read_bytes(data, max_nbytes=17)


def test_incompressible_gzip_at_the_bound(tmp_path):
    noise = np.random.default_rng(0).bytes(50_000)
    path = tmp_path / "noise.gz"
    path.write_bytes(gzip.compress(noise))
    assert path.stat().st_size > 50_000
    assert read_bytes(path, max_nbytes=50_000) == noise


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=64), st.sampled_from([b"", b"\0\0\x08\x01", b"\0\0\x0d\x02\0\0\0\x01", PACKED[:10]]))
def test_random_bytes_raise_only_idx_error(tail, head):
    try:
        read_idx(head + tail, max_nbytes=10_000)
    except IdxError:
        pass


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_an_error_or_harmless(position, change):
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    try:
        found = read_idx(bytes(damaged), max_nbytes=10_000)
    except IdxError:
        return
    assert found.tolist() == [[1, 2, 3], [4, 5, 6]]
