"""Version 2 files that are damaged or made to harm: FormatError, with what and where, and nothing allocated."""

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import (CodedTensor, CompressedModel, FormatError, loads, pack, pack_group, tensor,
                             version2_writer, work)
from gluon_dc.coding.bits import BitWriter
from gluon_dc.coding.layout import layout_bytes
from gluon_dc.coding.squeezed import squeeze
from gluon_dc.coding.wire import write_varint as varint


def model_of_all_kinds(monkeypatch):
    """A model with each form that version 2 has."""
    monkeypatch.setattr(tensor, "CHUNKED_ENTRIES", 20)
    rng = np.random.default_rng(0)

    def coded(shape, values):
        codes = np.where(rng.random(shape) < 0.4, rng.integers(1, len(values) + 1, shape), 0).astype(np.uint8)
        return CodedTensor(np.array([0, *values], np.float32), codes)
    group = {"0.weight": coded((5, 8), [-0.5, 0.5, 1]), "0.bias": coded((8,), [-0.3, 0.1234567])}
    return CompressedModel({
        **pack_group(group, "fast"), **pack_group({"1.weight": coded((3, 5), [-0.5, 0.5, 1])}, "fast"),
        "2.weight": pack(coded((4, 5), [1, 2]), rel_bits=2), "3.weight": pack(coded((6, 9), [1, 2, 3]), rel_bits=3),
        "a": np.array([0.5, 0, 0.75], np.float32), "b": rng.normal(size=5), "c": np.zeros(4, np.int8),
        "d": np.where(np.arange(64) % 8, 0, rng.normal(size=64)).astype(np.float32),
    }, "{}", {"seed": 1}, "fast")


@pytest.fixture(params=["compact", "sectioned"])
def data(request, monkeypatch):
    if request.param == "sectioned":
        monkeypatch.setattr(version2_writer, "MAX_COMPACT_NBYTES", 0)
    return model_of_all_kinds(monkeypatch).dumps()


def test_every_flipped_bit_is_noticed(data):
    assert loads(data).dumps()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            loads(damaged)


def test_every_truncation_and_any_extension_is_noticed(data):
    for size in range(len(data)):
        with pytest.raises(FormatError):
            loads(data[:size])
    for more in (b"\0", b"\xff", data[-4:], data):
        with pytest.raises(FormatError):
            loads(data + more)


@settings(deadline=None, max_examples=60)
@given(st.integers(0), st.integers(0), st.binary(max_size=6))
def test_any_span_overwritten_is_noticed(where, length, content):
    data = with_checksum(BODY)
    begin = where % len(data)
    damaged = data[:begin] + content + data[begin + length % 9:]
    if damaged != data:
        with pytest.raises(FormatError):
            loads(damaged)


def body_of(data):
    """The bytes between version and checksum of a compact file."""
    return data[5:-4]


def with_checksum(body):
    head = b"\x89GDC\x02" + body
    return head + zlib.crc32(head).to_bytes(4, "little")


@settings(deadline=None, max_examples=400)
@given(st.integers(0), st.integers(0), st.binary(min_size=1, max_size=3))
def test_damage_under_a_right_checksum(where, length, content):
    """Such a file may mean another net; what must not happen is anything but that or a FormatError."""
    body = BODY
    begin = where % len(body)
    damaged = body[:begin] + content + body[begin + length % 5:]
    try:
        model = loads(with_checksum(damaged), max_decoded_nbytes=2**16)
        model.decode()
        assert loads(model.dumps()).names == model.names
    except FormatError:
        pass


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60), st.sampled_from([b"\0", b"\x08", b"\x10", b"\x09", b"\x02", b"\x18"]))
def test_random_body_with_right_checksum(body, flags):
    try:
        loads(with_checksum(flags + body), max_decoded_nbytes=2**16).decode()
    except FormatError:
        pass


with pytest.MonkeyPatch.context() as patch:
    BODY = body_of(model_of_all_kinds(patch).dumps())


def file(layout, control, sections=b"", flags=0):
    """A compact file of a layout [(name, shape)], (value, width) bits, and what follows."""
    writer = BitWriter()
    for value, width in control:
        if width < 0:
            writer.number(value, -width - 1)
        else:
            writer.bits(value, width)
    return with_checksum(bytes([flags]) + squeeze(layout_bytes(layout)) + writer.to_bytes() + sections)


CONTEXT, ARRAY, PACKED = (1, 1), (1, 2), (0, 2)
FAST = (0, 1)


def number(value, order):
    return value, -order - 1


def raw_layout(data, nbytes=None, method=0):
    size = b"" if method == 0 else varint(len(data) if nbytes is None else nbytes)
    return with_checksum(b"\0" + varint(4 * len(data) + method) + size + data)


def deflated(data):
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def test_the_builder_builds_what_loads():
    model = loads(file([("a", (2,))], [ARRAY, (3, 3), (2, 2), (0, 1)], b"\1\2"))
    assert model["a"].tolist() == [1, 2]


@pytest.mark.parametrize("data, message", [
    (b"\x89GDC\x02", "flags at byte 5 takes 1 bytes, 0 are left"),
    (b"\x89GDC\x02\0\0\0", "checksum of file at byte 6 takes 4 bytes, 2 are left"),
    (b"\x89GDC\x02\0\0\0\0\0\0", "file at bytes 0..6 is damaged: checksum 00000000"),
    (b"\x89GDC\x02\4\x7f", "header at byte 7 takes 127 bytes, 0 are left"),
    (with_checksum(b"\x18"), "header: unknown flags 0x18 at byte 5"),
    (with_checksum(b"\0"), "layout: size of names and shapes at byte 6 takes 1 bytes, 0 are left"),
    (raw_layout(b"\1"), "layout, record at its byte 0: name size at byte 1 takes 1 bytes, 0 are left"),
    (raw_layout(b"\0\0\0"), "layout, record at its byte 0: empty name"),
    (raw_layout(b"\0\1a\x09" + bytes(9)), "layout, record at its byte 0: 9 dimensions, expected at most 8"),
    (raw_layout(b"\0\1a\0\0\1a\0"), "tensor 'a' occurs twice in the layout, again at its byte 4"),
    (raw_layout(b"", method=3, nbytes=5), "layout: names and shapes: unknown method 3"),
    (raw_layout(b"xx", 2**20 + 1, 1), "names and shapes of 1048577 bytes, expected at most 1048576"),
    (raw_layout(deflated(b"\0\1a\0"), 5, 1), "layout: compressed text does not end at its declared 5 bytes"),
    (raw_layout(deflated(b"\0\1a\0") + b"x", 4, 1), "layout: compressed text does not end at its declared 4 bytes"),
    (file([("a", ())], []), "tensor 'a': kind at bit .* takes 1 bits, 0 are left"),
    (file([("a", ())], [ARRAY, (7, 3)]), "tensor 'a': unknown dtype 7"),
    (file([("a", (2,))], [ARRAY, (3, 3), (2, 2), (0, 1)], b"\1\2\3"), "1 bytes left over after the last section"),
    (file([("a", (2,))], [ARRAY, (3, 3), (2, 2), (0, 1)], b"\1"), "section at byte .* takes 2 bytes, 1 are left"),
    (file([("a", (2,)), ("b", (2,))], [ARRAY, (3, 3), (2, 2)] * 2 + [(0, 1), (1, 1)], b"\1\2\3\4"),
     "padding bits after the header are not zero"),
    (file([("a", (2,))], [PACKED, (9, 4)]), "tensor 'a': rel_bits 9, expected 0..8"),
    (file([("a", (2,))], [PACKED, (0, 4), (0, 1), (1, 1), (0, 1)]), "a gap table in dense mode"),
    (file([("a", (2,))], [PACKED, (2, 4), (0, 3), number(3, 8), number(0, 3)], b"\0\0"),
     r"3 entries in shape \(2,\), expected 0..2"),
    (file([("a", (2,))], [PACKED, (2, 4), (0, 1), (1, 1), (0, 1), number(1, 8), number(9, 8), number(0, 3)], b"\0\0\0"),
     "code length table|gap stream takes 9 bytes"),
    (file([("a", (2,))], [CONTEXT, FAST, number(300, 3)]), "codebook of 301 entries, expected 1..256"),
    (file([("a", (2,))], [CONTEXT, FAST, number(1, 3), (3, 2)]), "codebook of 2 entries repeats one of 1"),
    (file([("a", (2**40,))], [CONTEXT, FAST, number(0, 3)]), "the decoded size to 4398046511104 bytes, more than"),
    (file([("a", (2**63, 4, 0))], [ARRAY, (3, 3), (0, 2)]), "more than max_decoded_nbytes=4294967296: raise that"),
])
def test_crafted_files(data, message):
    with pytest.raises(FormatError, match=message):
        loads(data)


def test_streams_that_only_decoding_shows():
    model = loads(file([("w", (3, 3))], [CONTEXT, FAST, number(1, 3), (0, 2), (0, 2), (0x1C0, 10), (7, 3), (0, 1),
                                         number(0, 3)], b"\xff" * 30))
    assert model["w"].codebook.tolist() == [0, 0.5]
    with pytest.raises(FormatError, match="tensor 'w', stream of its group: "):
        model.decode()


def sectioned(data):
    header = b"\x89GDC\x02\4" + varint(len(data)) + data
    return header + zlib.crc32(header).to_bytes(4, "little")


def test_sizes_of_sections():
    layout = squeeze(layout_bytes([("a", (2,))]))
    writer = BitWriter()
    for value, width in (ARRAY, (3, 3), (3, 2), (0, 2), (0, 1)):
        writer.bits(value, width)
    writer.number(2**61, 8)
    with pytest.raises(FormatError, match="file is cut short: it has 33 bytes, .* declares 2305843009213693989"):
        loads(sectioned(layout + writer.to_bytes()))
    with pytest.raises(FormatError, match="header: 1 bytes left over, at byte"):
        loads(sectioned(layout + writer.to_bytes() + b"\0"))


@pytest.mark.parametrize("data", [
    file([("a", (2**15, 2**14))], [ARRAY, (0, 3), (2, 2), (0, 1), (1, 1)], b"\1"),
    file([("a", (2**29,))], [ARRAY, (0, 3), (3, 2), (0, 1), (1, 2), (0, 1)], b"\1"),
    file([("a", (2**29,))], [ARRAY, (0, 3), (1, 2), (0, 2), (0x1C0, 10), (0, 3)], b"\1"),
    file([("a", (2**29,))], [PACKED, (0, 4), (0, 3), number(1, 3), (0, 2), (0, 2), (0x1C0, 10), (7, 3), (0, 1),
                             number(0, 3)], b"\1"),
], ids=range(4))
def test_small_file_that_declares_much_is_refused_before_allocation(data):
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            loads(data).decode()
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


FAST_MASK_OF_A_BYTE = [ARRAY, (3, 3), (3, 2), (2, 2), (0, 1), number(1, 8)]
BEST_MASK_OF_A_BYTE = [ARRAY, (3, 3), (3, 2), (3, 2), (0, 1), number(1, 8)]
NOTHING_KEPT = b"\xf8"


@pytest.mark.parametrize("data, message", [
    (file([("a", (2**29,))], FAST_MASK_OF_A_BYTE, NOTHING_KEPT),
     "^tensor 'a', section at byte .*: mask of 536870912 elements at effort fast: 536875008 units of work to decode, "),
    (file([("a", (2**20,)), *((f"{i}", (2**28,)) for i in range(15))], FAST_MASK_OF_A_BYTE * 16 + [number(1, 8)] * 15,
          NOTHING_KEPT * 16), "^tensor '0', section at byte .*: mask of 268435456 elements at effort fast"),
], ids=["one mask", "masks together"])
def test_small_file_that_would_keep_the_reader_busy(data, message):
    """Each of these files declares less than the default limit of decoded bytes."""
    with pytest.raises(FormatError, match=message):
        loads(data)


def test_many_small_masks(monkeypatch):
    """Each makes a model of megabytes. The 1,024 that the limit allows take seconds, so here it is lower."""
    monkeypatch.setattr(work, "FREE_UNITS", 2**22)
    data = file([(str(i), (4,)) for i in range(20)], BEST_MASK_OF_A_BYTE * 20 + [number(1, 8)] * 19, NOTHING_KEPT * 20)
    with pytest.raises(FormatError, match="^tensor '1[56]', section at byte .*: mask of 4 elements at effort best: 26"):
        loads(data)


def test_too_many_tensors():
    data = file([(f"{i:x}", ()) for i in range(2**15 + 1)], [ARRAY, (3, 3), (0, 2)] * (2**15 + 1))
    message = "more than max_tensors={} tensors: raise that limit if you trust the file$"
    with pytest.raises(FormatError, match="^" + message.format(32768)):
        loads(data)
    small = file([("a", ()), ("b", ())], [ARRAY, (3, 3), (0, 2)] * 2)
    assert len(loads(small, max_tensors=2)) == 2
    with pytest.raises(FormatError, match="^" + message.format(1)):
        loads(small, max_tensors=1)


def test_max_decoded_nbytes_counts_all_tensors_and_texts():
    group = pack_group({"w": CodedTensor(np.zeros(1, np.float32), np.zeros(10, np.uint8))}, "fast")
    data = CompressedModel({**group, "b": np.zeros(5, np.float64)}, "graph").dumps()
    assert len(loads(data, max_decoded_nbytes=85)) == 2
    with pytest.raises(FormatError, match=r"tensor 'b' of shape \(5,\) brings the decoded size to 85 bytes, more than "
                                          r"max_decoded_nbytes=84"):
        loads(data, max_decoded_nbytes=84)


def test_names_that_share_a_long_beginning_cannot_fill_the_memory():
    first = varint(0) + varint(1024) + b"a" * 1024 + b"\0"
    records = first + b"".join(varint(8 * 1020) + b"\4" + f"{i:04}".encode() + b"\0" for i in range(5000))
    with pytest.raises(FormatError, match="names of more than 4194304 bytes"):
        loads(raw_layout(deflated(records), len(records), 1))
    with pytest.raises(ValueError, match="names and shapes take .* bytes, expected at most 1048576"):
        CompressedModel({f"{i:07}" * 40: np.zeros(0) for i in range(16_000)}, effort="fast").dumps()
