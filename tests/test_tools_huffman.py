import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as stnp
from report_inputs import exit_code, load_tool, odd_model, one_error_line, run_tool, small_model

from gluon_dc.coding import CompressedModel, load, pack, share
from gluon_dc.report.streams import packed_tensors, recode

huffman = load_tool("huffman")


def round_trip(array, folder, *options):
    """Encode and decode an array through files; return what came back and the size of the .gdc."""
    np.save(folder / "in.npy", array)
    assert huffman.main(["encode", str(folder / "in.npy"), str(folder / "x.gdc"), *options]) == 0
    assert huffman.main(["decode", str(folder / "x.gdc"), str(folder / "back.npy")]) == 0
    return np.load(folder / "back.npy", allow_pickle=False), (folder / "x.gdc").stat().st_size


class TestSymbols:
    @pytest.mark.parametrize("array", [
        np.array([[3, 1, 3], [3, 0, 255]], np.int64), np.zeros((2, 0), np.uint8), np.array(7, np.int16),
        np.full(1000, 200, np.uint8), np.arange(256, dtype=np.uint16), np.array([5, 6], ">i4"),
        np.arange(100, dtype=np.int8),
    ], ids=["mixed", "empty", "rank 0", "one symbol", "all symbols", "big-endian", "int8"])
    def test_come_back_equal(self, tmp_path, array):
        back, _ = round_trip(array, tmp_path)
        assert back.dtype.name == array.dtype.name and back.shape == array.shape
        np.testing.assert_array_equal(back, array)

    @given(stnp.arrays(np.uint8, stnp.array_shapes(max_dims=3, max_side=20)))
    @settings(max_examples=15, deadline=None)
    def test_any_array_comes_back(self, tmp_path_factory, array):
        np.testing.assert_array_equal(round_trip(array, tmp_path_factory.mktemp("symbols"))[0], array)

    def test_every_symbol_is_a_codeword(self, tmp_path):
        # Zeros are symbols like others, with no gaps: 800 symbols of 1 bit each.
        array = np.array([0] * 700 + [1] * 100, np.uint8)
        round_trip(array, tmp_path)
        packed = load(tmp_path / "x.gdc")["array"]
        assert packed.rel_bits == 0 and len(packed.code_stream) == 100

    def test_skewed_symbols_take_less_than_fixed_width(self, tmp_path):
        array = np.minimum(np.random.default_rng(0).geometric(0.5, 8000), 200).astype(np.uint8)
        assert round_trip(array, tmp_path)[1] < 2200  # 2 bits a symbol, where fixed width takes 4


class TestFloats:
    def test_few_distinct_values_come_back_exactly(self, tmp_path):
        array = np.random.default_rng(0).choice(np.array([0, 0.1, -0.3, 2.5], np.float32), (20, 30))
        back, _ = round_trip(array, tmp_path)
        assert back.dtype == np.float32 and back.tobytes() == array.tobytes()

    @pytest.mark.parametrize("options, bits", [([], 5), (["--bits", "2"], 2)])
    def test_many_values_come_back_shared(self, tmp_path, options, bits):
        array = np.random.default_rng(0).normal(size=(20, 30))
        array[array < 0] = 0
        back, _ = round_trip(array, tmp_path, *options)
        np.testing.assert_array_equal(back, share(array, bits).decode())
        assert len(np.unique(back)) <= 2**bits and ((back == 0) == (array == 0)).all()


class TestRecoding:
    @pytest.mark.parametrize("model", [small_model(graph="{}", metadata={"a": 1}), odd_model()], ids=["small", "odd"])
    def test_to_fixed_width_and_back(self, tmp_path, model):
        paths = [str(tmp_path / f"{name}.gdc") for name in ("given", "fixed", "back")]
        model.save(paths[0])
        assert huffman.main(["decode", *paths[:2]]) == 0 and huffman.main(["encode", *paths[1:]]) == 0
        fixed, back = load(paths[1]), load(paths[2])
        assert all(packed.coder == "fixed" for _, packed in packed_tensors(fixed))
        assert back.dumps() == recode(model, "huffman").dumps() and back.metadata == model.metadata
        for name, array in model.decode().items():
            assert fixed.decode()[name].tobytes() == array.tobytes() == back.decode()[name].tobytes()

    def test_sizes_are_printed(self, tmp_path, capsys):
        small_model().save(tmp_path / "a.gdc")
        huffman.main(["encode", str(tmp_path / "a.gdc"), str(tmp_path / "b.gdc")])
        assert f"b.gdc: {small_model().nbytes} bytes; its streams and tables take" in capsys.readouterr().out


class TestCheck:
    def test_a_file(self, tmp_path, capsys):
        small_model().save(tmp_path / "a.gdc")
        assert huffman.main(["check", str(tmp_path / "a.gdc")]) == 0
        out = capsys.readouterr().out
        assert "Checksums hold. All 3 coded tensors decode; 3 of at most 100,000 entries by the reference" in out
        assert [line.split()[:2] for line in out.splitlines() if line.startswith("1.weight")] == [
            ["1.weight", "codes"], ["1.weight", "gaps"]
        ]

    def test_an_array_by_hand(self, tmp_path, capsys):
        # 4 symbols, 1 1 1 2: entropy 0.811 bits, one bit each; the codebook adds the 0, so fixed width is 2 bits.
        np.save(tmp_path / "a.npy", np.array([1, 1, 1, 2] * 200, np.uint8))
        assert huffman.main(["check", str(tmp_path / "a.npy"), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        (stream,) = report["streams"]
        assert (stream["symbols"], stream["used"], stream["mean_code_bits"], stream["fixed_bits"]) == (800, 2, 1, 2)
        assert (stream["nbytes"], stream["fixed_nbytes"]) == (100, 200)
        assert stream["entropy_bits_per_symbol"] == pytest.approx(0.8112781)
        assert stream["bound_nbytes"] == pytest.approx(81.12781)
        assert stream["percent_above_bound"] == pytest.approx(100 / 0.8112781 - 100)
        assert report["tensors_decoded"] == report["tensors_decoded_by_reference"] == 1

    def test_a_float_array_has_gaps_too(self, tmp_path, capsys):
        array = np.zeros(500)
        array[::25] = np.arange(20)
        np.save(tmp_path / "a.npy", array)
        huffman.main(["check", str(tmp_path / "a.npy"), "--json"])
        assert [stream["stream"] for stream in json.loads(capsys.readouterr().out)["streams"]] == ["codes", "gaps"]

    def test_a_model_without_streams(self, tmp_path, capsys):
        CompressedModel({}).save(tmp_path / "a.gdc")
        assert huffman.main(["check", str(tmp_path / "a.gdc")]) == 0 and "All 0 coded" in capsys.readouterr().out


class TestErrors:
    @pytest.mark.parametrize("array, message", [
        (np.array([1, 256, -1]), r"2 of 3 symbols are outside 0..255 (smallest -1, largest 256)"),
        (np.array([np.nan, 1, np.inf]), "2 of 3 weights are NaN or infinite"),
        (np.array([True]), "dtype bool, expected integers 0..255 or floats"),
        (np.array(["a"]), "expected integers 0..255 or floats"), (np.array([1j]), "dtype complex128"),
    ])
    def test_arrays(self, tmp_path, capsys, array, message):
        np.save(tmp_path / "in.npy", array)
        assert huffman.main(["encode", str(tmp_path / "in.npy"), str(tmp_path / "out.gdc")]) == 1
        assert message in one_error_line(capsys.readouterr().err, "huffman.py")
        assert not (tmp_path / "out.gdc").exists()

    @pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"junk", b"PK\x03\x04", b"\x93NUMPY\x01\x00\x05\x00{'a':"])
    @pytest.mark.parametrize("name", ["in.npy", "in.gdc"])
    @pytest.mark.parametrize("command", ["encode", "check"])
    def test_files(self, tmp_path, capsys, content, name, command):
        (tmp_path / name).write_bytes(content)
        extra = [str(tmp_path / "out.gdc")] if command == "encode" else []
        assert huffman.main([command, str(tmp_path / name), *extra]) == 1
        assert name in one_error_line(capsys.readouterr().err, "huffman.py")

    def test_pickles_and_archives(self, tmp_path, capsys):
        np.save(tmp_path / "a.npy", np.array([{}], object))
        np.savez(tmp_path / "b.npz", a=np.zeros(2))
        (tmp_path / "b.npz").rename(tmp_path / "b.npy")
        for name, message in (("a.npy", "allow_pickle"), ("b.npy", "found an .npz")):
            assert huffman.main(["check", str(tmp_path / name)]) == 1
            assert message in one_error_line(capsys.readouterr().err, "huffman.py")

    def test_one_flipped_bit(self, tmp_path, capsys):
        data = bytearray(small_model().dumps())
        data[len(data) // 2] ^= 1
        (tmp_path / "a.gdc").write_bytes(data)
        assert huffman.main(["check", str(tmp_path / "a.gdc")]) == 1
        assert "checksum" in one_error_line(capsys.readouterr().err, "huffman.py")

    def test_several_tensors_are_no_array(self, tmp_path, capsys):
        small_model().save(tmp_path / "a.gdc")
        assert huffman.main(["decode", str(tmp_path / "a.gdc"), str(tmp_path / "a.npy")]) == 1
        assert "holds 6 tensors, expected 1 for a .npy: give OUT.gdc" in capsys.readouterr().err

    @pytest.mark.parametrize("dtype", ["object", "float64", 3, ["int8"]])
    def test_a_dtype_that_no_encoder_wrote(self, tmp_path, capsys, dtype):
        packed = pack(share(np.ones(3), 2))
        CompressedModel({"w": packed}, metadata={"dtype": dtype}).save(tmp_path / "a.gdc")
        assert huffman.main(["decode", str(tmp_path / "a.gdc"), str(tmp_path / "a.npy")]) == 1
        assert "metadata names the dtype" in one_error_line(capsys.readouterr().err, "huffman.py")


class TestCommand:
    def test_help(self, capsys):
        assert exit_code(huffman, "--help") == 0 and "one tensor" in capsys.readouterr().out

    def test_usage(self):
        assert exit_code(huffman) == exit_code(huffman, "check", "a.npy", "--bits", "9") == 2

    def test_bad_input(self, tmp_path):
        result = run_tool("huffman", "check", tmp_path / "none.gdc")
        assert result.returncode == 1 and "none.gdc" in one_error_line(result.stderr, "huffman.py")


def test_encode_does_not_write_over_an_array(tmp_path, capsys):
    np.save(tmp_path / "codes.npy", np.arange(9, dtype=np.uint8))
    for output in ("codes.npy", "other.npy"):
        assert huffman.main(["encode", str(tmp_path / "codes.npy"), str(tmp_path / output)]) == 1
        assert "encode writes a .gdc file" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), np.arange(9))
