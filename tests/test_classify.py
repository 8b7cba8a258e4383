"""python -m gluon_dc classify: photographs, digits, and what is neither."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gluon_dc.__main__ import main
from gluon_dc.classify import best_classes
from gluon_dc.coding import CompressedModel, load
from graphs import graph_text

Image = pytest.importorskip("PIL.Image")


def mean_colour_model(**metadata):
    """A net whose outputs are 9 times the means of red, green and blue (as the caffe preprocessing leaves them)."""
    nodes = [("null", "data", {"__shape__": "(0, 3, 8, 8)"}, []),
             ("Pooling", "p", {"global_pool": "True", "pool_type": "avg"}, [0]), ("Flatten", "f", {}, [1])]
    return CompressedModel({}, graph_text(*nodes), {"preprocessing": "caffe:8", **metadata})


def grey_model():
    """A net of 4 x 4 grey images whose outputs are the means of its upper and lower half."""
    weight = np.zeros((2, 16), np.float32)
    weight[0, :8] = weight[1, 8:] = 1 / 8
    nodes = [("null", "data", {"__shape__": "(0, 1, 4, 4)"}, []), ("null", "w", {}, []),
             ("FullyConnected", "f", {"num_hidden": "2", "no_bias": "True"}, [0, 1])]
    return CompressedModel({"w": weight}, graph_text(*nodes))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mean_colour_model(classes=["red", "green", "blue"]).save("net.gdc")
    for name, colour in (("red", (255, 60, 60)), ("blue", (0, 0, 255))):
        Image.new("RGB", (20, 30), colour).save(f"{name}.png")
    (tmp_path / "text.jpg").write_text("no image at all")
    return tmp_path


def test_text(folder, capsys):
    assert main(["classify", "net.gdc", "red.png", "blue.png", "--top", "2"]) == 0
    assert capsys.readouterr().out == ("red.png\n  100.00 %  red\n    0.00 %  blue\n"
                                       "blue.png\n  100.00 %  blue\n    0.00 %  green\n")


def test_json_and_numbers_where_there_are_no_names(folder, capsys):
    mean_colour_model(classes=3).save("net.gdc")
    assert main(["classify", "net.gdc", "blue.png", "--json", "--top", "9", "--threads", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"image": "blue.png", "classes": [
        {"class": 2, "probability": 1.0}, {"class": 1, "probability": 0.0}, {"class": 0, "probability": 0.0}]}]


def test_names_of_another_number_are_left_out(folder, capsys):
    mean_colour_model(classes=["cat", "dog"]).save("net.gdc")
    assert main(["classify", "net.gdc", "blue.png", "--top", "1"]) == 0
    assert capsys.readouterr().out == "blue.png\n  100.00 %  2\n"


def test_what_is_no_image_is_one_line_and_the_others_are_classified(folder, capsys):
    assert main(["classify", "net.gdc", "text.jpg", "absent.png", "red.png", "--top", "1"]) == 1
    found = capsys.readouterr()
    assert found.out == "red.png\n  100.00 %  red\n"
    assert found.err.splitlines() == [
        "python -m gluon_dc: text.jpg: does not decode as an image (unknown or broken format): replace or remove it",
        f"python -m gluon_dc: absent.png: expected a file, there is none of this name in {Path.cwd()}: check the name"]


@pytest.mark.parametrize("arguments, message", [
    (["absent.gdc", "red.png"], "error: absent.gdc: expected a file, there is none of this name in"),
    (["red.png", "red.png"], "error: red.png: not a .gdc file: it begins with b'\\x89PNG', expected b'\\x89GDC'"),
    (["net.gdc", "red.png", "--top", "0"], "error: --top must be at least 1, got 0"),
    (["net.gdc", "red.png", "--threads", "0"], "error: threads must be a whole number from 1 on, got 0"),
    (["net.gdc", "red.png", "--preprocessing", "mine"],
     "error: no preprocessing is named 'mine': expected one of gluoncv"),
])
def test_bad_usage_is_one_line(folder, capsys, arguments, message):
    assert main(["classify", *arguments]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"python -m gluon_dc: {message}") and "\n" not in error


def test_a_file_whose_metadata_are_no_preprocessing(folder, capsys):
    mean_colour_model(preprocessing=[1]).save("net.gdc")
    assert main(["classify", "net.gdc", "red.png"]) == 1
    assert "metadata: preprocessing must be a name, got [1]" in capsys.readouterr().err


def test_grey_nets_take_any_image_and_dark_on_light_by_an_option(folder, capsys):
    grey_model().save("grey.gdc")
    pixels = np.zeros((12, 12, 3), np.uint8)
    pixels[:6] = 255
    Image.fromarray(pixels).save("upper.png")
    for more, expected in (([], [0, 1]), (["--invert"], [1, 0])):
        assert main(["classify", "grey.gdc", "upper.png", "--json", *more]) == 0
        classes = json.loads(capsys.readouterr().out)[0]["classes"]
        assert [one["class"] for one in classes] == expected
        assert classes[0]["probability"] == pytest.approx(1 / (1 + np.exp(-1)), abs=0.03)  # resizing blurs the edge


def test_a_net_that_takes_no_images(folder, capsys):
    CompressedModel({}, graph_text(("null", "data", {"__shape__": "(0, 6)"}, []),
                                   ("relu", "r", {}, [0]))).save("net.gdc")
    assert main(["classify", "net.gdc", "red.png"]) == 1
    error = capsys.readouterr().err
    assert "takes inputs of shape (6,), which no image has: use gluon_dc.session(FILE).run(x)" in error


def test_probabilities_by_hand():
    assert best_classes(np.log([[1, 2, 1]]), 2, list("abc")) == [
        {"class": 1, "name": "b", "probability": 0.5}, {"class": 0, "name": "a", "probability": 0.25}]
    with pytest.raises(ValueError, match="not finite"):
        best_classes(np.array([[0, np.nan]]), 1, None)


def test_without_mxnet(folder):
    code = "import sys; sys.modules['mxnet'] = sys.modules['gluoncv'] = None; import runpy; " \
           "sys.argv[0] = 'gluon_dc'; runpy.run_module('gluon_dc', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code, "classify", "net.gdc", "red.png", "--top", "1"],
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0 and done.stdout == "red.png\n  100.00 %  red\n", done.stderr


class TestAddGraph:
    @pytest.fixture(autouse=True)
    def tool(self, tmp_path, monkeypatch):
        pytest.importorskip("mxnet")
        from report_inputs import load_tool
        monkeypatch.chdir(tmp_path)
        self.add_graph = load_tool("add_graph")
        self.compress = load_tool("compress")
        assert self.compress.main(["--model", "lenet-5", "--random-weights", "-o", "a.gdc"]) == 0

    def test_a_file_runs_with_it_and_its_weights_are_as_before(self, tmp_path, capsys):
        (tmp_path / "names.txt").write_text("\n".join(f"digit {i}" for i in range(10)))
        assert self.add_graph.main(["a.gdc", "--class-names", "names.txt", "-o", "b.gdc"]) == 0
        before, after = load("a.gdc"), load("b.gdc")
        assert before.graph is None and {**before.metadata,
                                         "classes": [f"digit {i}" for i in range(10)]} == after.metadata
        assert all(value.tobytes() == after.decode()[name].tobytes() for name, value in before.decode().items())
        assert os.path.getsize("b.gdc") - os.path.getsize("a.gdc") < 700
        Image.new("L", (28, 28)).save("digit.png")
        capsys.readouterr()
        assert main(["classify", "b.gdc", "digit.png", "--top", "1"]) == 0
        assert "%  digit " in capsys.readouterr().out

    def test_compress_writes_the_same_graph(self):
        assert self.compress.main(["--model", "lenet-5", "--random-weights", "--graph", "-o", "c.gdc"]) == 0
        assert self.add_graph.main(["a.gdc", "-o", "a.gdc"]) == 0
        assert load("c.gdc").graph == load("a.gdc").graph is not None
        assert "preprocessing" not in load("c.gdc").metadata

    @pytest.mark.parametrize("arguments, message", [
        (["--model", "lenet-300-100"], "a.gdc: is not a file of lenet-300-100, or of another number of classes: model and "
         "net are of different architectures"),
        (["--input-shape", "3,28,28"], "a.gdc: graph: Convolution '0': expected a weight of shape (20, 3, 5, 5) for this "
         "input, got (20, 1, 5, 5)"),
        (["--class-names", "absent.txt"], "absent.txt: expected a file, there is none of this name in"),
        (["--class-names", "few.txt"], "few.txt: names 2 classes, the net has 10: one line for each"),
        (["--class-names", "digit.jpg"], "digit.jpg: expected a text file (UTF-8) with the name of a class on every line, "
         "got bytes that are no such text (0xff at byte 0)"),
        (["--class-names", "gap.txt"], "gap.txt: expected a text file (UTF-8) with the name of a class on every line, got "
         "none on line 2"),
        (["--class-names", "/dev/zero"], "/dev/zero: expected a text file (UTF-8) with the name of a class on every line, "
         "got more than 16,777,216 bytes"),
        (["--class-names", "b.gdc"], "b.gdc: -o is the same file as --class-names: give another name"),
    ])
    def test_what_does_not_go_together_is_one_line(self, tmp_path, capsys, arguments, message):
        (tmp_path / "few.txt").write_text("a\nb\n")
        (tmp_path / "gap.txt").write_text("a\n\nb\n")
        Image.new("RGB", (9, 9)).save(tmp_path / "digit.jpg")
        assert self.add_graph.main(["a.gdc", *arguments, "-o", "b.gdc"]) == 1
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("add_graph.py: error: ") and message in error
        assert not os.path.exists("b.gdc")


def test_options_that_do_not_apply_are_refused(folder, capsys):
    grey_model().save("grey.gdc")
    assert main(["classify", "net.gdc", "red.png", "--invert"]) == 1
    assert capsys.readouterr().err == ("python -m gluon_dc: error: --invert is for nets of grey images; this one takes "
                                       "inputs of shape (3, 8, 8)\n")
    assert main(["classify", "grey.gdc", "red.png", "--preprocessing", "caffe"]) == 1
    assert capsys.readouterr().err == ("python -m gluon_dc: error: --preprocessing is for nets of colour images; this "
                                       "one takes grey ones, of shape (1, 4, 4)\n")


@pytest.mark.parametrize("module", ["gluon_dc.report.command", "gluon_dc.runtime.session"])
def test_ctrl_c_while_modules_are_imported_is_one_line(folder, module):
    # The finder interrupts as soon as the module is asked for.
    code = (f"import sys, runpy\nclass Finder:\n    def find_spec(self, name, *rest):\n        if name == '{module}':\n"
            "            raise KeyboardInterrupt\nsys.meta_path.insert(0, Finder())\nsys.argv = ['gluon_dc', 'classify', "
            "'net.gdc', 'red.png']\nrunpy.run_module('gluon_dc', run_name='__main__')")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # the fixture has changed the folder
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": root})
    assert (done.returncode, done.stderr) == (130, "python -m gluon_dc: interrupted\n")
