import json

import pytest
from report_inputs import small_model, small_result, write_run, zoo_sizes

from gluon_dc.report.cards import cards
from gluon_dc.report.comparison import accounting_table, summary_table
from gluon_dc.report.inputs import read_inputs
from gluon_dc.report.nets import NetSizes
from gluon_dc.report.overview import (
    bits_table, methods_table, nets_of, overview_table, run_labels, runs_of, sizes_table,
)
from gluon_dc.report.paper import CAFFE_ALEXNET
from gluon_dc.report.tables import size_text


@pytest.fixture
def items(tmp_path):
    """Two seeds of a run, a file that names its network, a zoo."""
    folders = [write_run(tmp_path / "a"), write_run(tmp_path / "b")]
    (folders[1] / "result.json").write_text(json.dumps({**small_result(small_model()), "seed": 1}))
    small_model(metadata={"network": "mine"}).save(tmp_path / "m.gdc")
    (tmp_path / "zoo_sizes.json").write_text(json.dumps(zoo_sizes()))
    return read_inputs([*folders, tmp_path / "m.gdc", tmp_path / "zoo_sizes.json"])


def first_cells(table):
    return [row and row[0] for row in table.rows]


class TestLabels:
    def test_seeds_tell_equal_titles_apart(self, items):
        assert list(run_labels(items).values()) == [
            "LeNet-300-100 on MNIST, seed 0", "LeNet-300-100 on MNIST, seed 1", "mine, m.gdc"
        ]

    def test_folders_do_where_seeds_do_not(self, tmp_path):
        labels = run_labels(read_inputs([write_run(tmp_path / name) for name in "ab"]))
        assert list(labels.values()) == ["LeNet-300-100 on MNIST (a)", "LeNet-300-100 on MNIST (b)"]

    def test_paths_do_where_nothing_else_does(self, tmp_path):
        folder = write_run(tmp_path / "a")
        paths = [folder, folder / "result.json"]
        assert list(run_labels(read_inputs(paths)).values()) == [f"LeNet-300-100 on MNIST ({path})" for path in paths]


class TestOverview:
    def test_the_papers_row_once_below_each_network(self, items):
        table = overview_table(items)
        assert [row[1] for row in table.rows] == [
            "every byte", "paper accounting", "every byte", "paper accounting", "paper", "every byte",
            "paper accounting", "synthetic weights", "paper", "synthetic weights",
        ]
        assert table.rows[4][-1] == "40x" and table.rows[8] == [
            "", "paper", "42.78", "42.78", "19.73", "19.70", "240,000,000", "6,900,000", "35x"
        ]
        assert "Synthetic weights: sizes only, no accuracy." in table.notes

    def test_without_top5_errors_there_are_no_columns_for_them(self, tmp_path):
        table = overview_table(read_inputs([write_run(tmp_path / "a")]))
        assert "top-5" not in str(table) and len(table.headings) == len(table.rows[0]) == 7

    def test_weights_that_were_drawn_are_said_to_be(self, tmp_path):
        small_model(metadata={"weights": "synthetic weights: no accuracy"}).save(tmp_path / "m.gdc")
        items = read_inputs([tmp_path / "m.gdc"])
        assert overview_table(items).rows[0][1] == "every byte, synthetic weights"
        assert bits_table(items).rows[-1][1] == "ours, synthetic weights"
        assert overview_table(items).notes == ("Synthetic weights: no accuracy.",)

    def test_another_data_set_is_warned_of(self, tmp_path):
        table = overview_table(read_inputs([write_run(tmp_path / "a", "digits-8x8")]))
        assert "The paper's rows are for MNIST: this is another data set, not comparable." in table.notes


class TestSizes:
    def test_rows_and_references(self, items):
        table = sizes_table(nets_of(items))
        references = ["general AlexNet, the paper's", "general VGG-16, the paper's"]
        assert first_cells(table)[-4:] == ["mobilenet1.0", None, *references]
        assert table.rows[3] == ["AlexNet", "synthetic weights", "240,000,000", "30,000,000", "10,000,000", "8,000,000",
                                 "11.0", "5..8", "30.0x"]

    def test_a_file_that_the_zoo_tells_more_about_is_left_out(self, tmp_path):
        model = small_model(metadata={"network": "mobilenet1.0"})
        model.save(tmp_path / "m.gdc")
        record = [{"network": "mobilenet1.0", "dense_nbytes": 99_999, "nbytes": model.nbytes}]
        (tmp_path / "zoo_sizes.json").write_text(json.dumps(record))
        (net,) = nets_of(read_inputs([tmp_path / "m.gdc", tmp_path / "zoo_sizes.json"]))
        assert net.dense_nbytes == 99_999


class TestTable6:
    def test_ours_below_the_papers(self, items):
        table = bits_table(runs_of(items))
        assert table.rows[3] == ["AlexNet, 4 / 2 bits", "paper", "4", "2", "44.77", "22.33", "+1.99", "+2.60"]
        assert table.rows[4] == ["LeNet-300-100 on MNIST, seed 0", "ours", None, "4", "1.75", None, "+0.50", None]
        assert table.rows[6] == ["mine, m.gdc", "ours", None, "4", None, None, None, None]


class TestTable7:
    def test_ours_by_stage(self, items):
        table = methods_table(nets_of(items))
        assert table.rows[8:] == [
            ["Pruning", "ours, synthetic weights", None, None, "30,000,000", "8.0x"],
            ["Pruning + quantization", "ours, synthetic weights", None, None, "10,000,000", "24.0x"],
            ["Pruning + quantization + Huffman", "ours, synthetic weights", None, None, "8,000,000", "30.0x"],
        ]
        assert table.notes[0] == "Synthetic weights: sizes only, no accuracy."
        assert table.notes[1].startswith("GluonCV's AlexNet has 64, 192,")

    def test_without_an_alexnet_it_says_so(self):
        table = methods_table([NetSizes("x", "x", "", {"dense": 9})])
        assert len(table.rows) == 8 and table.notes[0].startswith("No AlexNet is among the inputs")

    def test_errors_on_imagenet(self, tmp_path):
        items = self.alexnet_run(tmp_path, "imagenet")
        assert methods_table(nets_of(items), runs_of(items)).rows[-1][1:4] == ["ours", "1.75", "0.50"]

    def test_other_data_is_left_out(self, tmp_path):
        items = self.alexnet_run(tmp_path, "mnist")
        table = methods_table(nets_of(items), runs_of(items))
        assert len(table.rows) == 8
        assert table.notes == ("Left out, as it is of other data than ImageNet: AlexNet on MNIST (not ImageNet).",)

    def test_the_authors_alexnet_is_the_papers(self, tmp_path):
        small_model(metadata={"network": CAFFE_ALEXNET}).save(tmp_path / "m.gdc")
        items = read_inputs([tmp_path / "m.gdc"])
        table = methods_table(nets_of(items), runs_of(items))
        assert table.rows[-1][:2] == ["Pruning + quantization + Huffman", "ours"] and table.notes == ()
        assert [row[1] for row in overview_table(items).rows][-1] == "paper"
        assert overview_table(items).notes == ()

    @staticmethod
    def alexnet_run(tmp_path, dataset):
        folder = write_run(tmp_path / "a")
        result = {**small_result(small_model(), dataset), "network": "alexnet"}
        result["stages"][-1]["test_top5_error_percent"] = 0.5
        (folder / "result.json").write_text(json.dumps(result))
        return read_inputs([folder])


class TestFilesOnOtherData:
    """A .gdc without a result.json says itself on what it was trained."""

    @pytest.mark.parametrize("given, data", [
        ({"dataset": "mini-imagenet-18", "classes": 18}, "on mini-imagenet-18 (not ImageNet)"),
        ({"classes": ["a\n"]}, "on other classes (not ImageNet)"),
        ({"dataset": "mini-imagenet-18"}, "on mini-imagenet-18 (not ImageNet)"),
        ({"dataset": "imagenet", "classes": 18}, "on imagenet, 18 classes (not ImageNet)"),
        ({"classes": 18}, "on 18 classes (not ImageNet)"),
    ])
    def test_is_told_everywhere(self, tmp_path, given, data):
        small_model(metadata={"network": "alexnet", **given}).save(tmp_path / "m.gdc")
        items = read_inputs([tmp_path / "m.gdc"])
        (run,) = items
        assert run.label == f"AlexNet {data}, m.gdc"
        (card,) = cards(items)
        assert card.where == f"{data}, m.gdc" and dict(card.lines)["the paper's, other data"] == "35×"
        warning = "The paper's rows are for ImageNet: this is another data set, not comparable."
        assert warning in overview_table(items).notes
        assert all(warning in section for section in (
            str(accounting_table(run.title, None, run.model)), str(summary_table(run.title, None, run.model))))
        table = methods_table(nets_of(items), items)
        assert len(table.rows) == 8 and table.notes[0].startswith("Left out, as it is of other data than ImageNet: Ale")

    @pytest.mark.parametrize("given", [{}, {"dataset": "imagenet"}, {"classes": 1000}])
    def test_nothing_or_the_papers_is_no_other_data(self, tmp_path, given):
        small_model(metadata={"network": "alexnet", **given}).save(tmp_path / "m.gdc")
        items = read_inputs([tmp_path / "m.gdc"])
        (card,) = cards(items)
        assert dict(card.lines)["the paper's ratio"] == "35×" and "not comparable" not in str(overview_table(items))
        assert len(methods_table(nets_of(items), items).rows) == 9


class TestCards:
    def test_seeds_share_a_card(self, items):
        lenet, mine, alexnet, mobilenet = cards(items)
        assert (lenet.name, lenet.where) == ("LeNet-300-100", "on MNIST")
        assert dict(lenet.lines) == {
            "error, dense": "1.25 %", "error, file": "1.75 %", "seeds": "2", "the paper's ratio": "40×"
        }
        assert (mine.name, mine.where) == ("mine", "m.gdc")
        assert (alexnet.ratio, alexnet.sizes) == ("30.0×", "240 MB → 8.00 MB")
        assert alexnet.tag == mobilenet.tag == "synthetic weights: sizes only, no accuracy"

    def test_a_file_that_is_in_the_zoo_too_has_one_card(self, tmp_path):
        model = small_model(metadata={"network": "mobilenet1.0"})
        model.save(tmp_path / "m.gdc")
        record = [{"network": "mobilenet1.0", "dense_nbytes": 6336, "nbytes": model.nbytes}]
        (tmp_path / "zoo_sizes.json").write_text(json.dumps(record))
        (card,) = cards(read_inputs([tmp_path / "m.gdc", tmp_path / "zoo_sizes.json"]))
        assert dict(card.lines) == {"weights kept": "13.0 %"}

    def test_a_card_for_every_net(self, tmp_path):
        record = [{"network": f"net{i}", "dense_nbytes": 6336, "nbytes": 600 + i} for i in range(10)]
        (tmp_path / "zoo_sizes.json").write_text(json.dumps(record))
        assert [card.name for card in cards(read_inputs([tmp_path / "zoo_sizes.json"]))] == [
            f"net{i}" for i in range(10)]

    def test_a_spread(self, tmp_path):
        folders = [write_run(tmp_path / name) for name in "ab"]
        result = small_result(small_model())
        result["seed"], result["stages"][-1]["test_error_percent"] = 1, 2.5
        (folders[1] / "result.json").write_text(json.dumps(result))
        (card,) = cards(read_inputs(folders))
        assert dict(card.lines)["error, file"] == "1.75 – 2.50 %"

    def test_other_settings_are_another_card(self, tmp_path):
        folders = [write_run(tmp_path / name) for name in "ab"]
        (folders[1] / "result.json").write_text(json.dumps({**small_result(small_model()), "settings": {"bits": 3}}))
        assert [card.where for card in cards(read_inputs(folders))] == ["on MNIST (a)", "on MNIST (b)"]

    def test_another_data_set(self, tmp_path):
        (card,) = cards(read_inputs([write_run(tmp_path / "a", "digits-8x8")]))
        assert card.where == "on digits-8x8 (not MNIST)" and dict(card.lines)["the paper's, other data"] == "40×"


@pytest.mark.parametrize("nbytes, shown", [
    (0, "0 B"), (999, "999 B"), (1000, "1.00 KB"), (4902, "4.90 KB"), (41_527, "41.5 KB"), (999_600, "1.00 MB"),
    (552e6, "552 MB"), (1.2e9, "1.20 GB"),
])
def test_size_text(nbytes, shown):
    assert size_text(nbytes) == shown
