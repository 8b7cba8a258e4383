import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import autograd, gluon  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.coding import CodedTensor  # noqa: E402
from gluon_dc.nn import weighted_layers  # noqa: E402
from gluon_dc.nn.layers import set_coded  # noqa: E402
from nets import make  # noqa: E402

# Paper Fig. 3: codes, centroids and gradient of a 4 x 4 weight; its centroid 3:2.00, 2:1.50,
# 1:0.00, 0:-1.00. Entry 0 is the locked 0.0 here, so the figure's four become entries 1 to 4.
CODES = np.uint8([[3, 0, 2, 1], [1, 1, 0, 3], [0, 3, 1, 0], [3, 1, 2, 2]]) + 1
CENTROIDS = np.float32([0, -1.00, 0.00, 1.50, 2.00])
GRADIENT = np.float32([[-0.03, -0.01, 0.03, 0.02], [-0.01, 0.01, -0.02, 0.12],
                       [-0.01, 0.02, 0.04, 0.01], [-0.07, -0.02, 0.01, -0.02]])
SUMMED = np.float32([0, -0.03, 0.04, 0.02, 0.04])
FINE_TUNED = np.float32([0, -0.97, -0.04, 1.48, 1.96])


def figure_3(gradient="centroid", ctx=None):
    net = gluon.nn.Dense(4, in_units=4, use_bias=False)
    net.initialize(ctx=ctx)
    set_coded(weighted_layers(net)[0], CodedTensor(CENTROIDS, CODES), gradient)
    return net


def backward_figure_3(net):
    """With x = I the output is the weight transposed, so its gradient is the weight's."""
    losses = []
    with autograd.record():
        for ctx in weighted_layers(net)[0].parameter.list_ctx():
            output = net(mx.nd.eye(4, ctx=ctx))
            losses.append((output * mx.nd.array(GRADIENT.T, ctx=ctx)).sum())
    autograd.backward(losses)


def codebook_of(net):
    return weighted_layers(net)[0].coded_tensor().codebook


@pytest.mark.parametrize("gradient", ["centroid", "dense"])
def test_figure_3_of_the_paper(gradient):
    net = figure_3(gradient)
    trainer = dc.CentroidTrainer(net.collect_params(), "sgd", {"learning_rate": 1.0})
    backward_figure_3(net)
    trainer.step(1)
    np.testing.assert_allclose(trainer._params[0].grad().asnumpy(), SUMMED, atol=1e-6)
    np.testing.assert_allclose(codebook_of(net), FINE_TUNED, atol=1e-6)


@pytest.mark.parametrize("gradient", ["centroid", "dense"])
def test_momentum_by_hand(gradient):
    net = figure_3(gradient)
    trainer = dc.CentroidTrainer(net.collect_params(), "sgd", {"learning_rate": 1.0, "momentum": 0.5})
    for moved in (1, 1 + 1.5, 1 + 1.5 + 1.75):
        backward_figure_3(net)
        trainer.step(1)
        np.testing.assert_allclose(codebook_of(net), CENTROIDS - moved * SUMMED, atol=1e-5)


@pytest.mark.parametrize("gradient", ["centroid", "dense"])
def test_two_contexts_sum_their_gradients_and_stay_equal(gradient):
    contexts = [mx.cpu(0), mx.cpu(1)]
    net = figure_3(gradient, contexts)
    trainer = dc.CentroidTrainer(net.collect_params(), "sgd", {"learning_rate": 1.0})
    for _ in range(2):
        backward_figure_3(net)
        trainer.step(2)
    first, second = (trainer._params[0].data(ctx).asnumpy() for ctx in contexts)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, CENTROIDS - 2 * SUMMED, atol=1e-5)
    if gradient == "dense":
        for ctx in contexts:
            np.testing.assert_array_equal(net.weight.data(ctx).asnumpy(), first[CODES])


@pytest.mark.parametrize("optimizer, options", [
    ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01}), ("sgld", {}),
    ("adam", {"learning_rate": 0.01, "wd": 0.01}), ("nag", {"momentum": 0.9}), ("rmsprop", {}),
])
@pytest.mark.parametrize("sparsity", [0.5, 0.95])
@pytest.mark.parametrize("gradient", ["centroid", "dense"])
def test_entry_0_is_locked_and_pruned_weights_stay_zero(optimizer, options, sparsity, gradient):
    mx.random.seed(0)
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(20, in_units=10), gluon.nn.Dense(5, in_units=20))
    net.initialize(mx.init.Xavier())
    net.hybridize()
    dc.prune(net, sparsity=sparsity)
    zeros = [~layer.mask() for layer in weighted_layers(net)]
    dc.quantize(net, 4, gradient=gradient)
    before = [layer.coded_tensor() for layer in weighted_layers(net)]
    trainer = dc.CentroidTrainer(net.collect_params(), optimizer, options)
    x = mx.nd.random.normal(shape=(16, 10))
    for _ in range(5):
        with autograd.record():
            loss = ((net(x) - 1) ** 2).sum()
        loss.backward()
        trainer.step(16)
    for layer, coded, pruned in zip(weighted_layers(net), before, zeros):
        after = layer.coded_tensor()
        assert after.codebook[0] == 0 and not after.decode()[pruned].any()
        np.testing.assert_array_equal(after.codes, coded.codes)
        assert not np.array_equal(after.codebook[1:], coded.codebook[1:])


def test_training_moves_the_loss_down_and_what_is_not_shared_trains_too():
    net, x = make("convolutional", hybridize=True)
    dc.prune(net, sparsity=0.5)
    dc.quantize(net, 4)
    trainer = dc.CentroidTrainer(net.collect_params(), "adam", {"learning_rate": 0.01})
    bias = net[0].bias.data().copy().asnumpy()
    losses = []
    for _ in range(30):
        with autograd.record():
            loss = ((net(x) - 1) ** 2).mean()
        loss.backward()
        trainer.step(1)
        losses.append(float(loss.asscalar()))
    assert losses[-1] < 0.5 * losses[0]
    assert not np.array_equal(net[0].bias.data().asnumpy(), bias)


def test_transposed_convolutions_are_shared_with_a_dense_gradient():
    net, x = make("transposed")
    dc.quantize(net, 2, gradient="dense")
    trainer = dc.CentroidTrainer(net.collect_params(), "sgd", {"learning_rate": 0.01})
    before = net[1].weight.data().asnumpy()
    with autograd.record():
        loss = (net(x) ** 2).sum()
    loss.backward()
    trainer.step(1)
    after = net[1].weight.data().asnumpy()
    assert len(np.unique(after)) <= 3 and not np.array_equal(after, before)
    assert "1.weight" in dc.compress(net).names


def test_multipliers_of_a_dense_shared_weight_hold():
    net = figure_3("dense")
    net.collect_params().setattr("lr_mult", 0.0)
    trainer = dc.CentroidTrainer(net.collect_params(), "sgd", {"learning_rate": 1.0})
    backward_figure_3(net)
    trainer.step(1)
    np.testing.assert_array_equal(codebook_of(net), CENTROIDS)


def test_a_dense_shared_net_moves_to_other_contexts():
    net = figure_3("dense")
    net.collect_params().reset_ctx([mx.cpu(0), mx.cpu(1)])
    trainer = dc.CentroidTrainer(net.collect_params(), "sgd", {"learning_rate": 1.0})
    backward_figure_3(net)
    trainer.step(2)
    np.testing.assert_allclose(codebook_of(net), CENTROIDS - SUMMED, atol=1e-5)


def test_a_step_without_backward_is_refused_as_by_gluon():
    for gradient in ("centroid", "dense"):
        net = figure_3(gradient)
        trainer = dc.CentroidTrainer(net.collect_params(), "sgd")
        backward_figure_3(net)
        trainer.step(1)
        with pytest.raises(UserWarning, match="has not been updated by backward"):
            trainer.step(1)


@pytest.mark.parametrize("optimizer, options", [
    ("sgd", {"learning_rate": 0.1, "momentum": 0.9}), ("adam", {"learning_rate": 0.1})])
@pytest.mark.parametrize("gradient", ["centroid", "dense"])
def test_saved_states_go_on_exactly(optimizer, options, gradient, tmp_path):
    contexts = [mx.cpu(0), mx.cpu(1)]
    net = figure_3(gradient, contexts)
    trainer = dc.CentroidTrainer(net.collect_params(), optimizer, options)
    backward_figure_3(net)
    trainer.step(1)
    trainer.save_states(str(tmp_path / "states.npz"))
    resumed = dc.restore(dc.compress(net), gluon.nn.Dense(4, in_units=4, use_bias=False), contexts)
    set_coded(weighted_layers(resumed)[0], weighted_layers(net)[0].coded_tensor(), gradient)
    other = dc.CentroidTrainer(resumed.collect_params(), optimizer, options)
    other.load_states(str(tmp_path / "states.npz"))
    for each, its_trainer in ((net, trainer), (resumed, other)):
        for _ in range(3):
            backward_figure_3(each)
            its_trainer.step(1)
    np.testing.assert_array_equal(codebook_of(net), codebook_of(resumed))


def test_the_order_of_parameters_does_not_depend_on_how_many_layers_the_process_has_made():
    orders = []
    for numbers in ((8, 9), (99, 100)):
        net = gluon.nn.HybridSequential()
        net.add(*(gluon.nn.Dense(units, in_units=6, prefix=f"dense{number}_")
                  for units, number in zip((6, 5), numbers)))
        net.initialize()
        dc.quantize(net, 2)
        trainer = dc.CentroidTrainer(net.collect_params(), "adam")
        orders.append([parameter.shape for parameter in trainer._params])
    assert orders[0] == orders[1] and sorted(orders[0]) == [(4,), (4,), (5,), (6,)]


def test_bad_arguments():
    net, _ = make("dense")
    with pytest.raises(ValueError, match="no codebook among the parameters .*: call gluon_dc.quantize"):
        dc.CentroidTrainer(net.collect_params(), "sgd")
    with pytest.raises(ValueError, match="params is a ParameterDict.*; got HybridSequential"):
        dc.CentroidTrainer(net, "sgd")
    with pytest.raises(ValueError, match="leave update_on_kvstore unset"):
        dc.CentroidTrainer(figure_3().collect_params(), "sgd", update_on_kvstore=True)
    with pytest.raises(ValueError, match="kvstore=None with 2 contexts"):
        dc.CentroidTrainer(figure_3(ctx=[mx.cpu(0), mx.cpu(1)]).collect_params(), "sgd", kvstore=None)
