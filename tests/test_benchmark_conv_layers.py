import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "conv_layers.py"
module = runpy.run_path(str(SCRIPT))


def test_a_layer_measured(tmp_path, capfd):
    path = tmp_path / "rows.json"
    assert not module["main"](["--nets", "AlexNet", "--layers", "conv5", "--libraries", "--rounds", "1", "--threads",
                               "1", "--density", "0.2", "0.6", "--cpu-time", "--json", str(path)])
    found = json.loads(path.read_text())
    assert [(row["layer"], row["asked_density"], set(row["ms"])) for row in found["rows"]] == [
        ("conv5", 0.2, {"dense", "direct"}), ("conv5", 0.6, {"dense", "direct"})]
    assert all(value > 0 for row in found["rows"] for value in row["ms"].values())
    assert found["rows"][0]["multiply_adds"] == 256 * 256 * 9 * 13 * 13
    text = capfd.readouterr().out
    assert "weights drawn, batch 1" in text and "AlexNet conv5" in text and "no library to compare with" in text


def test_speedups_by_hand():
    row = {"ms": {"MXNet": 4.0, "torch": 3.0, "dense": 3.0, "direct": 1.5}}
    assert (module["speedup"](row, "direct"), module["speedup"](row, "dense")) == (2, 1)
    other = {"ms": {"torch": 8.0, "direct": 1.0}}
    assert module["mean"]([row, other], "direct") == pytest.approx(4)


def test_layers_are_those_of_the_nets():
    nets = module["NETS"]
    weights = {net: sum(layer[1] * layer[2] * layer[3] ** 2 for layer in layers) for net, layers in nets.items()}
    # Without biases: SqueezeNet 1.0 has 1,248,424 parameters in all; VGG-16's convolutions 14,714,688.
    assert weights["SqueezeNet-1.0"] + sum(layer[1] for layer in nets["SqueezeNet-1.0"]) == 1_248_424
    assert weights["VGG-16"] + sum(layer[1] for layer in nets["VGG-16"]) == 14_714_688


@pytest.mark.parametrize("arguments, message", [
    (["--rounds", "0"], "--rounds must be at least 1, got 0"),
    (["--density", "1.5"], "--density must be in 0..1, got [1.5]"),
    (["--cpu-time"], "--cpu-time is for --threads 1, got [1, 2]"),
    (["--gdc", "none.gdc"], "--gdc needs a file and one of --nets"),
    (["--json", "no/such/folder/rows.json"], "its folder does not exist"),
])
def test_bad_options(arguments, message, capsys):
    with pytest.raises(SystemExit):
        module["main"](arguments)
    assert message in capsys.readouterr().err
