"""gluon_dc.export.weights, gluon_dc.export.mxnet_params and tools/export_weights.py."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from nets import arrays_of, make
from report_inputs import ROOT, exit_code, load_tool, odd_model, one_error_line, small_model

from gluon_dc.coding import CodedTensor, CompressedModel, pack, pack_group
from gluon_dc.export.weights import FORMATS, decoded_nbytes, export_weights

export_tool = load_tool("export_weights")


def read_safetensors(path):
    """A plain reader of the format: (metadata, {name: array}); checks that the data are contiguous and aligned."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert size % 8 == 0
    header = json.loads(data[8:8 + size])
    dtypes = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I8": "i1", "U8": "u1"}
    notes, end, arrays = header.pop("__metadata__", {}), 0, {}
    for name, entry in header.items():
        begin, dtype = end, np.dtype(dtypes[entry["dtype"]])
        end = begin + dtype.itemsize * int(np.prod(entry["shape"]))
        assert entry["data_offsets"] == [begin, end] and begin % dtype.itemsize == 0
        arrays[name] = np.frombuffer(data[8 + size:][begin:end], dtype).reshape(entry["shape"])
    assert 8 + size + end == len(data)
    return notes, arrays


def read_npz(path):
    with np.load(path, allow_pickle=False) as arrays:
        return {}, {name: arrays[name] for name in arrays.files}


def read_params(path):
    mxnet = pytest.importorskip("mxnet")
    return {}, {name: array.asnumpy() for name, array in dict(mxnet.nd.load(str(path))).items()}


READERS = {".safetensors": read_safetensors, ".npz": read_npz, ".params": read_params}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def every_dtype():
    """A model of all dtypes that a file holds, a coded tensor of either coder, and metadata."""
    coded = CodedTensor(np.array([0, -1, 0.5], np.float32), np.array([[0, 1, 2], [2, 0, 0]], np.uint8))
    arrays = {dtype: np.arange(3).astype(dtype) for dtype in
              ("int8", "float16", "float32", "uint8", "float64", "int32", "int64")}
    return CompressedModel({**arrays, "packed": pack(coded), **pack_group({"context": coded})},
                           metadata={"network": "näht", "classes": 10})


class TestBytesByHand:
    MODEL = CompressedModel({"w": pack(CodedTensor(np.array([0, 0.5], np.float32), np.array([0, 1], np.uint8))),
                             "n": np.array([[7]], np.int64)})

    def test_safetensors(self, tmp_path):
        export_weights(self.MODEL, tmp_path / "o.safetensors")
        header = (b'{"n":{"dtype":"I64","shape":[1,1],"data_offsets":[0,8]},'
                  b'"w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}')
        header += b" " * (-len(header) % 8)
        expected = struct.pack("<Q", len(header)) + header + struct.pack("<qff", 7, 0, 0.5)
        assert (tmp_path / "o.safetensors").read_bytes() == expected

    def test_params(self, tmp_path):
        export_weights(self.MODEL, tmp_path / "o.params")
        expected = struct.pack("<QQQ", 0x112, 0, 2)
        expected += struct.pack("<Iiiqiii", 0xF993FAC9, 0, 1, 2, 1, 0, 0) + struct.pack("<ff", 0, 0.5)
        expected += struct.pack("<IiiqqiiI", 0xF993FAC9, 0, 2, 1, 1, 1, 0, 6) + struct.pack("<q", 7)
        expected += struct.pack("<QQ1sQ1s", 2, 1, b"w", 1, b"n")
        assert (tmp_path / "o.params").read_bytes() == expected

    def test_decoded_nbytes(self):
        assert decoded_nbytes(self.MODEL) == 16


@pytest.mark.parametrize("ending", FORMATS)
class TestEveryFormat:
    def test_every_dtype_comes_back(self, tmp_path, ending):
        model, path, steps = every_dtype(), tmp_path / f"o{ending}", []
        assert export_weights(model, path, steps.append) == path.stat().st_size
        notes, found = READERS[ending](path)
        assert_same(found, model.decode())
        assert sum(steps) == decoded_nbytes(model) == sum(array.nbytes for array in found.values())
        if ending == ".safetensors":
            assert notes == {"network": "näht", "classes": "10"}

    def test_equal_models_give_equal_bytes(self, tmp_path, ending):
        for name in "ab":
            export_weights(every_dtype(), tmp_path / f"{name}{ending}")
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()

    def test_an_empty_model(self, tmp_path, ending):
        export_weights(CompressedModel({}), tmp_path / f"o{ending}")
        found = READERS[ending](tmp_path / f"o{ending}")[1]
        assert len(found) == 0

    def test_a_stream_that_does_not_decode_leaves_the_old_file(self, tmp_path, ending):
        packed = small_model()["0.weight"]
        damaged = type(packed)(**{**{field: getattr(packed, field) for field in packed.__dataclass_fields__},
                                  "gap_stream": b"\xff" * len(packed.gap_stream)})
        path = tmp_path / f"o{ending}"
        path.write_bytes(b"old")
        with pytest.raises(ValueError, match="tensor '0.weight', (gap|code) stream"):
            export_weights(CompressedModel({"0.weight": damaged}), path)
        assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]

    def test_a_nul_in_a_name(self, tmp_path, ending):
        with pytest.raises(ValueError, match=r"tensor 'a\\x00': a NUL in its name"):
            export_weights(CompressedModel({"a\0": np.zeros(1, np.float32)}), tmp_path / f"o{ending}")


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_odd_shapes_and_names(tmp_path, ending):
    export_weights(odd_model(), tmp_path / f"o{ending}")
    assert_same(READERS[ending](tmp_path / f"o{ending}")[1], odd_model().decode())


def test_the_package_safetensors_reads_it(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    for model in (every_dtype(), odd_model(), small_model(), CompressedModel({})):
        export_weights(model, tmp_path / "o.safetensors")
        assert_same(safetensors.load_file(tmp_path / "o.safetensors"), model.decode())


@pytest.mark.parametrize("array", [np.ones((), np.float32), np.zeros((0, 3), np.float32)])
def test_params_cannot_hold_arrays_of_unknown_shape(tmp_path, array):
    with pytest.raises(ValueError, match=r"tensor 'x' of shape .*: take .safetensors or .npz"):
        export_weights(CompressedModel({"x": array}), tmp_path / "o.params")


def test_names_that_a_format_keeps_for_itself(tmp_path):
    with pytest.raises(ValueError, match=r"'__metadata__': .safetensors keeps that name"):
        export_weights(CompressedModel({"__metadata__": np.zeros(1, np.float32)}), tmp_path / "o.safetensors")
    with pytest.raises(ValueError, match=r"'a.npy': .npz cannot hold"):
        export_weights(CompressedModel({"a.npy": np.zeros(1, np.float32)}), tmp_path / "o.npz")


@pytest.mark.parametrize("name", ["dense", "convolutional", "shared"])
def test_a_gluon_net_loads_the_params(tmp_path, name):
    import gluon_dc as dc
    net, x = make(name)
    net(x)
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, bits=3)
    model = dc.compress(net)
    export_weights(model, tmp_path / "o.params")
    plain, _ = make(name, seed=1)
    plain.load_parameters(str(tmp_path / "o.params"))
    assert_same(arrays_of(plain), arrays_of(dc.restore(model, make(name, seed=2)[0])))


class TestTheTool:
    @pytest.mark.parametrize("ending", FORMATS)
    def test_it_writes_and_says_so(self, tmp_path, capsys, ending):
        model = small_model()
        model.save(tmp_path / "m.gdc")
        assert export_tool.main([str(tmp_path / "m.gdc"), "-o", str(tmp_path / f"o{ending}")]) == 0
        printed = capsys.readouterr().out
        assert f"6 tensors, {(tmp_path / f'o{ending}').stat().st_size:,} bytes ({model.nbytes:,} in" in printed
        assert_same(READERS[ending](tmp_path / f"o{ending}")[1], model.decode())

    @pytest.mark.parametrize("output, message", [
        ("o.onnx", "o.onnx: a name must end in one of .safetensors, .npz, .params, got '.onnx'"),
        ("o", "o: a name must end in one of .safetensors, .npz, .params, got 'nothing'"),
        ("no/such/o.npz", "no/such/o.npz: -o cannot be written, its folder does not exist: make it first"),
        ("m.npz", "m.npz: -o is the same file as the file to read: give another name"),
    ])
    def test_bad_outputs_are_one_line(self, tmp_path, capsys, output, message):
        small_model().save(tmp_path / "m.npz")
        before = (tmp_path / "m.npz").read_bytes()
        assert export_tool.main([str(tmp_path / "m.npz"), "-o", str(tmp_path / output)]) == 1
        assert message in one_error_line(capsys.readouterr().err, "export_weights.py")
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]

    def test_bad_inputs_are_one_line(self, tmp_path, capsys):
        (tmp_path / "m.gdc").write_bytes(b"nothing")
        assert export_tool.main([str(tmp_path / "m.gdc"), "-o", str(tmp_path / "o.npz")]) == 1
        assert "m.gdc: not a .gdc file" in one_error_line(capsys.readouterr().err, "export_weights.py")
        small_model().save(tmp_path / "m.gdc")
        arguments = [str(tmp_path / "m.gdc"), "-o", str(tmp_path / "o.npz"), "--max-decoded-nbytes", "100"]
        assert export_tool.main(arguments) == 1
        assert "100" in one_error_line(capsys.readouterr().err, "export_weights.py")

    def test_a_full_disk_is_one_line(self, tmp_path, capsys, monkeypatch):
        import errno
        small_model().save(tmp_path / "m.gdc")

        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        assert export_tool.main([str(tmp_path / "m.gdc"), "-o", str(tmp_path / "o.npz")]) == 1
        assert "No space left on device: nothing was written" in one_error_line(capsys.readouterr().err,
                                                                               "export_weights.py")
        assert [path.name for path in tmp_path.iterdir()] == ["m.gdc"]

    def test_ctrl_c(self, tmp_path, capsys, monkeypatch):
        def stop(descriptor):
            raise KeyboardInterrupt
        small_model().save(tmp_path / "m.gdc")
        monkeypatch.setattr("os.fsync", stop)
        assert export_tool.main([str(tmp_path / "m.gdc"), "-o", str(tmp_path / "o.npz")]) == 130
        assert "interrupted; nothing was written, an earlier file is as it was" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["m.gdc"]

    def test_usage(self, capsys):
        assert exit_code(export_tool, "--help") == 0
        assert "(default: 4294967296)" in capsys.readouterr().out
        assert exit_code(export_tool, "m.gdc") == 2

    def test_numpy_and_numba_are_all_it_needs(self, tmp_path):
        small_model().save(tmp_path / "m.gdc")
        missing = ["mxnet", "gluoncv", "onnx", "yaml", "tqdm", "PIL", "sklearn", "scipy", "matplotlib", "cv2"]
        code = f"import sys, runpy; del sys.argv[0]; sys.modules.update(dict.fromkeys({missing!r})); " \
               "runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-c", code, str(ROOT / "tools" / "export_weights.py"), "m.gdc", "-o", "o.npz"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0 and done.stderr == "" and (tmp_path / "o.npz").exists(), done.stderr
