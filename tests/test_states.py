import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import autograd, gluon  # noqa: E402

from gluon_dc.nn import load_states, save_states  # noqa: E402
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
