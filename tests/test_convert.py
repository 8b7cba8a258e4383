import dataclasses
import re

import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import autograd, gluon  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.coding import CodedTensor, PackedTensor  # noqa: E402
from gluon_dc.nn import MaskedLayer, round_to_float16, weighted_layers  # noqa: E402
from gluon_dc.nn.walk import named_blocks  # noqa: E402
from nets import NETS, Tied, arrays_of, embedding, make  # noqa: E402


def parameters_on(net):
    return {name: parameter.list_ctx() for name, parameter in net._collect_params_with_prefix().items()}


def test_a_layer_by_hand():
    """Paper Fig. 3: a 4 x 4 weight shared by four centroids."""
    weight = np.float32([[2.09, -0.98, 1.48, 0.09], [0.05, -0.14, -1.08, 2.12],
                         [-0.91, 1.92, 0, -1.03], [1.87, 0, 1.53, 1.49]])
    net = gluon.nn.Dense(4, in_units=4, use_bias=False)
    net.initialize()
    net.weight.set_data(mx.nd.array(weight))
    coded = dc.quantize(net, 3, start="kmeans++")["weight"]
    assert isinstance(coded, CodedTensor) and coded.code_bits == 3
    np.testing.assert_array_equal(coded.mask, weight != 0)
    np.testing.assert_array_equal(net(mx.nd.eye(4)).asnumpy(), coded.decode().T)
    assert np.abs(coded.decode() - weight).max() < 0.2


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("sparsity", [None, 0.5, 0.93])
@pytest.mark.parametrize("hybridize", [False, True])
def test_every_net_goes_all_the_way_and_back(name, sparsity, hybridize, tmp_path):
    net, x = make(name, hybridize=hybridize)
    net(x)
    if sparsity:
        dc.prune(net, sparsity=sparsity)
    dc.quantize(net, 3)
    predicted = net(x).asnumpy()
    model = dc.compress(net)
    model.save(tmp_path / "net.gdc")
    loaded = dc.load(tmp_path / "net.gdc")
    plain, _ = make(name, seed=1, hybridize=hybridize)
    plain(x)
    assert dc.restore(loaded, plain) is plain
    np.testing.assert_array_equal(plain(x).asnumpy(), predicted)
    decoded, arrays = loaded.decode(), arrays_of(plain)
    assert set(decoded) <= set(arrays)
    for key in decoded:
        np.testing.assert_array_equal(decoded[key].view(np.uint32), arrays[key].view(np.uint32))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("sparsity", [0.5, 0.91])
def test_gradients_of_shared_nets_are_those_of_the_plain_net_summed_per_centroid(name, sparsity):
    net, x = make(name)
    dc.prune(net, sparsity=sparsity)
    dc.quantize(net, 2)
    plain = dc.restore(dc.compress(net), make(name)[0])
    for each in (net, plain):
        with autograd.record():
            loss = (each(x) ** 2).sum()
        loss.backward()
    dense = {name: parameter.grad().asnumpy()
             for name, parameter in plain._collect_params_with_prefix().items()
             if parameter.grad_req != "null"}
    for layer in weighted_layers(net):
        codes = layer.coded_tensor().codes.ravel()
        expected = np.bincount(codes, dense[layer.name].ravel(), minlength=layer.parameter.shape[0])
        found = layer.parameter.grad().asnumpy()
        np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_unwrap_gives_the_plain_net_back(name):
    net, x = make(name, hybridize=True)
    classes = [type(block) for _, block in named_blocks(net)]
    names = list(net._collect_params_with_prefix())
    parameter_names = sorted(net.collect_params().keys())
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, 3)
    predicted = net(x).asnumpy()
    assert dc.unwrap(net) is net
    assert [type(block) for _, block in named_blocks(net)] == classes
    assert list(net._collect_params_with_prefix()) == names
    assert sorted(net.collect_params().keys()) == parameter_names
    np.testing.assert_array_equal(net(x).asnumpy(), predicted)
    with autograd.record():
        loss = net(x).sum()
    loss.backward()


def test_quantize_runs_the_new_graph_of_a_hybridized_net():
    net, x = make("dense", hybridize=True)
    before = net(x).asnumpy()
    dc.quantize(net, 1)
    assert not np.array_equal(net(x).asnumpy(), before)


def test_sparse_layers_scatter_and_dense_ones_look_up():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(20, in_units=20), gluon.nn.Dense(20, in_units=20))
    net.initialize()
    dc.prune(net, sparsity={"0": 0.95, "1": 0.5})
    dc.quantize(net, 4)
    assert [type(block).__name__ for block in net] == ["ScatterDense", "LookupDense"]
    assert re.fullmatch(r"ScatterDense\(20 x 20, \d+ centroids, density 0.050\)", repr(net[0]))


def test_everything_pruned():
    net = gluon.nn.Dense(3, in_units=4)
    net.initialize()
    dc.prune(net, threshold=1e9)
    dc.quantize(net, 4)
    np.testing.assert_array_equal(net(mx.nd.ones((2, 4))).asnumpy(), np.zeros((2, 3)))
    np.testing.assert_array_equal(dc.compress(net).decode()["weight"], np.zeros((3, 4)))


def test_what_cannot_be_compressed_travels_losslessly():
    net, x = make("transposed")
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, 4)
    model = dc.compress(net)
    assert isinstance(model["0.weight"], PackedTensor)
    np.testing.assert_array_equal(model["1.weight"], net[1].weight.data().asnumpy())
    net, x = make("convolutional")
    with autograd.record():
        net(x)
    dc.quantize(net, 4)
    model = dc.compress(net)
    for part in ("gamma", "beta", "running_mean", "running_var"):
        np.testing.assert_array_equal(model["1.1." + part], getattr(net[1][1], part).data().asnumpy())
    assert list(model.names) == ["0.weight", "0.bias", "1.0.weight", "1.1.gamma", "1.1.beta",
                                 "1.1.running_mean", "1.1.running_var", "3.weight", "3.bias"]


def test_pruned_only_and_plain_nets_compress_losslessly():
    net, _ = make("dense")
    weights = arrays_of(net)
    for key, array in dc.compress(net).decode().items():
        np.testing.assert_array_equal(array, weights[key])
    dc.prune(net, sparsity=0.8)
    decoded = dc.compress(net).decode()
    assert np.count_nonzero(decoded["0.weight"]) == 10
    dc.restore(dc.loads(dc.compress(net).dumps()), make("dense")[0])


def test_shared_parameters_are_stored_once():
    net, _ = make("shared")
    dc.quantize(net, 3)
    assert list(dc.compress(net).names) == ["one.weight", "one.bias", "out.weight", "out.bias"]
    assert net.one.codebook is net.two.codebook


def test_embedding():
    net = embedding()
    net.initialize()
    tokens = mx.nd.array([1, 2, 9])
    dc.quantize(net, 4)
    predicted = net(tokens).asnumpy()
    np.testing.assert_array_equal(dc.unwrap(net)(tokens).asnumpy(), predicted)


def test_several_contexts():
    contexts = [mx.cpu(0), mx.cpu(1)]
    net, x = make("convolutional", ctx=contexts)
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, 3)
    assert all(found == contexts for found in parameters_on(net).values())
    first, second = (net(x.as_in_context(ctx)).asnumpy() for ctx in contexts)
    np.testing.assert_array_equal(first, second)
    plain, _ = make("convolutional", seed=1, ctx=contexts)
    dc.restore(dc.compress(net), plain)
    np.testing.assert_array_equal(plain(x.as_in_context(contexts[1])).asnumpy(), first)


def test_restore_into_a_net_that_is_not_initialized_or_has_deferred_shapes():
    net, x = make("dense")
    dc.quantize(net, 3)
    model = dc.compress(net)
    fresh = NETS["dense"][0]()
    deferred = gluon.nn.HybridSequential()
    deferred.add(gluon.nn.Dense(8, activation="relu"), gluon.nn.Dense(3))
    deferred.initialize()
    for plain in (fresh, deferred):
        dc.restore(model, plain, ctx=mx.cpu(1) if plain is fresh else None)
        ctx = plain[0].weight.list_ctx()[0]
        np.testing.assert_array_equal(plain(x.as_in_context(ctx)).asnumpy(), net(x).asnumpy())
    assert fresh[0].weight.list_ctx() == [mx.cpu(1)]


def test_restore_coded_goes_on_where_the_file_left_off():
    net, x = make("convolutional")
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, 3)
    again = dc.restore(dc.compress(net), make("convolutional", seed=1)[0], coded=True)
    np.testing.assert_array_equal(again(x).asnumpy(), net(x).asnumpy())
    assert dc.compress(again).dumps() == dc.compress(net).dumps()
    dc.CentroidTrainer(again.collect_params(), "sgd")


def test_equal_nets_give_equal_bytes():
    files = []
    for _ in range(2):
        net, _ = make("convolutional")
        dc.prune(net, sparsity=0.5)
        dc.quantize(net, 4, start="random", seed=3)
        files.append(dc.compress(net).dumps())
    assert files[0] == files[1]


def test_rel_bits_and_coder_are_the_callers_choice():
    net, _ = make("dense")
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, 4)
    model = dc.compress(net, coder="fixed", rel_bits={"0": 3, "*": None})
    assert model["0.weight"].coder == "fixed" and model["0.weight"].rel_bits == 3
    with pytest.raises(ValueError, match=r"rel_bits \(of shared layers\): pattern '7' matches no layer"):
        dc.compress(net, rel_bits={"7": 3})


def test_round_to_float16_halves_what_is_stored_as_floats():
    net, x = make("convolutional")
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, 3)
    before = dc.compress(net)
    after = dc.compress(round_to_float16(net))
    assert after.nbytes < before.nbytes
    for name, array in after.decode().items():
        np.testing.assert_array_equal(array, array.astype(np.float16).astype(np.float32))
        np.testing.assert_allclose(array, before.decode()[name], rtol=1e-3, atol=1e-6)
    dense, _ = make("dense")
    dc.quantize(dense, 3, gradient="dense")
    np.testing.assert_array_equal(dc.compress(round_to_float16(dense)).decode()["0.weight"],
                                  dense[0].weight.data().asnumpy())


def test_a_weight_tied_to_something_else_travels_losslessly():
    net = Tied()
    net.initialize(mx.init.Xavier())
    tokens = mx.nd.array([[0, 3, 6]])
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, 3)
    model, predicted = dc.compress(net), net(tokens).asnumpy()
    assert [name for name, tensor in model.items() if isinstance(tensor, PackedTensor)] == ["inner.weight"]
    plain = dc.restore(model, Tied())
    np.testing.assert_array_equal(plain(tokens).asnumpy(), predicted)


def test_only_float32_nets_are_compressed_and_restored_into():
    net, _ = make("dense")
    dc.quantize(net, 3)
    model = dc.compress(net)
    half, _ = make("dense")
    half.cast("float16")
    for verb in (lambda: dc.prune(half, sparsity=0.5), lambda: dc.quantize(half, 3)):
        with pytest.raises(ValueError, match=r"layer '0': its weight is float16, expected float32; call net.cast"):
            verb()
    with pytest.raises(ValueError, match="0.weight: the net's dtype is float16, the model's float32; restore first"):
        dc.restore(model, half)


def test_a_cast_there_and_back_leaves_codes_and_positions_alone():
    for sparsity in (0.5, 0.95):
        net = gluon.nn.Dense(100, in_units=100)
        net.initialize()
        dc.prune(net, sparsity=sparsity)
        codes = dc.quantize(net, 4)["weight"].codes
        net.cast("float16")
        net.cast("float32")
        np.testing.assert_array_equal(net.coded_tensor().codes, codes)


def test_batch_norm_statistics_of_several_contexts_are_averaged():
    net, _ = make("convolutional", ctx=[mx.cpu(0), mx.cpu(1)])
    for ctx, value in ((mx.cpu(0), 0.0), (mx.cpu(1), 1.0)):
        net[1][1].running_mean.data(ctx)[:] = value
    np.testing.assert_array_equal(dc.compress(net)["1.1.running_mean"], np.full(8, 0.5, np.float32))


def test_a_dense_shared_weight_that_something_else_wrote_is_refused():
    net, _ = make("dense")
    dc.quantize(net, 3, gradient="dense")
    dc.compress(net)
    net[0].weight.set_data(net[0].weight.data() + 1)
    with pytest.raises(ValueError, match="0.weight: the weight does not follow its codebook"):
        dc.compress(net)
    with pytest.raises(ValueError, match="restore needs a plain net"):
        dc.restore(dc.compress(make("dense")[0]), net)


def test_restore_coded_shares_transposed_convolutions_again():
    net, x = make("transposed")
    dc.quantize(net, 2, gradient="dense")
    again = dc.restore(dc.compress(net), make("transposed", seed=1)[0], coded=True)
    assert [layer.is_coded for layer in weighted_layers(again, transposed=True)] == [True, True]
    assert dc.compress(again).dumps() == dc.compress(net).dumps()


def test_rounding_leaves_what_float16_cannot_hold():
    net, _ = make("convolutional")
    dc.quantize(net, 2)
    net[1][1].running_var.set_data(mx.nd.full(8, 1e6))
    codebook = net[0].codebook.data().asnumpy() * 1e-9
    net[0].codebook.set_data(mx.nd.array(codebook))
    round_to_float16(net)
    assert (net[1][1].running_var.data().asnumpy() == 1e6).all()
    np.testing.assert_array_equal(net[0].codebook.data().asnumpy(), codebook)


@pytest.mark.parametrize("options, message", [
    ({"weights": {}}, r"weights: expected an array of shape \(8, 6\) for 0.weight, got nothing"),
    ({"weights": {"0.weight": [1], "1.weight": [1]}}, r"for 0.weight, got \(1,\)"),
    ({"gradient": "sum"}, 'gradient is "centroid" or "dense", got \'sum\''),
    ({"start": "middle"}, "unknown start 'middle'"),
])
def test_bad_options_of_quantize(options, message):
    with pytest.raises(ValueError, match=message):
        dc.quantize(make("dense")[0], 3, **options)


def test_bad_options_of_compress():
    with pytest.raises(ValueError, match="coder is one of huffman, fixed, context, got 'zip'"):
        dc.compress(make("dense")[0], coder="zip")
    with pytest.raises(ValueError, match=r"rel_bits \(of shared layers\): the net has no layer"):
        dc.compress(make("dense")[0], rel_bits=3)


def test_sparse_gradients_and_dense_sums_do_not_go_together():
    net = gluon.nn.Embedding(10, 4, sparse_grad=True)
    net.initialize()
    with pytest.raises(ValueError, match='weight has sparse gradients: share it with gradient="centroid"'):
        dc.quantize(net, 3, gradient="dense")


@pytest.mark.parametrize("bits, message", [
    (4.0, "got 4.0"), ("4", "got '4'"),
    (0, "bits of 0.weight must be a whole number in 1..8, got 0"),
    (9, "got 9"), (2.5, "got 2.5"),
    ({"fc*": 5}, "pattern 'fc\\*' matches no layer; the layers are 0.weight, 1.weight"),
])
def test_bad_bits(bits, message):
    with pytest.raises(ValueError, match=message):
        dc.quantize(make("dense")[0], bits)


def test_quantizing_twice_is_refused():
    net, _ = make("dense")
    dc.quantize(net, 3)
    with pytest.raises(ValueError, match="0.weight is already shared; gluon_dc.unwrap"):
        dc.quantize(net, 3)


def test_nan_is_refused_before_anything_changes():
    net, _ = make("dense")
    net[1].weight.set_data(mx.nd.full((3, 8), float("nan")))
    with pytest.raises(ValueError, match="1.weight: 24 of 24 values are NaN or infinite"):
        dc.quantize(net, 3)
    assert type(net[0]) is gluon.nn.Dense
    with pytest.raises(ValueError, match="1.weight: 24 of 24 values"):
        dc.compress(net)


def test_a_moved_entry_0_is_refused():
    net, _ = make("dense")
    dc.quantize(net, 3)
    net[0].codebook.set_data(net[0].codebook.data() + 1)
    with pytest.raises(ValueError, match="0.weight: entry 0 of the codebook must be 0.0, it is 1.0: "
                                         "train shared nets with gluon_dc.CentroidTrainer"):
        dc.compress(net)


def test_restore_refuses_other_architectures_and_leaves_the_net_as_it_was():
    net, _ = make("dense")
    dc.quantize(net, 3)
    model = dc.compress(net)
    wider = gluon.nn.HybridSequential()
    wider.add(gluon.nn.Dense(8, in_units=6), gluon.nn.Dense(4, in_units=8))
    wider.initialize()
    before = arrays_of(wider)
    with pytest.raises(ValueError, match=r"1.weight: the net's shape is \(4, 8\), the model's \(3, 8\)"):
        dc.restore(model, wider)
    for name, array in arrays_of(wider).items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(ValueError, match="the model lacks first.weight, first.bias, head.weight; "
                                         "the net lacks 0.weight, 0.bias, 1.weight, 1.bias"):
        dc.restore(model, make("attributes")[0])
    dc.prune(wider, sparsity=0.5)
    with pytest.raises(ValueError, match=r"restore needs a plain net; .*\(layer '0'\)"):
        dc.restore(model, wider)


def test_masks_travel_with_saved_parameters(tmp_path):
    net, x = make("dense")
    dc.prune(net, sparsity=0.5)
    net.save_parameters(str(tmp_path / "net.params"))
    again, _ = make("dense", seed=1)
    dc.prune(again, sparsity=0.0)
    again.load_parameters(str(tmp_path / "net.params"))
    assert isinstance(again[0], MaskedLayer)
    np.testing.assert_array_equal(again(x).asnumpy(), net(x).asnumpy())


@pytest.mark.parametrize("sparsity, name, wrong", [
    (0.0, "0.codes", 200), (0.95, "0.kept_codes", 200), (0.95, "0.positions", 10**6), (0.95, "0.positions", -1)])
def test_codes_outside_their_codebook_are_not_loaded(tmp_path, sparsity, name, wrong):
    net, x = make("dense")
    dc.prune(net, sparsity=sparsity)
    dc.quantize(net, 2)
    before, predicted = dc.compress(net), net(x).asnumpy()
    arrays = {key: parameter.data() for key, parameter in net._collect_params_with_prefix().items()}
    limit = (int(np.prod(net[0].weight_shape)) if name == "0.positions" else net[0].codebook.shape[0]) - 1
    arrays[name] = arrays[name].copy()
    arrays[name].reshape((-1,))[0:1] = wrong
    mx.nd.save(str(tmp_path / "net.params"), arrays)
    with pytest.raises(ValueError, match=rf"{name[2:]}: expected whole numbers in 0..{limit}, got .*; load a file of"):
        net.load_parameters(str(tmp_path / "net.params"))
    assert dc.compress(net).dumps() == before.dumps()
    np.testing.assert_array_equal(net(x).asnumpy(), predicted)


def test_floats_are_no_codes(tmp_path):
    net, _ = make("dense")
    dc.quantize(net, 2)
    arrays = {key: parameter.data() for key, parameter in net._collect_params_with_prefix().items()}
    arrays["0.codes"] = arrays["0.codes"].astype("float32") > 0
    mx.nd.save(str(tmp_path / "net.params"), arrays)
    with pytest.raises(AssertionError, match="dtype"):
        net.load_parameters(str(tmp_path / "net.params"), cast_dtype=True)


def test_codes_that_were_written_past_the_check_are_not_compressed():
    net, _ = make("dense")
    dc.quantize(net, 2)
    net[0].codes.data()[0, 0] = 200
    with pytest.raises(ValueError, match="0.weight: largest code is 200, but the codebook has 4 entries"):
        dc.compress(net)


def test_restore_puts_the_same_bits_into_every_context_and_keeps_trainers_in_step():
    contexts = [mx.cpu(0), mx.cpu(1)]
    net, x = make("dense")
    dc.quantize(net, 3)
    model = dc.compress(net)
    plain, _ = make("dense", seed=1, ctx=contexts)
    trainer = gluon.Trainer(plain.collect_params(), "sgd", {"learning_rate": 0.0}, update_on_kvstore=True)
    for restored in (False, True):
        if restored:
            dc.restore(model, plain)
        with autograd.record():
            losses = [plain(x.as_in_context(ctx)).sum() for ctx in contexts]
        autograd.backward(losses)
        trainer.step(1)  # a rate of 0: what it brings back from the kvstore is what was restored
    for ctx in contexts:
        np.testing.assert_array_equal(plain[0].weight.data(ctx).asnumpy(), model.decode()["0.weight"])


def test_a_tensor_that_does_not_decode_leaves_the_net_as_it_was():
    net, _ = make("dense")
    dc.quantize(net, 3)
    good = dc.compress(net)
    packed = good["1.weight"]
    bad = dataclasses.replace(packed, code_stream=bytes(len(packed.code_stream) - 1) + b"\xff",
                              code_lengths=np.uint8([1, 2, 3, 4, 5, 6, 7, 7])[:packed.codebook.size])
    model = dc.CompressedModel({**dict(good.items()), "1.weight": bad})
    plain, _ = make("dense", seed=1)
    before = arrays_of(plain)
    with pytest.raises(dc.FormatError, match="tensor '1.weight', code stream"):
        dc.restore(model, plain)
    for name, array in arrays_of(plain).items():
        np.testing.assert_array_equal(array, before[name])
