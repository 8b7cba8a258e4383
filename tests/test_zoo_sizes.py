"""Sizes of nets through the stages: what is measured, that it goes on where it stopped, and the tables."""

import json
import re

import pytest
from report_inputs import load_tool, one_error_line

import gluon_dc as dc
from gluon_dc.models import build, initialize
from gluon_dc.recipes import Code, Prune, Recipe, Share
from gluon_dc.report.nets import check_zoo
from gluon_dc.training import zoo_sizes
from gluon_dc.training.one_shot import Weights

tool = load_tool("zoo_sizes")
RECIPE = Recipe("mine", prune=Prune(sparsity=0.9), share=Share(bits={"4": 5, "*": 8}), code=Code(rel_bits=4))


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))


class TestMeasure:
    def test_an_entry(self, tmp_path):
        entry = zoo_sizes.measure("lenet-5", RECIPE, Weights("random"), tmp_path)
        size = (tmp_path / "lenet-5.gdc").stat().st_size
        assert entry["dense_nbytes"] == entry["stages"]["dense"] == 4 * 431_080
        assert entry["nbytes"] == entry["stages"]["coded"] == size == sum(entry["part_nbytes"].values())
        assert entry["ratio"] == pytest.approx(4 * 431_080 / size)
        assert entry["kept_percent"] == pytest.approx(10, abs=0.01)
        assert entry["bits"] == {"0.weight": 8, "2.weight": 8, "4.weight": 5, "5.weight": 8}
        assert entry["weights"] == "synthetic weights: sizes only, no accuracy" and entry["recipe"] == "mine"
        assert set(entry["seconds"]) == {"weights", "prune", "other files", "share", "code", "write and verify"}

    def test_the_stages_are_bytes_of_real_files(self, tmp_path):
        """Each made again by the verbs: a pruned net, and the shared one with codes of fixed width."""
        stages = zoo_sizes.measure("lenet-5", RECIPE, Weights("random"), tmp_path)["stages"]
        net, settings, origin = zoo_sizes.one_shot.open_net("lenet-5", None, RECIPE, Weights("random"))
        metadata = {"network": "lenet-5", "weights": origin, "recipe": "mine", "retrained": False}
        dc.prune(net, 0.9)
        assert stages["pruned"] == len(dc.compress(net, metadata=metadata).dumps())
        # 10 % of 430,500 kept weights in float32, a bit for each weight, 580 biases; then names and checksums.
        assert 0 < stages["pruned"] - (430_500 // 8 + 4 * 43_050 + 4 * 580) < 400
        dc.quantize(net, {"4": 5, "*": 8})
        assert stages["shared"] == len(dc.compress(net, coder="fixed", rel_bits=4, metadata=metadata).dumps())
        assert stages["coded"] < stages["shared"] < stages["pruned"] < stages["dense"]

    def test_progress(self, tmp_path):
        totals, done = [], []
        zoo_sizes.measure("lenet-5", RECIPE, Weights("random"), tmp_path, done.append, totals.append)
        assert totals == [2 * 431_080] and sum(done) == 2 * 430_500

    def test_a_net_of_one_s_own_has_a_file_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "own.py").write_text("from mxnet.gluon import nn\ndef net(): return nn.Dense(4, in_units=50)\n")
        entry = zoo_sizes.measure("own.py:net", Recipe(prune=Prune(sparsity=0.5)), Weights("random"), tmp_path)
        assert entry["file"] == "own.py_net.gdc" and (tmp_path / "own.py_net.gdc").is_file()


class TestWeightsOf:
    def test_drawn_where_there_are_none(self, tmp_path):
        assert zoo_sizes.weights_of("alexnet", tmp_path, seed=4) == Weights("random", seed=4)
        assert zoo_sizes.weights_of("lenet-5") == Weights("random")

    @pytest.mark.parametrize("name", ["alexnet.params", "alexnet-44335d1f.params"])
    def test_one_s_own(self, tmp_path, name):
        (tmp_path / name).touch()
        assert zoo_sizes.weights_of("alexnet", tmp_path) == Weights("params", str(tmp_path / name))
        assert zoo_sizes.weights_of("vgg16", tmp_path) == Weights("random")

    def test_gluoncv_s_where_they_are(self, tmp_path):
        (tmp_path / "home" / "models").mkdir(parents=True)
        (tmp_path / "home" / "models" / "alexnet-44335d1f.params").touch()
        assert zoo_sizes.weights_of("alexnet") == Weights("pretrained")

    def test_several(self, tmp_path):
        for name in ("alexnet-1.params", "alexnet-2.params"):
            (tmp_path / name).touch()
        with pytest.raises(ValueError, match="holds several files for alexnet: alexnet-1.params, alexnet-2.params; "
                                             "name the one to use alexnet.params"):
            zoo_sizes.weights_of("alexnet", tmp_path)
        (tmp_path / "alexnet.params").touch()
        assert zoo_sizes.weights_of("alexnet", tmp_path).path.endswith("alexnet.params")

    def test_no_folder(self, tmp_path):
        with pytest.raises(NotADirectoryError, match="expected one with MODEL.params files"):
            zoo_sizes.weights_of("alexnet", tmp_path / "no")


class TestEntries:
    ENTRY = {"network": "n", "file": "n.gdc", "nbytes": 3, "made_from": {"seed": 0}}

    def test_there_and_back(self, tmp_path):
        assert zoo_sizes.read_entries(tmp_path) == {}
        zoo_sizes.write_entries(tmp_path, {"n": self.ENTRY})
        assert zoo_sizes.read_entries(tmp_path) == {"n": self.ENTRY}

    @pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"format": 1}', '{"format": 2, "nets": []}',
                                      '{"format": 1, "nets": [5]}', "[" * 5000, '{"format": 1, "nets": [{}]}'])
    def test_a_file_of_something_else_is_kept(self, tmp_path, text):
        (tmp_path / "zoo_sizes.json").write_text(text)
        with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / 'zoo_sizes.json'))} is not what "):
            zoo_sizes.read_entries(tmp_path)

    def test_done(self, tmp_path):
        (tmp_path / "n.gdc").write_bytes(b"abc")
        assert zoo_sizes.is_done(self.ENTRY, {"seed": 0}, tmp_path)
        assert not zoo_sizes.is_done(self.ENTRY, {"seed": 1}, tmp_path)
        assert not zoo_sizes.is_done(None, {"seed": 0}, tmp_path)
        (tmp_path / "n.gdc").write_bytes(b"ab")
        assert not zoo_sizes.is_done(self.ENTRY, {"seed": 0}, tmp_path)

    def test_identity(self, tmp_path):
        (tmp_path / "a.params").write_bytes(b"1")
        weights = Weights("params", str(tmp_path / "a.params"))
        first = zoo_sizes.identity("lenet-5", RECIPE, weights)
        assert first == json.loads(json.dumps(first)) == zoo_sizes.identity("lenet-5", RECIPE, weights)
        assert first != zoo_sizes.identity("lenet-5", Recipe("mine"), weights)
        (tmp_path / "a.params").write_bytes(b"12")
        assert first != zoo_sizes.identity("lenet-5", RECIPE, weights)


class TestTool:
    def test_a_run_and_another(self, tmp_path, capsys, monkeypatch):
        out = tmp_path / "sizes"
        assert tool.main(["--output-dir", str(out), "--networks", "lenet-5", "lenet-300-100"]) == 0
        printed = capsys.readouterr().out
        assert "Table 3 of the paper beside lenet-5, synthetic weights: sizes only, no accuracy" in printed
        size = (out / "lenet-5.gdc").stat().st_size
        assert re.search(rf"^lenet-5 +default +synthetic weights +1,724,320 +[\d,]+ +[\d,]+ +{size:,} +[\d.]+x +30.0 ",
                         printed, re.M)
        assert f"{240_000_000 / size:,.1f}x" in printed and f"{552_000_000 / size:,.1f}x" in printed
        assert (out / "zoo_sizes.txt").read_text() == printed
        zoo = check_zoo(json.loads((out / "zoo_sizes.json").read_text()), "zoo_sizes.json")
        assert [net.network for net in zoo.nets] == ["lenet-5", "lenet-300-100"]

        monkeypatch.setattr(zoo_sizes, "measure", lambda *args: pytest.fail("was done before"))
        assert tool.main(["--output-dir", str(out), "--networks", "lenet-5", "lenet-300-100"]) == 0
        again = capsys.readouterr()
        assert again.out == printed and again.err == "lenet-5: done before\nlenet-300-100: done before\n"

    def test_it_goes_on_after_an_interrupt(self, tmp_path, capsys, monkeypatch):
        measure = zoo_sizes.measure

        def interrupted(model, *args):
            if model == "lenet-5":
                raise KeyboardInterrupt
            return measure(model, *args)

        monkeypatch.setattr(zoo_sizes, "measure", interrupted)
        arguments = ["--output-dir", str(tmp_path), "--networks", "lenet-300-100", "lenet-5"]
        assert tool.main(arguments) == 130
        assert "the same command goes on with the nets that are missing" in capsys.readouterr().err
        assert list(zoo_sizes.read_entries(tmp_path)) == ["lenet-300-100"]
        monkeypatch.setattr(zoo_sizes, "measure", measure)
        assert tool.main(arguments) == 0
        assert capsys.readouterr().err == "lenet-300-100: done before\n"

    def test_weights_of_one_s_own(self, tmp_path, capsys):
        initialize(build("lenet-300-100")).save_parameters(str(tmp_path / "lenet-300-100.params"))
        assert tool.main(["--output-dir", str(tmp_path), "--networks", "lenet-300-100",
                          "--params-dir", str(tmp_path)]) == 0
        assert "Table 2 of the paper beside lenet-300-100, lenet-300-100.params" in capsys.readouterr().out

    @pytest.mark.parametrize("arguments, message", [
        (["--networks", "lenet-5", "lenet-6"], "no model is named 'lenet-6': did you mean lenet-5"),
        (["--networks", "lenet-5", "--recipe", "alexnet-paper"], "sparsity: pattern 'features.0' matches no layer"),
        (["--networks", "lenet-5", "--params-dir", "no"], "no is no folder; expected one with MODEL.params files"),
    ])
    def test_errors_before_any_work(self, tmp_path, capsys, arguments, message):
        assert tool.main(["--output-dir", str(tmp_path / "out"), *arguments]) == 1
        assert one_error_line(capsys.readouterr().err, "zoo_sizes.py").startswith(message)
        assert not (tmp_path / "out").exists()
