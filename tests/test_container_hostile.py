"""Bytes that are no .gdc file, or one made to harm: FormatError, with what and where, and nothing allocated."""

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import CodedTensor, CompressedModel, FormatError, loads, pack


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def crc(data):
    return zlib.crc32(data).to_bytes(4, "little")


def name(text):
    return varint(0) + varint(len(text)) + text.encode()


def file(records, sections=(), flags=b"\0", count=None, texts=b""):
    """A whole file with right checksums around hand-made records and sections."""
    body = flags + texts + varint(len(records) if count is None else count) + b"".join(records)
    head = b"\x89GDC" + varint(1) + varint(len(body)) + body
    return head + crc(head) + b"".join(section + crc(section) for section in sections)


def array(form=3, shape=(2,), data=b"\1\2", called="a", section_nbytes=None):
    """Record and section of an array, int8 unless told."""
    size = len(data) if section_nbytes is None else section_nbytes
    return name(called) + bytes([form, len(shape)]) + b"".join(map(varint, shape)) + varint(size), data


def coded(form=0x80 | 2, shape=(2, 4), k=3, entries=3, section=None, gap_nbytes=None, called="w"):
    """Record and section of a coded tensor: that of docs/format.md unless told. Codes 2, 1, 2; gaps 1, 3, 0."""
    section = np.array([-0.25, 0.5], "<f4").tobytes() + bytes([0b10011000, 0b01110000]) if section is None else section
    record = name(called) + bytes([form, len(shape)]) + b"".join(map(varint, shape)) + bytes([k - 1])
    record += varint(entries) if form & 15 else b""
    record += varint(gap_nbytes) if gap_nbytes is not None else b""
    return record + varint(len(section)), section


def one(record_and_section):
    return file([record_and_section[0]], [record_and_section[1]])


def small_model():
    rng = np.random.default_rng(0)
    codes = np.where(rng.random((12, 10)) < 0.4, rng.integers(1, 5, (12, 10)), 0).astype(np.uint8)
    weight = pack(CodedTensor(np.arange(5, dtype=np.float32) / 3, codes))
    return CompressedModel({"0.weight": weight, "0.bias": np.array([0.5, 0, 0.1], np.float32)}, "{}", {"a": 1})


def test_the_builders_build_what_loads():
    assert loads(one(array()))["a"].tolist() == [1, 2]
    assert loads(one(coded())).decode()["w"].tolist() == [[0, 0.5, 0, 0], [0, -0.25, 0.5, 0]]


def test_every_flipped_bit_is_noticed():
    data = small_model().dumps()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            loads(damaged)


def test_every_truncation_and_any_extension_is_noticed():
    data = small_model().dumps()
    for size in range(len(data)):
        with pytest.raises(FormatError):
            loads(data[:size])
    with pytest.raises(FormatError, match=f"trailing bytes: it has {len(data) + 1} bytes, .* declares {len(data)}$"):
        loads(data + b"\0")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80), st.booleans())
def test_random_bytes(data, with_magic):
    with pytest.raises(FormatError):
        loads(b"\x89GDC\x01" + data if with_magic else data)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=30), st.binary(max_size=40), st.integers(0, 3))
def test_random_header_with_right_checksums(body, section, count):
    head = b"\x89GDC\x01" + varint(len(body) + 2) + b"\0" + varint(count) + body
    try:
        loads(head + crc(head) + section + crc(section), max_decoded_nbytes=2**16).decode()
    except FormatError:
        pass


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([0x80, 0x82, 0xC3, 0x92, 0xA2, 0xF4, 0x90]), st.binary(max_size=40), st.integers(0, 70),
       st.integers(0, 30), st.integers(1, 20))
def test_random_sections_with_right_checksums(form, section, entries, gap_nbytes, k):
    data = one(coded(form, (8, 8), k, entries, section, gap_nbytes if form & 0x20 else None))
    try:
        model = loads(data)
        decoded = model.decode()["w"]
    except FormatError:
        return
    assert decoded.shape == (8, 8) and np.isin(decoded, model["w"].codebook).all()


def table(*lengths):
    """Code lengths by the rule of docs/format.md, here without any check."""
    bits, previous = "", 4
    for length in lengths:
        number = 2 * (length - previous) + 1 if length >= previous else 2 * (previous - length)
        bits += "0" * (number.bit_length() - 1) + f"{number:b}"
        previous = length
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


BOOK = np.array([-0.25, 0.5], "<f4").tobytes()


@pytest.mark.parametrize("data, message", [
    (b"", "not a .gdc file: it begins with b''"),
    (b"PK\x03\x04....", "not a .gdc file: it begins with b'PK"),
    (b"\x89GDC\x07" + bytes(20), "version 7, this reader knows 1 and 2: update gluon_dc"),
    (b"\x89GDC\x01\xff\x01", "header at byte 7 takes 255 bytes, 0 are left"),
    (b"\x89GDC\x01\x02\0\0" + bytes(4), "header at bytes 0..7 is damaged: checksum 00000000"),
    (b"\x89GDC\x01" + b"\xff" * 10, "header size at byte 5: a varint has at most 10 bytes"),
    (b"\x89GDC\x01\x82\x00" + bytes(8), "header size at byte 5: varint above 2..64 - 1 or not in its shortest form"),
    (b"\x89GDC\x01" + b"\xff" * 9 + b"\x7f", "varint above 2"),
    (file([], flags=b"\x04"), "unknown flags 0x04 at byte 6"),
    (file([b"\0"]), "tensor record at byte 8: name size at byte 9 takes 1 bytes, 0 are left"),
    (file([], count=1), "name at byte 8 takes 1 bytes, 0 are left"),
    (file([], count=2**15), "name at byte 10 takes 1 bytes, 0 are left"),
    (file([], count=2**60), "^more than max_tensors=32768 tensors: raise that limit if you trust the file$"),
    (file([array()[0], b"\0\0\0"], [array()[1]], count=1), "3 bytes left over after the last record"),
    # names
    (one((name("") + b"\x03\x01\x01\x01", b"\x01")), "tensor record at byte 8: empty name"),
    (one((b"\x08\x01a" + b"\x03\x01\x01\x01", b"\x01")), "shares 1 bytes with b''"),
    (one((b"\x07\x01a" + b"\x03\x01\x01\x01", b"\x01")), "ending 7 of 0..6"),
    (one((b"\x00\x01\xff" + b"\x03\x01\x01\x01", b"\x01")), "tensor record at byte 8: 'utf-8' codec"),
    (file([array()[0]] * 2, [array()[1]] * 2), "tensor 'a' occurs twice in the header"),
    # shapes and sizes
    (one(array(shape=(1,) * 9)), "tensor 'a', record at byte 8: 9 dimensions, expected at most 8"),
    (one(array(shape=(2**20, 2**20))), r"tensor 'a' of shape .* brings the decoded size to 1099511627776 bytes"),
    (one(array(shape=(2**63, 2, 0), data=b"")), "more than max_decoded_nbytes=4294967296: raise that limit"),
    (one(array(shape=(3,))), "tensor 'a', section at byte 19: array data has 2 bytes, shape .* takes 3"),
    (one(array(section_nbytes=3)), "file is cut short: it has 25 bytes, its header declares 26"),
    (one(array(section_nbytes=1)), "followed by trailing bytes: it has 25 bytes, its header declares 24"),
    (one(array(section_nbytes=2**63)), "file is cut short"),
    (file([array()[0], array(called="b")[0]], [b"\1", b"\2\1\2"]), "tensor 'a' at bytes 26..27 is damaged"),
    # arrays
    (one(array(form=7)), "tensor 'a', record at byte 8: unknown array form 0x07"),
    (one(array(form=0x20)), "unknown array form 0x20"),
    (one(array(form=1 + 8)), "unknown array form 0x09"),
    (one(array(form=3 + 16, shape=(9,), data=b"\x01")), "bitmap has 1 bytes, 9 values take 2"),
    (one(array(form=3 + 16, data=b"\x81\x05")), "padding bits of the bitmap are not zero: last byte is 0x81"),
    (one(array(form=3 + 16, data=b"\xc0\x05")), "1 bytes follow the bitmap, its values take 2"),
    (one(array(form=3 + 16, data=b"\x80\x05\x06")), "2 bytes follow the bitmap, its values take 1"),
    # coded tensors
    (one(coded(form=0x80 | 9)), "tensor 'w', record at byte 8: rel_bits 9, expected 0..8"),
    (one(coded(form=0xA0)), "a gap table in dense mode"),
    (one(coded(entries=9, section=BOOK + bytes(6))), r"9 entries in shape \(2, 4\), expected 0..8"),
    (one(coded(entries=2**63)), "gap stream takes 2305843009213693952 bytes, 2 are left at byte 39"),
    (one(coded(shape=(2**29,), entries=2**29)), "gap stream takes 134217728 bytes, 2 are left at byte 37"),
    (one(coded(shape=(2**30, 2))), "brings the decoded size to 8589934592 bytes, more than max_decoded_nbytes"),
    (one(coded(section=b"\0\0")), "section at byte 22: codebook at byte 22 takes 8 bytes, 2 are left"),
    (one(coded(section=np.array([np.nan, 1], "<f4").tobytes() + b"\0\0")), "codebook entry 1 is nan: expected fin"),
    (one(coded(0xC2, section=np.array([1, np.inf], "<f2").tobytes() + b"\0\0")), "codebook entry 2 is inf"),
    (one(coded(section=BOOK + b"\0")), "code stream has 0 bytes, 3 entries take at most 1"),
    (one(coded(section=BOOK + b"\0\0\0")), "code stream has 2 bytes, 3 entries take at most 1"),
    (one(coded(section=BOOK)), "gap stream takes 1 bytes, 0 are left at byte 30"),
    (one(coded(0x92, section=BOOK + table(1, 1, 1) + b"\0\0")), "table: padding bits after bit 6 are not zero"),
    (one(coded(0x92, section=BOOK + table(2, 2, 2) + b"\0\0")), "incomplete Huffman code: Kraft sum 3072/4096 of 3"),
    (one(coded(0x92, k=4, section=BOOK + bytes(4) + table(2, 2, 2, 1))), "over-subscribed Huffman code: Kraft"),
    (one(coded(0x92, section=BOOK + table(13)[:2])), "code length 13 of symbol 0, expected 0..12"),
    (one(coded(0x92, section=BOOK)), "code length table ends or breaks off at bit 0"),
    (one(coded(0x92, section=BOOK + table(1, 2, 2) + b"\0" * 9)), "code stream has 8 bytes, 3 entries take at"),
    (one(coded(0xA2, section=BOOK + table(1, 2, 2) + b"\0\0", gap_nbytes=9)), "gap stream takes 9 bytes, 2 are left"),
    (one(coded(0xA2, section=BOOK + table(1, 2, 2) + b"\0\0", gap_nbytes=2**62)), "gap stream takes 4611686018427387904"),
])
def test_crafted_files(data, message):
    with pytest.raises(FormatError, match=message):
        loads(data)


@pytest.mark.parametrize("section, message", [
    (BOOK + bytes([0b11011000, 0b01110000]), "tensor 'w', code stream: largest code is 3, but the codebook has 3"),
    (BOOK + bytes([0b10011000, 0b11111100]), "tensor 'w', gap stream: entry 2 of 3 stands at position 11"),
    (BOOK + bytes([0b10011001, 0b01110000]), "tensor 'w', code stream: padding bits after bit 6"),
    (BOOK + bytes([0b10011000, 0b01110010]), "tensor 'w', gap stream: padding bits after bit 6"),
])
def test_streams_that_only_decoding_shows(section, message):
    model = loads(one(coded(section=section)))
    with pytest.raises(FormatError, match=message):
        model.decode()


def texts_file(flags, text_nbytes, section):
    return file([], [section], bytes([flags]), texts=varint(text_nbytes) + varint(len(section)))


BOMB = zlib.compress(bytes(10**6))


@pytest.mark.parametrize("data, message", [
    (texts_file(1, 2, b"{} "), "graph at byte 14: section of 3 bytes for a text of 2"),
    (texts_file(1, 2, b"\xff\xff"), "graph at byte .*utf-8"),
    (texts_file(1, 100, b"no zlib"), "graph at byte .*: zlib: "),
    (texts_file(1, 10**6 - 1, BOMB), "does not end at its declared 999999 bytes"),
    (texts_file(1, 10**6 + 1, BOMB), "does not end at its declared 1000001 bytes"),
    (texts_file(1, 10**6, BOMB[:-1]), "does not end at its declared 1000000 bytes"),
    (texts_file(1, 10**6, BOMB + b"\0"), "does not end at its declared 1000000 bytes"),
    (texts_file(1, 2**33, BOMB), "graph and metadata take 8589934592 bytes decoded, max_decoded_nbytes=4294967296"),
    (texts_file(2, 2, b"[]"), "metadata at byte 14: expected a JSON object, got list"),
    (texts_file(2, 7, b'{"a":1 '), "metadata at byte 14: Expecting"),
    (texts_file(2, 9, b'{"a":NaN}'), "metadata at byte 14: NaN is no JSON"),
    (texts_file(2, 11, b'{"a":1e999}'), "metadata: Out of range float values"),
    (texts_file(2, 136, b'{"a":' + b"[" * 65 + b"]" * 65 + b"}"), "metadata: metadata is nested more than 64 deep"),
    (texts_file(2, 2006, b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}"), "metadata.* nested"),
    (texts_file(2, 1806, b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"), "metadata.* nested"),
    (texts_file(2, 200_005, b'{"a":' + b"[" * 200_000), "metadata at byte 18: nested too deep"),
])
def test_crafted_texts(data, message):
    with pytest.raises(FormatError, match=message):
        loads(data)


@pytest.mark.parametrize("data", [
    one(array(form=0, shape=(2**20, 2**20), data=b"")),
    one(array(form=16, shape=(2**29,), data=b"\0")),
    one(coded(shape=(2**15, 2**15), entries=2**30, section=BOOK + b"\0\0")),
    one(coded(0xB2, shape=(2**28,), entries=2**28, section=BOOK + table(1, 2, 2) + table(1, 2, 2), gap_nbytes=0)),
    texts_file(1, 100, BOMB),
])
def test_small_file_that_declares_much_is_refused_before_allocation(data):
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            loads(data).decode()
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_max_decoded_nbytes_counts_all_tensors_and_texts():
    model = CompressedModel({"a": np.zeros(10, np.float32), "b": np.zeros(5, np.float64)}, "graph")
    data = model.dumps()
    assert len(loads(data, max_decoded_nbytes=85)) == 2
    with pytest.raises(FormatError, match=r"tensor 'b' of shape \(5,\) brings the decoded size to 85 bytes, more than "
                                          r"max_decoded_nbytes=84"):
        loads(data, max_decoded_nbytes=84)


def test_names_that_share_a_long_beginning_cannot_fill_the_memory():
    long = varint(1024 * 8) + varint(1)
    first = varint(0) + varint(1024) + b"a" * 1024
    record, section = array(called="a")
    tail = record[len(name("a")):]
    loads(file([first + tail], [section]))
    for header in (varint(0) + varint(1025) + b"a" * 1025, None):
        records = [header + tail] if header else [first + tail, long + b"b" + tail]
        with pytest.raises(FormatError, match="name of 1025 bytes, expected at most 1024"):
            loads(file(records, [section] * len(records)))


def test_metadata_has_a_limit_of_its_own():
    text = b'{"a":[' + b"[]," * 400_000 + b"[]]}"
    packed = zlib.compress(text, 9)
    with pytest.raises(FormatError, match="metadata of 1200010 bytes, expected at most 1048576"):
        loads(texts_file(2, len(text), packed))
    with pytest.raises(ValueError, match="metadata of .* bytes as JSON, expected at most 1048576"):
        CompressedModel({}, metadata={"a": "b" * 2**20})
    with pytest.raises(ValueError, match="tensor name 'a.*has 1025 bytes, expected at most 1024"):
        CompressedModel({"a" * 1025: np.zeros(1, np.float32)})
