import json
from dataclasses import fields

import pytest

from gluon_dc.recipes import Recipe, load_recipe, recipe_names
from gluon_dc.recipes.records import Code, Prune, Share, Stage
from gluon_dc.training.image_settings import ImageSettings, settings_of_recipe


def test_every_shipped_recipe_gives_settings():
    for name in recipe_names():
        recipe = load_recipe(name)
        settings = settings_of_recipe(recipe, "a-net", "gluoncv")
        json.dumps(settings.as_dict())
        assert (settings.model, settings.recipe, settings.preprocessing) == ("a-net", name, "gluoncv")
        assert (settings.sparsity, settings.bits) == (recipe.prune.sparsity, recipe.share.bits)
        assert settings.prune_rate == recipe.prune.learning_rate and settings.seed == recipe.share.seed


def test_given_numbers_take_the_place_of_the_recipes():
    settings = settings_of_recipe(load_recipe("default"), "a-net", "caffe", bits=3, momentum=None, seed=5)
    assert (settings.bits, settings.momentum, settings.seed) == (3, 0.9, 5)


def test_gradual_and_cubic_are_the_same_in_recipes_and_options():
    assert Prune(0.5, schedule="cubic") == Prune(0.5, schedule="gradual")
    by_recipe = settings_of_recipe(Recipe(prune=Prune(0.5, schedule="gradual")), "m", "p")
    assert by_recipe.schedule == "gradual"
    for word in ("gradual", "cubic"):
        assert settings_of_recipe(Recipe(prune=Prune(0.5)), "m", "p", schedule=word) == by_recipe


def test_one_shot_in_place_of_a_recipes_schedule_has_one_step():
    recipe = Recipe(prune=Prune(0.5, schedule="gradual", steps=4))
    assert settings_of_recipe(recipe, "m", "p", schedule="one-shot").prune_steps == 1
    with pytest.raises(ValueError, match="^schedule one-shot prunes in 1 step, got prune_steps 3: leave that out, or"):
        settings_of_recipe(recipe, "m", "p", schedule="one-shot", prune_steps=3)
    with pytest.raises(ValueError, match="^schedule one-shot prunes in 1 step, got prune_steps 3"):
        settings_of_recipe(Recipe(prune=Prune(0.5)), "m", "p", prune_steps=3)


def test_the_context_coder_takes_no_rel_bits_of_a_recipe():
    recipe = Recipe(code=Code(rel_bits=4))
    settings = settings_of_recipe(recipe, "m", "p", coder="context", effort="fast")
    assert (settings.coder, settings.effort, settings.rel_bits) == ("context", "fast", None)
    assert settings_of_recipe(Recipe(code=Code(coder="context")), "m", "p").effort == "best"
    with pytest.raises(ValueError, match="^rel_bits: the context coder stores no gaps"):
        settings_of_recipe(recipe, "m", "p", coder="context", rel_bits=3)


@pytest.mark.parametrize("scale, expected", [(1, (4, 7, 0)), (0.5, (2, 4, 0)), (0.01, (1, 1, 0)), (3, (12, 21, 0))])
def test_epochs_are_scaled_and_a_stage_that_trains_keeps_one(scale, expected):
    recipe = Recipe(dense=Stage(4), prune=Prune(0.5, epochs=7), share=Share(epochs=0))
    settings = settings_of_recipe(recipe, "m", "p", scale)
    assert (settings.dense_epochs, settings.prune_epochs, settings.share_epochs) == expected


def test_given_epochs_are_not_scaled():
    recipe = Recipe(dense=Stage(4))
    assert settings_of_recipe(recipe, "m", "p", 0.5, dense_epochs=8).dense_epochs == 8


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan")])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(ValueError, match="epochs scale must be above 0 and finite"):
        settings_of_recipe(Recipe(), "m", "p", scale)


def test_a_given_sparsity_takes_the_place_of_a_quality_and_the_other_way_round():
    recipe = Recipe(prune=Prune(quality=0.5))
    assert settings_of_recipe(recipe, "m", "p").quality == 0.5
    assert settings_of_recipe(recipe, "m", "p", sparsity=0.3).quality is None
    assert settings_of_recipe(load_recipe("default"), "m", "p", quality=0.3).sparsity is None
    with pytest.raises(ValueError, match="sparsity and quality: give one of them, not both"):
        settings_of_recipe(recipe, "m", "p", sparsity=0.3, quality=0.3)


@pytest.mark.parametrize("given, message", [
    ({"sparsity": {"a": 1.0}}, "sparsity must be at least 0 and below 1, got 1.0"),
    ({"validation_share": 1.0}, "validation_share must be at least 0 and below 1, got 1.0"),
    ({"rel_bits": 9}, "rel_bits must be at least 0 and at most 8, got 9"),
    ({"rel_bits": 2.5}, "rel_bits must be a whole number, got 2.5"),
    ({"dense_epochs": -1}, "dense_epochs must be at least 0 and finite, got -1"),
    ({"optimizer": "rmsprop"}, "optimizer is one of sgd, adam; got 'rmsprop'"),
    ({"quality": -0.5}, "quality must be at least 0 and finite, got -0.5"),
])
def test_numbers_out_of_range_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        settings_of_recipe(load_recipe("default"), "m", "p", **given)


def test_every_field_says_what_it_is():
    assert all(item.metadata["help"] for item in fields(ImageSettings))
