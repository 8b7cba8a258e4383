"""The authors' .net files: reader, writer, and their networks as ours."""
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import CodedTensor, FormatError
from gluon_dc.models.net_format import layer_bits, read_net, write_net
from gluon_dc.models.net_import import import_net, reversed_channels, without_unused

# A dense layer of 2 x 20 weights, by hand: entries at 1 and 22 (after a filler at 17), values 0.5 and -2.
DENSE_CODEBOOK = [0.0, 0.5, -2.0] + [0.0] * 13
HAND = struct.pack("<I", 3) + struct.pack("<16f", *DENSE_CODEBOOK) + struct.pack("<2f", 7.0, 8.0) + bytes(
    [0x01, 0x02, 0xF1, 0x04])
SHAPES = {"fc.weight": (2, 20)}


def tensor(shape, k, seed=0, density=0.3):
    rng = np.random.default_rng(seed)
    codebook = np.concatenate([[0], rng.normal(size=k - 1)]).astype(np.float32)
    codes = np.where(rng.random(shape) < density, rng.integers(0, k, shape), 0).astype(np.uint8)
    return CodedTensor(codebook, codes)


def small_net():
    coded = {"c.weight": tensor((4, 3, 3, 3), 256), "d.weight": tensor((5, 36), 16, 1),
             "e.weight": tensor((3, 5), 2, 2)}
    return coded, {name: np.arange(one.shape[0], dtype=np.float32) - 1 for name, one in coded.items()}


class TestReading:
    def test_by_hand(self):
        coded, biases = read_net(HAND, SHAPES)
        expected = np.zeros(40, np.float32)
        expected[[1, 22]] = 0.5, -2
        assert np.array_equal(coded["fc.weight"].decode(), expected.reshape(2, 20))
        assert biases["fc.weight"].tolist() == [7, 8]
        assert coded["fc.weight"].codebook.tolist() == DENSE_CODEBOOK

    def test_by_hand_back(self):
        assert write_net(*read_net(HAND, SHAPES)) == HAND

    def test_a_path(self, tmp_path):
        (tmp_path / "a.net").write_bytes(HAND)
        assert read_net(tmp_path / "a.net", SHAPES)[0] == read_net(HAND, SHAPES)[0]

    def test_bits(self):
        assert layer_bits((2, 20)) == 4 and layer_bits((2, 20, 1, 1)) == 8

    def test_a_zero_elsewhere_in_the_codebook_changes_places(self):
        # Code 1 is the 0.0 here: the filler has it, and the weights without an entry are 0.0 all the same.
        data = bytearray(HAND)
        data[4:4 + 64] = struct.pack("<16f", 0.5, 0.0, -2.0, *[9.0] * 13)
        data[-4:-2] = bytes([0x10, 0x02])
        found = read_net(bytes(data), SHAPES)[0]["fc.weight"]
        assert np.array_equal(found.decode(), read_net(HAND, SHAPES)[0]["fc.weight"].decode())
        assert found.codebook[:3].tolist() == [0.0, 0.5, -2.0] and found.nnz == 2

    def test_a_negative_zero_counts_as_zero(self):
        data = bytearray(HAND)
        data[4:8] = struct.pack("<f", -0.0)
        assert read_net(bytes(data), SHAPES)[0]["fc.weight"].codebook[:1].tobytes() == bytes(4)

    @pytest.mark.parametrize("data, message", [
        (b"", "<bytes>: the entry counts at byte 0 takes 4 bytes, 0 are left: the file is cut short or of another net"),
        (HAND[:-1], "<bytes>: cut short, or of another network: 1 layers with these entry counts take 80 bytes, the "
                    "file has 79"),
        (HAND + b"\0", "followed by trailing bytes, or of another network: .* take 80 bytes, the file has 81"),
        (struct.pack("<I", 41) + HAND[4:],
         r"entry count of layer 'fc.weight': 41 entries for 40 weights of shape \(2, 20\)"),
        (struct.pack("<I", 2**32 - 1) + HAND[4:], "4294967295 entries for 40 weights"),
        (HAND[:-1] + b"\x14", "layer 'fc.weight': the unused upper half of byte 79 is 1, expected 0"),
        (HAND[:-2] + b"\xff\x0f", r"layer 'fc.weight' of shape \(2, 20\) at bytes 4..79: entry 2 of 3 stands at "
                                  "position 47, past the size 40"),
        (HAND[:4] + struct.pack("<16f", *[1.0] * 16) + HAND[68:], "no entry of the codebook is 0.0"),
        (HAND[:4] + struct.pack("<16f", 0, *[float("nan")] * 15) + HAND[68:], "codebook entry 1 is nan"),
        (HAND[:68] + struct.pack("<2f", 0, float("inf")) + HAND[76:], "bias at byte 68 holds NaN or infinity"),
    ])
    def test_damaged(self, data, message):
        with pytest.raises(FormatError, match=message):
            read_net(data, SHAPES)

    def test_shapes(self):
        with pytest.raises(ValueError, match=r"fc: shape \(2, 0\), expected .outputs, inputs, .... with all sizes"):
            read_net(HAND, {"fc": (2, 0)})
        with pytest.raises(ValueError, match="no layers given"):
            read_net(HAND, {})

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=120))
    def test_any_bytes(self, data):
        for shapes in (SHAPES, {"a": (1, 2), "b": (1, 1, 1, 1)}):
            try:
                read_net(data, shapes)
            except FormatError as error:
                assert "<bytes>" in str(error)

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(HAND) - 1), st.integers(0, 255))
    def test_any_byte_changed(self, place, byte):
        data = bytearray(HAND)
        data[place] = byte
        try:
            coded, _ = read_net(bytes(data), SHAPES)
        except FormatError:
            return
        assert coded["fc.weight"].shape == (2, 20)


class TestWriting:
    def test_round_trip(self):
        coded, biases = small_net()
        data = write_net(coded, biases)
        found, found_biases = read_net(data, {name: one.shape for name, one in coded.items()})
        for name in coded:
            assert np.array_equal(found[name].decode(), coded[name].decode())
            assert np.array_equal(found_biases[name], biases[name])
        assert write_net(found, found_biases) == data

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 6), st.integers(1, 60), st.sampled_from([0.0, 0.02, 0.5, 1.0]), st.booleans(),
           st.integers(0, 99))
    def test_round_trip_of_any(self, outputs, inputs, density, dense, seed):
        shape = (outputs, inputs) if dense else (outputs, inputs, 1, 1)
        coded = {"w": tensor(shape, 16 if dense else 256, seed, density)}
        data = write_net(coded, {"w": np.zeros(outputs, np.float32)})
        found, biases = read_net(data, {"w": shape})
        assert np.array_equal(found["w"].decode(), coded["w"].decode()) and write_net(found, biases) == data

    def test_errors(self):
        coded, biases = small_net()
        with pytest.raises(ValueError, match="d.weight: a codebook of 17 entries, the format holds 16 for a weight"):
            write_net({"d.weight": tensor((5, 36), 17)}, {"d.weight": biases["d.weight"]})
        with pytest.raises(ValueError, match="expected a bias for each weight, got 3 weights and 0 biases: c.weight"):
            write_net(coded, {})
        with pytest.raises(ValueError, match=r"d.weight: weight of shape \(5, 36\) with a bias of shape \(2,\)"):
            write_net({"d.weight": coded["d.weight"]}, {"d.weight": np.zeros(2, np.float32)})


class TestImport:
    def test_same_weights_with_channels_turned_round(self):
        coded, biases = small_net()
        shapes = {name: one.shape for name, one in coded.items()}
        model = import_net(write_net(coded, biases), shapes, metadata={"a": 1})
        decoded = model.decode()
        assert model.names == ("c.weight", "c.bias", "d.weight", "d.bias", "e.weight", "e.bias")
        assert np.array_equal(decoded["c.weight"], coded["c.weight"].decode()[:, ::-1])
        assert np.array_equal(decoded["d.weight"], coded["d.weight"].decode())
        assert np.array_equal(decoded["e.bias"], biases["e.weight"]) and model.metadata == {"a": 1}
        plain = import_net(write_net(coded, biases), shapes, reverse_channels=False).decode()
        assert np.array_equal(plain["c.weight"], coded["c.weight"].decode())

    def test_channels_by_hand(self):
        codes = np.arange(6, dtype=np.uint8).reshape(1, 3, 2, 1)
        turned = reversed_channels(CodedTensor(np.arange(6, dtype=np.float32), codes), "w")
        assert turned.codes.reshape(-1).tolist() == [4, 5, 2, 3, 0, 1]
        with pytest.raises(ValueError, match=r"w: its shape \(2, 4\) has no 3 input channels to turn round"):
            reversed_channels(tensor((2, 4), 4), "w")

    def test_unused_entries_by_hand(self):
        # Value 3 occurs twice in the codebook, -1 is not used, 0.0 occurs once more.
        found = without_unused(CodedTensor(np.float32([0, 3, -1, 3, -2, 0]), np.uint8([[1, 3, 4, 5, 0]])))
        assert found.codebook.tolist() == [0, -2, 3] and found.codes.tolist() == [[2, 2, 1, 0, 0]]

    def test_no_weights_left(self):
        found = without_unused(CodedTensor(np.float32([0, 3]), np.zeros((2, 2), np.uint8)))
        assert found.codebook.tolist() == [0] and found.nnz == 0


@pytest.fixture(scope="module")
def squeezenet_file():
    """The authors' SqueezeNet where GLUON_DC_DATA leads to it."""
    path = Path(os.environ.get("GLUON_DC_DATA", "."), "squeezenet", "compressed_SqueezeNet.net")
    if not os.environ.get("GLUON_DC_DATA") or not path.is_file():
        pytest.skip("GLUON_DC_DATA with the authors' SqueezeNet is not at hand")
    return path


def squeezenet_shapes():
    shapes, inputs = {"conv1": (96, 3, 7, 7)}, 96
    for fire, (squeeze, expand) in enumerate([(16, 64)] * 2 + [(32, 128)] * 2 + [(48, 192)] * 2 + [(64, 256)] * 2, 2):
        shapes |= {f"fire{fire}.s": (squeeze, inputs, 1, 1), f"fire{fire}.e1": (expand, squeeze, 1, 1),
                   f"fire{fire}.e3": (expand, squeeze, 3, 3)}
        inputs = 2 * expand
    return shapes | {"conv10": (1000, 512, 1, 1)}


def test_the_authors_file_comes_back_byte_for_byte(squeezenet_file):
    coded, biases = read_net(squeezenet_file, squeezenet_shapes())
    assert write_net(coded, biases) == squeezenet_file.read_bytes()
    assert sum(one.nnz for one in coded.values()) == 415_921  # the data's README


def test_the_authors_file_in_fewer_bytes(squeezenet_file):
    model = import_net(squeezenet_file, {f"{name}.weight": shape for name, shape in squeezenet_shapes().items()})
    assert model.nbytes < 0.81 * squeezenet_file.stat().st_size
