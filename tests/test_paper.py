import dataclasses
import json

import numpy as np
import pytest
from report_inputs import ROOT

from gluon_dc.report import paper
from gluon_dc.report.paper import (
    LAYER_TABLES, TABLE1, paper_layer, paper_layer_names, paper_network, paper_table,
)


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
            ("alexnet", "fc6"): ("fc6", "38M", 9, 5, 3.9, 4, 3.2, 3.0, 2.39),
            ("vgg16", "conv4_2"): ("conv4_2", "2M", 27, 8, 4.2, 5, 2.9, 10.9, 5.93),
            ("lenet-5", "Total"): ("Total", "431K", 8, 5.3, 4.1, 5, 4.4, 3.05, 2.55),
        }
        for place, printed in numbers.items():
            assert dataclasses.astuple(paper_layer(*place)) == printed

    def test_tables_are_whole(self):
        assert [(table.number, [row.layer for row in table.rows]) for table in LAYER_TABLES.values()] == [
            (2, ["ip1", "ip2", "ip3", "Total"]), (3, ["conv1", "conv2", "ip1", "ip2", "Total"]),
            (4, [*(f"conv{n}" for n in range(1, 6)), "fc6", "fc7", "fc8", "Total"]),
            (5, ["conv1_1", "conv1_2", "conv2_1", "conv2_2", *(f"conv{n}_{m}" for n in (3, 4, 5) for m in (1, 2, 3)),
                 "fc6", "fc7", "fc8", "Total"]),
        ]
        assert "1510.00149" in paper.SOURCE


class TestTheNumbersAgreeWithEachOther:
    @pytest.mark.parametrize("row", TABLE1.values(), ids=lambda row: row.network)
    def test_ratios(self, row):
        assert abs(row.nbytes_ref / row.nbytes - row.ratio) < 1

    @pytest.mark.parametrize("row", [row for table in LAYER_TABLES.values() for row in table.rows],
                             ids=lambda row: row.layer)
    def test_rates(self, row):
        # The printed rate, less its codebook, is kept * bits / 32 and up to 28 % of fillers; kept is rounded to 1 %.
        digits, unit = row.weights[:-1], {"K": 1e3, "M": 1e6}[row.weights[-1]]
        codebook_percent = 100 * 2**row.weight_bits / (float(digits) * unit)
        per_entry = (row.weight_bits + row.index_bits) / 32
        assert (row.kept_percent - 0.5) * per_entry <= row.rate_percent
        assert row.rate_percent <= 1.28 * (row.kept_percent + 0.5) * per_entry + codebook_percent
        assert row.rate_percent_huffman < row.rate_percent


def test_what_the_paper_does_not_have_is_none():
    assert paper_network("resnet50_v1") is None and paper_table("resnet50_v1") is None
    assert paper_layer("lenet-5", "ip3") is None and paper_layer(None, "ip1") is None
    assert paper_layer_names("resnet50_v1") == {}


class TestAgainstTheTranscription:
    """../shared/paper/tables.json was copied from the paper by another hand."""

    @pytest.fixture
    def tables(self):
        path = ROOT.parent / "shared" / "paper" / "tables.json"
        if not path.is_file():
            pytest.skip(f"{path} is not here")
        return json.loads(path.read_text())

    def test_table_1(self, tables):
        for row, printed in zip(TABLE1.values(), tables["table1"], strict=True):
            assert dataclasses.astuple(row)[2:] == (
                printed["top1_error_ref"], printed["top1_error"], printed.get("top5_error_ref"),
                printed.get("top5_error"), printed["size_ref_bytes"], printed["size_bytes"], printed["rate"],
            )
            assert row.network == printed["network"]

    @pytest.mark.parametrize("network, name", [("lenet-300-100", "table2_lenet_300_100"), ("lenet-5", "table3_lenet_5"),
                                               ("alexnet", "table4_alexnet"), ("vgg16", "table5_vgg16")])
    def test_tables_2_to_5(self, tables, network, name):
        rows = [dataclasses.asdict(row) for row in LAYER_TABLES[network].rows]
        assert rows == tables[name]

    def test_table_6(self, tables):
        assert [dataclasses.astuple(row) for row in paper.TABLE6] == [
            (row["conv_bits"], row["fc_bits"], row["top1_error"], row["top5_error"])
            for row in tables["table6_alexnet_bits"]
        ]

    def test_table_7(self, tables):
        assert [dataclasses.astuple(row) for row in paper.TABLE7] == [
            (row["method"], row["top1_error"], row["top5_error"], row["size_bytes"], row["rate"])
            for row in tables["table7_alexnet_methods"]
        ]


def test_the_authors_alexnet_is_the_papers_with_children_of_its_own():
    caffe_alexnet = pytest.importorskip("gluon_dc.models.caffe_alexnet")
    assert caffe_alexnet.NAME == paper.CAFFE_ALEXNET and caffe_alexnet.NAME not in paper.VARIANTS
    assert paper_network(caffe_alexnet.NAME) is TABLE1["alexnet"]
    assert paper_table(caffe_alexnet.NAME) is LAYER_TABLES["alexnet"]
    parameters = caffe_alexnet.alexnet()._collect_params_with_prefix()
    names = paper_layer_names(caffe_alexnet.NAME)
    assert list(names) == [name for name in parameters if name.endswith("weight")]
    sizes = {layer: int(np.prod(parameters[name].shape)) for name, layer in names.items()}
    for row in LAYER_TABLES["alexnet"].rows[:-1]:
        printed = int(row.weights.removesuffix("K").removesuffix("M")) * (1e3 if row.weights.endswith("K") else 1e6)
        assert sizes[row.layer] == pytest.approx(printed, rel=0.03)


class TestLayerNames:
    def test_by_hand(self):
        assert paper_layer_names("lenet-5")["2.weight"] == "conv2"
        names = paper_layer_names("alexnet")
        assert names["features.0.weight"] == "conv1" and names["features.9.weight"] == "fc6"
        assert names["output.weight"] == "fc8" and len(paper_layer_names("vgg16")) == 16

    @pytest.mark.parametrize("network", [*LAYER_TABLES, paper.CAFFE_ALEXNET])
    def test_the_models_agree(self, network):
        zoo = pytest.importorskip("gluon_dc.models.zoo")
        assert paper_layer_names(network) == zoo.layer_names(network)

    @pytest.mark.parametrize("network", ["alexnet", "vgg16"])
    def test_they_are_the_weights_of_gluoncv_in_order(self, network):
        model_zoo = pytest.importorskip("gluoncv").model_zoo
        parameters = model_zoo.get_model(network)._collect_params_with_prefix()
        assert [name for name in parameters if name.endswith("weight")] == list(paper_layer_names(network))
