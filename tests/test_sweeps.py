"""Sweeps on a small set of the test's own images, and what they measure."""
import json

import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

from test_run import blocks  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.data import Dataset  # noqa: E402
from gluon_dc.models import LAYER_NAMES, get_model  # noqa: E402
from gluon_dc.nn.svd import truncate  # noqa: E402
from gluon_dc.report.experiments import check_experiment  # noqa: E402
from gluon_dc.training import sweeps  # noqa: E402
from gluon_dc.training.folders import locked  # noqa: E402
from gluon_dc.training.sweep_points import keys_of, label_of  # noqa: E402
from gluon_dc.training.sweep_settings import DEFAULT_POINTS, sweep_settings_for  # noqa: E402
from gluon_dc.training.sweeps import run_sweep  # noqa: E402

QUICK = dict(batch_size=32, dense_epochs=2, prune_epochs=2, share_epochs=1, prune_rate=2e-3, svd_rate=2e-3,
             share_rate=1e-3)
POINTS = {
    "compression": {"pruning": (0.0, 0.9), "sharing": (3,), "pruning+sharing": ((0.9, 3), (0.9, 2)), "svd": (0.05,)},
    "starts": {"linear": (3,), "random": (3,)},
    "sensitivity": {"sparsity": (0.0, 0.9), "bits": (1,)},
}


def settings(experiment="compression", **given):
    return sweep_settings_for(experiment, given.pop("network", "lenet-300-100"), **{**QUICK, **given})


@pytest.fixture(scope="module")
def data():
    return Dataset("blocks", *blocks(320, 0), *blocks(64, 1), *blocks(96, 2), source="made by the test",
                   note="a test's own images")


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    """Each experiment, run once: {name: (folder, result)}."""
    folders = {name: tmp_path_factory.mktemp(name) for name in POINTS}
    return {name: (folder, run_sweep(settings(name), data, folder, POINTS[name])) for name, folder in folders.items()}


def timeless(result):
    return {**result, "points": [{key: value for key, value in point.items() if key != "seconds"}
                                 for point in result["points"]]}


class TestKeys:
    def test_by_hand(self):
        assert keys_of(settings(), {"pruning": (0.5,), "pruning+sharing": ((0.9, 4),), "svd": (0.1,)}) == [
            {"method": "pruning", "setting": {"sparsity": 0.5}},
            {"method": "pruning+sharing", "setting": {"sparsity": 0.9, "bits": 4}},
            {"method": "svd", "setting": {"rank_share": 0.1}}]
        assert keys_of(settings("starts"), {"linear": (2,)}) == [
            {"start": "linear", "bits": 2, "retrained": False}, {"start": "linear", "bits": 2, "retrained": True}]
        assert keys_of(settings("sensitivity"), {"bits": (2,)}) == [
            {"layer": f"{place}.weight", "kind": "bits", "value": 2} for place in "012"]

    @pytest.mark.parametrize("experiment", POINTS)
    def test_no_two_default_points_are_the_same(self, experiment):
        keys = keys_of(settings(experiment), DEFAULT_POINTS[experiment])
        assert len({json.dumps(key) for key in keys}) == len({label_of(key) for key in keys}) == len(keys)

    def test_labels(self):
        keys = [*keys_of(settings(), {"pruning+sharing": ((0.985, 4),)}),
                *keys_of(settings("starts"), {"linear": (2,)}),
                *keys_of(settings("sensitivity"), {"sparsity": (0.9,)})[:1]]
        assert [label_of(key) for key in keys] == [
            "pruning+sharing sparsity 0.985, bits 4", "linear start, 2 bits, as clustered",
            "linear start, 2 bits, trained", "0.weight alone, sparsity 0.9"]


class TestResults:
    @pytest.mark.parametrize("experiment", POINTS)
    def test_it_is_what_the_report_reads(self, done, experiment):
        folder, result = done[experiment]
        assert json.loads((folder / "experiment.json").read_text()) == result
        read = check_experiment(result, folder)
        assert read.kind == experiment and read.network == "lenet-300-100" and read.dense_nbytes == 1_066_440
        assert read.split == {"sensitivity": "validation"}.get(experiment, "test")
        keys = keys_of(settings(experiment), POINTS[experiment])
        assert [{name: point[name] for name in key} for key, point in zip(keys, result["points"], strict=True)] == keys

    def test_sizes_and_errors_are_in_their_ranges(self, done):
        for _, result in done.values():
            for row in [result["dense"], *result["points"]]:
                assert 0 <= row["error_percent"] <= 100
        for point in done["compression"][1]["points"]:
            assert point["size_percent"] == pytest.approx(100 * point["nbytes"] / 1_066_440)

    def test_pruning_by_nothing_has_every_weight_as_it_is_and_else_an_index_and_the_kept_ones(self, done):
        whole, tenth = (point["nbytes"] for point in done["compression"][1]["points"][:2])
        assert whole == pytest.approx(1_066_440, abs=500)
        # 3 to 6 bits for the gap: those of places drawn by chance take 4.7.
        assert 26_620 * 4 + 410 * 4 + 26_620 * 3 / 8 < tenth < 26_620 * 4 + 410 * 4 + 26_620 * 6 / 8

    def test_svd_factors_the_large_layers_and_takes_the_bytes_of_the_factors(self, done):
        point = done["compression"][1]["points"][-1]
        assert point["ranks"] == {"0.weight": 15, "1.weight": 5}
        weights = 15 * (784 + 300) + 5 * (300 + 100) + 1_000 + 410
        assert point["nbytes"] == pytest.approx(4 * weights, abs=500)

    def test_both_together_take_the_fewest_bytes(self, done):
        points = done["compression"][1]["points"]
        smallest = {point["method"]: point["nbytes"] for point in points}
        assert min(smallest, key=smallest.get) == "pruning+sharing"
        assert points[4]["nbytes"] < points[3]["nbytes"]  # 2 bits against 3, on the same pruned net

    def test_the_pruned_net_of_several_points_is_trained_once(self, done):
        files = {path.name for path in (done["compression"][0] / "nets").iterdir()}
        assert files == {"dense.npz", "pruned-0.9.npz"}

    def test_starts_are_from_the_paper_s_sparsity_and_training_changes_values_not_sizes_of_streams(self, done):
        folder, result = done["starts"]
        with np.load(folder / "nets" / "pruned-paper.npz") as arrays:
            sparsity = [1 - np.count_nonzero(arrays[name]) / arrays[name].size for name in LAYER_NAMES["lenet-300-100"]]
        assert sparsity == pytest.approx([0.92, 0.91, 0.74], abs=1e-3)
        by_start = {}
        for point in result["points"]:
            by_start.setdefault(point["start"], []).append(point["nbytes"])
        assert all(abs(before - after) < 64 for before, after in by_start.values())

    def test_a_layer_that_is_pruned_by_nothing_leaves_the_error_as_it_was(self, done):
        result = done["sensitivity"][1]
        assert {point["error_percent"] for point in result["points"] if point["value"] == 0.0} == {
            result["dense"]["error_percent"]}

    def test_the_dense_error_is_that_of_the_checkpoint(self, done, data):
        from gluon_dc.training.checkpoints import load_plain
        from gluon_dc.training.loop import error_percent
        folder, result = done["compression"]
        net = get_model("lenet-300-100")
        net.initialize()
        load_plain(folder / "nets" / "dense.npz", net)
        assert result["dense"]["error_percent"] == error_percent(net, data.test_images, data.test_labels)
        assert result["dense"]["error_percent"] < 50

    def test_lenet_5(self, data, tmp_path):
        points = {"svd": (0.1,), "pruning+sharing": ((0.9, 4),)}
        found = run_sweep(settings(network="lenet-5", dense_epochs=1, prune_epochs=1), data, tmp_path, points)["points"]
        assert found[0]["ranks"] == {"2.weight": 5, "4.weight": 50}
        assert found[1]["nbytes"] < found[0]["nbytes"]


def test_the_measured_error_is_that_of_the_bytes(data, tmp_path):
    """By hand: the SVD point again, from its checkpoint, without the sweep."""
    point = run_sweep(settings(), data, tmp_path, {"svd": (0.05,)})["points"][0]
    from gluon_dc.training.mnist_task import MnistTask
    from gluon_dc.training.sweep_bench import Bench
    bench = Bench(MnistTask(settings(), data), tmp_path)
    net, blank = bench.net_of("dense"), bench.task.new_net()
    truncate(net, ranks=point["ranks"])
    truncate(blank, ranks=point["ranks"])
    bench.train("pruned", "again", net, 3, 2e-3)
    content = dc.compress(net).dumps()
    dc.restore(dc.loads(content), blank)
    assert len(content) == point["nbytes"] and bench.error(blank, "test") == point["error_percent"]


class TestGoingOn:
    def test_a_finished_sweep_is_not_run_again(self, done, data, monkeypatch):
        monkeypatch.setattr(sweeps, "measure_point", lambda *_: pytest.fail("measured again"))
        folder, result = done["compression"]
        assert run_sweep(settings(), data, folder, POINTS["compression"]) == result

    @pytest.mark.parametrize("finished", [0, 1, 4])
    def test_interrupted_it_goes_on_to_the_same_result(self, done, data, tmp_path, monkeypatch, finished):
        measure, calls = sweeps.measure_point, []

        def interrupted(bench, key):
            if len(calls) == finished:
                raise KeyboardInterrupt
            calls.append(key)
            return measure(bench, key)
        monkeypatch.setattr(sweeps, "measure_point", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(settings(), data, tmp_path, POINTS["compression"])
        assert len(json.loads((tmp_path / "experiment.json").read_text())["points"]) == finished
        monkeypatch.setattr(sweeps, "measure_point", measure)
        again = run_sweep(settings(), data, tmp_path, POINTS["compression"])
        assert timeless(again) == timeless(done["compression"][1])

    def test_interrupted_in_the_dense_training_it_starts_that_again(self, data, tmp_path, monkeypatch):
        def interrupt(bench):
            raise KeyboardInterrupt
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(sweeps.Bench, "make_dense", interrupt)
            run_sweep(settings("sensitivity"), data, tmp_path, {"bits": (8,)})
        # Nothing was lost, so there is nothing to refuse another setting for.
        other = run_sweep(settings("sensitivity", seed=3), data, tmp_path, {"bits": (8,)})
        assert other["seed"] == 3 and len(other["points"]) == 3

    def test_other_points_are_added_in_the_order_asked_for(self, data, tmp_path):
        first = run_sweep(settings("sensitivity"), data, tmp_path, {"bits": (8,)})["points"]
        both = run_sweep(settings("sensitivity"), data, tmp_path, {"bits": (7, 8)})["points"]
        assert both[3:] == first and [point["value"] for point in both[:3]] == [7, 7, 7]
        more = run_sweep(settings("sensitivity"), data, tmp_path, {"bits": (1,)})["points"]
        assert [point["value"] for point in more] == [1, 1, 1, 7, 7, 7, 8, 8, 8]

    def test_another_setting_experiment_or_data_is_refused(self, done, data):
        folder, _ = done["starts"]
        for other, message in ((settings("starts", seed=1), "seed was 0, is 1"),
                               (settings("sensitivity"), "experiment was 'starts', is 'sensitivity'"),
                               (settings("starts", share_rate=0.5), "share_rate was 0.001, is 0.5")):
            with pytest.raises(ValueError) as error:
                run_sweep(other, data, folder)
            assert str(error.value) == (f"{folder / 'experiment.json'} holds another sweep ({message}): give another "
                                        "--output-dir, or --fresh to start over")
        changed = Dataset("blocks", *blocks(320, 0), *blocks(64, 1), *blocks(96, 3), source="", note="")
        with pytest.raises(ValueError, match="data was 'blocks [0-9a-f]{16}', is 'blocks [0-9a-f]{16}'"):
            run_sweep(settings("starts"), changed, folder)

    def test_fresh_starts_over(self, data, tmp_path):
        run_sweep(settings("sensitivity"), data, tmp_path, {"bits": (8,)})
        result = run_sweep(settings("sensitivity", seed=1), data, tmp_path, {"bits": (7,)}, fresh=True)
        assert result["seed"] == 1 and {point["value"] for point in result["points"]} == {7}

    def test_what_else_is_in_the_folder_stays(self, data, tmp_path):
        others = [tmp_path / "result.json", tmp_path / "checkpoints" / "dense.npz", tmp_path / "nets" / "mine.txt"]
        for path in others:
            path.parent.mkdir(exist_ok=True)
            path.write_text("of another program")
        for fresh in (False, True):
            run_sweep(settings("sensitivity"), data, tmp_path, {"bits": (8,)}, fresh=fresh)
        assert {path.read_text() for path in others} == {"of another program"}

    def test_a_folder_in_use_is_refused(self, done, data):
        folder, _ = done["starts"]
        with locked(folder), pytest.raises(ValueError, match="another process is at work in it"):
            run_sweep(settings("starts"), data, folder)

    def test_what_a_killed_write_left_is_deleted(self, data, tmp_path):
        run_sweep(settings("sensitivity"), data, tmp_path, {"bits": (8,)})
        leftovers = [tmp_path / "experiment.json.abcd1234", tmp_path / "nets" / "dense.npz.abcd1234"]
        for path in leftovers:
            path.write_text("{")
        run_sweep(settings("sensitivity"), data, tmp_path, {"bits": (8,)})
        assert not any(path.exists() for path in leftovers)

    @pytest.mark.parametrize("content, message", [
        ("{", "damaged"), ("[]", "damaged"), ("{}", "not a sweep of this program"),
        ('{"settings": 1, "dataset": {"digest": 1}, "given_dense": null}', "not a sweep of this program"),
        ('{"points": [1]}', "not a sweep of this program")])
    def test_a_damaged_file_is_an_error_that_names_it(self, data, tmp_path, content, message):
        (tmp_path / "experiment.json").write_text(content)
        with pytest.raises(ValueError, match=message) as error:
            run_sweep(settings(), data, tmp_path)
        assert str(tmp_path / "experiment.json") in str(error.value)


class TestDense:
    def test_a_given_net_is_where_all_points_start(self, done, data, tmp_path):
        dense = done["compression"][0] / "nets" / "dense.npz"
        result = run_sweep(settings(), data, tmp_path, {"pruning": (0.9,)}, dense=dense)
        known = done["compression"][1]
        assert result["dense"] == known["dense"]
        assert timeless(result)["points"] == timeless(known)["points"][1:2]
        with pytest.raises(ValueError, match="--dense was '[0-9a-f]{16}', is None"):
            run_sweep(settings(), data, tmp_path, {"pruning": (0.9,)})

    def test_one_of_another_network_is_refused_before_anything_is_made(self, done, data, tmp_path):
        dense = done["compression"][0] / "nets" / "dense.npz"
        with pytest.raises(ValueError, match="give a checkpoint of the same network"):
            run_sweep(settings(network="lenet-5"), data, tmp_path / "out", dense=dense)
        with pytest.raises(FileNotFoundError):
            run_sweep(settings(), data, tmp_path / "out", dense=tmp_path / "nothing.npz")
        assert not (tmp_path / "out").exists()


def test_a_loss_that_is_not_finite_stops_the_sweep(data, tmp_path):
    with pytest.raises(FloatingPointError, match="dense net: the loss is nan; take a learning rate below 1e\\+30"):
        run_sweep(settings(dense_rate=1e30), data, tmp_path)
