import json

import pytest
from report_inputs import experiment, small_model, write_run, zoo_sizes

from gluon_dc.report.experiments import Experiment
from gluon_dc.report.inputs import read_inputs
from gluon_dc.report.nets import Zoo
from gluon_dc.report.results import Run


def write(path, record):
    path.write_text(json.dumps(record))
    return path


def test_every_kind_in_order(tmp_path):
    run = write_run(tmp_path / "run")
    paths = [write(tmp_path / "zoo_sizes.json", zoo_sizes()), run, write(tmp_path / "e.json", experiment()),
             run / "result.json", run / "model.gdc"]
    items = read_inputs(paths)
    assert [type(item) for item in items] == [Zoo, Run, Experiment, Run, Run]
    assert [item.path for item in items] == paths


def test_a_folder_of_experiments(tmp_path):
    write(tmp_path / "b.json", experiment("starts"))
    write(tmp_path / "a.json", experiment("compression"))
    write(tmp_path / "state.json", {"epoch": 3})
    assert [item.kind for item in read_inputs([tmp_path])] == ["compression", "starts"]


def test_what_is_left_out_of_a_folder_is_told(tmp_path):
    write(tmp_path / "a.json", experiment("compression"))
    left_out = []
    read_inputs([tmp_path], left_out)
    assert left_out == []
    write(tmp_path / "coding.json", {"rows": [{"coder": "x"}]})
    write(tmp_path / "state.json", [])
    read_inputs([tmp_path, tmp_path / "a.json"], left_out)
    assert left_out == [f"Left out of {tmp_path}: coding.json, state.json, of no kind that a report shows."]
    for number in range(20):
        write(tmp_path / f"c{number:02}.json", {})
    read_inputs([tmp_path], left_out)
    assert left_out[1].endswith(": c00.json, c01.json, c02.json, c03.json, c04.json, c05.json, c06.json, c07.json, "
                                "c08.json, c09.json, ..., of no kind that a report shows.")


def test_the_files_beyond_the_first_thousand_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("gluon_dc.report.inputs.MAX_FOLDER_FILES", 2)
    for name in "abc":
        write(tmp_path / f"{name}.json", experiment())
    left_out = []
    assert len(read_inputs([tmp_path], left_out)) == 2
    assert left_out == [f"Left out of {tmp_path}: 1 files after the first 2."]


def test_rows_of_another_benchmark(tmp_path):
    path = write(tmp_path / "coding.json", {"rows": [{"coder": "x"}]})
    with pytest.raises(ValueError, match="coding.json: rows of no kind that a report shows: expected the JSON of den"):
        read_inputs([path])


def test_a_run_folder_is_the_run_alone(tmp_path):
    folder = write_run(tmp_path / "run")
    write(folder / "e.json", experiment())
    assert [type(item) for item in read_inputs([folder])] == [Run]


@pytest.mark.parametrize("content", ["3", "{}", "[]", "[1]", '"x"'])
def test_json_of_no_kind(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match='x.json: expected an object with "format"'):
        read_inputs([tmp_path / "x.json"])


def test_an_experiment_that_does_not_say_so(tmp_path):
    record = {key: value for key, value in experiment().items() if key != "experiment"}
    with pytest.raises(ValueError, match='e.json: "points" are those of an experiment, but "experiment", which says of '
                                         "which, is missing$"):
        read_inputs([write(tmp_path / "e.json", record)])


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="holds neither result.json nor model.gdc"):
        read_inputs([tmp_path])


def test_a_file_that_names_its_network(tmp_path):
    small_model(metadata={"network": "alexnet", "weights": "synthetic weights: sizes only, no accuracy"}).save(
        tmp_path / "m.gdc")
    (run,) = read_inputs([tmp_path / "m.gdc"])
    assert run.title == "AlexNet, m.gdc (synthetic weights: sizes only, no accuracy)"
    assert run.network == "alexnet" and run.layer_names["output.weight"] == "fc8"


@pytest.mark.parametrize("metadata, title", [
    ({"network": ["alexnet"], "weights": 3}, "m.gdc"),
    ({"network": "mine\n\x1b[2J"}, r"mine\n\x1b[2J, m.gdc"),
    ({"network": "n" * 999}, "n" * 117 + "..., m.gdc"),
    ({"network": "mine", "weights": "w" * 121}, "mine, m.gdc (" + "w" * 117 + "...)"),
    ({"network": "mine", "weights": "w" * 120}, "mine, m.gdc (" + "w" * 120 + ")"),
])
def test_hostile_metadata(tmp_path, metadata, title):
    small_model(metadata=metadata).save(tmp_path / "m.gdc")
    assert read_inputs([tmp_path / "m.gdc"])[0].title == title
