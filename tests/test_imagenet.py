"""train/imagenet.py, run as a user runs it, on a tiny net and tiny photographs."""
import json
import os
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("mxnet")
pytest.importorskip("PIL")
pytest.importorskip("tqdm")

SCRIPT = Path(__file__).resolve().parents[1] / "train" / "imagenet.py"
sys.path.insert(0, str(SCRIPT.parent))
import imagenet  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.models import initialize  # noqa: E402
from gluon_dc.nn import weighted_layers  # noqa: E402
from gluon_dc.training import stages  # noqa: E402
from fresh_process import check_in_this_process  # noqa: E402
from photographs import TINY, other, tiny, write_images, write_set  # noqa: E402
from signalled import run_until  # noqa: E402

RECIPE = """
training: {batch_size: 10, optimizer: sgd, weight_decay: 1e-4}
dense: {epochs: 6, learning_rate: 0.05}
prune: {sparsity: {"0": 0.25, "*": 0.5}, schedule: gradual, steps: 3, epochs: 3, learning_rate: 0.02}
share: {bits: {"0": 6, "*": 4}, epochs: 2, learning_rate: 1e-3}
"""


@pytest.fixture(scope="module")
def bugs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "quick.yaml").write_text(RECIPE)
    return write_set(folder / "bugs")


def command(bugs, out, *more, start=("--random-weights",)):
    return ["--model", TINY, "--data", str(bugs), "--recipe", str(bugs.parent / "quick.yaml"), *start,
            "--preprocessing", "gluoncv:16", "--output-dir", str(out), *map(str, more)]


@pytest.fixture(scope="module")
def finished(bugs, tmp_path_factory):
    """A run from beginning to end, its folder and result."""
    out = tmp_path_factory.mktemp("run")
    assert imagenet.main(command(bugs, out)) == 0
    return out, json.loads((out / "result.json").read_text())


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """A fresh process that decodes each file takes a second of every test; that of `finished` has one."""
    monkeypatch.setattr("gluon_dc.training.run._check_fresh_process", check_in_this_process)


def kept(stage, *names):
    return [layer["kept"] for name in names for layer in stage["layers"] if layer["name"] == name]


def test_a_run_learns_and_leaves_file_result_and_report(finished):
    out, result = finished
    dense, pruned, shared, coded = result["stages"]
    assert [len(stage["epochs"]) for stage in result["stages"]] == [6, 3, 2, 0]
    assert result["network"] == TINY and result["recipe"] == "quick" and result["weights"] == "random initial weights"
    assert result["dataset"]["name"] == "bugs"
    assert [result["dataset"][part] for part in ("train", "validation", "test")] == [39, 3, 15]
    assert dense["test_error_percent"] <= 10 and coded["test_error_percent"] <= 20
    assert pruned["test_error_percent"] is None and shared["test_error_percent"] is None
    assert (out / "model.gdc").stat().st_size == result["file"]["nbytes"] == coded["nbytes"]
    assert coded["nbytes"] < shared["nbytes"] < pruned["nbytes"] < dense["nbytes"]
    assert kept(pruned, "0.weight", "6.weight") == [162, 24]  # of 216 and 48
    assert 0 < kept(pruned, "3.weight")[0] <= 576  # of 1152; units that the output layer does not read go too
    assert "bugs" in (out / "report" / "report.txt").read_text() and list((out / "report").glob("*.png"))


def test_the_file_holds_batch_norm_and_what_it_was_made_with(finished):
    model = dc.load(finished[0] / "model.gdc")
    assert model.metadata["network"] == TINY and model.metadata["preprocessing"] == "gluoncv:16"
    assert model.metadata["dataset"] == "bugs" and model.metadata["recipe"] == "quick"
    assert model.decode()["1.running_var"].min() > 0 and (model.decode()["1.running_mean"] != 0).any()
    net = dc.restore(model, tiny(3))
    assert [layer.name for layer in weighted_layers(net)] == ["0.weight", "3.weight", "6.weight"]


def test_the_same_command_again_prints_the_finished_run(finished, bugs, capsys):
    assert imagenet.main(command(bugs, finished[0], "--no-figures")) == 0
    assert f"{finished[1]['file']['nbytes']:,} bytes" in capsys.readouterr().out
    assert json.loads((finished[0] / "result.json").read_text()) == finished[1]


@pytest.mark.parametrize("stop_at", [("dense", 3), ("pruned", 1), ("shared", 1)])
def test_an_interrupted_run_ends_with_the_same_bytes(finished, bugs, tmp_path, monkeypatch, capsys, stop_at):
    """Batch norm's statistics, dropout's draws and rates, momentum and masks all go on where they were."""
    epoch = stages._epoch

    def interrupted(run, name, net, trainer, number, *others):
        if (name, number) == stop_at:
            raise KeyboardInterrupt
        return epoch(run, name, net, trainer, number, *others)

    with monkeypatch.context() as patch:
        patch.setattr(stages, "_epoch", interrupted)
        assert imagenet.main(command(bugs, tmp_path, "--no-figures")) == 130
    assert "interrupted; the same command goes on" in capsys.readouterr().err
    assert imagenet.main(command(bugs, tmp_path, "--no-figures")) == 0
    assert json.loads((tmp_path / "result.json").read_text())["file"] == finished[1]["file"]


def test_a_real_signal_and_the_same_command_again(bugs, tmp_path):
    """Threads are decoding images at that moment; they must not keep the process alive."""
    words = command(bugs, tmp_path / "out", "--no-figures", "--dense-epochs", 1, "--prune-epochs", 4)
    status, errors = run_until(signal.SIGINT, SCRIPT, words, saves=3)
    assert status == 130 and "Traceback" not in errors, errors[-2000:]
    assert (tmp_path / "out" / "checkpoints" / "pruned.progress.npz").exists()
    assert imagenet.main(words) == 0
    assert len(json.loads((tmp_path / "out" / "result.json").read_text())["stages"][1]["epochs"]) == 4


def test_transfer_to_other_classes_says_which_layer_is_new(finished, bugs, tmp_path, capsys):
    many = write_set(tmp_path / "many", classes=tuple("abcdef"), train=8, val=2)
    out = tmp_path / "out"
    start = ("--gdc", finished[0] / "model.gdc")
    words = command(many, out, "--no-figures", "--epochs-scale", 0.3, start=map(str, start))
    words[words.index("--recipe") + 1] = str(bugs.parent / "quick.yaml")
    words[words.index("--preprocessing"):words.index("--preprocessing") + 2] = []  # the file says which
    assert imagenet.main(words) == 0
    printed = capsys.readouterr().out
    assert "layer 6 is of 3 classes there and begins anew for 6" in printed and "held out" in printed
    result = json.loads((out / "result.json").read_text())
    assert result["replaced"] == ["6.weight", "6.bias"] and result["settings"]["preprocessing"] == "gluoncv:16"
    assert [len(stage["epochs"]) for stage in result["stages"]] == [2, 1, 1, 0]
    final = result["stages"][-1]
    assert 0 <= final["test_top5_error_percent"] <= final["test_error_percent"] <= 100
    assert 0 <= final["validation_top5_error_percent"] <= 100
    assert dc.load(out / "model.gdc")["6.weight"].shape == (6, 16)


def test_compressing_given_weights_without_any_training(finished, bugs, tmp_path):
    out = tmp_path / "out"
    start = ("--params", str(finished[0] / "checkpoints" / "dense.npz"))
    assert imagenet.main(command(bugs, out, "--dense-epochs", 0, "--prune-epochs", 0, "--share-epochs", 0, "--bits", 8,
                                 "--sparsity", 0.25, "--no-figures", start=start)) == 0
    result = json.loads((out / "result.json").read_text())
    assert [stage["epochs"] for stage in result["stages"]] == [[]] * 4
    assert result["stages"][0]["test_error_percent"] == finished[1]["stages"][0]["test_error_percent"]
    assert kept(result["stages"][1], "0.weight", "6.weight") == [162, 36]


def test_nothing_shared_is_a_pruned_file(bugs, tmp_path):
    (tmp_path / "pruned.yaml").write_text("training: {batch_size: 10}\ndense: {epochs: 1}\n"
                                          "prune: {sparsity: 0.5, epochs: 1}\nshare: {bits: null, epochs: 1}\n")
    words = command(bugs, tmp_path / "out", "--no-figures")
    words[words.index("--recipe") + 1] = str(tmp_path / "pruned.yaml")
    assert imagenet.main(words) == 0
    coded = json.loads((tmp_path / "out" / "result.json").read_text())["stages"][-1]
    assert {layer["bits"] for layer in coded["layers"]} == {32} and kept(coded, "0.weight", "6.weight") == [108, 24]


@pytest.fixture
def wrong(bugs, tmp_path):
    """Things that do not fit, by name."""
    initialize(other(3), (3, 16, 16)).save_parameters(str(tmp_path / "other.params"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.gdc").write_bytes(b"no such thing")
    (tmp_path / "typo.yaml").write_text("prun: {sparsity: 0.5}\n")
    (tmp_path / "pattern.yaml").write_text("dense: {epochs: 1}\nprune: {sparsity: {fc9: 0.5}}\n")
    write_images(tmp_path / "broken", ("ant", "bee"), 3)
    (tmp_path / "broken" / "ant" / "1.png").write_bytes(b"not an image")
    return tmp_path


@pytest.mark.parametrize("replaced, message", [
    ({"--data": "nowhere"}, "no images: looked for nowhere"),
    ({"--data": "{wrong}/empty"}, "empty"),
    ({"--data": "{wrong}/broken"}, "1.png"),
    ({"--model": "squeezenett"}, "no model is named 'squeezenett': did you mean"),
    ({"--model": "lenet-5"}, "does not take"),
    ({"--recipe": "{wrong}/typo.yaml"}, "prun"),
    ({"--recipe": "{wrong}/pattern.yaml"}, "sparsity: pattern 'fc9' matches no layer; the layers are 0.weight, "
     "3.weight, 6.weight; see recipe pattern, or the option in its place"),
    ({"--recipe": "nothing"}, "nothing"),
    ({"--preprocessing": "pytorch"}, "no preprocessing is named 'pytorch': expected one of gluoncv"),
    ({"--sparsity": "1.5"}, "sparsity must be at least 0 and below 1, got 1.5"),
    ({"--bits": "9"}, "bits must be at least 1 and at most 8, got 9"),
    ({"--epochs-scale": "0"}, "epochs scale must be above 0"),
    ({"--dense-epochs": "0"}, "from random weights: that needs training before anything is pruned"),
    ({"--random-weights": None, "--gdc": "{wrong}/bad.gdc"}, "bad.gdc"),
    ({"--random-weights": None, "--gdc": "{wrong}/missing.gdc"}, "missing.gdc"),
    ({"--random-weights": None, "--params": "{wrong}/other.params"}, "other.params is of another network"),
    ({"--random-weights": None, "--pretrained": ""}, "GluonCV has no pretrained weights of"),
])
def test_bad_input_is_one_line_before_any_training(bugs, wrong, capsys, monkeypatch, replaced, message):
    monkeypatch.setattr(stages, "_epoch", None)
    words = command(bugs, wrong / "out")
    for flag, text in replaced.items():
        if text is None:
            words.remove(flag)
        elif flag in words:
            words[words.index(flag) + 1] = text.format(wrong=wrong)
        else:
            words += [flag, text.format(wrong=wrong)] if text else [flag]
    assert imagenet.main(words) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("imagenet.py: ") and message in error and "\n" not in error
    assert not (wrong / "out").exists()


def test_another_run_in_the_folder_is_refused(finished, bugs, capsys):
    assert imagenet.main(command(bugs, finished[0], "--bits", 3)) == 1
    assert "holds a run with other settings (bits was" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_ends_the_run_at_once(bugs, tmp_path, capsys):
    assert imagenet.main(command(bugs, tmp_path, "--dense-rate", "1e30")) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "stage dense, epoch 1: the loss is nan; take a learning rate below 1e+30" in error.replace("inf", "nan")


def test_usage_errors_are_for_argparse():
    for words in ([], ["--model", "x", "--data", "y"], ["--model", "x", "--data", "y", "--pretrained", "--gdc", "z"],
                  ["--model", "x", "--data", "y", "--pretrained", "--sparsity", "many"]):
        with pytest.raises(SystemExit) as stop:
            imagenet.main(words)
        assert stop.value.code == 2


def test_help_tells_what_every_option_does(capsys):
    with pytest.raises(SystemExit) as stop:
        imagenet.main(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("--head-rate N a new output layer learns this many times faster", "--no-augment", "(default: 0.1)"):
        assert words in text


def test_mini_imagenet_opens_as_18_classes():
    folder = os.environ.get("GLUON_DC_DATA")
    if not folder or not (Path(folder) / "mini-imagenet-18").is_dir():
        pytest.skip("GLUON_DC_DATA does not lead to mini-imagenet-18")
    from gluon_dc.training.image_data import open_splits
    splits = open_splits("mini-imagenet-18")
    assert splits.classes == 18 and len(splits.test) == 62
    assert len(splits.train) + len(splits.validation) == 576
