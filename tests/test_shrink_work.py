"""What `shrink` keeps beside its file."""
import numpy as np
import pytest

from gluon_dc.coding import CodedTensor
from gluon_dc.data import half
from gluon_dc.data.images import from_arrays
from gluon_dc.nn.error_feedback import GridShared
from gluon_dc.training import shrink_work
from gluon_dc.training.shrink_work import images_digest, layer_arrays, layers_of, read_work, work_path, write_work


def images_of(*values):
    return from_arrays([np.full((2, 3, 3), value, np.uint8) for value in values], [0] * len(values), ("only",))


class TestDigest:
    def test_contents_and_order_alone(self):
        digest = images_digest([images_of(1, 2), images_of(3)])
        assert len(digest) == 64 and digest == images_digest([images_of(1, 2), images_of(3)])
        others = ([images_of(1, 2), images_of(4)], [images_of(2, 1), images_of(3)], [images_of(1, 2, 3)],
                  [images_of(1), images_of(2, 3)], [images_of(1, 2)])
        assert len({digest, *map(images_digest, others)}) == 6

    def test_not_by_what_a_set_is_called(self):
        images = images_of(1, 2, 3)
        assert images_digest([half(images, "first")]) == images_digest([images_of(1, 3)])

    def test_of_many_bytes_the_ends_alone(self, monkeypatch):
        monkeypatch.setattr(shrink_work, "READ_NBYTES", 10)
        monkeypatch.setattr(shrink_work, "ENDS_NBYTES", 4)
        arrays = [np.zeros((2, 3, 3), np.uint8) for _ in range(3)]
        arrays[1][1, 0, 0], arrays[2][0, 0, 0] = 9, 9  # in the middle; at the beginning
        one, middle, beginning = (images_digest([from_arrays([array], [0], ("only",))]) for array in arrays)
        assert one == middle != beginning


class TestWork:
    def test_comes_back(self, tmp_path):
        path = work_path(tmp_path / "small.gdc", "layers")
        assert path.name == "small.layers.npz" and read_work(path, {"a": 1}) is None
        write_work(path, {"a": 1}, {"x": np.arange(3)})
        assert read_work(path, {"a": 1})["x"].tolist() == [0, 1, 2]
        assert read_work(path, {"a": 2}) is None

    @pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
    def test_damaged(self, tmp_path, content):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npz: is no work of an earlier run \(.*\): remove it"):
            read_work(tmp_path / "a.npz", {})

    def test_without_an_identity(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=np.arange(3))
        with pytest.raises(ValueError, match="is no work of an earlier run"):
            read_work(tmp_path / "a.npz", {})

    @pytest.mark.parametrize("bias", [None, np.float32([0.5, 0])])
    def test_layers(self, bias):
        coded = CodedTensor(np.float32([0, -1, 1]), np.uint8([[0, 1], [2, 0]]))
        arrays = layer_arrays("a", GridShared(coded, bias, 1.0, 0.25, 12.5))
        found = layers_of(arrays, ["a", "b"])
        assert list(found) == ["a"] and found["a"].coded == coded
        assert (found["a"].step, found["a"].loss_nats, found["a"].bits) == (1.0, 0.25, 12.5)
        assert (found["a"].bias is None) if bias is None else np.array_equal(found["a"].bias, bias)
