"""Recipes: what ships, what a file may hold, and what is said of files that are wrong."""

import dataclasses
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dc import coding
from gluon_dc.coding import kmeans, tensor
from gluon_dc.nn.schedules import sparsity_schedule
from gluon_dc.recipes import (Code, Prune, Recipe, Share, Stage, Training, load_recipe, parse_recipe, recipe_for,
                              recipe_names)
from gluon_dc.recipes import records
from gluon_dc.report.paper import paper_table

EXAMPLE = """
name: mine
model: lenet-*
source: a paper
note: by hand
training: {batch_size: 64, optimizer: adam, weight_decay: 5e-4}
dense: {epochs: 1}
prune:
  sparsity:
    0: 0.5            # a name that YAML would read as a number
    1.10: null
    "*": 9e-1
  schedule: iterative
  steps: 3
  learning_rate: 1
share: {bits: {"0": 8, "*": 5}, start: linear}
code: {rel_bits: 4, coder: fixed}
"""


class TestExample:
    def test_by_hand(self):
        recipe = parse_recipe(EXAMPLE)
        assert recipe == Recipe(
            "mine", "lenet-*", "a paper", "by hand", Training(batch_size=64, optimizer="adam", weight_decay=5e-4),
            Stage(epochs=1), Prune(sparsity={"0": 0.5, "1.10": None, "*": 0.9}, schedule="iterative", steps=3,
                                   learning_rate=1.0),
            Share(bits={"0": 8, "*": 5}, start="linear"), Code(rel_bits=4, coder="fixed"))

    def test_the_order_of_patterns_is_that_of_the_file(self):
        assert list(parse_recipe("prune: {sparsity: {z: 0.1, a: 0.2, '*': 0.3}}").prune.sparsity) == ["z", "a", "*"]

    def test_what_is_left_out_has_its_default(self):
        assert parse_recipe("note: x", name="n") == Recipe("n", note="x")
        assert parse_recipe("prune:\nshare: ~\n") == Recipe()

    def test_as_dict_is_json(self):
        recipe = parse_recipe(EXAMPLE)
        assert json.loads(json.dumps(recipe.as_dict()))["prune"]["sparsity"] == {"0": 0.5, "1.10": None, "*": 0.9}

    def test_whole_numbers_become_floats_where_numbers_are_meant(self):
        rate = parse_recipe("dense: {learning_rate: 1}").dense.learning_rate
        assert rate == 1.0 and isinstance(rate, float)

    def test_records_are_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            Recipe().name = "x"


class TestShipped:
    def test_names(self):
        assert recipe_names() == ["alexnet-paper", "default", "googlenet", "mobilenet", "mobilenetv2", "mobilenetv3",
                                  "resnet", "squeezenet", "vgg16-paper"]

    @pytest.mark.parametrize("name", recipe_names())
    def test_each_loads_and_says_where_it_is_from(self, name):
        recipe = load_recipe(name)
        assert recipe.name == name and recipe.source and recipe.note
        assert recipe.prune.sparsity is not None and recipe.share.bits is not None

    @pytest.mark.parametrize("model, name", [
        ("alexnet", "alexnet-paper"), ("vgg16", "vgg16-paper"), ("vgg16_bn", "default"), ("googlenet", "googlenet"),
        ("squeezenet1.0", "squeezenet"), ("squeezenet1.1", "squeezenet"), ("resnet50_v1", "resnet"),
        ("resnet18_v2", "resnet"), ("resnet50_v1b", "default"), ("mobilenet1.0", "mobilenet"),
        ("mobilenet0.25", "mobilenet"), ("mobilenetv2_1.0", "mobilenetv2"), ("mobilenetv3_large", "mobilenetv3"),
        ("mymodule:net", "default"), ("lenet-5", "default"),
    ])
    def test_recipe_for(self, model, name):
        assert recipe_for(model).name == name

    def test_a_model_name_serves_as_recipe_name(self):
        assert load_recipe("squeezenet1.0").name == "squeezenet"

    @pytest.mark.parametrize("network, rel_bits", [("alexnet", 4), ("vgg16", 5)])
    def test_paper_recipes_are_the_printed_tables(self, network, rel_bits):
        """Kept percent and bits of Tables 4 and 5, layer by layer in order."""
        recipe, rows = recipe_for(network), paper_table(network).rows[:-1]
        kept = [100 - 100 * sparsity for sparsity in recipe.prune.sparsity.values()]
        assert kept == pytest.approx([row.kept_percent for row in rows])
        assert recipe.code.rel_bits == rel_bits == rows[0].index_bits
        assert recipe.share.start == "linear"


class TestErrors:
    @pytest.mark.parametrize("text, message", [
        ("prune: {sparsty: 0.5}", "r.yaml, line 1: unknown key prune.sparsty, did you mean sparsity?; the keys here "
         "are sparsity, quality, scope, schedule, steps, epochs, learning_rate"),
        ("\n\nprun: {}", "r.yaml, line 3: unknown key prun, did you mean prune?; the keys here are name, model, "
         "source, note, training, dense, prune, share, code"),
        ("zzz: 1", "r.yaml, line 1: unknown key zzz; the keys here are name, model, source, note, training, dense, "
         "prune, share, code"),
        ("prune:\n  sparsity: 1.0", "r.yaml, line 2: prune.sparsity: expected a number of at least 0 and below 1, or "
         "a mapping of layer patterns to such, or null, got 1.0"),
        ("prune:\n  sparsity:\n    a: 0.5\n    b: x", "r.yaml, line 2: prune.sparsity: b: expected a number of at "
         "least 0 and below 1, or a mapping of layer patterns to such, or null, got 'x'"),
        ("share: {bits: 9}", "r.yaml, line 1: share.bits: expected a whole number of at least 1 and at most 8, or a "
         "mapping of layer patterns to such, or null, got 9"),
        ("share: {bits: 5.0}", "r.yaml, line 1: share.bits: expected a whole number of at least 1 and at most 8, or "
         "a mapping of layer patterns to such, or null, got 5.0"),
        ("share: {bits: yes}", "r.yaml, line 1: share.bits: expected a whole number of at least 1 and at most 8, or "
         "a mapping of layer patterns to such, or null, got True"),
        ("share: {bits: {}}", "r.yaml, line 1: share.bits: expected a whole number of at least 1 and at most 8, or a "
         "mapping of layer patterns to such, or null, got an empty mapping"),
        ("share: {start: random2}", "r.yaml, line 1: share.start: expected linear or density or random or kmeans++ "
         "or optimal, got 'random2'"),
        ("dense: {epochs: -1}", "r.yaml, line 1: dense.epochs: expected a whole number of at least 0, got -1"),
        ("dense: {learning_rate: .inf}",
         "r.yaml, line 1: dense.learning_rate: expected a number of at least 0, got inf"),
        ("dense: {epochs: {a: 1}}",
         "r.yaml, line 1: dense.epochs: expected a whole number of at least 0, got a mapping"),
        ("training: {augment: 1}", "r.yaml, line 1: training.augment: expected true or false, got 1"),
        ("name: 5", "r.yaml, line 1: name: expected a text, got 5"),
        ("dense: 3", "r.yaml, line 1: dense is a mapping of keys to values, got the value '3'"),
        ("dense: [1]", "r.yaml, line 1: dense is a mapping of keys to values, got a list"),
        ("dense: {epochs: [1]}", "r.yaml, line 1: dense.epochs: expected one value, got a list"),
        ("prune: {sparsity: {a: {b: 1}}}", "r.yaml, line 1: prune.sparsity: a: expected one value, got a mapping"),
        ("prune: {sparsity: 0.5, quality: 1}", "r.yaml, line 1: prune.sparsity and quality: give one of them, not both"),
        ("prune:\n  scope: global\n  sparsity: {a: 0.5, b: 0.6}", "r.yaml, line 1: prune.scope: global takes one "
         "number for all layers, got [0.5, 0.6]; null leaves a layer out"),
        ("note: a\nnote: b", "r.yaml, line 2: a recipe: 'note' is given twice, first in line 1"),
        ("prune: {sparsity: {a: 0.1, a: 0.2}}", "r.yaml, line 1: prune.sparsity: 'a' is given twice, first in line 1"),
        ("- 1", "r.yaml, line 1: a recipe is a mapping of keys to values, got a list"),
        ("? [a]\n: 1", "r.yaml, line 1: a recipe: a key is one word, got a list"),
        ("", "r.yaml: empty; a recipe has the keys name, model, source, note, training, dense, prune, share, code"),
        ("a: b: c", "r.yaml, line 1: not YAML: mapping values are not allowed here"),
        ("x: 1\ny: [1", "r.yaml, line 2: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: &x 1\nb: *x", "r.yaml, line 2: not YAML: recipes have no aliases"),
        ("note: !!python/object/apply:os.system [x]", "r.yaml, line 1: note: expected one value, got a list"),
        ("note: !!python/name:os.system x",
         "r.yaml, line 1: note: cannot be read as python/name:os.system: 'x'"),
        ("dense: {epochs: 2026-13-45}", "r.yaml, line 1: dense.epochs: cannot be read as timestamp: '2026-13-45'"),
    ])
    def test_messages(self, text, message):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            parse_recipe(text, "r.yaml")

    def test_an_unknown_name(self):
        with pytest.raises(ValueError, match="^no recipe is named 'alexnet-papr', did you mean alexnet-paper\\?; there "
                                             "are alexnet-paper, default, .* and any file whose name ends in .yaml$"):
            load_recipe("alexnet-papr")

    def test_a_file(self, tmp_path):
        path = tmp_path / "mine.yaml"
        path.write_text("dense: {epochs: 2}")
        assert load_recipe(path) == load_recipe(str(path)) == Recipe("mine", dense=Stage(2))
        path.write_text("dense: {epoch: 2}")
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}, line 1: unknown key dense.epoch, did you mean "
                                             "epochs"):
            load_recipe(path)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no.yaml"):
            load_recipe(tmp_path / "no.yaml")

    def test_a_large_file_is_not_parsed(self, tmp_path):
        (tmp_path / "big.yaml").write_bytes(b"#" * 2**20)
        with pytest.raises(ValueError, match="over 262144 bytes; a recipe is a short YAML file"):
            load_recipe(tmp_path / "big.yaml")

    @pytest.mark.parametrize("data", [b"[" * 20_000, b"{a: " * 20_000, b"\xff\xfe\x00", b"\x00", b"\xc3", b"--- 1\n--- 2",
                                      b"dense: {epochs: 0x}", b"dense: {epochs: " + b"9" * 5000 + b"}"])
    def test_hostile_bytes(self, data):
        with pytest.raises(ValueError, match="^recipe"):
            parse_recipe(data)

    @given(st.binary(max_size=60))
    def test_random_bytes_raise_nothing_else(self, data):
        try:
            parse_recipe(data)
        except ValueError as error:
            assert str(error).startswith("recipe")

    @given(st.text("{}[]:,&*!|>'\"%@`-?#\n a1.~", max_size=40))
    def test_random_punctuation_raises_nothing_else(self, text):
        try:
            parse_recipe(text)
        except ValueError as error:
            assert "\n" not in str(error)


class TestRecords:
    @pytest.mark.parametrize("make, message", [
        (lambda: Prune(sparsity=1.5), "sparsity: expected a number of at least 0 and below 1, or a mapping of layer "
         "patterns to such, or null, got 1.5"),
        (lambda: Prune(sparsity={1: 0.5}), "sparsity: a layer pattern is a text such as features.0 or *, got 1"),
        (lambda: Prune(sparsity=True), "sparsity: expected a number of at least 0 and below 1, or a mapping of layer "
         "patterns to such, or null, got True"),
        (lambda: Share(bits=None, seed=None), "seed: expected a whole number of at least 0 and at most 4294967295, got None"),
        (lambda: Training(batch_size=0), "batch_size: expected a whole number of at least 1, got 0"),
        (lambda: Code(rel_bits=4, coder="context"), "rel_bits: the context coder stores no gaps, so give no "
         "rel_bits, or another coder"),
        (lambda: Code(effort="slow"), "effort: expected fast or best, got 'slow'"),
        (lambda: Training(momentum=float("nan")), "momentum: expected a number of at least 0 and below 1, got nan"),
    ])
    def test_made_by_hand_they_are_checked_too(self, make, message):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make()

    def test_one_shot_in_several_steps_is_refused(self):
        with pytest.raises(ValueError, match="^recipe, line 1: prune.steps: schedule one-shot prunes in 1 step, got 4: "
                                             "leave it out, or take schedule iterative or gradual$"):
            parse_recipe("prune: {sparsity: 0.5, schedule: one-shot, steps: 4}")
        assert parse_recipe("prune: {sparsity: 0.5, schedule: cubic, steps: 4}").prune.schedule == "gradual"

    def test_replace(self):
        recipe = dataclasses.replace(load_recipe("default"), prune=Prune(sparsity=0.25))
        assert recipe.prune.sparsity == 0.25 and recipe.name == "default"

    def test_choices_are_those_of_the_library(self):
        assert records.STARTS == coding.STARTS == kmeans.STARTS
        assert records.CODERS == coding.CODERS == tensor.CODERS
        assert records.EFFORTS == coding.EFFORTS
        for schedule in records.SCHEDULES:
            assert sparsity_schedule(schedule, 0.5, 2)[-1] == 0.5


def test_the_docs_list_every_key():
    text = (Path(__file__).parent.parent / "docs" / "recipes.md").read_text(encoding="utf-8")
    for section, record in records.SECTIONS.items():
        for item in fields(record):
            assert f"`{section}.{item.name}`" in text
            assert item.metadata["help"] in text, item.name
    for name in recipe_names():
        assert f"`{name}`" in text


def test_the_example_of_the_docs_is_a_recipe():
    text = (Path(__file__).parent.parent / "docs" / "recipes.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", text, re.S)
    assert examples
    for example in examples:
        assert isinstance(parse_recipe(example), Recipe)


def test_recipes_need_pyyaml_and_nothing_heavier():
    code = ("import sys; sys.modules.update(dict.fromkeys(['numpy', 'mxnet', 'numba'])); "
            "from gluon_dc.recipes import load_recipe; print(load_recipe('default').name)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          cwd=Path(__file__).parent.parent)
    assert done.stdout == "default\n", done.stderr
