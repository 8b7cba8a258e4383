import json
import sys

import pytest
from report_inputs import small_model, write_run

from gluon_dc.report import write_report
from gluon_dc.report.results import read_run
from gluon_dc.report.writing import NO_MATPLOTLIB, run_compressors, run_data, run_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())
DRAWING = ("drawing", "figures", "charts", "experiment_charts", "gallery")


class TestWriteReport:
    def test_all_files_stand_beside_the_run(self, tmp_path):
        folder = write_run(tmp_path / "run")
        text = write_report(folder)
        assert names(folder / "report") == [
            "compressors.png", "histograms.png", "rates.png", "report.html", "report.json", "report.txt", "sizes.png",
            "storage.png", "training.png", "weights.png",
        ]
        assert "<svg" in (folder / "report" / "report.html").read_text()
        assert (folder / "report" / "report.txt").read_text() == text + "\n" and "Table 2 of the paper" in text
        # What the run itself left is as it was, and a second report gives the same.
        assert names(folder) == ["checkpoints", "model.gdc", "report", "result.json"]
        assert write_report(folder, figures=False) == text

    def test_without_figures(self, tmp_path):
        folder = write_run(tmp_path / "run")
        write_report(folder, figures=False)
        assert names(folder / "report") == ["report.html", "report.json", "report.txt"]

    def test_without_matplotlib_the_text_says_so(self, tmp_path, monkeypatch):
        drawing = [f"gluon_dc.report.{module}" for module in DRAWING]
        for name in list(sys.modules):
            if name in drawing or name.split(".")[0] == "matplotlib":
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [NoMatplotlib, *sys.meta_path])
        folder = write_run(tmp_path / "run")
        assert write_report(folder).endswith(NO_MATPLOTLIB)
        assert names(folder / "report") == ["report.html", "report.json", "report.txt"]

    def test_a_folder_without_a_run(self, tmp_path):
        with pytest.raises(ValueError, match="holds neither result.json nor model.gdc"):
            write_report(tmp_path)


class NoMatplotlib:
    """An import hook under which matplotlib is not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")


def test_text_and_data_of_a_file_alone(tmp_path):
    small_model().save(tmp_path / "m.gdc")
    run = read_run(tmp_path / "m.gdc")
    rows = run_compressors(run)
    assert rows[0].dense is None and "General compressors: m.gdc" in run_text(run, rows)
    assert json.loads(json.dumps(run_data(run, rows)))["compressors"][0]["method"] == "raw values"
