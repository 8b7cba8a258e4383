"""Error against bytes: points from results, the table, the figure, what is published."""
import json
import math
import xml.dom.minidom

import pytest

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.transforms import Bbox  # noqa: E402

from gluon_dc.report.drawing import svg_figure  # noqa: E402
from gluon_dc.report.published import DENSE_NBYTES, PUBLISHED, published_for  # noqa: E402
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


def test_published_results_in_bytes():
    assert [(one.printed, one.nbytes, one.error_percent) for one in published_for("lenet-300-100")] == [
        ("27 KB", 27_000, 1.58), ("59x", 18_075, 2.0), ("64x", 16_663, 1.94), ("113x", 9_438, 1.8),
        ("8.56 KB", 8_560, 1.9)]
    assert [(one.printed, one.nbytes, one.error_percent) for one in published_for("lenet-5")] == [
        ("44 KB", 44_000, 0.74), ("162x", 10_644, 0.97), ("365x", 4_724, 1.0), ("3.03 KB", 3_103, 0.69),
        ("2.84 KB", 2_840, 0.9), ("771x", 2_236, 1.0), ("1.52 KB", 1_556, 0.96)]
    assert published_for("alexnet") == () and len(PUBLISHED) == 12


# Rates that are printed beside sizes: which kilobyte it is.
@pytest.mark.parametrize("method, network, rates", [
    ("Deep Compression", "lenet-300-100", [40]), ("Deep Compression", "lenet-5", [39]), ("EPR", "lenet-5", [606]),
    ("EPR", "lenet-300-100", [124]), ("MIRACLE", "lenet-5", [555, 1110])])
def test_a_kilobyte_is_what_makes_the_printed_rate(method, network, rates):
    known = [one for one in published_for(network) if one.method == method]
    for one, rate in zip(known, rates, strict=True):
        errors = {kilobyte: abs(DENSE_NBYTES[network] / (float(one.printed[:-3]) * kilobyte) - rate)
                  for kilobyte in (1000, 1024)}
        kilobyte = min(errors, key=errors.get)
        assert not one.is_from_rate and one.nbytes == round(float(one.printed[:-3]) * kilobyte)
        assert errors[kilobyte] < 0.013 * rate and kilobyte == (1024 if method == "MIRACLE" else 1000)


def test_the_dense_nets_have_these_bytes():
    pytest.importorskip("mxnet")
    from gluon_dc.models import get_model
    for network, nbytes in DENSE_NBYTES.items():
        parameters = get_model(network).collect_params().values()
        assert sum(4 * math.prod(parameter.shape) for parameter in parameters) == nbytes


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
    assert "BC-GHS, 771x, hence bytes " in text
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
    assert record["points"][0]["nbytes"] == 2000 and len(record["published"]) == 7
    assert [one["is_from_rate"] for one in record["published"]] == [False, True, True, False, False, True, False]
    assert (tmp_path / "curve" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_figure_names_everything(tmp_path):
    points = read_points([write(tmp_path / "a", result(2000, 0.74)),
                          write(tmp_path / "b", result(3000, 1.5, network="lenet-300-100"))])
    svg = svg_figure(size_curve_figure(points), "x")
    xml.dom.minidom.parseString(svg)
    for words in ("LeNet-300-100 on MNIST", "LeNet-5 on MNIST", "MIRACLE", "1.52 KB, 0.96 %", "soft weight-sharing",
                  "64x, 1.94 %", "8.56 KB", "gluon_dc", "published", "worked out from a rate", "Sparse VD"):
        assert words in svg, words
    with pytest.raises(ValueError, match="nothing to draw"):
        size_curve_figure([])


def boxes_of(figure):
    """For each panel the boxes of labels, marks (4 points wide at least) and the legend, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = [note.get_window_extent(renderer) for note in axes.texts]
        marks = [axes.transData.transform(place) for line in axes.lines for place in line.get_xydata()]
        yield axes, labels, [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in marks], axes.get_legend(
            ).get_window_extent(renderer)


def test_no_label_touches_anything():
    # Our points around the smallest published file of LeNet-5, where labels have little room.
    points = [{"network": "lenet-5", "dataset": "mnist", "nbytes": nbytes, "error_percent": error}
              for nbytes, error in ((1505, 0.9), (1518, 0.94), (1539, 0.99), (1555, 1.0), (1528, 1.08), (1992, 0.61))]
    points.append({"network": "lenet-300-100", "dataset": "mnist", "nbytes": 2600, "error_percent": 1.5})
    for axes, labels, marks, legend in boxes_of(size_curve_figure(points)):
        assert len(labels) in (5, 7)
        for number, label in enumerate(labels):
            assert label.count_overlaps([*marks, legend, *labels[:number]]) == 0, axes.texts[number].get_text()
            assert axes.bbox.x0 <= label.x0 and label.x1 <= axes.bbox.x1


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
