"""A whole net in one go: the same file as the verbs one after the other, and settings checked before the weights."""

import re
from dataclasses import replace

import numpy as np
import pytest
from mxnet import gluon, nd

import gluon_dc as dc
from gluon_dc.coding import FormatError
from gluon_dc.models import build, initialize, named_parameters
from gluon_dc.recipes import Prune, Recipe, Share, Code, load_recipe
from gluon_dc.training import one_shot
from gluon_dc.training.one_shot import Weights, code_net, layer_settings, open_net, shrink_net, write_verified

RECIPE = Recipe(prune=Prune(sparsity={"4": 0.9, "0": None, "*": 0.5}), share=Share(bits={"5": None, "0": 8, "*": 5}),
                code=Code(rel_bits={"4": 5}))


def shrunk(recipe=RECIPE, seed=0):
    net, settings, _ = open_net("lenet-5", None, recipe, Weights("random", seed=seed))
    shrink_net(net, settings, recipe)
    return net, settings


class TestSettings:
    def test_by_layer(self):
        settings = layer_settings(build("lenet-5"), RECIPE)
        assert settings.prune == {"sparsity": {"2.weight": 0.5, "4.weight": 0.9, "5.weight": 0.5}}
        assert settings.bits == {"0.weight": 8, "2.weight": 5, "4.weight": 5}
        assert settings.rel_bits == {"4.weight": 5}
        assert settings.work == ["0.weight", "2.weight", "4.weight", "5.weight"]

    def test_nothing_at_all(self):
        settings = layer_settings(build("lenet-5"), Recipe(share=Share(bits=None)))
        assert settings.prune == {} and settings.bits == {} and settings.work == []

    @pytest.mark.parametrize("recipe, message", [
        (Recipe(prune=Prune(sparsity={"conv*": 0.5})), "sparsity: pattern 'conv*' matches no layer; the layers are "
         "0.weight, 2.weight, 4.weight, 5.weight"),
        (Recipe(prune=Prune(quality={"x": 0.5})), "quality: pattern 'x' matches no layer"),
        (Recipe(share=Share(bits={"x": 5})), "bits: pattern 'x' matches no layer"),
        (Recipe(share=Share(bits={"0": 5}), code=Code(rel_bits={"2": 5})),
         "rel_bits (of shared layers): pattern '2' matches no layer; the layers are 0.weight"),
    ])
    def test_a_pattern_that_matches_nothing_is_found_before_the_weights(self, recipe, message):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            open_net("lenet-5", None, recipe, Weights("params", "/nowhere/at/all.params"))

    def test_the_recipe_of_a_pattern_that_matches_nothing_is_named(self):
        for recipe, told in ((load_recipe("alexnet-paper"), "; see recipe alexnet-paper, or the option in its place"),
                             (Recipe(share=Share(bits={"x": 5})), "5.weight")):
            with pytest.raises(ValueError, match=f"matches no layer; the layers are 0.weight, .*{told}$"):
                layer_settings(build("lenet-5"), recipe)

    def test_table(self):
        text = str(one_shot.layers_table("lenet-5", None, RECIPE))
        assert re.search(r"4.weight +ip1 +500x800 +400,000 +0.9 +5 +5\n", text)
        assert re.search(r"0.weight +conv1 +20x1x5x5 +500 +- +8 +-\n", text)


class TestWeights:
    def test_random(self):
        net, _, origin = open_net("mobilenet0.25", 5, Recipe(), Weights("random", seed=2, input_shape=(3, 32, 32)))
        assert origin == "synthetic weights: sizes only, no accuracy"
        assert named_parameters(net)["output.weight"].shape == (5, 256)

    def test_params(self, tmp_path):
        saved = initialize(build("lenet-5", 3))
        saved.save_parameters(str(tmp_path / "mine.params"))
        net, _, origin = open_net("lenet-5", 3, Recipe(), Weights("params", str(tmp_path / "mine.params")))
        assert origin == "mine.params"
        assert np.array_equal(named_parameters(net)["0.weight"].data().asnumpy(),
                              named_parameters(saved)["0.weight"].data().asnumpy())

    def test_no_gradients_are_allocated(self):
        net, _ = shrunk()
        assert all(parameter._grad is None for parameter in net.collect_params().values())


class TestShrink:
    def by_verbs(self, recipe):
        net, _, _ = open_net("lenet-5", None, recipe, Weights("random"))
        dc.prune(net, recipe.prune.sparsity, scope=recipe.prune.scope)
        dc.quantize(net, recipe.share.bits, start=recipe.share.start, seed=recipe.share.seed)
        return dc.compress(net, rel_bits=recipe.code.rel_bits).dumps()

    @pytest.mark.parametrize("recipe", [
        RECIPE, replace(RECIPE, share=Share(bits=4, start="random", seed=3)),
        replace(RECIPE, prune=Prune(sparsity=0.8, scope="global")),
    ])
    def test_the_same_file_as_by_the_verbs(self, recipe):
        net, settings = shrunk(recipe)
        assert code_net(net, settings, "huffman").dumps() == self.by_verbs(recipe)

    def test_quality(self):
        recipe = Recipe(prune=Prune(quality=1.0), share=Share(bits=5))
        net, settings = shrunk(recipe)
        # A Laplace weight is within its standard deviation with probability 1 - exp(-sqrt 2).
        kept = next(row for row in dc.size_report(code_net(net, settings, "huffman")).rows if row.name == "4.weight")
        assert kept.kept_percent == pytest.approx(100 * np.exp(-2 ** 0.5), rel=0.02)

    @pytest.mark.parametrize("scope", ["layer", "global"])
    def test_progress_counts_every_weight_of_every_stage(self, scope):
        recipe, seen = Recipe(prune=Prune(sparsity=0.5, scope=scope), share=Share(bits=4)), []
        net, settings, _ = open_net("lenet-300-100", None, recipe, Weights("random"))
        shrink_net(net, settings, recipe, lambda name, weights: seen.append((name, weights)))
        assert sum(weights for _, weights in seen) == 2 * 266_200
        assert {name for name, _ in seen} == {"0.weight", "1.weight", "2.weight"}


class TestWriteVerified:
    def test_it_reads_back(self, tmp_path):
        net, settings = shrunk()
        model = write_verified(tmp_path / "a.gdc", code_net(net, settings, "huffman", {"a": 1}), net)
        assert model.metadata == {"a": 1} and dc.load(tmp_path / "a.gdc").dumps() == model.dumps()
        restored = dc.restore(model, build("lenet-5"))
        assert np.isfinite(restored(nd.zeros((1, 1, 28, 28))).asnumpy()).all()

    def test_other_weights_are_not_written(self, tmp_path):
        net, settings = shrunk()
        other, _ = shrunk(seed=1)
        (tmp_path / "a.gdc").write_bytes(b"before")
        with pytest.raises(FormatError, match="^0.weight does not decode to the net's weights"):
            write_verified(tmp_path / "a.gdc", code_net(net, settings, "huffman"), other)
        with pytest.raises(FormatError, match="^the file has the tensors"):
            write_verified(tmp_path / "a.gdc", code_net(net, settings, "huffman"), initialize(build("lenet-300-100")))
        assert (tmp_path / "a.gdc").read_bytes() == b"before"


def test_stopwatch():
    watch = one_shot.Stopwatch()
    for stage in ("a", "b", "a"):
        with watch(stage):
            pass
    assert list(watch.seconds) == ["a", "b"] and all(seconds >= 0 for seconds in watch.seconds.values())
