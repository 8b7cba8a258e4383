import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mxnet")

from gluon_dc.coding import CompressedModel, PackedTensor, loads  # noqa: E402
from gluon_dc.training.kept_values import with_index, without_index  # noqa: E402


def float32(values):
    return np.array(values, np.float32)


def test_by_hand():
    model = CompressedModel({"weight": float32([[0, 1.5, 0], [-2.5, 0, 0]]), "bias": float32([0, 3])},
                            metadata={"a": 1})
    indexed = with_index(model)
    assert indexed.names == ("weight", "weight.kept", "bias") and indexed.metadata == {"a": 1}
    assert indexed["weight"].shape == (2, 3) and indexed["weight"].codebook.tolist() == [0, 1]
    assert indexed["weight.kept"].tolist() == [1.5, -2.5]
    back = without_index(loads(indexed.dumps()))
    assert back.names == ("weight", "bias")
    assert back["weight"].tolist() == [[0, 1.5, 0], [-2.5, 0, 0]]


def test_what_has_no_zeros_or_is_no_float32_matrix_stays():
    arrays = {"full": float32([[1, 2]]), "vector": float32([0, 1]), "integers": np.zeros((2, 2), np.int32)}
    indexed = with_index(CompressedModel(arrays))
    assert not any(isinstance(tensor, PackedTensor) for _, tensor in indexed.items())
    assert indexed.names == without_index(indexed).names == tuple(arrays)


def test_at_3_percent_the_index_takes_less_than_the_bitmap():
    """A gap costs about log2(1/0.03) + 1.4 bits where the bitmap spends 33 a kept weight."""
    weight = np.random.default_rng(0).normal(size=(100, 1000)).astype(np.float32)
    weight[np.random.default_rng(1).random(weight.shape) > 0.03] = 0
    model = CompressedModel({"weight": weight})
    kept = np.count_nonzero(weight)
    assert model.nbytes == pytest.approx(100_000 / 8 + 4 * kept, abs=100)
    # One bit more: that of the code, which says no more than that this entry is no filler.
    assert 4 * kept + 6 * kept / 8 < with_index(model).nbytes < 4 * kept + 8 * kept / 8 + 100


@given(st.lists(st.sampled_from([0.0, 1.0, -3.5, 1e-30]), max_size=40), st.integers(1, 4))
def test_it_comes_back(values, rows):
    weight = float32(values * rows).reshape(rows, -1)
    back = without_index(loads(with_index(CompressedModel({"w": weight})).dumps()))
    assert back["w"].tobytes() == weight.tobytes() and back["w"].shape == weight.shape


def test_another_number_of_values_is_an_error():
    indexed = with_index(CompressedModel({"w": float32([[0, 1, 2]])}))
    wrong = CompressedModel({**dict(indexed.items()), "w.kept": float32([1])})
    with pytest.raises(ValueError, match="w: 2 weights are kept, but there are 1 values"):
        without_index(wrong)
