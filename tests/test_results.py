import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_inputs import small_model, small_result, write_run

from gluon_dc.coding import FormatError
from gluon_dc.report.results import (
    check_result, checkpoint_arrays, headline, layer_names, load_result, network_beside, on_paper_dataset, read_run,
    run_title, start_codebooks,
)


def result(**fields):
    return {**small_result(small_model()), **fields}


def test_the_network_of_the_run_beside_a_file(tmp_path):
    path = write_run(tmp_path / "run") / "model.gdc"
    assert network_beside(path) == "lenet-300-100"
    copy = tmp_path / "copy.gdc"
    copy.write_bytes(path.read_bytes())
    assert network_beside(copy) is None  # no run there
    small_model(1).save(path)
    assert network_beside(path) is None  # the run is of another file
    (tmp_path / "result.json").write_text("{}")
    assert network_beside(copy) is None


class TestReadRun:
    def test_a_folder(self, tmp_path):
        run = read_run(write_run(tmp_path / "run"))
        assert run.model.nbytes == small_model().nbytes and run.result["network"] == "lenet-300-100"
        assert run.title == "LeNet-300-100 on MNIST"

    def test_a_result_takes_the_model_beside_it(self, tmp_path):
        run = read_run(write_run(tmp_path / "run") / "result.json")
        assert run.model is not None and checkpoint_arrays(run, "dense") is not None

    def test_a_file_is_read_alone(self, tmp_path):
        run = read_run(write_run(tmp_path / "run") / "model.gdc")
        assert run.result is None and run.title == "model.gdc" and checkpoint_arrays(run, "dense") is None

    @pytest.mark.parametrize("missing", ["model.gdc", "result.json"])
    def test_half_a_folder(self, tmp_path, missing):
        folder = write_run(tmp_path / "run")
        (folder / missing).unlink()
        run = read_run(folder)
        assert (run.model is None, run.result is None) == (missing == "model.gdc", missing == "result.json")

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(ValueError, match="holds neither result.json nor model.gdc: give the .gdc file itself"):
            read_run(tmp_path)

    def test_a_model_of_another_run(self, tmp_path):
        folder = write_run(tmp_path / "run")
        small_model(1).save(folder / "model.gdc")
        with pytest.raises(ValueError, match=r"model.gdc has SHA-256 \w{16}..., but result.json speaks of \w{16}"):
            read_run(folder)

    def test_a_file_name_that_leads_elsewhere(self, tmp_path):
        folder = write_run(tmp_path / "run")
        (folder / "result.json").write_text(json.dumps(result(file={"name": "../model.gdc"})))
        with pytest.raises(ValueError, match="'../model.gdc' leads out of the folder"):
            read_run(folder)

    def test_what_is_not_there_or_not_a_model(self, tmp_path):
        with pytest.raises(OSError, match="nowhere"):
            read_run(tmp_path / "nowhere.gdc")
        (tmp_path / "x.gdc").write_bytes(b"hello")
        with pytest.raises(FormatError, match="not a .gdc file"):
            read_run(tmp_path / "x.gdc")


class TestCheckpoints:
    def test_arrays_and_codebooks(self, tmp_path):
        run = read_run(write_run(tmp_path / "run"))
        assert checkpoint_arrays(run, "pruned")["0.weight"].shape == (30, 40)
        assert checkpoint_arrays(run, "shared") is None
        np.testing.assert_array_equal(start_codebooks(run)["1.weight"], small_model()["1.weight"].codebook[1:])

    def test_absent(self, tmp_path):
        folder = write_run(tmp_path / "run")
        for path in (folder / "checkpoints").iterdir():
            path.unlink()
        run = read_run(folder)
        assert checkpoint_arrays(run, "dense") is None and start_codebooks(run) == {}

    @pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04" + bytes(30)])
    def test_damaged(self, tmp_path, content):
        folder = write_run(tmp_path / "run")
        (folder / "checkpoints" / "dense.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"dense.npz: expected a .npz of plain arrays"):
            checkpoint_arrays(read_run(folder), "dense")

    def test_pickles_are_refused(self, tmp_path):
        folder = write_run(tmp_path / "run")
        np.savez(folder / "checkpoints" / "dense.npz", a=np.array([{}], object))
        with pytest.raises(ValueError, match="allow_pickle=False"):
            checkpoint_arrays(read_run(folder), "dense")


class TestCheck:
    def test_a_good_one_and_the_least_one(self):
        assert check_result(result()) == result()
        assert check_result({"format": 1, "network": "x"}) == {"format": 1, "network": "x"}

    @pytest.mark.parametrize("bad, message", [
        ([], 'expected an object with "format"'),
        ({"network": "x"}, 'expected an object with "format"'),
        ({"format": 2, "network": "x"}, "format 2, this reader knows 1: update gluon_dc"),
        ({"format": 1}, '"network" is missing'),
        (result(network=5), "result: network is 5, expected str"),
        (result(dataset=[]), r"result: dataset is \[\], expected dict"),
        (result(dataset={"name": 1}), "dataset: name is 1, expected str"),
        (result(file={"nbytes": "9"}), "file: nbytes is '9', expected a number"),
        (result(stages=[3]), r"stages\[0\] is int, expected an object"),
        (result(stages=[{"kept": 1.5}]), r"stages\[0\]: kept is 1.5, expected a number"),
        (result(stages=[{"test_error_percent": True}]), "test_error_percent is True, expected a number"),
        (result(stages=[{"test_error_percent": -5}]), r"stages\[0\]: test_error_percent is -5, expected 0..100"),
        (result(stages=[{"epochs": [{"loss": float("inf")}]}]), r"epochs\[0\]: loss is inf, expected a finite number"),
        (result(stages=[{"layers": [{"name": 1}]}]), r"layers\[0\]: name is 1, expected str"),
    ])
    def test_bad_ones(self, bad, message):
        with pytest.raises(ValueError, match=message):
            check_result(bad)

    @pytest.mark.parametrize("text", ["", "{", "\udcff", "[" * 100_000])
    def test_what_is_no_json(self, tmp_path, text):
        (tmp_path / "r.json").write_text(text, errors="surrogateescape")
        with pytest.raises(ValueError, match="r.json: not JSON"):
            load_result(tmp_path / "r.json")

    def test_the_message_begins_with_the_file(self, tmp_path):
        (tmp_path / "r.json").write_text('{"format": 1}')
        with pytest.raises(ValueError, match='r.json: "network" is missing'):
            load_result(tmp_path / "r.json")

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                        lambda inner: st.lists(inner) | st.dictionaries(
                            st.sampled_from(["format", "network", "stages", "dataset", "file", "epochs"]), inner),
                        max_leaves=20))
    @settings(max_examples=60, deadline=None)
    def test_anything_else_is_a_value_error(self, value):
        for candidate in (value, {"format": 1, "network": "x", "stages": value, "dataset": value}):
            try:
                check_result(candidate)
            except ValueError:
                pass


class TestTitle:
    @pytest.mark.parametrize("network, dataset, title, same", [
        ("lenet-5", "mnist", "LeNet-5 on MNIST", True),
        ("lenet-5", "digits-8x8", "LeNet-5 on digits-8x8 (not MNIST)", False),
        ("lenet-300-100", None, "LeNet-300-100 on an unknown data set (not MNIST)", False),
        ("alexnet", "imagenet", "AlexNet on ImageNet", True),
        ("alexnet", "mnist", "AlexNet on MNIST (not ImageNet)", False),
        ("my-net", "digits-8x8", "my-net on digits-8x8", False),
    ])
    def test_names_the_data(self, network, dataset, title, same):
        record = {"network": network, "dataset": {"name": dataset}}
        assert run_title(record) == title and on_paper_dataset(record) is same


@pytest.mark.parametrize("fields, told", [
    ({"file": {"nbytes": 4902, "ratio": 217.55}, "stages": [
        {"stage": "dense", "test_error_percent": 1.18}, {"stage": "coded", "test_error_percent": 1.468}]},
     "4,902 bytes, 217.6x smaller than dense, test error 1.47 % (dense 1.18 %)"),
    ({"file": {"nbytes": 10}, "stages": [{"stage": "coded", "test_error_percent": 0}]}, "10 bytes, test error 0.00 %"),
    ({"file": {"nbytes": 10}}, "10 bytes"),
])
def test_headline(fields, told):
    assert headline({"format": 1, "network": "x", **fields}, "a/model.gdc") == f"a/model.gdc: {told}"


def test_layer_names():
    assert layer_names(result()) == {"0.weight": "ip1", "1.weight": "ip2", "2.weight": "ip3"}
    assert layer_names(None) == {} and layer_names({"stages": [{"layers": [{"name": "a"}]}]}) == {}
