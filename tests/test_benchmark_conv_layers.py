import importlib
import json
import math
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "conv_layers.py"
module = runpy.run_path(str(SCRIPT))
conv_table = importlib.import_module("conv_table")  # beside the script, which has set the path


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


def test_depthwise_layers_are_measured_dense(tmp_path, capfd):
    path = tmp_path / "rows.json"
    assert not module["main"](["--nets", "MobileNet-1.0", "--layers", "conv14", "--libraries", "--rounds", "1",
                               "--threads", "1", "--cpu-time", "--json", str(path)])
    rows = json.loads(path.read_text())["rows"]
    assert [(row["layer"], row["depthwise"], set(row["ms"])) for row in rows] == [
        ("conv14/dw", True, {"dense"}), ("conv14/pw", False, {"dense", "direct"})]
    assert rows[0]["density"] == 1 and rows[0]["multiply_adds"] == 1024 * 9 * 7 * 7
    text = capfd.readouterr().out
    assert "depthwise layers (/dw) are not pruned and run dense" in text


def test_speedups_by_hand():
    row = {"ms": {"MXNet": 4.0, "torch": 3.0, "dense": 3.0, "direct": 1.5}}
    assert (conv_table.speedup(row, "direct"), conv_table.speedup(row, "dense")) == (2, 1)
    other = {"ms": {"torch": 8.0, "direct": 1.0}}
    assert conv_table.mean([row, other], "direct") == pytest.approx(4)


def test_a_table_of_both_kinds():
    common = {"net": "N", "size": 7, "batch": 1, "drawn": True, "asked_density": 0.5, "threads": 1, "multiply_adds": 10}
    rows = [{**common, "layer": "a/dw", "depthwise": True, "density": 1.0, "shape": [2, 1, 3, 3],
             "ms": {"torch": 8.0, "dense": 2.0}},
            {**common, "layer": "b", "depthwise": False, "density": 0.5, "shape": [2, 2, 1, 1],
             "ms": {"torch": 3.0, "dense": 2.0, "direct": 1.0}}]
    lines = conv_table.table(rows, {"not_installed": [], "cpu_time": False}).splitlines()
    assert lines[5].split() == ["N", "a/dw", "1.000", "8.0000", "2.0000", "-", "0", "-", "4.00"]
    assert lines[7:] == ["geometric mean of speedups at density 0.5: all 3.00, N 3.00, 1x1 3.00; our dense form 1.50",
                         "geometric mean of speedups of depthwise layers: all 4.00, N 4.00, 3x3 4.00"]


def test_layers_are_those_of_the_nets():
    nets = module["NETS"]
    weights = {net: sum(math.prod(layer.shape) for layer in layers) for net, layers in nets.items()}
    # Without biases: SqueezeNet 1.0 has 1,248,424 parameters in all; VGG-16's convolutions 14,714,688.
    assert weights["SqueezeNet-1.0"] + sum(layer.filters for layer in nets["SqueezeNet-1.0"]) == 1_248_424
    assert weights["VGG-16"] + sum(layer.filters for layer in nets["VGG-16"]) == 14_714_688
    # With scale and shift of batch norms and a classifier of 1000 x 1024 and its bias: 4,231,976 and 11,689,512.
    norms = {net: 2 * sum(layer.filters for layer in layers) for net, layers in nets.items()}
    assert weights["MobileNet-1.0"] + norms["MobileNet-1.0"] + 1_025_000 == 4_231_976
    assert weights["ResNet-18"] + norms["ResNet-18"] + 513_000 == 11_689_512
    # All but the classifier, which has no batch norm and no bias: 3,504,872 with one.
    assert weights["MobileNetV2-1.0"] + norms["MobileNetV2-1.0"] - 2000 + 1000 == 3_504_872


def test_layers_of_a_net_follow_one_another():
    for net in ("MobileNet-1.0", "MobileNetV2-1.0"):
        layers = module["NETS"][net][:-1]
        for before, after in zip(layers, layers[1:]):
            assert before.filters == after.channels * after.groups, (net, after)
            assert (before.size + 2 * before.pad - before.kernel) // before.stride + 1 == after.size, (net, after)


@pytest.mark.parametrize("arguments, message", [
    (["--rounds", "0"], "--rounds must be at least 1, got 0"),
    (["--density", "1.5"], "--density must be in 0..1, got [1.5]"),
    (["--cpu-time"], "--cpu-time is for --threads 1, got [1, 2]"),
    (["--gdc", "none.gdc"], "--gdc needs a file and one of --nets"),
    (["--nets", "AlexNet", "--layers", "fire2", "dw"],
     "--layers fire2 dw: no layer of AlexNet has such a name; there are conv1, conv2, conv3, conv4, conv5"),
    (["--nets", "AlexNet", "--layers", "conv1", "conv2"], "--kernel 1 3: the layers that --layers and --nets leave "
     "have kernels of 5x5, 11x11; pass --kernel 5 11"),
    (["--json", "no/such/folder/rows.json"], "its folder does not exist"),
])
def test_bad_options(arguments, message, capsys):
    with pytest.raises(SystemExit):
        module["main"](arguments)
    assert message in capsys.readouterr().err
