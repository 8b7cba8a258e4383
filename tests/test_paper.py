import dataclasses

import pytest

from gluon_dc.report import paper
from gluon_dc.report.paper import LAYER_TABLES, TABLE1, paper_layer, paper_network, paper_table


class TestTheNumbersAsPrinted:
    def test_table_1(self):
        printed = [(row.network, row.top1_error_percent_ref, row.top1_error_percent, row.nbytes, row.ratio)
                   for row in TABLE1.values()]
        assert printed == [
            ("LeNet-300-100", 1.64, 1.58, 27_000, 40), ("LeNet-5", 0.80, 0.74, 44_000, 39),
            ("AlexNet", 42.78, 42.78, 6_900_000, 35), ("VGG-16", 31.50, 31.17, 11_300_000, 49),
        ]

    def test_rows_of_tables_2_and_3(self):
        numbers = {
            ("lenet-300-100", "ip2"): ("ip2", "30K", 9, 6, 4.4, 5, 4.3, 3.8, 3.04),
            ("lenet-5", "conv1"): ("conv1", "0.5K", 66, 8, 7.2, 5, 1.5, 78.5, 67.45),
            ("lenet-5", "Total"): ("Total", "431K", 8, 5.3, 4.1, 5, 4.4, 3.05, 2.55),
        }
        for place, printed in numbers.items():
            assert dataclasses.astuple(paper_layer(*place)) == printed

    def test_tables_are_whole(self):
        assert [(table.number, [row.layer for row in table.rows]) for table in LAYER_TABLES.values()] == [
            (2, ["ip1", "ip2", "ip3", "Total"]), (3, ["conv1", "conv2", "ip1", "ip2", "Total"])
        ]
        assert "1510.00149" in paper.SOURCE


class TestTheNumbersAgreeWithEachOther:
    @pytest.mark.parametrize("row", TABLE1.values(), ids=lambda row: row.network)
    def test_ratios(self, row):
        assert abs(row.nbytes_ref / row.nbytes - row.ratio) < 1

    @pytest.mark.parametrize("row", [*paper.TABLE2.rows, *paper.TABLE3.rows], ids=lambda row: row.layer)
    def test_rates(self, row):
        # The printed rate, less its codebook, is kept * bits / 32 and up to 28 % of fillers; kept is rounded to 1 %.
        digits, unit = row.weights[:-1], {"K": 1e3, "M": 1e6}[row.weights[-1]]
        codebook_percent = 100 * 2**row.weight_bits / (float(digits) * unit)
        per_entry = (row.weight_bits + row.index_bits) / 32
        assert (row.kept_percent - 0.5) * per_entry <= row.rate_percent
        assert row.rate_percent <= 1.28 * (row.kept_percent + 0.5) * per_entry + codebook_percent
        assert row.rate_percent_huffman < row.rate_percent


def test_what_the_paper_does_not_have_is_none():
    assert paper_network("resnet-50") is None and paper_table("alexnet") is None
    assert paper_layer("lenet-5", "ip3") is None and paper_layer(None, "ip1") is None
