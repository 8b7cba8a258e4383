"""The recipes of train/smallest.py: read, checked, changed."""
from dataclasses import fields

import pytest

from gluon_dc.training.small import SmallSettings, load_small_recipe, small_recipe_names, small_settings
from gluon_dc.training.small import settings as module


def test_the_recipes_that_come_along():
    assert small_recipe_names() == ["lenet-300-100", "lenet-5-074", "lenet-5-096"]
    networks = {name: load_small_recipe(name).network for name in small_recipe_names()}
    assert networks == {"lenet-300-100": "lenet-300-100", "lenet-5-074": "lenet-5", "lenet-5-096": "lenet-5"}
    assert load_small_recipe("lenet-5-096").kept < load_small_recipe("lenet-5-074").kept


def test_every_key_has_a_word_on_it_and_is_in_the_docs():
    docs = (module.Path(module.__file__).parents[3] / "docs" / "smallest.md").read_text()
    for item in fields(SmallSettings):
        assert item.metadata["help"] and f"`{item.name}`" in docs, item.name


def test_given_values_take_the_place_of_the_recipes(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("network: lenet-5\nkept: 700\nprune_rate: 1e-3\nneighbours: false\n")
    settings = small_settings(path, ["kept=800", "temperature=3"], seed=4)
    assert settings == SmallSettings(network="lenet-5", kept=800, prune_rate=1e-3, neighbours=False, temperature=3.0,
                                     seed=4)
    assert isinstance(settings.temperature, float) and settings.as_dict()["kept"] == 800


@pytest.mark.parametrize("text, message", [
    ("kept=many", r"--set kept=many, line 1: kept: expected a whole number of at least 1, got 'many'"),
    ("kept=0", "kept: expected a whole number of at least 1, got 0"),
    ("kept", "--set kept: expected key=value, such as kept=3000"),
    ("kpt=3", r"unknown key kpt, did you mean kept\?"),
    ("prune_share=1.5", "prune_share: expected a number of at least 0 and at most 1, got 1.5"),
    ("prune_rate=.nan", "prune_rate: expected a number"),
    ("neighbours=maybe", "neighbours: expected true or false, got 'maybe'"),
    ("network=alexnet", "network: expected lenet-300-100 or lenet-5, got 'alexnet'"),
])
def test_bad_values_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        small_settings("lenet-300-100", [text])


@pytest.mark.parametrize("given, message", [
    (dict(grid_bits_low=7, grid_bits_high=6), "grid_bits_low: expected at most grid_bits_high, 6, got 7"),
    (dict(rough_kept=10, kept=20), "rough_kept: expected 0 or at least kept, 20, got 10"),
])
def test_values_that_do_not_go_together(given, message):
    with pytest.raises(ValueError, match=message):
        SmallSettings(**given)


def test_what_decides_a_stage():
    settings = SmallSettings()
    deciding = {stage: settings.deciding(stage) for stage in module.FIRST_FIELD}
    assert list(deciding["coded"]) == [name for name in settings.as_dict() if name != "note"]
    new = {stage: set(found) for stage, found in deciding.items()}
    for before, after in zip(list(new)[:-1], list(new)[1:]):
        assert new[before] < new[after]
    assert {"network", "seed", "pool_sigma", "teacher_rate", "batch_size", "dense_rate"} < new["dense"]
    assert new["rough"] - new["dense"] >= {"rate_power", "rough_kept", "rough_floor", "neighbours"}
    assert new["pruned"] - new["rough"] == {"kept", "prune_epochs", "prune_rate", "prune_share"}
    assert new["centroids"] - new["shared"] == {"centroid_epochs", "centroid_rate"}
    assert {"bit_price", "share_floor", "fix_share", "centroid_steps"} < new["shared"] - new["pruned"]


def test_no_such_recipe():
    with pytest.raises(ValueError, match="no recipe is named 'lenet'; there are lenet-300-100, lenet-5-074, lenet-5-"):
        load_small_recipe("lenet")
    with pytest.raises(FileNotFoundError):
        load_small_recipe("missing.yaml")


@pytest.mark.parametrize("text, message", [
    ("", "mine.yaml: empty; a recipe has the keys network, note, seed"),
    ("kept: [1]", "mine.yaml, line 1: kept: expected one value, got a list"),
    ("kept: 3\nkept: 4", "mine.yaml, line 2: a recipe: 'kept' is given twice"),
    ("rough_kept: 5\nkept: 9", "mine.yaml: rough_kept: expected 0 or at least kept"),
])
def test_files_that_are_no_recipe(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_small_recipe(path)
