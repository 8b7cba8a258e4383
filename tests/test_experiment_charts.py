import io
import re
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image
from report_inputs import experiment, small_model, zoo_sizes

from gluon_dc.report.drawing import INK, new_figure, save_figure, svg_figure
from gluon_dc.report.experiment_charts import experiment_figure, sizes_figure
from gluon_dc.report.experiments import check_experiment
from gluon_dc.report.figures import storage_figure
from gluon_dc.report.nets import check_zoo

KINDS = ("compression", "starts", "sensitivity")


def checked(kind="compression", **fields):
    return check_experiment(experiment(kind, **fields), "e.json")


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines_named(axes, label):
    return [line for line in axes.lines if line.get_label() == label]


class TestEveryFigure:
    @pytest.mark.parametrize("kind", [*KINDS, "sizes"])
    def test_is_a_titled_png_and_an_svg(self, kind, tmp_path):
        zoo = check_zoo(zoo_sizes(), "z.json")
        figure = sizes_figure(zoo.nets) if kind == "sizes" else experiment_figure(checked(kind))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            save_figure(figure, tmp_path / "figure.png")
            svg = svg_figure(figure, "f1")
        with Image.open(io.BytesIO((tmp_path / "figure.png").read_bytes())) as image:
            assert image.width == 1200
            assert len(image.convert("RGB").getcolors(image.width * image.height)) > 20
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"

    def test_a_method_and_a_start_look_the_same_in_whatever_order_they_come(self):
        for kind in ("compression", "starts"):
            points = [{**point, "method": "mine"} if point.get("method") == "svd" else point
                      for point in experiment(kind)["points"]]
            styles = [{line.get_label(): (line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
                      for figure in (experiment_figure(checked(kind, points=some)) for some in (points, points[::-1]))]
            for name in ("pruning + sharing", "pruning only", "mine", "linear", "density"):
                assert styles[0].get(name) == styles[1].get(name)
            for one in ("pruning", "density"):  # alone it looks the same
                some = [point for point in points if one in (point.get("method"), point.get("start"))]
                for line in experiment_figure(checked(kind, points=some)).axes[0].lines if some else ():
                    if line.get_label()[0] != "_":
                        assert styles[0][line.get_label()] == (line.get_color(), line.get_marker())
            named = [style for name, style in styles[0].items() if name[0] != "_"]
            assert len(set(named)) == len(named) >= 3

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_points(self, kind):
        with pytest.raises(ValueError, match="e.json: no points yet: nothing to draw"):
            experiment_figure(checked(kind, points=[]))

    @pytest.mark.parametrize("kind", KINDS)
    def test_hard_names_and_a_single_point(self, kind, tmp_path):
        point = experiment(kind)["points"][0]
        key = {"compression": "method", "starts": "start", "sensitivity": "layer"}[kind]
        figure = experiment_figure(checked(kind, points=[{**point, key: "a $b$\n<script>"}]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            save_figure(figure, tmp_path / "figure.png")


class TestCompression:
    def test_lines_join_the_best_files(self):
        (axes,) = experiment_figure(checked()).axes
        (line,) = lines_named(axes, "pruning + sharing")
        assert line.get_xydata().tolist() == [[3, -0.25], [4, 0]]

    def test_by_validation_error_where_known(self):
        points = [{"method": "svd", "nbytes": nbytes, "error_percent": error, "validation_error_percent": validation}
                  for nbytes, error, validation in ((300, 0.9, 2.5), (400, 1.5, 2.0))]
        dense = {"nbytes": 10_000, "error_percent": 1.0, "validation_error_percent": 2.0}
        axes = experiment_figure(checked(points=points, dense=dense)).axes[0]
        (line,) = lines_named(axes, "truncated SVD")
        assert np.allclose(line.get_xydata(), [[3, 0.1], [4, -0.5]])  # where test errors chose, 400 bytes would lack

    def test_large_losses_are_cut_off(self):
        (axes,) = experiment_figure(checked()).axes
        assert axes.get_ylim()[0] == -5 and axes.get_xscale() == "log"
        mild = [point for point in experiment()["points"] if point["error_percent"] < 2]
        (axes,) = experiment_figure(checked(points=mild)).axes
        assert -1 < axes.get_ylim()[0] < -0.5 and axes.get_ylim()[1] > 0


class TestStarts:
    def test_a_panel_before_and_after_training(self):
        figure = experiment_figure(checked("starts"))
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["k-means alone", "centroids trained"]
        assert labels(figure) == ["dense net", "linear", "density"]
        (line,) = lines_named(figure.axes[0], "linear")
        assert line.get_xydata().tolist() == [[2, 3], [4, 2], [8, 1.5]]

    def test_training_is_not_always_told(self):
        points = [{"start": "linear", "bits": 2, "error_percent": 3}]
        assert len(experiment_figure(checked("starts", points=points)).axes) == 1


class TestSensitivity:
    def test_a_panel_for_sparsity_and_one_for_bits(self):
        figure = experiment_figure(checked("sensitivity"))
        assert labels(figure) == ["dense net", "features.0.weight", "output.weight"]
        (line,) = lines_named(figure.axes[1], "output.weight")
        assert line.get_xydata().tolist() == [[2, 20], [8, 1.25]]

    def test_the_most_sensitive_of_many_stand_out(self):
        points = [{"layer": f"l{n}", "kind": "bits", "value": bits, "error_percent": n + 10 / bits}
                  for n in range(20) for bits in (2, 4)]
        figure = experiment_figure(checked("sensitivity", points=points))
        assert labels(figure) == ["dense net", "l19", "l18", "l17", "l16", "l15", "l14", "other layers"]


class TestSizes:
    def test_a_bar_for_each_stage(self):
        (axes,) = sizes_figure(check_zoo(zoo_sizes(), "z.json").nets).axes
        ends = [bar.get_x() + bar.get_width() for bar in axes.patches[:6]]
        assert ends == pytest.approx([240e6, 30e6, 10e6, 8e6, 17e6, 3.4e6])
        drawn = [text.get_text() for text in axes.texts]
        assert {"AlexNet", "mobilenet1.0"} <= set(drawn)
        assert "8.00 MB  (30.0x)" in drawn and "VGG-16\n552 MB" in drawn

    def test_synthetic_weights_are_named_in_the_title(self):
        figure = sizes_figure(check_zoo(zoo_sizes(), "z.json").nets)
        assert figure.texts[-1].get_text() == "synthetic weights: sizes only, no accuracy: AlexNet, mobilenet1.0"

    def test_nothing_to_draw(self):
        with pytest.raises(ValueError, match="no net has a size"):
            sizes_figure([])


class TestSvg:
    def figure(self):
        return storage_figure(small_model(), "T", {"0.weight": "<script>alert('x')</script> & \"0\""})

    def test_the_heading_is_the_pages(self):
        figure = new_figure(3, "A heading", "a title")
        figure.add_subplot().set_xlabel("kept")
        svg = svg_figure(figure, "f1")
        assert "heading" not in svg and "a title" not in svg and "kept" in svg

    def test_text_is_text_and_escaped(self):
        svg = svg_figure(self.figure(), "f1")
        assert "<script" not in svg and "&lt;script&gt;alert" in svg
        texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]
        assert "<script>alert('x')</script> & \"0\"" in texts

    def test_neutral_colours_are_the_themes(self):
        svg = svg_figure(self.figure(), "f1")
        assert "var(--ink)" in svg and "var(--line)" in svg and "var(--font)" in svg and "DejaVu" not in svg
        assert INK.lower() not in svg.lower() and "#ffffff" not in svg.lower()

    def test_ids_do_not_meet(self):
        ids = [set(re.findall(r'\bid="([^"]+)"', svg_figure(self.figure(), prefix))) for prefix in ("f1", "f2")]
        assert ids[0] and not ids[0] & ids[1]
        svg = svg_figure(self.figure(), "f3")
        referred = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
        assert {a or b for a, b in referred} <= set(re.findall(r'\bid="([^"]+)"', svg))

    def test_equal_figures_give_equal_text(self):
        assert svg_figure(self.figure(), "f") == svg_figure(self.figure(), "f")
