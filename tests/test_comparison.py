import numpy as np
import pytest
from report_inputs import small_model, small_result

from gluon_dc.coding import CompressedModel
from gluon_dc.report import compressor_rows, compressors_table, report_sections, result_tables
from gluon_dc.report.comparison import accounting_table, stages_table, summary_table

MODEL = small_model()


def cells(table, first):
    return [line.split() for line in str(table).splitlines() if line.startswith(first)]


def following(table, first):
    lines = str(table).splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith(first)) + 1].split()


class TestAccountingTable:
    def test_the_papers_row_stands_under_ours(self):
        table = str(accounting_table("T", small_result(MODEL), MODEL))
        assert table.startswith("Table 2 of the paper beside T\n")
        assert cells(table, "ip1")[0][:4] == ["ip1", "ours", "1,200", "10.0"]
        assert following(table, "ip1") == ["paper", "235K", "8.0", "6.0", "4.4", "5.0", "3.7", "3.10", "2.32"]
        assert following(table, "Total") == ["paper", "266K", "8.0", "6.0", "5.1", "5.0", "3.7", "3.10", "2.49"]
        assert "Not counted: 3 arrays of 44 values that travel losslessly." in table

    def test_without_a_result(self):
        table = str(accounting_table("x.gdc", None, MODEL))
        assert table.startswith("Paper accounting of x.gdc\n") and "paper  " not in table
        assert cells(table, "0.weight")[0][2] == "1,200"

    def test_a_network_that_the_paper_does_not_have(self):
        table = str(accounting_table("T", {**small_result(MODEL), "network": "mine"}, MODEL))
        assert table.startswith("Paper accounting of T\n") and "paper  " not in table


class TestSummaryTable:
    def test_by_hand(self):
        rows = str(summary_table("T", small_result(MODEL), MODEL)).splitlines()
        dense_nbytes = 4 * (1200 + 300 + 40) + 4 * 44
        assert rows[-3].split()[-5:] == [
            "1.25", "1.75", f"{dense_nbytes:,}", str(MODEL.nbytes), f"{dense_nbytes / MODEL.nbytes:.1f}x"
        ]
        assert rows[-2].startswith("ours, paper accounting") and rows[-2].split()[-3] == "6,160"
        assert rows[-1].split()[-5:] == ["1.64", "1.58", "1,070,000", "27,000", "40x"]

    def test_without_a_model_the_result_gives_the_sizes(self):
        rows = str(summary_table("T", small_result(MODEL), None)).splitlines()
        assert rows[-2].split()[-3:] == ["6,336", str(MODEL.nbytes), f"{6336 / MODEL.nbytes:.1f}x"]

    def test_the_least_result(self):
        table = str(summary_table("T", {"format": 1, "network": "mine"}, None))
        assert table.splitlines()[-1].split()[-5:] == ["-"] * 5


def test_stages_table():
    lines = str(stages_table("T", small_result(MODEL))).splitlines()
    assert lines[0] == "Stages of T"
    assert lines[-2].split() == ["shared", "200", "13.0", "3.96", "900", "2.25", "1.75", "1.5"]


def test_compressors_table():
    table = str(compressors_table("T", compressor_rows(MODEL)))
    assert cells(table, ".gdc, Huffman")[0][2:] == ["-", "-", f"{MODEL.nbytes:,}", "1.00x"]
    assert table.startswith("General compressors: T\n")


class TestResultTables:
    def test_on_mnist(self):
        text = result_tables(small_result(MODEL), MODEL)
        for title in ("Table 2 of the paper beside", "Real file of", "Stages of", "Table 1 of the paper beside"):
            assert f"{title} LeNet-300-100 on MNIST\n" in text
        assert "not MNIST" not in text and "not comparable" not in text

    def test_every_title_names_another_data_set(self):
        text = result_tables(small_result(MODEL, "digits-8x8"), MODEL)
        assert text.count("LeNet-300-100 on digits-8x8 (not MNIST)") == 4
        assert text.count("The paper's rows are for MNIST: this is another data set, not comparable.") == 2
        assert "This is digits-8x8." in text

    def test_without_a_model(self):
        text = result_tables(small_result(MODEL), None)
        assert "Table 1" in text and "Table 2" not in text

    def test_nothing_coded(self):
        plain = CompressedModel({"b": np.ones(3, np.float32)})
        assert "ours, every byte of the file" in result_tables(small_result(MODEL), plain)

    def test_no_result_and_no_model(self):
        assert report_sections("x", None, None) == []

    def test_a_malformed_result(self):
        with pytest.raises(ValueError, match='"network" is missing'):
            result_tables({"format": 1}, MODEL)
