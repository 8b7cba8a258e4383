import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
pytest.importorskip("PIL")
from mxnet import gluon  # noqa: E402
from mxnet.gluon import nn  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.data import batches, preprocessing_named  # noqa: E402
from gluon_dc.models import initialize  # noqa: E402
from gluon_dc.nn import weighted_layers  # noqa: E402
from gluon_dc.recipes import Recipe  # noqa: E402
from gluon_dc.recipes.records import Prune, Share, Stage, Training  # noqa: E402
from gluon_dc.training.checkpoints import plain_arrays  # noqa: E402
from gluon_dc.training.evaluate import evaluate  # noqa: E402
from gluon_dc.training.image_data import open_splits  # noqa: E402
from gluon_dc.training.image_settings import settings_of_recipe  # noqa: E402
from gluon_dc.training.image_task import ImageTask  # noqa: E402
from gluon_dc.training.transfer import StartWeights  # noqa: E402
from photographs import TINY, tiny, write_set  # noqa: E402

PREPROCESSING = preprocessing_named("gluoncv:16")
RECIPE = Recipe("mine", training=Training(batch_size=8), dense=Stage(2, 0.05), share=Share(4, epochs=1),
                prune=Prune(0.5, schedule="gradual", steps=3, epochs=2))


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return open_splits(write_set(tmp_path_factory.mktemp("bugs") / "bugs"))


def task(splits, start=StartWeights("random"), recipe=RECIPE, model=TINY, **given):
    return ImageTask(settings_of_recipe(recipe, model, PREPROCESSING.name, **given), splits, PREPROCESSING, start)


def weights_of(classes, seed=1):
    return StartWeights("a file", plain_arrays(initialize(tiny(classes), (3, 16, 16), seed=seed)))


def test_an_epoch_gives_whole_batches_varied_from_epoch_to_epoch_and_repeatable(splits):
    one = task(splits)
    assert one.steps_per_epoch == len(splits.train) // 8 == 4
    epoch = list(one.batches("dense", 0))
    assert [(x.shape, y.shape) for x, y in epoch] == [((8, 3, 16, 16), (8,))] * 4
    np.testing.assert_array_equal(epoch[0][0].asnumpy(), next(one.batches("dense", 0))[0].asnumpy())
    for stage, number in (("dense", 1), ("pruned", 0)):
        assert (epoch[0][0].asnumpy() != next(one.batches(stage, number))[0].asnumpy()).any()


def test_fewer_images_than_a_batch_make_one_step(splits):
    small = task(splits, batch_size=500)
    assert small.steps_per_epoch == 1 and [len(y) for _, y in small.batches("dense", 0)] == [len(splits.train)]


def test_the_head_of_another_class_count_begins_anew_and_learns_faster(splits):
    one = task(splits, weights_of(10), head_rate=7.0)
    assert one.replaced == ("6.weight", "6.bias")
    assert one.describe_start().endswith("layer 6 is of 10 classes there and begins anew for 3")
    net = one.start_net()
    assert net[6].weight.lr_mult == 7.0 and net[3].weight.lr_mult == 1.0
    np.testing.assert_array_equal(net[3].weight.data().asnumpy(), weights_of(10).arrays["3.weight"])
    np.testing.assert_array_equal(plain_arrays(net)["6.weight"], plain_arrays(one.start_net())["6.weight"])
    assert one.notes()["replaced"] == ["6.weight", "6.bias"]


def test_weights_that_fit_are_taken_over_whole(splits):
    one = task(splits, weights_of(3), dense_epochs=0)
    assert one.replaced == () and one.notes()["replaced"] == [] and one.describe_start().endswith("a file, all layers")
    np.testing.assert_array_equal(one.start_net()[6].weight.data().asnumpy(), weights_of(3).arrays["6.weight"])


@pytest.mark.parametrize("start", [StartWeights("random"), weights_of(10)])
def test_untrained_weights_without_training_are_refused(splits, start):
    with pytest.raises(ValueError, match=r"needs training before anything is pruned, and there are 0 epochs of it "
                                         r"\(recipe mine\); give --dense-epochs"):
        task(splits, start, dense_epochs=0)


@pytest.mark.parametrize("given, message", [
    ({"sparsity": {"9.*": 0.5}}, "sparsity: pattern '9.*' matches no layer; the layers are 0.weight, 3.weight, "
                                 "6.weight"),
    ({"bits": {"6": 4, "head": 5}}, "bits: pattern 'head' matches no layer"),
    ({"quality": {"x": 1.0}}, "quality: pattern 'x' matches no layer"),
    ({"bits": {"6": 4}, "rel_bits": {"3": 4}}, r"rel_bits \(of shared layers\): pattern '3' matches no layer; the "
                                               "layers are 6.weight"),
])
def test_patterns_are_checked_first(splits, given, message):
    with pytest.raises(ValueError, match=message):
        task(splits, **given)


@pytest.mark.parametrize("model, message", [
    (TINY.replace(":tiny", ":fixed"), r"expected scores of shape \(1, 3\), one for each class of the images; got "
                                      r"\(1, 7\)"),
    ("lenet-5", r"lenet-5 does not take images of shape \(3, 16, 16\): "),
])
def test_nets_that_do_not_fit_the_images_are_refused(splits, model, message):
    with pytest.raises(ValueError, match=message):
        task(splits, model=model)


@pytest.mark.parametrize("steps, expected", [
    (100, {0: 0, 30: 1, 60: 2}), (0, {0: 2}), (1, {0: 2}), (4, {0: 0, 1: 1, 2: 2})])
def test_pruning_begins_at_once_and_ends_well_before_the_training_does(splits, steps, expected):
    assert task(splits).pruning_steps(steps) == expected


def test_without_sparsity_and_quality_nothing_is_pruned(splits):
    recipe = Recipe(training=Training(batch_size=8), dense=Stage(1), prune=Prune(), share=Share(4))
    assert task(splits, recipe=recipe).pruning_steps(50) == {}


def test_pruning_by_sparsity_follows_the_schedule(splits):
    one = task(splits, schedule="iterative", sparsity={"0": None, "*": 0.875}, prune_steps=3)
    net = one.new_net()
    for number, expected in enumerate((0.5, 0.75, 0.875)):  # by hand: half of what is left each time
        one.prune(net, None, number)
        kept = {layer.name: layer.mask().mean() for layer in weighted_layers(net)}
        assert kept["0.weight"] == 1
        assert kept["3.weight"] == pytest.approx(1 - expected, abs=0.01)


def test_pruning_by_quality_rises_to_it_in_equal_steps(splits):
    one = task(splits, quality=0.5, prune_steps=2)
    first, second = one.new_net(), one.new_net()
    one.prune(first, None, 0)
    dc.prune(second, quality=0.25)
    for a, b in zip(weighted_layers(first), weighted_layers(second)):
        np.testing.assert_array_equal(a.mask(), b.mask())


def test_dropout_follows_the_masks_unless_the_recipe_says_no(splits):
    for adjust, rate in ((True, 0.25 * 0.5**0.5), (False, 0.25)):
        one = task(splits, adjust_dropout=adjust)
        net = one.new_net()
        dc.prune(net, sparsity=0.5)
        one.follow_masks(net)
        dropout = next(block for block in net if isinstance(block, nn.Dropout))
        assert dropout._rate == pytest.approx(rate)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_trainer_is_the_recipes(splits, optimizer):
    one = task(splits, optimizer=optimizer, momentum=0.5, weight_decay=0.25)
    trainer = one.trainer(gluon.Trainer, one.new_net())
    assert type(trainer.optimizer).__name__.lower() == optimizer and trainer.optimizer.wd == 0.25
    assert getattr(trainer.optimizer, "momentum", 0.5) == 0.5


def test_errors_have_top_5_for_more_than_five_classes_only(splits, tmp_path):
    assert task(splits).errors(task(splits).new_net(), "test").keys() == {"error_percent"}
    many = open_splits(write_set(tmp_path / "many", classes=tuple("abcdef"), train=3, val=2))
    one = task(many)
    found = one.errors(one.new_net(), "validation")
    assert found.keys() == {"error_percent", "top5_error_percent"}
    assert 0 <= found["top5_error_percent"] <= found["error_percent"] <= 100


def test_errors_are_those_of_the_images_as_they_are_on_disk(splits):
    one = task(splits)
    net = one.start_net()
    for split in ("validation", "test"):
        expected = evaluate(net, getattr(splits, split), PREPROCESSING).top1_error_percent
        assert one.errors(net, split)["error_percent"] == expected
    inputs = [next(batches(images, PREPROCESSING, 50))[0] for images in (splits.test, one._measured.test)]
    np.testing.assert_array_equal(*inputs)


def test_what_the_file_says_of_itself(splits):
    metadata = task(splits, weights_of(10)).coding()["metadata"]
    assert metadata["network"] == TINY and metadata["classes"] == 3 and metadata["dataset"] == "bugs"
    assert metadata["preprocessing"] == "gluoncv:16" and metadata["recipe"] == "mine"
    assert metadata["weights"] == "a file, trained on bugs"


def test_the_identity_follows_images_and_weights(splits):
    assert task(splits).identity() == task(splits).identity()
    assert task(splits).identity()["dataset"] == f"bugs {splits.digest()}"
    assert task(splits, weights_of(3)).identity() != task(splits, weights_of(3, seed=2)).identity()
