"""tools/shrink.py: from a net and a few photographs to a small file, and on from where it stopped."""
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_net import make_tiny

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import shrink as tool  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.models import zoo  # noqa: E402
from gluon_dc.training import shrink  # noqa: E402

LAYERS = ["features.0.weight", "features.2.weight", "output.weight"]


@pytest.fixture
def tiny(tmp_path):
    return tmp_path, make_tiny(tmp_path)


def run(folder, name, *arguments, output="small.gdc"):
    return tool.main(["--model", name, "--params", str(folder / "tiny.params"), "--data", str(folder / "images"),
                      "--preprocessing", "gluoncv:32", "-o", str(folder / output), *map(str, arguments)])


class TestTool:
    def test_a_file_of_the_divergence_asked_for(self, tiny, capsys):
        folder, name = tiny
        assert run(folder, name, "--divergence", 0.01) == 0
        out = capsys.readouterr().out
        nbytes = (folder / "small.gdc").stat().st_size
        assert [line.split()[0] for line in out.splitlines()[1:4]] == LAYERS and f"{nbytes:,} bytes" in out
        record = json.loads((folder / "small.json").read_text())
        assert record["tried"][-1]["nbytes"] == nbytes and 0 < record["tried"][-1]["divergence_nats"] < 0.1
        model = dc.load(folder / "small.gdc")
        assert {model[layer].coder for layer in LAYERS} == {"context"} and model.metadata["network"] == name
        # The file is the net that was measured.
        net = dc.restore(model, zoo.build(name))
        assert np.isfinite(net.output.weight.data().asnumpy()).all()

    def test_a_higher_price_makes_a_smaller_file(self, tiny, capsys):
        folder, name = tiny
        for price in ("1e-6", "1e-3"):
            assert run(folder, name, "--price", price, output=f"{price}.gdc") == 0
        small, large = json.loads((folder / "1e-3.json").read_text()), json.loads((folder / "1e-6.json").read_text())
        assert small["tried"][0]["nbytes"] < large["tried"][0]["nbytes"]
        assert small["tried"][0]["divergence_nats"] > large["tried"][0]["divergence_nats"]

    def test_a_target_in_bytes(self, tiny, capsys):
        folder, name = tiny
        assert run(folder, name, "--price", "1e-5") == 0
        target = (folder / "small.gdc").stat().st_size - 40
        assert run(folder, name, "--target-bytes", target, output="target.gdc") == 0
        nbytes = (folder / "target.gdc").stat().st_size
        assert nbytes <= target or "still above the target" in capsys.readouterr().out
        assert nbytes < target + 40

    def test_it_goes_on_from_the_last_layer(self, tiny, capsys, monkeypatch):
        folder, name = tiny
        assert run(folder, name, output="whole.gdc") == 0
        calls, real = [], shrink.write_work

        def stop_at_the_third(path, identity, arrays):
            real(path, identity, arrays)
            calls.append(path)
            if len(calls) == 3:
                raise KeyboardInterrupt
        monkeypatch.setattr(shrink, "write_work", stop_at_the_third)
        assert run(folder, name) == 130 and not (folder / "small.gdc").exists()
        assert "the same command goes on" in capsys.readouterr().err
        monkeypatch.setattr(shrink, "curvatures", None)  # measured already
        monkeypatch.setattr(shrink, "write_work", lambda *arguments: calls.append(None) or real(*arguments))
        assert run(folder, name) == 0 and len(calls) == 4  # one layer was left
        assert (folder / "small.gdc").read_bytes() == (folder / "whole.gdc").read_bytes()

    def test_work_of_other_images_is_not_gone_on_with(self, tiny, capsys):
        folder, name = tiny
        assert run(folder, name) == 0
        before = np.load(folder / "small.curvature.npz")["identity"]
        assert run(folder, name, "--limit", 5) == 0
        assert np.load(folder / "small.curvature.npz")["identity"] != before

    def test_tries_that_are_done_are_kept(self, tiny, capsys, monkeypatch):
        folder, name = tiny
        assert run(folder, name, "--price", "1e-5") == 0
        target = (folder / "small.gdc").stat().st_size - 40
        monkeypatch.setattr(shrink, "CLOSE", 0.0)  # so that three tries are made
        assert run(folder, name, "--target-bytes", target, output="whole.gdc") == 0
        tried = json.loads((folder / "whole.json").read_text())["tried"]
        assert len(tried) == 3 and len({one["price_nats_per_bit"] for one in tried}) == 3
        calls, real = [], shrink.write_work

        def stop_in_the_third(path, identity, arrays):
            real(path, identity, arrays)
            calls.append(path.name)
            if calls.count("target.layers-3.npz") == 2:
                raise KeyboardInterrupt
        monkeypatch.setattr(shrink, "write_work", stop_in_the_third)
        assert run(folder, name, "--target-bytes", target, output="target.gdc") == 130
        calls.clear()
        monkeypatch.setattr(shrink, "write_work", lambda path, *rest: calls.append(path.name) or real(path, *rest))
        assert run(folder, name, "--target-bytes", target, output="target.gdc") == 0
        assert calls == ["target.layers-3.npz"]  # one layer was left
        assert (folder / "target.gdc").read_bytes() == (folder / "whole.gdc").read_bytes()

    def test_the_nearest_outputs_of_files_not_above_the_target(self):
        tries = [shrink.Try(1, {}, None, nbytes, nats) for nbytes, nats in ((90, 0.3), (99, 0.1), (98, 0.2), (101, 0))]
        assert [shrink.best_of(tries, target).nbytes for target in (100, 98, 95, 101, 80)] == [99, 98, 90, 101, 90]

    def test_so_many_tries(self, tiny, capsys):
        folder, name = tiny
        assert run(folder, name, "--price", "1e-5") == 0
        target = (folder / "small.gdc").stat().st_size - 40
        assert run(folder, name, "--target-bytes", target, "--tries", 4, "--width", 2, output="target.gdc") == 0
        record = json.loads((folder / "target.json").read_text())
        tried, chosen = record["tried"], record["tried"][record["chosen"]]
        assert len(tried) == 4 and (folder / "target.layers-4.npz").exists()
        fitting = [one["divergence_nats"] for one in tried if one["nbytes"] <= target]
        assert not fitting or chosen["divergence_nats"] == min(fitting)

    def test_work_of_another_width_is_not_gone_on_with(self, tiny, capsys):
        folder, name = tiny
        prices = []
        for width in (1, 8):
            assert run(folder, name, "--price", "1e-4", "--width", width) == 0
            prices.append(json.loads((folder / "small.json").read_text())["tried"][0])
        cost = [one["predicted_nats"] for one in prices]
        assert cost[0] != cost[1]

    def test_images_are_known_by_their_contents(self, tiny, capsys, monkeypatch):
        folder, name = tiny
        assert run(folder, name, output="small.gdc") == 0
        (folder / "images").rename(folder / "moved")
        measure = shrink.curvatures
        monkeypatch.setattr(shrink, "curvatures", None)
        assert run(folder, name, "--data", folder / "moved") == 0  # measured already, wherever they lie
        monkeypatch.setattr(shrink, "curvatures", measure)
        one, other = sorted((folder / "moved").rglob("*.*g"))[:2]
        one.write_bytes(other.read_bytes())
        before = np.load(folder / "small.curvature.npz")["identity"]
        assert run(folder, name, "--data", folder / "moved") == 0
        assert np.load(folder / "small.curvature.npz")["identity"] != before

    def test_images_from_two_places(self, tiny, capsys):
        folder, name = tiny
        assert run(folder, name, "--limit", 5, "--more-data", folder / "images") == 0
        assert "on 17 calibration images" in capsys.readouterr().out
        assert json.loads((folder / "small.json").read_text())["images"].count(" from ") == 2

    @pytest.mark.parametrize("arguments, message", [
        (["--divergence", "0"], "--divergence must be above 0, got 0"),
        (["--price", "nan"], "--price must be above 0, got nan"),
        (["--width", "1025"], "--width must be at most 1024, got 1025"),
        (["--target-bytes", "9", "--tries", "100"], "--tries must be at most 99, got 100"),
        (["--tries", "2"], "--tries goes with --target-bytes"),
        (["-o", "nowhere/small.gdc"], "its folder does not exist"),
    ])
    def test_errors(self, tiny, capsys, arguments, message):
        folder, name = tiny
        assert run(folder, name, *arguments) == 1
        assert message in capsys.readouterr().err

    def test_files_that_are_one_and_the_same(self, tiny, capsys):
        folder, name = tiny
        assert run(folder, name, output="tiny.params") == 1
        assert "is the same file as --params" in capsys.readouterr().err

    def test_work_that_is_damaged(self, tiny, capsys):
        folder, name = tiny
        (folder / "small.curvature.npz").write_bytes(b"PK\x03\x04 and then nothing")
        assert run(folder, name) == 1
        assert "is no work of an earlier run" in capsys.readouterr().err

    def test_one_goal_at_a_time(self, tiny, capsys):
        with pytest.raises(SystemExit) as caught:
            run(*tiny, "--price", "1", "--divergence", "1")
        assert caught.value.code == 2
