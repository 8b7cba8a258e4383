import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dc.coding import CodedTensor, FormatError, context_mix
from gluon_dc.coding.context import EFFORTS, decode_codes, encode_codes

both_efforts = pytest.mark.parametrize("effort", EFFORTS)


def tensor(shape, density, k, seed=0, positive=False):
    random = np.random.default_rng(seed)
    values = np.round(random.standard_normal(k - 1).astype(np.float32), 3)
    codebook = np.concatenate([np.zeros(1, np.float32), np.abs(values) if positive else values])
    codes = random.integers(1, k, shape) * (random.random(shape) < density) if k > 1 else np.zeros(shape)
    return CodedTensor(codebook, np.asarray(codes, np.uint8).reshape(shape))


def specs_of(tensors):
    return [(item.codes.shape, item.codebook) for item in tensors]


def assert_round_trip(tensors, effort):
    stream = encode_codes(tensors, effort)
    decoded = decode_codes(stream, specs_of(tensors), effort)
    assert len(decoded) == len(tensors)
    for item, codes in zip(tensors, decoded):
        assert codes.dtype == np.uint8 and codes.shape == item.codes.shape and np.array_equal(codes, item.codes)
    return stream


MANY = [((5, 3, 3, 3), 0.3, 9), ((0, 4), 0.3, 9), ((10,), 0.5, 4), ((300, 20), 0.02, 256), ((7,), 0, 3), ((4, 4), 0, 1),
        ((), 1, 2), ((10, 784), 0.1, 5), ((5000,), 0.3, 5), ((3, 4, 2, 3, 3), 0.3, 200), ((6, 3, 5), 0.9, 2),
        ((1, 1), 1, 2), ((5, 192), 0.5, 3), ((1, 2, 1, 2, 1, 2, 1, 2), 0.5, 3), ((9, 64, 1, 1), 1, 17)]


@both_efforts
def test_one_stream_for_many_shapes(effort):
    tensors = [tensor(shape, density, k, seed) for seed, (shape, density, k) in enumerate(MANY)]
    stream = assert_round_trip(tensors, effort)
    assert encode_codes(tensors, effort) == stream
    # What one tensor taught helps the next.
    alike = [tensor((30, 40), 0.1, 9, seed) for seed in (1, 2)]
    assert len(assert_round_trip(alike, effort)) < sum(len(encode_codes([item], effort)) for item in alike)


@both_efforts
def test_what_costs_nothing(effort):
    assert assert_round_trip([], effort) == b""
    assert assert_round_trip([tensor((3, 0), 0, 5), tensor((1000, 1000), 0, 1)], effort) == b""
    # An all-zero tensor is one decision.
    assert len(assert_round_trip([tensor((2000, 1000), 0, 5)] * 8, effort)) <= 5


@both_efforts
def test_a_constant_tensor_and_a_single_weight(effort):
    full = CodedTensor(np.array([0, 1, 2], np.float32), np.full((60, 50), 2, np.uint8))
    assert len(assert_round_trip([full], effort)) < 40
    lone = np.zeros((200, 300), np.uint8)
    lone[150, 77] = 1
    assert len(assert_round_trip([CodedTensor(np.array([0, -1], np.float32), lone)], effort)) < 60


@both_efforts
def test_codes_may_be_numbered_in_any_order(effort):
    plain = tensor((40, 30), 0.3, 12, positive=False)
    order = np.concatenate([[0], 1 + np.random.default_rng(3).permutation(11)])
    codebook = np.zeros(12, np.float32)
    codebook[order] = plain.codebook
    shuffled = CodedTensor(codebook, order[plain.codes].astype(np.uint8))
    assert assert_round_trip([plain], effort) == assert_round_trip([shuffled], effort)


@both_efforts
@pytest.mark.parametrize("values", [[0, 0, -0.0, 0], [0, 1e-45, -1e-45], [0, 3.4e38, -3.4e38, 1e-38], [0, 5, 5, 5]])
def test_odd_codebooks(effort, values):
    codes = np.random.default_rng(0).integers(0, len(values), (20, 30)).astype(np.uint8)
    assert_round_trip([SimpleNamespace(codes=codes, codebook=np.array(values, np.float32))], effort)


def test_best_is_smaller_and_finds_images():
    # Kept weights in a blob of every row's 28 x 28 image.
    random = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28]
    masks = [np.hypot(y - cy, x - cx) < 4 for cy, cx in random.integers(6, 22, (60, 2))]
    codes = np.array([mask * random.integers(1, 4, mask.shape) for mask in masks], np.uint8).reshape(60, 784)
    codebook = np.array([0, -1, 1, 2], np.float32)
    image = assert_round_trip([CodedTensor(codebook, codes)], "best")
    shuffled = assert_round_trip([CodedTensor(codebook, codes[:, random.permutation(784)])], "best")
    assert len(image) < 0.75 * len(shuffled)
    assert len(image) < 0.9 * len(encode_codes([CodedTensor(codebook, codes)], "fast"))


def test_dead_units_cost_little_in_the_next_layer():
    # Rows 20 to 299 of the first layer are zero; so are these columns of the second.
    random = np.random.default_rng(0)
    first, second = np.zeros((300, 50), np.uint8), np.zeros((40, 300), np.uint8)
    first[:20], second[:, :20] = random.integers(0, 3, (20, 50)), random.integers(0, 3, (40, 20))
    codebook = np.array([0, -1, 1], np.float32)
    together = [CodedTensor(codebook, first), CodedTensor(codebook, second)]
    dense = [CodedTensor(codebook, first[:20].copy()), CodedTensor(codebook, second[:, :20].copy())]
    assert len(assert_round_trip(together, "best")) <= len(assert_round_trip(dense, "best")) + 25


@both_efforts
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_round_trip_of_anything(effort, data):
    tensors = [tensor(tuple(data.draw(st.lists(st.integers(0, 6), max_size=5))), data.draw(st.floats(0, 1)),
                      data.draw(st.integers(1, 256)), data.draw(st.integers(0, 99)))
               for _ in range(data.draw(st.integers(0, 4)))]
    assert_round_trip(tensors, effort)


@both_efforts
def test_only_the_stream_itself_is_accepted(effort):
    tensors = [tensor((12, 16), 0.3, 6), tensor((12,), 0.5, 3)]
    stream, specs = encode_codes(tensors, effort), specs_of(tensors)
    for other in (stream + b"\0", stream + b"\1", b"", stream[:len(stream) // 2], stream + bytes(100)):
        with pytest.raises(FormatError, match="context-coded stream"):
            decode_codes(other, specs, effort)
    # A changed bit gives other codes or an error, never a second stream of the same codes.
    for bit in range(8 * len(stream)):
        changed = bytearray(stream)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = decode_codes(bytes(changed), specs, effort)
        except FormatError:
            continue
        again = [SimpleNamespace(codes=codes, codebook=item.codebook) for codes, item in zip(found, tensors)]
        assert any(not np.array_equal(codes, item.codes) for codes, item in zip(found, tensors))
        if effort == "fast":
            assert encode_codes(again, effort) == changed


@both_efforts
@settings(max_examples=40, deadline=None)
@given(stream=st.binary(max_size=200), shape=st.lists(st.integers(0, 20), max_size=4), k=st.integers(1, 20))
def test_random_bytes(effort, stream, shape, k):
    codebook = tensor((1,), 1, k).codebook
    try:
        codes, = decode_codes(stream, [(shape, codebook)], effort)
    except FormatError:
        return
    assert codes.shape == tuple(shape) and (codes < k).all()


@both_efforts
def test_a_short_stream_for_a_large_tensor_ends_soon(effort):
    with pytest.raises(FormatError):
        decode_codes(bytes(range(1, 60)), [((20000, 1000), tensor((1,), 1, 9).codebook)], effort)


def test_errors():
    good = tensor((2, 3), 1, 4)
    with pytest.raises(ValueError, match="unknown effort 'slow', expected one of fast, best"):
        encode_codes([good], "slow")
    with pytest.raises(ValueError, match="code 3 is outside a codebook of 2 entries"):
        encode_codes([SimpleNamespace(codes=np.full(3, 3, np.uint8), codebook=np.array([0, 1], np.float32))], "fast")
    with pytest.raises(TypeError, match="uint8"):
        encode_codes([SimpleNamespace(codes=np.zeros(3, np.int64), codebook=good.codebook)], "best")
    for codebook in (np.zeros(0), np.zeros(257), np.zeros((2, 2)), np.array([0, np.nan])):
        with pytest.raises(ValueError, match="1 to 256 finite entries"):
            decode_codes(b"", [((3,), codebook)], "best")
    with pytest.raises(ValueError, match="up to 8 dimensions, none negative"):
        decode_codes(b"", [((-1,), good.codebook)], "fast")
    with pytest.raises(ValueError, match="up to 8 dimensions, none negative"):
        decode_codes(b"", [((1,) * 9, good.codebook)], "fast")


def test_copies_of_models_share_tables_and_nothing_that_learns():
    models = context_mix.new_models()
    copied = context_mix.copy_of(models)
    for one, other in ((models, copied), (models.flags, copied.flags), (models.values, copied.values)):
        for name, array in one._asdict().items():
            if isinstance(array, np.ndarray):
                same = getattr(other, name)
                assert np.array_equal(array, same) and array.flags.writeable == same.flags.writeable, name
                assert np.shares_memory(array, same) != array.flags.writeable, name
    assert copied.flags.weights.flags.writeable and not copied.flags.stretch.flags.writeable


def test_streams_never_change():
    # The models are part of the format: whoever changes these hashes changes files that exist.
    tensors = [tensor(shape, density, k, seed) for seed, (shape, density, k) in enumerate(MANY)]
    hashes = {effort: hashlib.sha256(encode_codes(tensors, effort)).hexdigest()[:16] for effort in EFFORTS}
    assert hashes == {"fast": "5d402077c77f58ec", "best": "d11a66385e34d0c0"}
