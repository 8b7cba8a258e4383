"""gluon_dc.training.small: a run from nothing to a file, interrupted, gone on with, refused."""
import hashlib
import json
import shutil

import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

import gluon_dc as dc  # noqa: E402
from fresh_process import check_in_this_process  # noqa: E402
from gluon_dc.models import get_model  # noqa: E402
from gluon_dc.report import read_run  # noqa: E402
from gluon_dc.training.loop import error_percent  # noqa: E402
from gluon_dc.training.small import SmallSettings, stages  # noqa: E402
from gluon_dc.training.small.run import run_small  # noqa: E402
from small_data import QUICK, block_data  # noqa: E402

STAGES = ["dense", "rough", "pruned", "shared", "centroids", "coded"]


@pytest.fixture(scope="module")
def data():
    return block_data()


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of LeNet-300-100 from beginning to end: folder, result; the cache is beside it."""
    folder = tmp_path_factory.mktemp("small")
    return folder / "run", run_small(SmallSettings(**QUICK), data, folder / "run", folder / "cache")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, request):
    """A fresh process that decodes each file takes a second of every test; that of `finished` has one."""
    if "fresh_process" not in request.node.name:
        monkeypatch.setattr("gluon_dc.training.small.run._check_fresh_process", check_in_this_process)


def go_on(folder, data, cache, **changes):
    return run_small(SmallSettings(**{**QUICK, **changes}), data, folder, cache)


def test_the_file_is_what_the_result_says_in_a_fresh_process_too(finished):
    folder, result = finished
    content = (folder / "model.gdc").read_bytes()
    assert json.loads((folder / "result.json").read_text()) == result
    assert result["file"] == {"name": "model.gdc", "nbytes": len(content), "ratio": 1066440 / len(content),
                              "sha256": hashlib.sha256(content).hexdigest()}
    assert len(content) < 8000 and read_run(folder).result == result


def test_the_error_of_the_decoded_file_in_the_papers_net(finished, data):
    folder, result = finished
    net = dc.restore(dc.load(folder / "model.gdc"), get_model("lenet-300-100"))
    coded = result["stages"][-1]
    assert error_percent(net, data.test_images, data.test_labels) == coded["test_error_percent"] < 30
    assert error_percent(net, data.validation_images, data.validation_labels) == coded["validation_error_percent"]


def test_the_stages(finished):
    folder, result = finished
    assert [stage["stage"] for stage in result["stages"]] == STAGES
    assert [len(stage["epochs"]) for stage in result["stages"]] == [2, 2, 4, 2, 2, 0]
    dense, rough, pruned, shared, centroids, coded = result["stages"]
    assert dense["kept"] == dense["weights"] == 266200 and dense["nbytes"] == 1066440
    assert 6000 < rough["kept"] <= 30_000 and 2000 < pruned["kept"] <= 6000
    assert pruned["kept"] >= shared["kept"] == centroids["kept"] >= coded["kept"] > 2000
    assert [stage["test_error_percent"] is None for stage in result["stages"]] == [False] + 4 * [True] + [False]
    assert coded["nbytes"] == result["file"]["nbytes"] and coded["bits"] <= 4
    assert [layer["paper_name"] for layer in coded["layers"]] == ["ip1", "ip2", "ip3"]


def test_few_centroids_on_a_codebook_and_no_dead_units(finished):
    folder, _ = finished
    decoded = dc.load(folder / "model.gdc").decode()
    for name, array in decoded.items():
        assert len(np.unique(array[array != 0])) <= (8 if name.endswith("weight") else 12)
    for first, second in (("0", "1"), ("1", "2")):
        fed, read = decoded[f"{first}.weight"].any(axis=1), decoded[f"{second}.weight"].any(axis=0)
        np.testing.assert_array_equal(fed, read)


def test_a_finished_run_is_not_run_again(finished, data, monkeypatch):
    folder, result = finished
    monkeypatch.setattr(stages, "_train", None)
    assert go_on(folder, data, folder.parent / "cache") == result
    # With the cache gone nothing is missed.
    assert go_on(folder, data, folder.parent / "none") == result and not (folder.parent / "none").exists()


@pytest.mark.parametrize("stop_at", [("pruned", 2), ("shared", 1), ("centroids", 1)])
def test_an_interrupted_run_ends_with_the_same_bytes(finished, data, tmp_path, monkeypatch, stop_at):
    folder, result = finished
    shutil.copytree(folder, tmp_path / "run")
    for stage in STAGES[STAGES.index(stop_at[0]):]:
        for path in (tmp_path / "run" / "checkpoints").glob(f"{stage}.*"):
            path.unlink()
    epoch = stages._epoch

    def interrupted(method, number, *others):
        if number == stop_at[1] and not (tmp_path / "run" / "checkpoints" / f"{stop_at[0]}.json").exists():
            raise KeyboardInterrupt
        return epoch(method, number, *others)

    monkeypatch.setattr(stages, "_SAVE_EVERY_S", 0)
    with monkeypatch.context() as patch:
        patch.setattr(stages, "_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            go_on(tmp_path / "run", data, folder.parent / "cache")
    assert (tmp_path / "run" / "checkpoints" / f"{stop_at[0]}.progress.npz").exists()
    again = go_on(tmp_path / "run", data, folder.parent / "cache")
    assert again["file"] == result["file"]
    assert not list((tmp_path / "run" / "checkpoints").glob("*.progress.npz"))


def test_another_seed_shares_pool_and_teacher_and_another_recipe_is_refused(finished, data, tmp_path):
    folder, result = finished
    with pytest.raises(ValueError, match=r"holds a run with other settings \(kept was 6000, is 3000\): give another "
                                         "--output-dir, or --fresh"):
        go_on(folder, data, folder.parent / "cache", kept=3000)
    with pytest.raises(ValueError, match="dataset was 'blocks .*', is 'blocks "):
        go_on(folder, block_data(100), folder.parent / "cache")
    made = sorted((folder.parent / "cache").iterdir())
    assert [path.name.split("-")[0] for path in made] == ["pool", "teacher"]
    short = dict(dense_epochs=1, rough_kept=0, prune_epochs=1, share_epochs=1, centroid_epochs=0, seed=1)
    other = go_on(tmp_path / "other", data, folder.parent / "cache", **short)
    assert [stage["stage"] for stage in other["stages"]] == ["dense", "pruned", "shared", "coded"]
    assert sorted((folder.parent / "cache").iterdir()) == made
    fresh = run_small(SmallSettings(**{**QUICK, **short, "kept": 1000}), data, tmp_path / "other",
                      folder.parent / "cache", fresh=True)
    assert fresh["file"]["nbytes"] < other["file"]["nbytes"]


def test_a_fork_takes_over_the_stages_that_are_the_same(finished, data, tmp_path, monkeypatch):
    folder, result = finished
    trained, train = [], stages._train

    def watched(run, name, *others):
        trained.append(name)
        return train(run, name, *others)

    monkeypatch.setattr(stages, "_train", watched)
    def fork(name, **changes):
        trained.clear()
        settings = SmallSettings(**{**QUICK, **changes})
        return run_small(settings, data, tmp_path / name, folder.parent / "cache", fork=folder)
    assert fork("same")["file"] == result["file"] and trained == []
    assert fork("share", centroids=4)["file"]["nbytes"] < result["file"]["nbytes"]
    assert trained == ["shared", "centroids"]
    fork("seed", seed=9, dense_epochs=1, rough_kept=0, prune_epochs=1, share_epochs=1, centroid_epochs=0)
    assert trained == ["dense", "pruned", "shared"]
    with pytest.raises(FileNotFoundError, match="run.json"):
        run_small(SmallSettings(**QUICK), data, tmp_path / "none", folder.parent / "cache", fork=tmp_path)


def test_lenet_5_too(finished, tmp_path):
    data = block_data(60)
    settings = {**QUICK, "network": "lenet-5", "teacher_epochs": 1, "teacher_batch_size": 30, "batch_size": 20,
                "dense_epochs": 3, "rough_epochs": 1, "prune_epochs": 1, "centroid_epochs": 0}
    result = run_small(SmallSettings(**settings), data, tmp_path / "run", tmp_path / "cache")
    decoded = dc.load(tmp_path / "run" / "model.gdc").decode()
    assert decoded["0.weight"].shape == (20, 1, 5, 5) and decoded["4.weight"].shape == (500, 800)
    assert not decoded["0.bias"].any() and not decoded["2.bias"].any() and decoded["4.bias"].any()
    whole = np.load(tmp_path / "run" / "checkpoints" / "shared.npz")
    assert sum(np.count_nonzero(array) for array in decoded.values()) <= sum(
        np.count_nonzero(whole[name]) for name in whole.files) <= 6010
    net = dc.restore(dc.load(tmp_path / "run" / "model.gdc"), get_model("lenet-5"))
    assert error_percent(net, data.test_images, data.test_labels) == result["stages"][-1]["test_error_percent"]


@pytest.mark.parametrize("name, message", [
    ("pruned.state.npz", "pruned.state.npz: damaged .*; delete it to have its stage run again"),
    ("coded.json", "coded.json: damaged .*; delete it"),
])
def test_damaged_checkpoints_are_named(finished, data, tmp_path, name, message):
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / name).write_bytes(b"PK nonsense")
    if name.endswith("npz"):
        (tmp_path / "run" / "checkpoints" / "shared.json").unlink()
    with pytest.raises(ValueError, match=message):
        go_on(tmp_path / "run", data, folder.parent / "cache")


def test_a_changed_file_is_not_taken_for_the_runs_own(finished, data, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "model.gdc").write_bytes(b"something else")
    with pytest.raises(ValueError, match="model.gdc: not the file that this run has written; delete it"):
        go_on(tmp_path / "run", data, folder.parent / "cache")


def test_a_file_of_a_version_that_noted_less_is_one_line(finished, data, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "coded.json"
    row = json.loads(path.read_text())
    del row["weights_digest"]
    path.write_text(json.dumps(row))
    with pytest.raises(ValueError, match="model.gdc: written by an earlier version, .*; delete it to have it written"):
        go_on(tmp_path / "run", data, folder.parent / "cache")
    (tmp_path / "run" / "model.gdc").unlink()
    assert go_on(tmp_path / "run", data, folder.parent / "cache")["file"]["nbytes"]


def test_a_damaged_pool_is_named(finished, data, tmp_path):
    folder, _ = finished
    shutil.copytree(folder.parent / "cache", tmp_path / "cache")
    pool = next((tmp_path / "cache").glob("pool-*/pool.npy"))
    pool.write_bytes(pool.read_bytes()[:1000])
    with pytest.raises(ValueError, match="pool.npy: damaged .*; delete it to have it made again"):
        go_on(tmp_path / "run", data, tmp_path / "cache")
