import json

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from report_inputs import odd_model, small_model

from gluon_dc.coding import CodedTensor, CompressedModel, pack, unpack
from gluon_dc.report.sparse import csr_arrays, read_sparse, write_dense, write_sparse


def index_of(folder):
    return json.loads((folder / "index.json").read_text())["tensors"]


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].shape == array.shape and arrays[name].dtype == array.dtype
        assert arrays[name].tobytes() == array.tobytes(), name


class TestCsr:
    def test_by_hand(self):
        matrix = np.array([[0, 5.0, 0], [0, 0, 0], [7, 0, 8]], np.float32)
        arrays = csr_arrays(matrix, matrix != 0)
        assert arrays["indptr"].tolist() == [0, 1, 1, 3] and arrays["indices"].tolist() == [1, 0, 2]
        assert arrays["data"].tolist() == [5, 7, 8] and arrays["shape"].tolist() == [3, 3]
        assert arrays["indices"].dtype == arrays["indptr"].dtype == np.int32

    def test_what_is_kept_is_stored_even_if_it_is_zero(self):
        arrays = csr_arrays(np.zeros((1, 3), np.float32), np.array([[True, False, True]]))
        assert arrays["indices"].tolist() == [0, 2]


class TestSciPyReadsIt:
    @pytest.mark.parametrize("layout", ["csr", "csc"])
    @pytest.mark.parametrize("model", [small_model(), odd_model()], ids=["small", "odd"])
    def test_equal(self, tmp_path, model, layout):
        write_sparse(model, tmp_path)
        coded = [record for record in index_of(tmp_path) if record["kind"] == "coded"]
        assert coded
        for record in coded:
            matrix = scipy.sparse.load_npz(tmp_path / record[layout])
            tensor = unpack(model[record["name"]])
            assert matrix.format == layout and matrix.dtype == np.float32 and matrix.nnz == tensor.nnz == record["nnz"]
            matrix.check_format()
            np.testing.assert_array_equal(matrix.toarray().reshape(tensor.shape), tensor.decode())
            pattern = matrix.copy()
            pattern.data[:] = 1
            np.testing.assert_array_equal(pattern.toarray().reshape(tensor.shape) != 0, tensor.mask)

    def test_a_kernel_becomes_a_row_for_each_output(self, tmp_path):
        write_sparse(odd_model(), tmp_path)
        record = index_of(tmp_path)[0]
        assert record["shape"] == [3, 2, 2, 2] and record["matrix_shape"] == [3, 8]
        assert scipy.sparse.load_npz(tmp_path / "000-kernel.csr.npz").shape == (3, 8)

    def test_a_product_is_the_layers(self, tmp_path):
        model = small_model()
        write_sparse(model, tmp_path)
        x = np.arange(40, dtype=np.float32)
        matrix = scipy.sparse.load_npz(tmp_path / "000-0.weight.csr.npz")
        np.testing.assert_allclose(matrix @ x, model["0.weight"].decode() @ x, rtol=1e-4)


class TestRoundTrip:
    @pytest.mark.parametrize("layouts", [("csr", "csc"), ("csr",), ("csc",)])
    @pytest.mark.parametrize("model", [small_model(), odd_model(), CompressedModel({})], ids=["small", "odd", "empty"])
    def test_dense_is_bit_for_bit(self, tmp_path, model, layouts):
        paths = write_sparse(model, tmp_path, layouts)
        assert sorted(paths) == sorted(tmp_path.iterdir())
        assert_same(read_sparse(tmp_path), model.decode())

    def test_a_stored_negative_zero_stays_one(self, tmp_path):
        coded = CodedTensor(np.array([0, -0.0], np.float32), np.array([[1, 0]], np.uint8))
        write_sparse(CompressedModel({"w": pack(coded)}), tmp_path)
        assert np.signbit(read_sparse(tmp_path)["w"]).tolist() == [[True, False]]

    def test_equal_models_give_equal_files(self, tmp_path):
        for folder in ("a", "b"):
            write_sparse(odd_model(), tmp_path / folder)
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()

    @given(stnp.arrays(np.uint8, stnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
                       elements=st.integers(0, 2)), st.sampled_from(["csr", "csc"]))
    @settings(max_examples=30, deadline=None)
    def test_any_codes(self, tmp_path_factory, codes, layout):
        folder = tmp_path_factory.mktemp("sparse")
        model = CompressedModel({"w": pack(CodedTensor(np.array([0, -0.0, 2], np.float32), codes))})
        write_sparse(model, folder, (layout,))
        assert_same(read_sparse(folder), model.decode())

    def test_dense_file(self, tmp_path):
        arrays = odd_model().decode()
        write_dense(arrays, tmp_path / "dense.npz")
        with np.load(tmp_path / "dense.npz", allow_pickle=False) as stored:
            assert_same({name: stored[name] for name in stored.files}, arrays)


class TestErrors:
    def test_layouts(self, tmp_path):
        with pytest.raises(ValueError, match=r"layouts must be one or both of csr, csc, got \['coo'\]"):
            write_sparse(small_model(), tmp_path, ["coo"])

    @pytest.mark.parametrize("text", ["", "[]", '{"format": 2, "tensors": []}', '{"format": 1, "tensors": 3}'])
    def test_index(self, tmp_path, text):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(ValueError, match="index.json: (not JSON|expected an object)"):
            read_sparse(tmp_path)

    @pytest.mark.parametrize("change, message", [
        ({"csr": "../x.npz"}, "leads out of the folder"), ({"shape": [30, 41]}, r"the matrix has shape \[30, 40\]"),
        ({"shape": None}, "'0.weight'"), ({"shape": ["a", 2]}, "'0.weight'"),
        ({"csr": None, "csc": None}, "'0.weight'"), ({"csr": "001-0.bias.npy"}, "expected a .npz"),
        ({"kind": "lossless"}, "'file'"), ({"name": None}, "None"),
    ])
    def test_records(self, tmp_path, change, message):
        write_sparse(small_model(), tmp_path)
        records = index_of(tmp_path)
        records[0] = {**records[0], **change}
        if change.get("name", "") is None:
            del records[0]["name"]
        (tmp_path / "index.json").write_text(json.dumps({"format": 1, "tensors": records}))
        with pytest.raises(ValueError, match=f"tensor 0 .*{message}"):
            read_sparse(tmp_path)

    @pytest.mark.parametrize("change", [
        {"indices": np.array([9], np.int32)}, {"indices": np.array([-1], np.int32)}, {"indptr": np.array([0, 2])},
        {"indptr": np.array([0, 1, 1])}, {"data": np.zeros(2, np.float32)}, {"format": np.array(b"coo")},
    ])
    def test_matrices(self, tmp_path, change):
        codes = np.array([[0, 1]], np.uint8)
        write_sparse(CompressedModel({"w": pack(CodedTensor(np.array([0, 1], np.float32), codes))}), tmp_path)
        path = tmp_path / "000-w.csr.npz"
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        np.savez(path, **{**arrays, **change})
        with pytest.raises(ValueError, match="(do not fit together|matrix format 'coo')"):
            read_sparse(tmp_path)


def test_a_second_export_replaces_the_first(tmp_path):
    write_sparse(odd_model(), tmp_path)
    (tmp_path / "notes.npy").write_bytes(b"not ours")
    paths = write_sparse(small_model(), tmp_path, ("csr",))
    assert set(tmp_path.iterdir()) == {*paths, tmp_path / "notes.npy"}
