import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from PIL import Image
from report_inputs import LAYERS, ROOT, odd_model, pruned_weights, small_model, small_result, write_run

from gluon_dc.coding import CodedTensor, CompressedModel, pack
from gluon_dc.report.charts import compressor_figure, rate_figure, training_figure
from gluon_dc.report.compressors import compressor_rows
from gluon_dc.report.drawing import BLUE, GREY, save_figure
from gluon_dc.report.figures import histogram_figure, storage_figure, weight_figure
from gluon_dc.report.gallery import run_figures
from gluon_dc.report.results import read_run

TITLE = "LeNet-300-100 on digits-8x8 (not MNIST)"


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def heights(axes):
    """Heights of the bars of all patches: their third corner's."""
    return [height for patch in axes.patches for height in patch.get_path().vertices[2::5, 1].tolist()]


def centroids(model):
    return {name: model[name].codebook[1:] for name in LAYERS}


FIGURES = {
    "storage": lambda model: storage_figure(model, TITLE),
    "histograms": lambda model: histogram_figure(model, TITLE),
    "weights": lambda model: weight_figure(pruned_weights(), centroids(model), centroids(small_model(1)), TITLE),
    "rates": lambda model: rate_figure(small_result(model), model, TITLE),
    "training": lambda model: training_figure(small_result(model), TITLE),
    "compressors": lambda model: compressor_figure(compressor_rows(model), TITLE),
}


class TestEveryFigure:
    @pytest.mark.parametrize("name", FIGURES)
    def test_is_a_titled_and_labelled_png(self, name, tmp_path):
        figure = FIGURES[name](small_model())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            save_figure(figure, tmp_path / "figure.png")
        assert TITLE in texts(figure) and figure.axes[-1].get_xlabel()
        with Image.open(io.BytesIO((tmp_path / "figure.png").read_bytes())) as image:
            assert image.format == "PNG" and image.width == 1200 and 300 < image.height < 3000
            # More than an empty page: all of the colours of a drawing.
            assert len(image.convert("RGB").getcolors(image.width * image.height)) > 20

    def test_no_pyplot_and_no_mxnet(self):
        command = "import gluon_dc.report.gallery, sys; print({'matplotlib.pyplot', 'mxnet'} & set(sys.modules))"
        result = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True)
        assert result.stdout == "set()\n"


class TestStorage:
    def test_bars_fill_the_whole(self):
        model = small_model()
        (axes,) = storage_figure(model, TITLE, {"0.weight": "ip1 (0.weight)"}).axes
        widths = np.zeros(4)
        for bars in axes.containers:
            widths += [bar.get_width() for bar in bars]
        assert widths == pytest.approx([100] * 4)
        assert [label.get_text() for label in axes.get_yticklabels()] == [
            "whole file", "ip1 (0.weight)", "1.weight", "2.weight"
        ]
        assert f"{model.nbytes:,} B" in [text.get_text() for text in axes.texts]

    def test_odd_model(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            save_figure(storage_figure(odd_model(), "a $title$ that is no formula" * 9), tmp_path / "figure.png")


class TestHistograms:
    def test_bars_are_the_counts(self):
        packed = pack(CodedTensor(np.array([0, 1, 2], np.float32), np.array([0, 0, 1, 0, 2, 1], np.uint8)), rel_bits=2)
        left, right = histogram_figure(CompressedModel({"w": packed}), TITLE).axes
        assert heights(left) == [0, 2, 1] and heights(right) == [1, 1, 1]
        # Code 0, the fillers, stands out.
        assert [patch.get_facecolor() for patch in left.patches] == [to_rgba(GREY), to_rgba(BLUE)]

    def test_tensors_without_entries_are_left_out(self):
        drawn = texts(histogram_figure(odd_model(), TITLE))
        assert "kernel: codes" in drawn and not any(text.startswith(("zeros", "none")) for text in drawn)

    def test_the_largest_are_drawn(self):
        codebook = np.array([0, 1], np.float32)
        tensors = {f"{n}.weight": pack(CodedTensor(codebook, np.ones(n + 1, np.uint8))) for n in range(12)}
        drawn = texts(histogram_figure(CompressedModel(tensors), TITLE))
        assert [text for text in drawn if text.endswith(": codes")] == [f"{n}.weight: codes" for n in range(4, 12)]

    def test_nothing_to_draw(self):
        with pytest.raises(ValueError, match="no coded tensor has an entry: nothing to draw"):
            histogram_figure(CompressedModel({"b": np.ones(3, np.float32)}), TITLE)


class TestWeights:
    def test_marks_stand_at_the_centroids(self):
        model = small_model()
        left, right = weight_figure(pruned_weights(), centroids(model), centroids(small_model(1)), TITLE).axes[:2]
        before, after = left.lines[:2]
        np.testing.assert_array_equal(before.get_xdata(), model["0.weight"].codebook[1:])
        np.testing.assert_array_equal(after.get_xdata(), small_model(1)["0.weight"].codebook[1:])
        curve = right.lines[0]
        kept = pruned_weights()["0.weight"]
        assert len(curve.get_xdata()) == np.count_nonzero(kept) and curve.get_ydata()[-1] == 100

    def test_without_the_start(self):
        labels = texts(weight_figure(pruned_weights(), {}, centroids(small_model()), TITLE))
        assert "centroids after training" in labels and "centroids before training" not in labels

    @pytest.mark.parametrize("weight", [np.full((2, 2), 0.5), np.array([[0, 3.0]])])
    def test_few_different_weights(self, weight, tmp_path):
        figure = weight_figure({"w": weight.astype(np.float32)}, {}, {"w": np.array([0.5])}, TITLE)
        save_figure(figure, tmp_path / "figure.png")

    def test_nothing_in_common(self):
        with pytest.raises(ValueError, match="no coded tensor has its pruned weights: nothing to draw"):
            weight_figure({"a": np.ones(3), "b": np.zeros(3)}, {}, {"b": np.ones(1), "c": np.ones(1)}, TITLE)


class TestTraining:
    def test_stages_break_the_curves(self):
        figure = training_figure(small_result(small_model()), TITLE)
        lines = [line.get_xdata().tolist() for line in figure.axes[1].lines[:3]]
        assert lines == [[1, 2], [3, 4], [5]]
        assert {"dense", "pruned", "shared"} <= set(texts(figure)) and "coded" not in texts(figure)

    def test_test_errors_stand_at_the_end_of_their_stage(self):
        lines = training_figure(small_result(small_model()), TITLE).axes[0].lines
        (marks,) = [line for line in lines if line.get_label() == "test error after the stage"]
        # Coding has no epochs of its own: it stands where sharing ended.
        assert marks.get_xydata().tolist() == [[2, 1.25], [4, 1.5], [5, 1.75], [5, 1.75]]

    @pytest.mark.parametrize("loss", [0.0, float("nan"), None])
    def test_losses_without_a_logarithm(self, loss, tmp_path):
        result = small_result(small_model())
        result["stages"][0]["epochs"] = [{"epoch": 1, "loss": loss, "sparsity": 0.5}]
        result["stages"] = result["stages"][:1]
        save_figure(training_figure(result, TITLE), tmp_path / "figure.png")

    def test_no_epochs(self):
        with pytest.raises(ValueError, match="the result lists no epochs"):
            training_figure({"stages": [{"stage": "coded"}]}, TITLE)


class TestRates:
    def test_ours_and_the_papers(self):
        model = small_model()
        drawn = texts(rate_figure(small_result(model), model, TITLE))
        assert {"ip1", "ip3", "Total", "2.32", "12.70", "2.49", "paper, P+Q+H"} <= set(drawn)

    def test_without_a_result(self):
        drawn = texts(rate_figure(None, small_model(), TITLE))
        assert "0.weight" in drawn and "paper, P+Q+H" not in drawn

    def test_of_many_layers_the_largest_and_the_total(self):
        codebook = np.array([0, 1], np.float32)
        tensors = {f"{n}.weight": pack(CodedTensor(codebook, np.ones(n + 1, np.uint8))) for n in range(45)}
        figure = rate_figure(None, CompressedModel(tensors), TITLE)
        assert "Storage of the 40 largest layers\n" in texts(figure)
        drawn = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert drawn == [*(f"{n}.weight" for n in range(5, 45)), "Total"]

    def test_nothing_coded(self):
        with pytest.raises(ValueError, match="no tensor is coded"):
            rate_figure(None, CompressedModel({}), TITLE)


class TestGallery:
    def test_whole_run(self, tmp_path):
        run = read_run(write_run(tmp_path / "run", "digits-8x8"))
        figures = run_figures(run, compressor_rows(run.model))
        assert list(figures) == ["storage", "histograms", "rates", "weights", "compressors", "training"]
        assert all(TITLE in texts(figure) for figure in figures.values())
        assert "ip1 (0.weight): codes" in texts(figures["histograms"])

    def test_a_file_alone(self, tmp_path):
        odd_model().save(tmp_path / "odd.gdc")
        figures = run_figures(read_run(tmp_path / "odd.gdc"))
        assert list(figures) == ["storage", "histograms", "rates"] and "odd.gdc" in texts(figures["rates"])

    def test_nothing_coded(self, tmp_path):
        CompressedModel({"b": np.ones(3, np.float32)}).save(tmp_path / "plain.gdc")
        assert list(run_figures(read_run(tmp_path / "plain.gdc"))) == ["storage"]

    def test_a_result_alone(self, tmp_path):
        run_folder = write_run(tmp_path / "run")
        (run_folder / "model.gdc").unlink()
        assert list(run_figures(read_run(run_folder))) == ["training"]
