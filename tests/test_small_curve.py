"""Error against bytes: points from results, the table, the figure, what is published."""
import json
import xml.dom.minidom

import pytest

pytest.importorskip("matplotlib")

from gluon_dc.report.drawing import svg_figure  # noqa: E402
from gluon_dc.report.published import PUBLISHED, published_for  # noqa: E402
from gluon_dc.report.size_curve import size_curve_figure  # noqa: E402
from gluon_dc.training.small.curve import curve_text, median_text, read_points, write_curve  # noqa: E402


def result(nbytes, error, seed=0, network="lenet-5", dataset="mnist"):
    return {"format": 1, "network": network, "dataset": {"name": dataset}, "seed": seed,
            "stages": [{"stage": "coded", "kept": 900, "test_error_percent": error, "validation_error_percent": 0.7}],
            "file": {"name": "model.gdc", "nbytes": nbytes, "ratio": 1724320 / nbytes}}


def write(folder, record):
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(record))
    return folder


def test_published_results_are_what_the_issue_of_this_names():
    known = {(one.method, one.network): (one.printed, one.error_percent) for one in PUBLISHED if one.nbytes != 1520}
    assert known == {
        ("Deep Compression", "lenet-300-100"): ("27 KB", 1.58), ("Deep Compression", "lenet-5"): ("44 KB", 0.74),
        ("soft weight-sharing", "lenet-300-100"): ("64x", 1.94), ("EPR", "lenet-300-100"): ("8.56 KB", 1.9),
        ("EPR", "lenet-5"): ("2.84 KB", 0.9), ("MIRACLE", "lenet-5"): ("3.03 KB", 0.69)}
    assert [one.nbytes for one in published_for("lenet-5")] == [44_000, 3_030, 2_840, 1_520]
    assert 1066440 // 64 == published_for("lenet-300-100")[1].nbytes
    assert all(one.nbytes == round(float(one.printed[:-3]) * 1000) for one in PUBLISHED if one.printed.endswith(" KB"))
    assert published_for("alexnet") == ()


def test_points_are_of_all_folders_smallest_first(tmp_path):
    write(tmp_path / "a" / "seed0", result(2000, 0.74))
    write(tmp_path / "a" / "seed1", result(1900, 0.8, 1))
    other = write(tmp_path / "b", result(3000, 1.5, network="lenet-300-100"))
    points = read_points([tmp_path / "a", other, tmp_path / "a" / "seed0"])
    assert [(point["network"], point["nbytes"], point["seed"]) for point in points] == [
        ("lenet-300-100", 3000, 0), ("lenet-5", 1900, 1), ("lenet-5", 2000, 0)]
    text = curve_text(points)
    lines = [line.split()[0] + line.split()[1] for line in text.splitlines() if "ours" in line or "MIRACLE," in line]
    assert lines[1:] == ["MIRACLE,1.52", "ours,seed1", "ours,seed0", "MIRACLE,3.03"]
    assert "862.2x" in text and "arXiv:1810.00440" in text


def test_other_data_stands_beside_nothing_published(tmp_path):
    points = read_points([write(tmp_path / "a", result(500, 5.0, dataset="digits-8x8"))])
    text = curve_text(points)
    assert "LeNet-5 on digits-8x8 (not MNIST)" in text and "MIRACLE" not in text
    assert "published" not in svg_figure(size_curve_figure(points), "x").replace("as published", "")


def test_the_files(tmp_path):
    write(tmp_path / "runs" / "a", result(2000, 0.74))
    text = write_curve([tmp_path / "runs"], tmp_path / "curve")
    assert (tmp_path / "curve" / "curve.txt").read_text() == text + "\n"
    record = json.loads((tmp_path / "curve" / "curve.json").read_text())
    assert record["points"][0]["nbytes"] == 2000 and len(record["published"]) == 4
    assert (tmp_path / "curve" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_figure_names_everything(tmp_path):
    points = read_points([write(tmp_path / "a", result(2000, 0.74)),
                          write(tmp_path / "b", result(3000, 1.5, network="lenet-300-100"))])
    svg = svg_figure(size_curve_figure(points), "x")
    xml.dom.minidom.parseString(svg)
    for words in ("LeNet-300-100 on MNIST", "LeNet-5 on MNIST", "MIRACLE", "1.52 KB, 0.96 %", "soft weight-sharing",
                  "64x, 1.94 %", "8.56 KB", "gluon_dc", "published"):
        assert words in svg, words
    with pytest.raises(ValueError, match="nothing to draw"):
        size_curve_figure([])


@pytest.mark.parametrize("record, message", [
    (None, "no result.json in it or in a folder of it: give folders of finished runs"),
    ("nonsense", "result.json: not JSON"),
    ({"format": 1, "network": "lenet-5", "stages": [], "file": {}}, "holds no bytes of a file or no test error"),
])
def test_folders_without_a_result(tmp_path, record, message):
    (tmp_path / "a").mkdir()
    if record is not None:
        (tmp_path / "a" / "result.json").write_text(record if isinstance(record, str) else json.dumps(record))
    with pytest.raises(ValueError, match=message):
        read_points([tmp_path / "a"])


def test_the_median_of_three_seeds():
    results = [result(2000, 0.74, 0), result(1900, 0.8, 1), result(2100, 0.7, 2)]
    assert median_text(results) == ("median of seeds 0, 1, 2: 2,000 bytes, 862x smaller than dense, test error 0.74 %")
