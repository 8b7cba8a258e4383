import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import autograd, gluon  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.nn import adam_saliency, load_states, save_states  # noqa: E402
from nets import make  # noqa: E402


def trainer_of(name="dense", optimizer="adam"):
    net, x = make(name)
    return net, x, gluon.Trainer(net.collect_params(), optimizer)


def step(net, x, trainer):
    with autograd.record():
        loss = (net(x) ** 2).sum()
    loss.backward()
    trainer.step(1)


def test_the_file_holds_arrays_only_and_what_it_says(tmp_path):
    net, x, trainer = trainer_of()
    step(net, x, trainer)
    step(net, x, trainer)
    save_states(trainer, tmp_path / "states.npz")
    with np.load(tmp_path / "states.npz", allow_pickle=False) as saved:
        assert str(saved["optimizer"]) == "Adam"
        np.testing.assert_array_equal(saved["counts"], [2, 2, 2, 2])
        mean, variance = trainer._updaters[0].states[0]
        np.testing.assert_array_equal(saved["state.0.0"], mean.asnumpy())
        np.testing.assert_array_equal(saved["state.0.1"], variance.asnumpy())


def test_states_of_something_else_are_refused(tmp_path):
    net, x, trainer = trainer_of()
    step(net, x, trainer)
    save_states(trainer, tmp_path / "states.npz")
    with pytest.raises(ValueError, match="states of the optimizer Adam, this Trainer has SGD"):
        load_states(trainer_of(optimizer="sgd")[2], tmp_path / "states.npz")
    with pytest.raises(ValueError, match="states of 4 parameters, this Trainer has 3"):
        load_states(trainer_of("attributes")[2], tmp_path / "states.npz")


def test_states_of_other_shapes_are_refused(tmp_path):
    net, x, trainer = trainer_of("depthwise")
    step(net, x, trainer)
    save_states(trainer, tmp_path / "states.npz")
    with pytest.raises(ValueError, match=r"expected shape \(.*\), got \("):
        load_states(trainer_of("dense")[2], tmp_path / "states.npz")


def test_states_before_the_first_step(tmp_path):
    _, _, trainer = trainer_of()
    save_states(trainer, tmp_path / "states.npz")
    net, x, other = trainer_of()
    load_states(other, tmp_path / "states.npz")
    step(net, x, other)


def two_contexts(**options):
    net, x = make("dense", ctx=[mx.cpu(0), mx.cpu(1)])
    return net, x, gluon.Trainer(net.collect_params(), "adam", **options)


def step_on_both(net, x, trainer):
    with autograd.record():
        losses = [(net(x.as_in_context(ctx)) ** 2).sum() for ctx in (mx.cpu(0), mx.cpu(1))]
    autograd.backward(losses)
    trainer.step(1)


def test_a_trainer_that_updates_on_its_kvstore_is_refused_rather_than_saved_empty(tmp_path):
    net, x, trainer = two_contexts()
    step_on_both(net, x, trainer)
    message = "this Trainer updates on its kvstore.*create it with update_on_kvstore=False"
    with pytest.raises(ValueError, match=message):
        save_states(trainer, tmp_path / "states.npz")
    with pytest.raises(ValueError, match=message):
        adam_saliency(net, trainer)


def test_two_contexts_go_on_exactly(tmp_path):
    runs = []
    for resumed in (False, True):
        net, x, trainer = two_contexts(update_on_kvstore=False)
        step_on_both(net, x, trainer)
        if resumed:
            save_states(trainer, tmp_path / "states.npz")
            trainer = gluon.Trainer(net.collect_params(), "adam", update_on_kvstore=False)
            load_states(trainer, tmp_path / "states.npz")
        step_on_both(net, x, trainer)
        runs.append(net(x.as_in_context(mx.cpu(1))).asnumpy())
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("update_on_kvstore", [True, False])
def test_pruning_again_does_not_make_a_trainer_forget_its_momentum(update_on_kvstore):
    moved = []
    for prune_again in (False, True):
        net, x = make("dense", ctx=[mx.cpu(0), mx.cpu(1)])
        dc.prune(net, sparsity=0.5)
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"momentum": 0.9},
                                update_on_kvstore=update_on_kvstore)
        for number in range(4):
            if prune_again and number == 3:
                dc.prune(net, sparsity=0.5)
            step_on_both(net, x, trainer)
        moved.append(net(x.as_in_context(mx.cpu(0))).asnumpy())
    np.testing.assert_array_equal(*moved)
