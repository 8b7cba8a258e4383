"""tools/compress.py on small nets: the file, what is printed, and every way to get it wrong."""

import re

import numpy as np
import pytest
from report_inputs import load_tool, one_error_line, run_tool

import gluon_dc as dc
from gluon_dc.models import build, initialize

compress = load_tool("compress")
RANDOM = ("--model", "lenet-5", "--random-weights")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MXNET_HOME", raising=False)
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    return tmp_path


class TestFile:
    def test_by_a_recipe(self, capsys):
        assert compress.main([*RANDOM, "-o", "a.gdc"]) == 0
        model, printed = dc.load("a.gdc"), capsys.readouterr().out
        assert model.metadata == {"network": "lenet-5", "weights": "synthetic weights: sizes only, no accuracy",
                                  "recipe": "default", "retrained": False}
        assert [row.kept_percent for row in dc.size_report(model).rows] == pytest.approx([30] * 5)
        size = len(open("a.gdc", "rb").read())
        assert f"{size:,} bytes for 1,724,320 dense ones" in printed
        assert "Table 3 of the paper beside lenet-5: synthetic weights: sizes only, no accuracy" in printed
        assert "nothing retrained: the accuracy is not measured here" in printed and "seconds: " in printed

    def test_equal_seeds_give_equal_files(self):
        for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            assert compress.main([*RANDOM, "--seed", seed, "-o", name]) == 0
        a, b, c = (open(name, "rb").read() for name in "abc")
        assert a == b != c

    def test_options_go_before_the_recipe(self, folder):
        (folder / "mine.yaml").write_text("prune: {quality: 1.0}\nshare: {bits: 6}\ncode: {rel_bits: 3}")
        assert compress.main([*RANDOM, "--recipe", "mine.yaml", "--sparsity", "0=none,*=0.9", "--bits", "5=8,4=2",
                              "--rel-bits", "none", "--coder", "fixed", "--start", "linear", "-o", "a.gdc"]) == 0
        model = dc.load("a.gdc")
        kept = {row.name: row.kept_percent for row in dc.size_report(model).rows}
        assert kept["4.weight"] == pytest.approx(10) and kept["5.weight"] == pytest.approx(10)
        assert isinstance(model["0.weight"], np.ndarray) and isinstance(model["2.weight"], np.ndarray)
        assert model["4.weight"].code_bits == 2 and model["5.weight"].coder == "fixed"
        assert model.metadata["sparsity"] == {"0": None, "*": 0.9} and model.metadata["rel_bits"] is None

    def test_the_context_coder(self, folder, capsys):
        (folder / "mine.yaml").write_text("prune: {sparsity: 0.95}\nshare: {bits: 3}\ncode: {rel_bits: 3}")
        sizes, mine = {}, [*RANDOM, "--recipe", "mine.yaml"]
        for coder in ("huffman", "context"):
            assert compress.main([*mine, "--coder", coder, "--effort", "fast", "-o", coder]) == 0
            sizes[coder] = dc.load(coder).nbytes
        model = dc.load("context")
        assert model["4.weight"].coder == "context" and model["4.weight"].effort == model.effort == "fast"
        assert model.metadata["coder"] == "context" and sizes["context"] < sizes["huffman"]
        assert "Table 3 of the paper beside lenet-5" in capsys.readouterr().out
        assert compress.main([*mine, "--coder", "context", "--rel-bits", "3", "-o", "b"]) == 1
        assert "rel_bits: the context coder stores no gaps" in capsys.readouterr().err

    def test_the_last_line_is_the_size(self, capsys):
        assert compress.main([*RANDOM, "-o", "a.gdc"]) == 0
        report = dc.size_report(dc.load("a.gdc"))
        assert capsys.readouterr().out.splitlines()[-1] == (
            f"a.gdc: {report.nbytes:,} bytes, {report.ratio:.1f}x smaller than 1,724,320 dense")

    def test_none_leaves_everything(self):
        assert compress.main([*RANDOM, "--sparsity", "none", "--bits", "none", "-o", "a.gdc"]) == 0
        assert all(isinstance(tensor, np.ndarray) for _, tensor in dc.load("a.gdc").items())

    def test_params(self, capsys):
        net = initialize(build("lenet-300-100", 4))
        net.save_parameters("mine.params")
        assert compress.main(["--model", "lenet-300-100", "--classes", "4", "--params", "mine.params",
                              "--sparsity", "none", "--bits", "none", "-o", "a.gdc"]) == 0
        model = dc.load("a.gdc")
        assert model.metadata["weights"] == "mine.params" and model.metadata["classes"] == 4
        assert np.array_equal(model["2.weight"], list(net.collect_params().values())[4].data().asnumpy())

    def test_a_function_of_one_s_own(self, folder):
        (folder / "mynet.py").write_text("from mxnet.gluon import nn\ndef make():\n    net = nn.HybridSequential()\n"
                                         "    net.add(nn.Conv2D(8, 3), nn.Dense(5))\n    return net\n")
        assert compress.main(["--model", "mynet.py:make", "--random-weights", "--input-shape", "2,6,6",
                              "-o", "a.gdc"]) == 0
        assert dc.load("a.gdc")["1.weight"].shape == (5, 8 * 16)

    def test_in_a_process_of_its_own(self, folder):
        done = run_tool("compress", *RANDOM, "-o", folder / "a.gdc")
        assert done.returncode == 0 and dc.load(folder / "a.gdc").metadata["recipe"] == "default", done.stderr


class TestLists:
    def test_recipes(self, capsys):
        assert compress.main(["--list-recipes"]) == 0
        assert re.search(r"^alexnet-paper +for alexnet ", capsys.readouterr().out, re.M)

    def test_layers(self, capsys):
        assert compress.main(["--model", "squeezenet1.1", "--list-layers"]) == 0
        assert re.search(r"^output.0.weight +- +1000x512x1x1 +512,000 +0.8 +6 +-$", capsys.readouterr().out, re.M)


class TestErrors:
    @pytest.mark.parametrize("arguments, message", [
        (["--model", "alexnt", "--random-weights"], "no model is named 'alexnt': did you mean alexnet"),
        (["--model", "nowhere:f", "--random-weights"], "model 'nowhere:f': importing 'nowhere' failed"),
        ([*RANDOM, "--sparsity", "conv=0.5"], "sparsity: pattern 'conv' matches no layer; the layers are 0.weight, "
         "2.weight, 4.weight, 5.weight"),
        ([*RANDOM, "--bits", "x=5"], "bits: pattern 'x' matches no layer"),
        ([*RANDOM, "--bits", "9"], "bits: expected a whole number of at least 1 and at most 8"),
        ([*RANDOM, "--bits", "4.5"], "bits: expected a whole number"),
        ([*RANDOM, "--sparsity", "1"], "sparsity: expected a number of at least 0 and below 1"),
        ([*RANDOM, "--scope", "global", "--sparsity", "0=0.5,2=0.4"], "scope: global takes one number for all layers"),
        ([*RANDOM, "--recipe", "alexnet-papr"], "no recipe is named 'alexnet-papr', did you mean alexnet-paper?"),
        ([*RANDOM, "--recipe", "no.yaml"], "no.yaml: expected a file, there is none of this name in"),
        ([*RANDOM, "--recipe", "bad.yaml"], "bad.yaml, line 1: unknown key prun, did you mean prune?"),
        ([*RANDOM, "--recipe", "alexnet-paper"], "sparsity: pattern 'features.0' matches no layer"),
        (["--model", "lenet-5", "--params", "no.params"], "no.params: expected a file, there is none of this name in"),
        (["--model", "lenet-5", "--params", "bad.yaml"], "bad.yaml is no .params file"),
        (["--model", "lenet-5", "--params", "other.params"], "other.params is of another network: it lacks 4.weight"),
        (["--model", "lenet-300-100", "--params", "other.params"], "other.params does not fit the net: 2.weight is "
         "(4, 100), expected (10, 100); 2.bias is (4,), expected (10,) (2 of 6 parameters); give the class count"),
        (["--model", "lenet-5", "--pretrained"], "GluonCV has no pretrained weights of 'lenet-5'"),
        (["--model", "alexnet", "--pretrained", "--root", "."], "pretrained weights of 'alexnet': looked for "
         "alexnet-44335d1f.params in . and it is not there"),
    ])
    def test_one_line_and_the_earlier_file_stays(self, folder, capsys, arguments, message):
        (folder / "bad.yaml").write_text("prun: 5")
        initialize(build("lenet-300-100", 4)).save_parameters("other.params")
        (folder / "a.gdc").write_bytes(b"before")
        assert compress.main([*arguments, "-o", "a.gdc"]) == 1
        assert one_error_line(capsys.readouterr().err, "compress.py").startswith(message)
        assert (folder / "a.gdc").read_bytes() == b"before"

    @pytest.mark.parametrize("output, message", [
        ("no/such/a.gdc", "no/such/a.gdc: -o cannot be written, its folder does not exist: make it first"),
        (".", ".: -o is a folder, expected a file to write"),
    ])
    def test_an_output_that_cannot_be_is_found_first(self, capsys, output, message):
        # --params is not there either, but that would be found later.
        assert compress.main(["--model", "lenet-5", "--params", "no.params", "-o", output]) == 1
        assert one_error_line(capsys.readouterr().err, "compress.py") == message

    def test_the_weights_are_not_overwritten(self, folder, capsys):
        initialize(build("lenet-5")).save_parameters("w.params")
        before = (folder / "w.params").read_bytes()
        assert compress.main(["--model", "lenet-5", "--params", "w.params", "-o", "w.params"]) == 1
        line = one_error_line(capsys.readouterr().err, "compress.py")
        assert line == "w.params: -o is the same file as --params: give another name"
        assert (folder / "w.params").read_bytes() == before

    def test_weights_that_are_not_numbers(self, folder, capsys):
        net = initialize(build("lenet-300-100"))
        next(iter(net.collect_params().values())).data()[0] = float("nan")
        net.save_parameters("nan.params")
        assert compress.main(["--model", "lenet-300-100", "--params", "nan.params", "-o", "a.gdc"]) == 1
        assert "784 of 235200 values are NaN or infinite" in one_error_line(capsys.readouterr().err, "compress.py")
        assert not (folder / "a.gdc").exists()

    @pytest.mark.parametrize("arguments, message", [
        ([], "--model and --output are needed"),
        (["--model", "lenet-5", "-o", "a"], "say where the weights come from: --params FILE, --pretrained or "
         "--random-weights"),
        ([*RANDOM, "--pretrained", "-o", "a"], "not allowed with argument"),
        ([*RANDOM, "--sparsity", "a=b", "-o", "a"], "expected a number, none, or PATTERN=NUMBER,PATTERN=NUMBER; got"),
        ([*RANDOM, "--input-shape", "3,0", "-o", "a"], "expected sizes such as 3,224,224; got '3,0'"),
        ([*RANDOM, "--seed", "-1", "-o", "a"], "argument --seed: expected a whole number from 0 to 4294967295; got '-1'"),
        ([*RANDOM, "--classes", "0", "-o", "a"], "argument --classes: expected a whole number from 1 on; got '0'"),
        ([*RANDOM, "--start", "x", "-o", "a"], "invalid choice: 'x'"),
    ])
    def test_usage(self, capsys, arguments, message):
        with pytest.raises(SystemExit, match="^2$"):
            compress.main(arguments)
        assert message in capsys.readouterr().err

    def test_an_interrupt(self, folder, capsys, monkeypatch):
        from gluon_dc.training import one_shot

        def interrupted(*args, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(one_shot, "code_net", interrupted)
        (folder / "a.gdc").write_bytes(b"before")
        assert compress.main([*RANDOM, "-o", "a.gdc"]) == 130
        assert capsys.readouterr().err == (
            "compress.py: interrupted; nothing was written, an earlier file is as it was\n")
        assert (folder / "a.gdc").read_bytes() == b"before"
        assert sorted(path.name for path in folder.iterdir()) == ["a.gdc"]
