import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

from gluon_dc.data import Dataset  # noqa: E402
from gluon_dc.training import settings_for  # noqa: E402
from gluon_dc.training.mnist_task import MnistTask  # noqa: E402


def images(n, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(256, size=(n, 1, 28, 28)).astype(np.uint8), rng.integers(10, size=n).astype(np.uint8)


def task(**given):
    data = Dataset("noise", *images(50, 0), *images(10, 1), *images(20, 2), source="made here", note="noise")
    return MnistTask(settings_for("lenet-300-100", **{"batch_size": 16, **given}), data)


def test_pruning_is_spread_over_its_share_of_the_training():
    """By hand: three prunings within 60 of 100 steps, each after its third has been trained."""
    assert task(prune_steps=3, prune_share=0.6).pruning_steps(100) == {20: 0, 40: 1, 60: 2}
    assert task(prune_steps=3, prune_share=0.0).pruning_steps(100) == {1: 2}


def test_one_shot_leaves_all_the_retraining_behind_it():
    one = task(schedule="one-shot", sparsity=0.5)
    assert one.pruning_steps(100) == {1: 0} and one.sparsity_at(0) == 0.5


def test_sparsity_follows_the_schedule():
    one = task(schedule="iterative", prune_steps=2, sparsity={"0": 0.75, "1": None, "2": 0.0}, scope="layer")
    assert one.sparsity_at(0) == {"0": 0.5, "1": None, "2": 0.0}
    assert one.sparsity_at(1) == {"0": 0.75, "1": None, "2": 0.0}


def test_batches_are_repeatable_and_differ_between_epochs_and_stages():
    one = task()
    assert one.steps_per_epoch == 3

    def first(stage, epoch):
        return next(one.batches(stage, epoch))[0].asnumpy()

    np.testing.assert_array_equal(first("dense", 0), first("dense", 0))
    assert (first("dense", 0) != first("dense", 1)).any() and (first("dense", 0) != first("pruned", 0)).any()


def test_start_nets_of_one_seed_are_equal():
    weights = [task(seed=seed).start_net()[0].weight.data().asnumpy() for seed in (0, 0, 1)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


def test_a_penalty_is_for_weights_that_are_not_shared():
    assert task().penalty(None, "dense") is None
    one = task(l2=1.0)
    net = one.start_net()
    assert float(one.penalty(net, "dense")().asscalar()) > 0 and one.penalty(net, "shared") is None


def test_patterns_that_match_nothing_are_refused():
    with pytest.raises(ValueError, match="bits: pattern 'fc' matches no layer; the layers are 0.weight, 1.weight, 2"):
        task(bits={"fc": 4}).check_patterns()


def test_what_the_result_says_of_the_data():
    assert task().dataset_row() == {"name": "noise", "source": "made here", "note": "noise", "train": 50,
                                    "validation": 10, "test": 20}
    assert task().errors(task().start_net(), "test").keys() == {"error_percent"}
    assert task().identity()["dataset"].startswith("noise ") and task().coding() == {} and task().notes() == {}
