import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

import gluon_dc as dc  # noqa: E402
from gluon_dc.coding import PackedTensor  # noqa: E402
from gluon_dc.data import Dataset  # noqa: E402
from gluon_dc.models import get_model  # noqa: E402
from gluon_dc.report import read_run, write_report  # noqa: E402
from gluon_dc.report.gallery import run_figures  # noqa: E402
from gluon_dc.training import settings_for, stages  # noqa: E402
from gluon_dc.training.checkpoints import plain_arrays  # noqa: E402
from gluon_dc.training.mnist_task import MnistTask  # noqa: E402
from gluon_dc.training.run import run_pipeline  # noqa: E402
from fresh_process import check_in_this_process  # noqa: E402

QUICK = dict(threads=1, batch_size=32, dense_epochs=2, prune_epochs=3, share_epochs=2, prune_steps=6,
             sparsity=0.97, prune_rate=2e-3)


def blocks(n, seed):
    """Ten classes of 28 x 28 images: a bright block at one of ten places, in noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=n).astype(np.uint8)
    images = rng.integers(0, 60, size=(n, 1, 28, 28)).astype(np.uint8)
    for image, label in zip(images[:, 0], labels):
        row, column = divmod(int(label), 4)
        image[2 + 8 * row:9 + 8 * row, 1 + 7 * column:6 + 7 * column] = 255
    return images, labels


@pytest.fixture(scope="module")
def data():
    return Dataset("blocks", *blocks(320, 0), *blocks(64, 1), *blocks(96, 2), source="made by the test",
                   note="a test's own images")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of LeNet-300-100 from beginning to end."""
    folder = tmp_path_factory.mktemp("run")
    return folder, run_pipeline(settings_for("lenet-300-100", **QUICK), data, folder)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, request):
    """A fresh process that decodes each file takes a second of every test; that of `finished` has one."""
    if "fresh_process" not in request.node.name:
        monkeypatch.setattr("gluon_dc.training.run._check_fresh_process", check_in_this_process)


def test_the_file_is_what_the_result_says(finished):
    folder, result = finished
    content = (folder / "model.gdc").read_bytes()
    assert json.loads((folder / "result.json").read_text()) == result
    assert result["file"] == {"name": "model.gdc", "nbytes": len(content), "ratio": 1066440 / len(content),
                              "sha256": hashlib.sha256(content).hexdigest()}
    assert len(content) < 1066440 / 40


def test_stages_and_layers_of_the_result(finished):
    _, result = finished
    assert [stage["stage"] for stage in result["stages"]] == ["dense", "pruned", "shared", "coded"]
    dense, pruned, shared, coded = result["stages"]
    assert dense["nbytes"] == 1066440 and dense["weights"] == 266200
    assert [layer["paper_name"] for layer in dense["layers"]] == ["ip1", "ip2", "ip3"]
    assert [len(stage["epochs"]) for stage in result["stages"]] == [2, 3, 2, 0]
    assert pruned["kept"] <= round(0.03 * 266200) and coded["kept"] <= pruned["kept"]
    assert dense["nbytes"] > pruned["nbytes"] > shared["nbytes"] > coded["nbytes"] == result["file"]["nbytes"]
    assert all(layer["bits"] <= 4 for layer in coded["layers"])
    assert [layer["nbytes"] for layer in dense["layers"]] == [940800, 120000, 4000]
    assert 0 < coded["nbytes"] - sum(layer["nbytes"] for layer in coded["layers"]) < 1200
    assert [stage["test_error_percent"] is None for stage in result["stages"]] == [False, True, True, False]
    assert dense["test_error_percent"] < 5 and coded["test_error_percent"] < 10


def test_the_restored_net_has_the_error_and_the_weights_of_the_file(finished, data):
    folder, result = finished
    model = dc.load(folder / "model.gdc")
    net = dc.restore(model, get_model("lenet-300-100"))
    predicted = net(mx.nd.array(data.test_images.astype(np.float32)) / 255).asnumpy().argmax(axis=1)
    error = 100.0 * float((predicted != data.test_labels).mean())
    assert error == pytest.approx(result["stages"][-1]["test_error_percent"])
    for name, array in plain_arrays(net).items():
        np.testing.assert_array_equal(array, model.decode()[name])


def test_pruned_weights_stay_zero_to_the_end(finished):
    folder, _ = finished
    with np.load(folder / "checkpoints" / "pruned.npz") as pruned:
        for name, tensor in dc.load(folder / "model.gdc").items():
            if isinstance(tensor, PackedTensor):
                np.testing.assert_array_equal(tensor.decode() != 0, pruned[name] != 0)


def test_a_finished_run_is_not_run_again(finished, data, monkeypatch):
    folder, result = finished
    monkeypatch.setattr(stages, "_train", None)
    assert run_pipeline(settings_for("lenet-300-100", **QUICK), data, folder) == result


@pytest.mark.parametrize("stop_at", [("dense", 1), ("pruned", 2), ("shared", 1)])
def test_an_interrupted_run_ends_with_the_same_bytes(finished, data, tmp_path, monkeypatch, stop_at):
    folder, result = finished
    epoch = stages._epoch

    def interrupted(run, name, net, trainer, number, *others):
        if (name, number) == stop_at:
            raise KeyboardInterrupt
        return epoch(run, name, net, trainer, number, *others)

    settings = settings_for("lenet-300-100", **QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(stages, "_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_pipeline(settings, data, tmp_path)
    seen = []
    monkeypatch.setattr(stages, "_epoch", lambda run, name, net, trainer, number, *others:
                        seen.append((name, number)) or epoch(run, name, net, trainer, number, *others))
    assert run_pipeline(settings, data, tmp_path)["file"] == result["file"]
    assert seen[0] == stop_at


def test_lenet_5_goes_through_too(data, tmp_path):
    quick = {**QUICK, "dense_epochs": 1, "prune_epochs": 1, "share_epochs": 1}
    result = run_pipeline(settings_for("lenet-5", **quick), data, tmp_path)
    assert [layer["paper_name"] for layer in result["stages"][-1]["layers"]] == ["conv1", "conv2", "ip1", "ip2"]
    assert result["stages"][0]["nbytes"] == 1724320


def test_the_papers_recipe_keeps_the_papers_share_of_every_layer(data, tmp_path, finished):
    quick = {**QUICK, "dense_epochs": 1, "prune_epochs": 2, "share_epochs": 1}
    del quick["sparsity"]
    result = run_pipeline(settings_for("lenet-300-100", "paper", **quick), data, tmp_path,
                          dense=finished[0] / "checkpoints" / "dense.npz")
    kept = [layer["kept"] / layer["weights"] for layer in result["stages"][1]["layers"]]
    assert all(found <= paper + 1e-6 for found, paper in zip(kept, (0.08, 0.09, 0.26)))
    assert kept[0] == pytest.approx(0.08, abs=0.02)
    assert all(layer["bits"] <= 6 for layer in result["stages"][-1]["layers"])


def test_an_l1_penalty_makes_the_weights_smaller(finished, data, tmp_path):
    quick = {**QUICK, "prune_epochs": 1, "share_epochs": 1, "l1": 1e-3}
    run_pipeline(settings_for("lenet-300-100", **quick), data, tmp_path)
    sums = []
    for folder in (finished[0], tmp_path):
        with np.load(folder / "checkpoints" / "dense.npz") as dense:
            sums.append(np.abs(dense["0.weight"]).sum())
    assert sums[1] < 0.5 * sums[0]


def test_starting_from_a_pruned_net(finished, data, tmp_path):
    folder, result = finished
    again = run_pipeline(settings_for("lenet-300-100", **QUICK), data, tmp_path,
                         pruned=folder / "checkpoints" / "pruned.npz")
    assert again["file"] == result["file"]
    assert [stage["stage"] for stage in again["stages"]] == ["pruned", "shared", "coded"]
    assert "pruned " in write_report(tmp_path, figures=False)
    assert set(run_figures(read_run(tmp_path))) >= {"training", "weights", "storage"}
    assert again["stages"][0]["epochs"] == []


def test_a_folder_with_other_settings_is_refused_and_fresh_starts_over(finished, data, tmp_path):
    folder, _ = finished
    with pytest.raises(ValueError, match=r"holds a run with other settings \(seed was 0, is 1\): give "
                                         "another --output-dir, or --fresh"):
        run_pipeline(settings_for("lenet-300-100", seed=1, **QUICK), data, folder)
    with pytest.raises(ValueError, match=r"other settings \(pruned was None, is '[0-9a-f]{64}'\)"):
        run_pipeline(settings_for("lenet-300-100", **QUICK), data, folder,
                     pruned=folder / "checkpoints" / "pruned.npz")
    others = Dataset("blocks", *blocks(320, 5), *blocks(64, 1), *blocks(96, 2), source="", note="")
    with pytest.raises(ValueError, match=r"other settings \(dataset was 'blocks [0-9a-f]{16}', is 'blocks [0-9a-f]{16}'\)"):
        run_pipeline(settings_for("lenet-300-100", **QUICK), others, folder)
    quick = {**QUICK, "dense_epochs": 1, "prune_epochs": 1, "share_epochs": 1}
    first = run_pipeline(settings_for("lenet-300-100", **quick), data, tmp_path)
    other = run_pipeline(settings_for("lenet-300-100", **{**quick, "seed": 1}), data, tmp_path, fresh=True)
    assert other["seed"] == 1 and other["file"]["sha256"] != first["file"]["sha256"]


def test_before_the_first_epoch_is_finished_other_settings_and_data_are_taken(data, tmp_path, monkeypatch):
    """A broken image that ends the first epoch may be removed, and the same command then goes on."""
    broken = Dataset("blocks", *blocks(320, 5), *blocks(64, 1), *blocks(96, 2), source="", note="")
    settings = settings_for("lenet-300-100", **{**QUICK, "dense_epochs": 1})
    with monkeypatch.context() as patch:
        patch.setattr(stages, "_epoch", lambda *_: (_ for _ in ()).throw(OSError("a broken image")))
        for images in (broken, data):
            with pytest.raises(OSError, match="a broken image"):
                run_pipeline(settings, images, tmp_path)
    epoch = stages._epoch
    with monkeypatch.context() as patch:
        patch.setattr(stages, "_epoch", lambda run, name, *rest:
                      epoch(run, name, *rest) if name == "dense" else (_ for _ in ()).throw(OSError("another")))
        with pytest.raises(OSError, match="another"):
            run_pipeline(settings, data, tmp_path)
    with pytest.raises(ValueError, match="other settings .dataset was"):
        run_pipeline(settings, broken, tmp_path)


def test_a_run_that_an_earlier_version_began_goes_on(data, tmp_path, monkeypatch):
    """Its run.json calls the schedule cubic."""
    settings = settings_for("lenet-300-100", **{**QUICK, "dense_epochs": 1})
    (tmp_path / "checkpoints").mkdir()
    identity = {**MnistTask(settings, data).identity(), "dense": None, "pruned": None, **settings.as_dict()}
    (tmp_path / "checkpoints" / "run.json").write_text(json.dumps({**identity, "schedule": "cubic"}))
    (tmp_path / "checkpoints" / "dense.json").write_text("{}")
    monkeypatch.setattr(stages, "_epoch", lambda *_: (_ for _ in ()).throw(OSError("it began")))
    with pytest.raises(OSError, match="it began"):
        run_pipeline(settings, data, tmp_path)


def test_fresh_leaves_nothing_of_the_earlier_run_and_reads_what_it_is_given_first(data, tmp_path, monkeypatch):
    quick = {**QUICK, "dense_epochs": 1, "prune_epochs": 1, "share_epochs": 1}
    settings, dense = settings_for("lenet-300-100", **quick), tmp_path / "checkpoints" / "dense.npz"
    run_pipeline(settings, data, tmp_path)
    (tmp_path / "notes.txt").write_text("the user's own")
    with pytest.raises(FileNotFoundError, match="typo.npz"):
        run_pipeline(settings, data, tmp_path, dense=tmp_path / "typo.npz", fresh=True)
    assert dense.exists() and (tmp_path / "model.gdc").exists()
    with monkeypatch.context() as patch:
        patch.setattr(stages, "_epoch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_pipeline(settings, data, tmp_path, dense=dense, fresh=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "notes.txt"]
    assert dense.exists()
    assert run_pipeline(settings, data, tmp_path, dense=dense)["stages"][0]["epochs"] == []


@pytest.mark.parametrize("name, content, message", [
    ("model.gdc", None, "model.gdc: not the file that this run has written; delete it to have it written again"),
    ("checkpoints/run.json", "[]", "run.json: damaged .expected an object, found list.; delete it"),
    ("checkpoints/coded.json", "{", "coded.json: damaged .*; delete it to have its stage run again"),
])
def test_files_of_a_run_that_something_else_has_written(finished, data, tmp_path, name, content, message):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    if content is None:
        model = dc.load(folder / name)
        dc.CompressedModel(dict(model.items()), metadata={"other": True}).save(folder / name)
    else:
        (folder / name).write_text(content)
    settings = settings_for("lenet-300-100", **QUICK)
    with pytest.raises(ValueError, match=message):
        run_pipeline(settings, data, folder)
    (folder / name).unlink()
    assert run_pipeline(settings, data, folder)["file"] == finished[1]["file"]


def test_two_runs_cannot_work_in_one_folder(data, tmp_path, monkeypatch):
    settings = settings_for("lenet-300-100", **{**QUICK, "dense_epochs": 1})

    def second(*_):
        with pytest.raises(ValueError, match="another process is at work in it; wait for it"):
            run_pipeline(settings, data, tmp_path)
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "_epoch", second)
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(settings, data, tmp_path)


def test_unfinished_files_of_a_killed_run_are_cleared_away(finished, data):
    folder, _ = finished
    for name in ("model.gdc.abc_0123", "checkpoints/dense.progress.npz.zzzzzzzz"):
        (folder / name).write_bytes(b"half")
    (folder / "model.gdc.backup-of-mine").write_bytes(b"kept")
    run_pipeline(settings_for("lenet-300-100", **QUICK), data, folder)
    assert {path.name for path in folder.glob("model.gdc.*")} == {"model.gdc.backup-of-mine"}
    assert not list((folder / "checkpoints").glob("*.npz.*"))


def test_a_stage_whose_file_is_gone_is_run_again(data, tmp_path):
    quick = {**QUICK, "dense_epochs": 1, "prune_epochs": 1, "share_epochs": 1}
    settings = settings_for("lenet-300-100", **quick)
    first = run_pipeline(settings, data, tmp_path)
    for name in ("dense.npz", "shared.gdc"):
        (tmp_path / "checkpoints" / name).unlink()
    again = run_pipeline(settings, data, tmp_path)
    assert again["file"] == first["file"]
    assert again["stages"][0]["test_error_percent"] == first["stages"][0]["test_error_percent"]


def test_damaged_checkpoints_and_diverging_training_say_what_to_do(data, tmp_path):
    settings = settings_for("lenet-300-100", **{**QUICK, "dense_epochs": 1})
    (tmp_path / "dense.npz").write_bytes(b"PK\x03\x04 not any more")
    with pytest.raises(ValueError, match="dense.npz: is damaged .*; give the .npz of a stage"):
        run_pipeline(settings, data, tmp_path / "a", dense=tmp_path / "dense.npz")
    with pytest.raises(FloatingPointError, match="stage dense, epoch 1: the loss is (nan|inf); take a "
                                                 "learning rate below 1e"):
        run_pipeline(settings_for("lenet-300-100", **{**QUICK, "dense_rate": 1e30}), data, tmp_path / "b")


def test_a_file_that_a_fresh_process_decodes_otherwise_is_an_error(finished, data, monkeypatch):
    from gluon_dc.training import run
    folder, _ = finished
    done = subprocess.CompletedProcess([], 0, stdout="0" * 64 + "\n", stderr="")
    monkeypatch.setattr(run.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(RuntimeError, match="a fresh process does not decode it to the weights in memory"):
        run_pipeline(settings_for("lenet-300-100", **QUICK), data, folder)
