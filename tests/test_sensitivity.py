"""Layers one by one: stages, points on disk, and tools/sensitivity.py with compression within a budget."""
import json
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from image_sets import picture
from mxnet.gluon import nn
from tiny_net import CLASSES, make_tiny

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import sensitivity as tool  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.data import Preprocessing, from_arrays, half, open_images, preprocessing_named  # noqa: E402
from gluon_dc.models import zoo  # noqa: E402
from gluon_dc.training.allocate import Option, choose, price_of, rising  # noqa: E402
from gluon_dc.training.evaluate import evaluate  # noqa: E402
from gluon_dc.training.opening import open_net  # noqa: E402
from gluon_dc.training.sensitivity import (  # noqa: E402
    PlainChange, changed, check_settings, divergence, measure, probe, pruned)
from gluon_dc.training.staged import StagedNet, chain_of  # noqa: E402

TINY = Preprocessing("tiny", 36, 32, (110, 110, 110), (40, 40, 40))
SETTINGS = {"sparsity": (0.0, 0.5), "bits": (1, 8)}


@pytest.fixture
def net(tmp_path):
    name = make_tiny(tmp_path)
    return zoo.load_params(tmp_path / "tiny.params", zoo.build(name))


@pytest.fixture
def images():
    return from_arrays([picture(i, 36, 40) for i in range(9)], [i % 3 for i in range(9)], CLASSES)


class TestStages:
    def test_chain_of_features_and_output(self, net):
        assert [name for name, _ in chain_of(net)] == [f"features.{i}" for i in range(5)] + ["output"]

    def test_chain_of_others(self, net):
        sequential = nn.HybridSequential()
        sequential.add(nn.Dense(2), nn.Dense(3))
        assert [name for name, _ in chain_of(sequential)] == ["0", "1"]
        net.extra = nn.Dense(2)
        assert chain_of(net) == [("", net)]
        assert chain_of(nn.HybridSequential())[0][0] == ""

    def test_scores_are_the_nets(self, net, images):
        staged = StagedNet(net, images, TINY, 4)
        crops = np.stack([TINY.centre(images.image(i)) for i in range(9)])
        expected = net(mx.nd.array(TINY.to_input(crops))).asnumpy()
        for stage in (0, 3, 5, 2, 0):
            assert np.allclose(staged.scores(stage), expected, atol=1e-5)

    def test_a_net_that_only_looks_like_a_chain(self, net, images):
        class Odd(type(net)):
            def hybrid_forward(self, F, x):
                return 2 * super().hybrid_forward(F, x) + 1
        net.__class__ = Odd
        staged = StagedNet(net, images, TINY)
        assert [name for name, _ in staged.chain] == [""] and staged.stage_of("output.weight") == 0

    def test_stage_of(self, net, images):
        staged = StagedNet(net, images, TINY)
        names = ("features.0.weight", "features.2.weight", "output.weight")
        assert [staged.stage_of(name) for name in names] == [0, 2, 5]
        with pytest.raises(ValueError, match="other.weight is in none of the stages features.0, "):
            staged.stage_of("other.weight")


class TestChanges:
    def test_pruned_by_hand(self):
        weight = np.float32([[3, -1], [0.5, -2]])
        assert pruned(weight, 0.5).tolist() == [[3, 0], [0, -2]]
        assert pruned(weight, 0.25, np.array([[0, 5], [6, 7]])).tolist() == [[0, -1], [0.5, -2]]
        assert pruned(np.float32([1, 1, -1, 1]), 0.5).tolist() == [0, 0, -1, 1]

    def test_divergence_by_hand(self):
        base, scores = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
        expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
        assert divergence(base, scores) == pytest.approx(expected)
        assert divergence(base, base + 100) == pytest.approx(0, abs=1e-12)
        assert np.isfinite(divergence(np.array([[1e4, -1e4]]), np.array([[-1e4, 1e4]])))

    def test_a_layer_gets_its_weights_back(self, net):
        layer = next(iter(dc.nn.weighted_layers(net)))
        before = layer.array()
        with pytest.raises(KeyError), changed(layer, before * 0, np.zeros(8, np.float32)):
            assert not layer.array().any() and not layer.blocks[0].bias.data().asnumpy().any()
            raise KeyError
        assert layer.array().tobytes() == before.tobytes()

    @pytest.mark.parametrize("sparsities, bits, message", [
        ((1.0,), (), "sparsity 1.0: sparsities are in"), ((), (0,), "0 bits"), ((), (2.5,), "2.5 bits"),
        ((), (9,), "9 bits"), ((float("nan"),), (), "sparsity nan"), ((0.5, 0.5), (), "give each setting once")])
    def test_settings(self, sparsities, bits, message):
        with pytest.raises(ValueError, match=message):
            check_settings(sparsities, bits)


class CountedChange(PlainChange):
    """Counts its calls, and stops with a KeyboardInterrupt at call number `limit`."""

    def __init__(self, limit=10**9):
        self.calls, self.limit = 0, limit

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls > self.limit:
            raise KeyboardInterrupt
        return super().__call__(*arguments)


class TestMeasure:
    def test_points(self, net, images, tmp_path):
        prober = probe(net, StagedNet(net, images, TINY))
        record = measure(prober, tmp_path / "s.json", {"network": "tiny"}, SETTINGS)
        assert record == json.loads((tmp_path / "s.json").read_text())
        assert (record["format"], record["experiment"], record["network"]) == (1, "sensitivity", "tiny")
        assert len(record["points"]) == 3 * 4
        layer = dict.fromkeys(point["layer"] for point in record["points"])
        assert list(layer) == ["features.0.weight", "features.2.weight", "output.weight"]
        # No change, no cost; and what a point says is what the changed net does.
        untouched = [one for one in record["points"] if (one["kind"], one["value"]) == ("sparsity", 0.0)]
        assert all(one["divergence_nats"] == 0 for one in untouched)
        point = next(one for one in record["points"] if one["layer"] == "output.weight" and one["value"] == 1)
        weight = PlainChange()(prober.layers["output.weight"], "bits", 1)[0]
        net.output.weight.set_data(mx.nd.array(weight))
        assert prober.errors(StagedNet(net, images, TINY).scores())["error_percent"] == point["error_percent"]

    def test_goes_on_where_it_was(self, net, images, tmp_path):
        path, staged = tmp_path / "s.json", StagedNet(net, images, TINY)
        with pytest.raises(KeyboardInterrupt):
            measure(probe(net, staged, CountedChange(5)), path, {}, SETTINGS)
        assert len(json.loads(path.read_text())["points"]) == 5
        change, steps = CountedChange(), []
        record = measure(probe(net, staged, change), path, {}, SETTINGS, progress=steps.append)
        assert change.calls == 12 - 5 and sum(steps) == 12
        assert record == measure(probe(net, staged, CountedChange(0)), path, {}, SETTINGS)
        whole = measure(probe(net, staged), tmp_path / "other.json", {}, SETTINGS)
        assert whole["points"] == record["points"]

    @pytest.mark.parametrize("text, message", [
        ("{", "no JSON"), ("[]", r"its format is \[\], this run's 1"),
        ('{"format": 1, "experiment": "sensitivity", "seed": 5}', "is of another run: its seed is 5, this run's 0"),
        ('{"format": 1, "experiment": "sensitivity", "seed": 0}', "is damaged: its points are no list: remove it, or"),
        *(('{"format": 1, "experiment": "sensitivity", "seed": 0, "points": %s}' % points, "is damaged: its points "
           f"{wrong}") for points, wrong in [
               ("{}", "are no list"), ("[5]", "have no layer, kind or measured numbers at point 0"),
               ('[{"layer": "a", "kind": "bits", "error_percent": 1, "divergence_nats": 1}]', "have no layer, kind"),
               ('[{"layer": "a", "kind": "bits", "value": [], "error_percent": 1, "divergence_nats": 1}]', "have no"),
               ('[{"layer": "a", "value": 1, "error_percent": 1, "divergence_nats": 1}]', "have no layer"),
               ('[{"layer": "a", "kind": "bits", "value": 2}]', "have no layer, kind or measured numbers")])])
    def test_a_file_of_something_else(self, net, images, tmp_path, text, message):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(ValueError, match="s.json: .*" + message):
            measure(probe(net, StagedNet(net, images, TINY)), tmp_path / "s.json", {"seed": 0}, SETTINGS)
        assert (tmp_path / "s.json").read_text() == text


def test_choose_by_hand():
    options = {"a": [Option(1.0, None, 0.0, 100), Option(1.0, 4, 0.5, 50)],
               "b": [Option(1.0, None, 0.0, 100), Option(0.5, 4, 4.0, 50), Option(1.0, 4, 0.0, 100)]}
    assert [one.nbytes for one in choose(options, 0.0).values()] == [100, 100]
    assert [one.nbytes for one in choose(options, 0.02).values()] == [50, 100]
    assert [one.nbytes for one in choose(options, 1.0).values()] == [50, 50]


def test_price_by_hand():
    options = {"a": [Option(1.0, None, 0.0, 100), Option(1.0, 4, 0.5, 50)],
               "b": [Option(1.0, None, 0.0, 100), Option(0.5, 4, 4.0, 50)]}
    assert choose(options, price_of(options, 0.49))["a"].nbytes == 100
    assert price_of(options, 0.5) == pytest.approx(0.08) and price_of(options, 0.0) == pytest.approx(0.01)
    assert [one.nbytes for one in choose(options, price_of(options, 5)).values()] == [50, 50]


def test_rising_by_hand():
    assert rising([1, 2, 4]) == [1, 2, 4] and rising([]) == []
    assert rising([3, 1, 4, 2, 3]) == [2, 2, 3, 3, 3]


class TestTool:
    @pytest.fixture
    def tiny(self, tmp_path):
        return tmp_path, make_tiny(tmp_path)

    def run(self, capsys, folder, name, *arguments):
        code = tool.main(["--model", name, "--params", str(folder / "tiny.params"), "--data", str(folder / "images"),
                          "--preprocessing", "gluoncv:32", "--json", str(folder / "s.json"), "--sparsities", "0.5",
                          "--bits", "2", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    def test_measures(self, tiny, capsys):
        folder, name = tiny
        code, out, _ = self.run(capsys, folder, name)
        assert code == 0 and out.startswith("top-1 error in %, each layer alone; untouched ")
        assert [line.split()[0] for line in out.splitlines()[1:]] == [
            "0.5", "features.0.weight", "features.2.weight", "output.weight"]
        record = json.loads((folder / "s.json").read_text())
        assert record["dense"]["nbytes"] == 4 * (8 * 27 + 8 + 12 * 36 + 12 + 36 + 3)
        assert record["split"].startswith("the 6 images")
        assert self.run(capsys, folder, name)[1] == out

    def test_compresses_within_a_budget(self, tiny, capsys):
        folder, name = tiny
        code, out, _ = self.run(capsys, folder, name, "-o", folder / "out.gdc", "--budget", 100)
        assert code == 0 and "same sparsity and bits, magnitude and k-means" in out
        model = dc.load(folder / "out.gdc")
        assert f"{model.nbytes:,}" in out and model.metadata["preprocessing"] == "gluoncv:32"
        start = dc.compress(zoo.load_params(folder / "tiny.params", zoo.build(name)))
        assert model.nbytes < start.nbytes / 3
        dc.restore(model, zoo.build(name))
        record = json.loads((folder / "out.json").read_text())
        rows, tried = record["rows"], record["tried"]
        assert [one["predicted_nats"] for one in tried] == sorted(one["predicted_nats"] for one in tried)
        assert [row["nbytes"] for row in rows] == [start.nbytes, model.nbytes, None]
        # What the file decodes to is what was measured.
        net, preprocessing = open_net(name, gdc=folder / "out.gdc").net, preprocessing_named("gluoncv:32")
        found = evaluate(net, half(open_images(folder / "images"), "second"), preprocessing)
        assert rows[1]["second_half"] == vars(found)
        again = (folder / "out.gdc").read_bytes()
        self.run(capsys, folder, name, "-o", folder / "out.gdc", "--budget", 100)
        assert (folder / "out.gdc").read_bytes() == again

    def test_bad_input(self, tiny, capsys):
        folder, name = tiny
        for arguments, message in [(["--sparsities", "2"], "sparsity 2.0"), (["-o", "x", "--budget", "-1"], "--budget"),
                                   (["-o", folder / "no" / "x.gdc"], "no/x.gdc: -o cannot be written, its folder does not exist")]:
            code, _, err = self.run(capsys, folder, name, *arguments)
            assert code == 1 and message in err and err.count("\n") == 1
        with pytest.raises(SystemExit):
            self.run(capsys, folder, name, "--bits", "x")
        assert "expected numbers with commas between, got 'x'" in capsys.readouterr().err

    @pytest.mark.parametrize("arguments, message", [
        (["-o", "s.json"], "s.json: -o is the same file as --json"),
        (["-o", "s.gdc"], "s.json: the comparison, beside -o, is the same file as --json"),
        (["-o", "s-reconstructed.json"], "-o is the same file as the points with reconstruction, beside --json,"),
        (["-o", "s-reconstructed.gdc"], "beside -o, is the same file as the points with reconstruction, beside --json"),
        (["-o", "new.json"], "new.json: the comparison, beside -o, is the same file as -o"),
        (["-o", "tiny.params"], "tiny.params: -o is the same file as --params"),
        (["-o", "link"], "link: -o is the same file as --params"),
        (["--json", "tiny.params"], "tiny.params: --json is the same file as --params")])
    def test_no_file_is_written_over_another(self, tiny, capsys, monkeypatch, arguments, message):
        folder, name = tiny
        (folder / "link").symlink_to("tiny.params")
        before = (folder / "tiny.params").read_bytes()
        monkeypatch.setattr(tool, "images_of", lambda args: pytest.fail("it has begun to work"))
        code, _, err = self.run(capsys, folder, name, arguments[0], folder / arguments[1])
        assert code == 1 and message in err and err.count("\n") == 1
        assert (folder / "tiny.params").read_bytes() == before and not (folder / "s.json").exists()

    def test_nor_over_the_gdc_file(self, tiny, capsys):
        folder, name = tiny
        dc.compress(zoo.load_params(folder / "tiny.params", zoo.build(name)), metadata={"network": name}).save(
            folder / "in.gdc")
        before = (folder / "in.gdc").read_bytes()
        for output, json_file in (("in.gdc", "s.json"), ("other.gdc", "in.gdc")):
            code = tool.main(["--gdc", str(folder / "in.gdc"), "--data", str(folder / "images"), "--json",
                              str(folder / json_file), "-o", str(folder / output)])
            assert code == 1 and "is the same file as --gdc: give another name" in capsys.readouterr().err
        assert (folder / "in.gdc").read_bytes() == before
