"""Top-1 and top-5 errors, and tools/evaluate.py."""
import hashlib
import json
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from image_sets import make_csv
from tiny_net import make_tiny

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import evaluate as tool  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.data import Preprocessing, from_arrays  # noqa: E402
from gluon_dc.models import zoo  # noqa: E402
from gluon_dc.models.synthetic import SYNTHETIC  # noqa: E402
from gluon_dc.training.evaluate import Accuracy, check_classes, count_hits, evaluate  # noqa: E402
from gluon_dc.training.opening import open_net  # noqa: E402

PLAIN = Preprocessing("plain", 16, 16, (0, 0, 0), (1, 1, 1))


class TestHits:
    def test_by_hand(self):
        scores = np.array([[9, 8, 7, 6, 5, 4, 3], [9, 8, 7, 6, 5, 4, 3], [9, 8, 7, 6, 5, 4, 3]], float)
        assert count_hits(scores, np.array([0, 4, 5])).tolist() == [1, 2]

    def test_equal_scores_go_to_the_lower_class(self):
        scores = np.zeros((7, 7))
        assert count_hits(scores, np.arange(7)).tolist() == [1, 5]

    @pytest.mark.parametrize("scores, labels, message", [
        (np.zeros((2, 3)), [0, 3], "label 3, but the net has 3 outputs"),
        (np.zeros((1, 3)), [0, 1], r"expected scores of shape \(2, classes\) from the net, got \(1, 3\)"),
        (np.zeros((2, 3, 1)), [0, 1], "expected scores of shape"),
        (np.array([[0, np.nan]]), [0], "outputs of the net are NaN or infinite"),
        (np.array([[0, np.inf]]), [0], "outputs of the net are NaN or infinite"),
    ])
    def test_errors(self, scores, labels, message):
        with pytest.raises(ValueError, match=message):
            count_hits(scores, np.array(labels))


class Mean(mx.gluon.HybridBlock):
    """Scores: one class for each channel, its mean brightness; `extra` classes behind that never win."""

    def __init__(self, extra=0):
        super().__init__()
        self.extra = extra
        self.scale = self.params.get("scale", shape=(1,), init="ones")

    def hybrid_forward(self, F, x, scale):
        means = F.mean(x, axis=(2, 3))
        return F.concat(means, *[means[:, :1] * 0 - 1] * self.extra, dim=1) if self.extra else means


def coloured(channels):
    images = np.zeros((len(channels), 16, 16, 3), np.uint8)
    for image, channel in zip(images, channels):
        image[..., channel] = 200
    return images


class TestEvaluate:
    def test_by_hand(self):
        net = Mean()
        net.initialize()
        images = from_arrays(coloured([0, 1, 2, 2]), [0, 1, 2, 0], ["red", "green", "blue"])
        done = []
        found = evaluate(net, images, PLAIN, 3, done.append)
        assert found == Accuracy(4, 25.0, None) and done == [3, 1]
        assert found.top1_percent == 75 and found.top5_percent is None
        assert str(found) == "top-1 75.00 % of 4 images"

    def test_top_five(self):
        net = Mean(5)
        net.initialize()
        images = from_arrays(coloured([0, 1, 2]), [0, 2, 7], [f"c{i}" for i in range(8)])
        found = evaluate(net, images, PLAIN)
        assert (found.top1_error_percent, found.top5_error_percent) == pytest.approx((200 / 3, 100 / 3))

    def test_classes_that_do_not_fit(self):
        images = from_arrays(coloured([0, 1]), [0, 1], ["a", "b"])
        with pytest.raises(ValueError, match="arrays has 2 classes, the net 3 outputs: take the net that was trained"):
            check_classes(images, np.zeros((2, 3)))
        check_classes(images, np.zeros((2, 2)))
        # A .rec without a list of classes does not say how many there are.
        check_classes(from_arrays(coloured([0, 1]), [0, 1], ["0", "1"]), np.zeros((2, 3)))


@pytest.fixture
def tiny(tmp_path):
    """Folder, name of the net, and its file."""
    name = make_tiny(tmp_path)
    net = zoo.load_params(tmp_path / "tiny.params", zoo.build(name))
    dc.quantize(net, 4)
    dc.compress(net, metadata={"network": name, "preprocessing": "caffe:32"}).save(tmp_path / "tiny.gdc")
    return tmp_path, name


class TestOpening:
    def test_from_each(self, tiny):
        folder, name = tiny
        a, b = open_net(name, gdc=folder / "tiny.gdc"), open_net(name, params=folder / "tiny.params")
        assert a.preprocessing().name == "caffe:32" and b.preprocessing().name == "gluoncv"
        assert b.preprocessing("gluoncv:64").crop == 64 and a.model is not None and b.model is None

    def test_the_class_count_is_the_files(self, tiny):
        folder, name = tiny
        net = zoo.initialize(zoo.build(name, 7))
        dc.compress(net).save(folder / "seven.gdc")
        assert open_net(name, gdc=folder / "seven.gdc").net.output.weight.shape == (7, 12)

    def test_the_name_in_the_file(self, tiny):
        folder, _ = tiny
        dc.compress(zoo.initialize(zoo.build("lenet-300-100")), metadata={"network": "lenet-300-100"}).save(
            folder / "lenet.gdc")
        assert open_net(gdc=folder / "lenet.gdc").name == "lenet-300-100"

    def test_the_name_in_the_run_beside_the_file(self, tmp_path):
        path = tmp_path / "model.gdc"
        dc.compress(zoo.initialize(zoo.build("lenet-300-100"))).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found = {"format": 1, "network": "lenet-300-100", "file": {"sha256": digest}}
        (tmp_path / "result.json").write_text(json.dumps(found))
        assert open_net(gdc=path).name == "lenet-300-100"
        (tmp_path / "result.json").write_text(json.dumps({**found, "network": "mine.py:build"}))
        with pytest.raises(ValueError, match="is of mine.py:build, code that a file does not get to choose"):
            open_net(gdc=path)

    def test_errors(self, tiny):
        folder, name = tiny
        with pytest.raises(ValueError, match="give exactly one of a .gdc file, a .params file and pretrained"):
            open_net(name)
        with pytest.raises(ValueError, match=r"name the model \(--model\): only a .gdc file can say"):
            open_net(params=folder / "tiny.params")
        with pytest.raises(ValueError, match=r"a file does not get to choose: name the model yourself \(--model\)$"):
            open_net(gdc=folder / "tiny.gdc")
        with pytest.raises(ValueError, match="different architectures"):
            open_net("lenet-5", gdc=folder / "tiny.gdc")
        dc.compress(zoo.initialize(zoo.build(name))).save(folder / "nameless.gdc")
        with pytest.raises(ValueError, match="nameless.gdc: neither its metadata nor the result.json of its run beside "
                                             r"it names a network: name the model \(--model"):
            open_net(gdc=folder / "nameless.gdc")


class TestTool:
    def run(self, capsys, *arguments):
        code = tool.main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    def test_text(self, tiny, capsys):
        folder, name = tiny
        code, out, _ = self.run(capsys, "--model", name, "--gdc", folder / "tiny.gdc", "--data", folder / "images")
        assert code == 0 and "caffe:32: shorter side 36, centre crop 32" in out
        assert "12 images: accuracy top-1 " in out

    def test_json_of_a_half_agrees_with_the_library(self, tiny, capsys):
        folder, name = tiny
        code, out, _ = self.run(capsys, "--model", name, "--params", folder / "tiny.params", "--data",
                                folder / "images", "--half", "second", "--preprocessing", "gluoncv:32", "--limit", 5,
                                "--json")
        found = json.loads(out)
        assert code == 0 and found["images"] == 5 and found["top5_percent"] is None
        assert found["top1_percent"] + found["top1_error_percent"] == pytest.approx(100)

    @pytest.mark.parametrize("arguments, message", [
        (["--data", "absent"], "absent: no such file or folder"),
        (["--data", "{folder}/images", "--preprocessing", "no"], "no preprocessing is named 'no'"),
        (["--data", "{folder}/images", "--threads", "1025"], "--threads must be at least 1 and at most 1024, got 1025"),
        (["--data", "{folder}/images", "--classes", "4"], "give the class count"),
        (["--data", "{folder}/two.csv"], "has 2 classes, the net 3 outputs: take the net that was trained on these "
         "classes, or give the list of the net's classes in their order (--class-list)"),
        (["--data", "{folder}/tiny.py"], "expected a folder of images, a .csv list or a .rec file"),
    ])
    def test_bad_input_is_one_line(self, tiny, capsys, arguments, message):
        folder, name = tiny
        make_csv(folder, "two", [("a.png", "x"), ("b.png", "y")])
        arguments = [one.format(folder=folder) for one in arguments]
        code, out, err = self.run(capsys, "--model", name, "--params", folder / "tiny.params", *arguments)
        assert code == 1 and out == "" and message in err and err.count("\n") == 1
        assert err.startswith("evaluate.py: error: ")

    @pytest.mark.parametrize("option", ["--limit", "--threads", "--batch-size", "--classes"])
    def test_numbers_that_count(self, capsys, option):
        with pytest.raises(SystemExit, match="^2$"):
            self.run(capsys, "--gdc", "x.gdc", "--data", "x", option, "0")
        assert f"argument {option}: expected a whole number from 1 on; got '0'" in capsys.readouterr().err

    def test_drawn_weights_have_no_accuracy(self, tiny, capsys):
        folder, name = tiny
        net = zoo.initialize(zoo.build(name))
        dc.compress(net, metadata={"weights": SYNTHETIC}).save(folder / "drawn.gdc")
        code, out, err = self.run(capsys, "--model", name, "--gdc", folder / "drawn.gdc", "--data", folder / "images")
        assert (code, out) == (1, "")
        assert err == (f"evaluate.py: error: {folder}/drawn.gdc: its weights were drawn, not trained "
                       f'("{SYNTHETIC}"), so there is nothing to measure; give a file of trained weights\n')

    def test_help(self, capsys):
        with pytest.raises(SystemExit) as stopped:
            tool.main(["--help"])
        assert stopped.value.code == 0 and "--half" in capsys.readouterr().out
