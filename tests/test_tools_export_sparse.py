import numpy as np
import pytest
import scipy.sparse
from report_inputs import exit_code, load_tool, odd_model, one_error_line, run_tool, small_model

export_sparse = load_tool("export_sparse")


def export(model, folder, *options):
    model.save(folder / "m.gdc")
    assert export_sparse.main([str(folder / "m.gdc"), str(folder / "out"), *options]) == 0
    return folder / "out"


class TestExport:
    def test_files(self, tmp_path, capsys):
        out = export(small_model(), tmp_path)
        assert sorted(path.name for path in out.iterdir()) == [
            "000-0.weight.csc.npz", "000-0.weight.csr.npz", "001-0.bias.npy", "002-1.weight.csc.npz",
            "002-1.weight.csr.npz", "003-1.bias.npy", "004-2.weight.csc.npz", "004-2.weight.csr.npz", "005-2.bias.npy",
            "index.json",
        ]
        assert "out: 10 files" in capsys.readouterr().out
        for layout in ("csr", "csc"):
            matrix = scipy.sparse.load_npz(out / f"002-1.weight.{layout}.npz")
            np.testing.assert_array_equal(matrix.toarray(), small_model()["1.weight"].decode())

    @pytest.mark.parametrize("layout", ["csr", "csc", "both"])
    @pytest.mark.parametrize("model", [small_model(), odd_model()], ids=["small", "odd"])
    def test_back_to_dense(self, tmp_path, model, layout):
        out = export(model, tmp_path, "--layout", layout)
        assert export_sparse.main([str(out), str(tmp_path / "dense.npz"), "--to", "dense"]) == 0
        with np.load(tmp_path / "dense.npz", allow_pickle=False) as dense:
            expected = model.decode()
            assert dense.files == list(expected)
            for name, array in expected.items():
                assert dense[name].dtype == array.dtype and dense[name].shape == array.shape
                assert dense[name].tobytes() == array.tobytes()


class TestErrors:
    def test_not_a_model(self, tmp_path, capsys):
        (tmp_path / "m.gdc").write_bytes(b"nothing")
        assert export_sparse.main([str(tmp_path / "m.gdc"), str(tmp_path / "out")]) == 1
        assert "m.gdc: not a .gdc file" in one_error_line(capsys.readouterr().err, "export_sparse.py")
        assert not (tmp_path / "out").exists()

    def test_not_an_export(self, tmp_path, capsys):
        assert export_sparse.main([str(tmp_path), str(tmp_path / "d.npz"), "--to", "dense"]) == 1
        assert "index.json" in one_error_line(capsys.readouterr().err, "export_sparse.py")

    def test_wrong_ways_round(self, tmp_path, capsys):
        small_model().save(tmp_path / "m.gdc")
        model, folder, dense = (str(tmp_path / name) for name in ("m.gdc", "sp", "d.npz"))
        assert export_sparse.main([model, folder]) == 0
        capsys.readouterr()
        for words, message in (
                ([folder, str(tmp_path / "new")], f"{folder}: is a folder, expected MODEL.gdc; an earlier export becomes "
                 "dense arrays with --to dense"),
                ([model, dense, "--to", "dense"], f"{model}: is no folder of an earlier export: expected an index.json "
                 "of one in it"),
                ([model, model], f"{model}: TARGET is a file, expected a folder"),
                ([folder, folder, "--to", "dense"], f"{folder}: TARGET is a folder, expected a file to write")):
            assert export_sparse.main(words) == 1
            assert one_error_line(capsys.readouterr().err, "export_sparse.py") == message
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m.gdc", "sp"]

    def test_an_index_of_something_else_is_kept(self, tmp_path, capsys):
        small_model().save(tmp_path / "m.gdc")
        (tmp_path / "index.json").write_text('{"name": "a web site"}')
        assert export_sparse.main([str(tmp_path / "m.gdc"), str(tmp_path)]) == 1
        assert "its index.json is of something else and would be lost" in one_error_line(capsys.readouterr().err,
                                                                                       "export_sparse.py")
        assert (tmp_path / "index.json").read_text() == '{"name": "a web site"}'

    @pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04" + bytes(40)])
    def test_damaged_files(self, tmp_path, capsys, content):
        out = export(small_model(), tmp_path)
        (out / "000-0.weight.csr.npz").write_bytes(content)
        assert export_sparse.main([str(out), str(tmp_path / "d.npz"), "--to", "dense"]) == 1
        assert "tensor 0 ('0.weight') cannot be read" in one_error_line(capsys.readouterr().err, "export_sparse.py")
        assert not (tmp_path / "d.npz").exists()

    def test_a_missing_file(self, tmp_path, capsys):
        out = export(small_model(), tmp_path)
        (out / "001-0.bias.npy").unlink()
        assert export_sparse.main([str(out), str(tmp_path / "d.npz"), "--to", "dense"]) == 1
        assert "001-0.bias.npy" in one_error_line(capsys.readouterr().err, "export_sparse.py")


class TestCommand:
    def test_help(self, capsys):
        assert exit_code(export_sparse, "--help") == 0 and "scipy.sparse.load_npz" in capsys.readouterr().out

    def test_usage(self):
        assert exit_code(export_sparse, "one") == 2

    def test_a_file_and_a_folder(self, tmp_path):
        small_model().save(tmp_path / "m.gdc")
        assert run_tool("export_sparse", tmp_path / "m.gdc", tmp_path / "out").returncode == 0
        result = run_tool("export_sparse", tmp_path / "out", tmp_path / "none" / "d.npz", "--to", "dense")
        assert result.returncode == 1 and "none" in one_error_line(result.stderr, "export_sparse.py")
