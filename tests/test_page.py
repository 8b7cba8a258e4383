import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from report_inputs import (
    ROOT, conv_rows, energy, experiment, mobile, net_rows, pruned_weights, small_model, small_result, speed_rows,
    write_run, zoo_sizes,
)

from gluon_dc.coding import CompressedModel, pack, share
from gluon_dc.report.inputs import read_inputs
from gluon_dc.report.page import page
from gluon_dc.report.writing import write_files

HOSTILE = "</title></style></svg>\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
VOID = {"meta", "link", "br", "img", "input"}


class Outline(HTMLParser):
    """Tags, attributes, ids and links of a page, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.ids, self.links, self.open, self.errors = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        self.ids += [value for name, value in attributes if name == "id"]
        self.links += [value for name, value in attributes if name in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)


def everything(folder):
    """Write a run, a sweep of every kind, a zoo, speed and energy into a folder; return the items read."""
    (folder / "sweep").mkdir()
    for record in (speed_rows, conv_rows, net_rows, energy, mobile):
        (folder / "sweep" / f"{record.__name__}.json").write_text(json.dumps(record()))
    for kind in ("compression", "starts", "sensitivity"):
        (folder / "sweep" / f"{kind}.json").write_text(json.dumps(experiment(kind)))
    (folder / "zoo_sizes.json").write_text(json.dumps(zoo_sizes()))
    return read_inputs([write_run(folder / "run"), folder / "sweep", folder / "zoo_sizes.json"])


def hostile(folder):
    """As `everything`, with markup in every text that a file can hold."""
    arrays = {f"{HOSTILE}{name}": array for name, array in pruned_weights().items()}
    model = CompressedModel({name: pack(share(a, 4)) if a.ndim == 2 else a for name, a in arrays.items()},
                            metadata={"network": HOSTILE, "weights": HOSTILE})
    run = folder / "run"
    run.mkdir()
    result = {**small_result(model), "network": HOSTILE, "dataset": {"name": HOSTILE, "note": HOSTILE}}
    result["stages"][0]["stage"] = HOSTILE
    (run / "result.json").write_text(json.dumps(result))
    model.save(run / "model.gdc")
    model.save(folder / "<script>.gdc")
    records = [experiment(kind, network=HOSTILE, split=HOSTILE, dataset={"name": HOSTILE, "note": HOSTILE})
               for kind in ("compression", "starts", "sensitivity")]
    for record, key in zip(records, ("method", "start", "layer")):
        record["points"][0][key] = HOSTILE
    for number, record in enumerate(records):
        (folder / f"{number}.json").write_text(json.dumps(record))
    for record in (speed_rows, conv_rows, net_rows, energy, mobile):
        (folder / f"{record.__name__}.json").write_text(json.dumps(record(HOSTILE)))
    zoo = [{**zoo_sizes()["nets"][1], "network": HOSTILE, "weights": f"synthetic {HOSTILE}", "bits": HOSTILE}]
    (folder / "zoo_sizes.json").write_text(json.dumps(zoo))
    items = read_inputs([run, folder / "<script>.gdc", folder])
    assert len(items) == 11
    return items


def written(folder, items):
    """Write the report of items, but for its PNGs, and return the page."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("gluon_dc.report.drawing.save_figure", lambda figure, path: None)
        write_files(folder, items, [None] * len(items), "", [])
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def whole(whole_page):
    return whole_page.read_text()


class TestPage:
    def test_is_well_formed_and_needs_nothing_else(self, whole):
        outline = Outline(whole)
        assert outline.errors == [] and outline.open == []
        assert len(outline.ids) == len(set(outline.ids))
        assert all(link.startswith("#") or link == "data:," for link in outline.links)
        assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
        assert "://" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", whole)

    def test_holds_every_section_table_and_figure(self, whole):
        for heading in ("Overview", "Sizes from stage to stage", "Beside published results", "Table 6", "Table 7",
                        "Table 2 of the paper beside", "Every net beside Table 1",
                        "Accuracy against compression: LeNet-5 on MNIST", "Speed of single layers",
                        "Convolutions: speed, batch 1, 1 thread", "Whole nets: speed, batch 8, 2 threads",
                        "Energy: AlexNet fc6", "Is mobile processing viable?", "Fig. 9: speed, batch 64, 1 thread",
                        "Fig. 10: energy for one input, batch 1", "estimate"):
            assert heading in whole
        outline = Outline(whole)
        # Sizes, three experiments, three of speed, energy, the mobile question, and of the run: rates, storage,
        # training, weights, histograms.
        assert outline.tags.count("svg") == 14 and outline.tags.count("table") >= 18
        assert outline.tags.count("article") == 3

    def test_the_only_script_is_the_one_of_the_policy(self, whole):
        (script,) = re.findall(r"<script>(.*?)</script>", whole, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in whole and "default-src 'none'" in whole

    def test_without_figures(self, tmp_path):
        items = everything(tmp_path)
        text = page(items, [None] * len(items), {}, ("Nothing was drawn.",))
        assert "<svg" not in text and "Nothing was drawn." in text and Outline(text).errors == []

    def test_equal_input_gives_equal_pages(self, tmp_path):
        small_model().save(tmp_path / "m.gdc")
        items = read_inputs([tmp_path / "m.gdc"])
        assert written(tmp_path / "a", items) == written(tmp_path / "b", items)

    def test_equal_headings_get_the_name_of_the_file_or_its_path(self, tmp_path):
        (tmp_path / "b").mkdir()
        paths = [tmp_path / name for name in ("s.json", "b/s.json", "t.json", "conv.json")]
        for path, record in zip(paths, (speed_rows(), speed_rows(), speed_rows(), conv_rows())):
            path.write_text(json.dumps(record))
        text = page(read_inputs(paths), [None] * 4, {})
        assert re.findall("<h2>(.*?)</h2>", text) == [
            f"Speed of single layers ({paths[0]})", f"Speed of single layers ({paths[1]})",
            "Speed of single layers (t.json)", "Speed of convolutions"]
        assert "<h2>Speed of single layers</h2>" in page(read_inputs(paths[2:]), [None] * 2, {})

    def test_of_a_single_net_the_heading_is_its_title(self, tmp_path):
        items = read_inputs([write_run(tmp_path / "run", "digits-8x8")])
        assert "<title>LeNet-300-100 on digits-8x8 (not MNIST), compressed</title>" in page(items, [None], {})

    def test_that_there_are_more_nets_than_cards_is_said(self, tmp_path):
        record = [{"network": f"net{i}", "dense_nbytes": 6336, "nbytes": 600 + i} for i in range(10)]
        for nets, note in ((record, "Cards of the first 8 of 10; the table has them all."), (record[:8], None)):
            (tmp_path / "zoo_sizes.json").write_text(json.dumps(nets))
            text = page(read_inputs([tmp_path / "zoo_sizes.json"]), [None], {})
            assert text.count('class="card"') == 8 and ("Cards of" in text) == bool(note) and (note or "") in text

    def test_many_runs_are_folded(self, tmp_path):
        small_model().save(tmp_path / "m.gdc")
        text = page(read_inputs([tmp_path / "m.gdc"] * 4), [None] * 4, {})
        assert text.count("<details class=run open>") == 1 and text.count("<details class=run>") == 3

    def test_weights_that_were_drawn_are_said_to_be(self, tmp_path):
        metadata = {"network": "alexnet", "weights": "synthetic weights: sizes only, no accuracy"}
        small_model(metadata=metadata).save(tmp_path / "m.gdc")
        text = page(read_inputs([tmp_path / "m.gdc"]), [None], {})
        assert '<p class="tag">synthetic weights: sizes only, no accuracy</p>' in text
        assert "Table 4 of the paper beside AlexNet, m.gdc (synthetic weights: sizes only, no accuracy)" in text


def test_names_from_files_stay_text(hostile_page):
    text = hostile_page.read_text()
    outline = Outline(text)
    assert outline.errors == [] and outline.open == []
    assert outline.tags.count("script") == 1 and "img" not in outline.tags and "onerror" not in outline.attributes
    assert "&lt;script&gt;alert(1)" in text


def test_what_the_page_is_made_of_travels_with_the_package():
    assert '"gluon_dc.report" = ["page.css", "page.js"]' in (ROOT / "pyproject.toml").read_text()
