import json
from dataclasses import fields

import pytest

from gluon_dc.training.settings import RECIPES, Settings, parse_per_layer, settings_for


def test_given_fields_win_over_the_recipe_and_none_is_not_given():
    settings = settings_for("lenet-5", "paper", seed=3, batch_size=None, bits=2)
    assert (settings.seed, settings.batch_size, settings.bits) == (3, 128, 2)
    assert settings.scope == "layer" and settings.sparsity["4"] == 0.92


def test_every_recipe_is_json_able_and_serves_both_networks():
    for recipe, networks in RECIPES.items():
        assert set(networks) == {"lenet-300-100", "lenet-5"}
        for network in networks:
            json.dumps(settings_for(network, recipe).as_dict())


def test_every_field_says_what_it_is():
    assert all(item.metadata["help"] for item in fields(Settings))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no recipe 'best' for 'lenet-5'; recipes are default, paper"):
        settings_for("lenet-5", "best")
    with pytest.raises(ValueError, match="networks lenet-300-100, lenet-5"):
        settings_for("alexnet")


@pytest.mark.parametrize("given, message", [
    ({"sparsity": {"0": 0.5, "1": -0.1}, "scope": "layer"}, "sparsity must be at least 0 and below 1, got -0.1"),
    ({"sparsity": 1.0}, "sparsity must be at least 0 and below 1, got 1.0"),
    ({"bits": 9}, "bits must be at least 1 and at most 8, got 9"),
    ({"sparsity": {"0": 0.5, "1": 0.6}}, "scope global takes one sparsity for all layers; give scope layer"),
    ({"bits": 4.0}, "bits must be a whole number, got 4.0"),
    ({"bits": 2.5}, "bits must be a whole number, got 2.5"),
    ({"seed": 2**32}, "seed must be at least 0 and at most 4294967295, got 4294967296"),
    ({"dense_epochs": 0}, "dense_epochs must be at least 1 and finite, got 0"),
    ({"dense_rate": float("inf")}, "dense_rate must be at least 0 and finite, got inf"),
    ({"prune_share": float("nan")}, "prune_share must be at least 0 and at most 1, got nan"),
    ({"score": "size"}, "score is one of saliency, magnitude; got 'size'"),
    ({"start": "middle"}, "start is one of linear, density, random"),
])
def test_settings_out_of_range_are_refused_before_any_work(given, message):
    with pytest.raises(ValueError, match=message):
        settings_for("lenet-5", **given)


def test_cubic_is_another_word_for_gradual():
    assert settings_for("lenet-5", schedule="cubic") == settings_for("lenet-5", schedule="gradual")
    assert settings_for("lenet-5").schedule == settings_for("lenet-5", schedule="cubic").schedule == "gradual"


def test_one_shot_has_one_step_and_no_more():
    assert settings_for("lenet-5", schedule="one-shot").prune_steps == 1
    assert settings_for("lenet-5", "paper", schedule="one-shot", prune_steps=1).prune_steps == 1
    with pytest.raises(ValueError, match="^schedule one-shot prunes in 1 step, got prune_steps 4: leave that out, or "
                                         "take schedule iterative or gradual$"):
        settings_for("lenet-5", schedule="one-shot", prune_steps=4)


@pytest.mark.parametrize("text, expected", [
    ("0.9", 0.9), ("5", 5), ("0=0.92,1=0.91", {"0": 0.92, "1": 0.91}), ("0=none, *=4", {"0": None, "*": 4}),
])
def test_per_layer_values(text, expected):
    assert parse_per_layer(text) == expected


@pytest.mark.parametrize("text", ["", "many", "none", "0=,1=2", "="])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError):
        parse_per_layer(text)
