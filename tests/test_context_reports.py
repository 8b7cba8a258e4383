"""Reports, exports and tools on models of the context coder and of Huffman streams in chunks."""

import json

import numpy as np
import pytest
from report_inputs import load_tool, odd_model, small_model, small_result

from gluon_dc.coding import CompressedModel, ContextTensor, loads, pack, tensor, unpack
from gluon_dc.report import layer_rows, size_report
from gluon_dc.report import streams as streams_module
from gluon_dc.report.comparison import accounting_table, summary_rows
from gluon_dc.report.figures import histogram_figure, storage_figure
from gluon_dc.report.sparse import read_sparse, write_sparse
from gluon_dc.report.streams import (check_reference, coded_tensors, model_streams, packed_tensors, paper_form, recode)


@pytest.fixture(scope="module")
def context_model():
    return recode(small_model(), "context")


def test_recode_to_and_from_the_context_coder(context_model):
    model = small_model()
    assert context_model.version == 2 and context_model.effort == "best"
    assert [name for name, _ in coded_tensors(context_model)] == ["0.weight", "1.weight", "2.weight"]
    assert packed_tensors(context_model) == [] == model_streams(context_model)
    back = recode(context_model, "huffman")
    assert back.dumps() == model.dumps() and back.version == 1
    odd = recode(odd_model(), "context")
    for name, array in loads(odd.dumps()).decode().items():
        assert array.tobytes() == odd_model().decode()[name].tobytes()


def test_size_report(context_model):
    report = size_report(loads(context_model.dumps()))
    expected = size_report(small_model())
    assert report.nbytes == len(context_model.dumps()) and report.dense_nbytes == expected.dense_nbytes
    assert [one.kept for one in report.tensors] == [one.kept for one in expected.tensors]
    assert [one.kind for one in report.tensors] == [one.kind for one in expected.tensors]
    assert report.part_nbytes["gaps"] == report.part_nbytes["tables"] == 0 < report.part_nbytes["codes"]
    assert str(report) and json.dumps(report.to_dict())


def test_paper_accounting_is_that_of_the_same_weights_huffman_coded(context_model):
    assert layer_rows(context_model) == layer_rows(small_model())
    result = small_result(context_model)
    assert "Total" in str(accounting_table("t", result, context_model))
    assert len(summary_rows(result, context_model)) == len(summary_rows(result, small_model()))
    assert [name for name, _ in paper_form(context_model)] == ["0.weight", "1.weight", "2.weight"]


def test_figures(context_model):
    assert len(storage_figure(context_model, "t").axes) == 1 and len(histogram_figure(context_model, "t").axes) == 6


def test_large_models_are_not_decoded_for_a_report(monkeypatch):
    monkeypatch.setattr(streams_module, "MAX_DECODED_SIZE", 10)
    data = recode(CompressedModel({"w": small_model()["0.weight"]}), "context").dumps()
    model = loads(data)
    report = size_report(model)
    assert not model["w"].is_decoded and report.rows == () and report.tensors[0].kept is None
    assert report.nbytes == len(data) and " - " in str(report)
    model.decode()
    assert size_report(model).tensors[0].kept == unpack(small_model()["0.weight"]).nnz


def test_sparse_export(context_model, tmp_path):
    write_sparse(context_model, tmp_path)
    for name, array in read_sparse(tmp_path).items():
        assert array.tobytes() == small_model().decode()[name].tobytes()


def test_huffman_tool(context_model, tmp_path, capsys):
    tool = load_tool("huffman")
    context_model.save(tmp_path / "c.gdc")
    assert tool.main(["check", str(tmp_path / "c.gdc")]) == 0
    printed = capsys.readouterr().out
    assert "All 3 coded tensors decode" in printed and "3 of them are of the context coder" in printed
    assert tool.main(["encode", str(tmp_path / "c.gdc"), str(tmp_path / "h.gdc")]) == 0
    assert (tmp_path / "h.gdc").read_bytes() == small_model().dumps()


def test_streams_in_chunks(monkeypatch):
    monkeypatch.setattr(tensor, "CHUNKED_ENTRIES", 10)
    weight = unpack(small_model()["0.weight"])
    packed = pack(weight)
    model = CompressedModel({"w": packed, "b": np.ones(3)})
    assert packed.chunked and check_reference("w", packed)
    plain, chunked = (layer_rows(CompressedModel({"w": one}))[0] for one in (small_model()["0.weight"], packed))
    assert plain == chunked
    assert sum(stream.nbytes + stream.table_nbytes for stream in model_streams(model)) + packed.part_nbytes()[
        "codebook"] == packed.nbytes
    assert size_report(model).nbytes == len(model.dumps())


def test_context_biases_are_no_layers_of_the_paper():
    model = recode(CompressedModel({"w": small_model()["0.weight"], "b": pack(unpack(odd_model()["../$vector$\n"]))}),
                   "context")
    assert isinstance(model["b"], ContextTensor) and [row.name for row in layer_rows(model)] == ["w", ""]
