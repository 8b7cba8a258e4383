import json

import numpy as np
import pytest
from report_inputs import (
    exit_code, experiment, load_tool, odd_model, one_error_line, run_tool, small_model, write_run, zoo_sizes,
)

from gluon_dc.coding import CompressedModel

report = load_tool("report")
FIGURES = ["compressors.png", "histograms.png", "rates.png", "sizes.png", "storage.png", "training.png", "weights.png"]
PAGES = ["report.html", "report.json", "report.txt"]


def run(capsys, *arguments):
    """Run the tool; return its exit code and stdout."""
    code = report.main([str(argument) for argument in arguments])
    return code, capsys.readouterr().out


class TestText:
    def test_a_folder(self, tmp_path, capsys):
        code, text = run(capsys, write_run(tmp_path / "run"))
        assert code == 0
        for title in ("Table 2 of the paper beside", "Real file of", "Stages of", "Table 1 of the paper beside",
                      "General compressors:"):
            assert f"{title} LeNet-300-100 on MNIST\n" in text
        assert ["the", "file", str(small_model().nbytes), "100.0"] in [line.split() for line in text.splitlines()]

    def test_another_data_set_is_named_in_every_title(self, tmp_path, capsys):
        _, text = run(capsys, write_run(tmp_path / "run", "digits-8x8") / "result.json")
        assert text.count("LeNet-300-100 on digits-8x8 (not MNIST)\n") == 5

    def test_a_file_alone(self, tmp_path, capsys):
        odd_model().save(tmp_path / "odd.gdc")
        code, text = run(capsys, tmp_path / "odd.gdc", "--no-compressors")
        assert code == 0 and "Paper accounting of odd.gdc" in text
        assert "Table 1" not in text and "General compressors" not in text

    def test_a_result_alone(self, tmp_path, capsys):
        folder = write_run(tmp_path / "run")
        (folder / "model.gdc").unlink()
        code, text = run(capsys, folder)
        assert code == 0 and "Table 1" in text and "Table 2" not in text and "General compressors" not in text

    def test_several(self, tmp_path, capsys):
        folder = write_run(tmp_path / "run")
        _, text = run(capsys, folder, folder / "model.gdc", "--no-compressors")
        assert [line for line in text.splitlines() if line.startswith("=== ")] == [
            "=== all of them ===", f"=== {folder} ===", f"=== {folder / 'model.gdc'} ==="
        ]


class TestJson:
    def test_numbers(self, tmp_path, capsys):
        _, text = run(capsys, write_run(tmp_path / "run"), "--json")
        (data,) = json.loads(text)
        assert data["title"] == "LeNet-300-100 on MNIST" and data["result"]["format"] == 1
        assert [row["layer"] for row in data["layers"]] == ["ip1", "ip2", "ip3", "Total"]
        assert sum(data["sizes"]["part_nbytes"].values()) == data["sizes"]["nbytes"] == small_model().nbytes
        assert data["paper"]["table1"]["nbytes"] == 27_000 and data["paper"]["layers"]["number"] == 2
        assert [stream["tensor"] for stream in data["streams"]][::2] == ["0.weight", "1.weight", "2.weight"]
        assert {row["method"] for row in data["compressors"]} >= {"tar+xz -9e", ".gdc, Huffman"}
        assert all(row["dense"] for row in data["compressors"][:5])

    def test_what_is_missing_is_null(self, tmp_path, capsys):
        small_model().save(tmp_path / "m.gdc")
        (data,) = json.loads(run(capsys, tmp_path / "m.gdc", "--json", "--no-compressors")[1])
        assert data["result"] is data["compressors"] is data["paper"]["table1"] is None


class TestFiles:
    def test_text_json_and_figures(self, tmp_path, capsys):
        code, text = run(capsys, write_run(tmp_path / "run"), "--output-dir", tmp_path / "a" / "out")
        out = tmp_path / "a" / "out"
        assert code == 0
        assert sorted(path.name for path in out.iterdir()) == sorted([*PAGES, *FIGURES])
        assert (out / "report.txt").read_text() == text
        assert json.loads((out / "report.json").read_text())[0]["sizes"]["nbytes"] == small_model().nbytes
        assert (out / "storage.png").read_bytes().startswith(b"\x89PNG")

    def test_several_are_numbered(self, tmp_path, capsys):
        small_model().save(tmp_path / "m.gdc")
        run(capsys, tmp_path / "m.gdc", tmp_path / "m.gdc", "--no-compressors", "--output-dir", tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
            *(f"{n}-{name}" for n in (1, 2) for name in ("histograms.png", "rates.png", "storage.png")), "sizes.png"
        ]

    def test_no_figures(self, tmp_path, capsys):
        small_model().save(tmp_path / "m.gdc")
        run(capsys, tmp_path / "m.gdc", "--no-compressors", "--no-figures", "--output-dir", tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == PAGES


def test_ctrl_c_is_one_line(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write_files", interrupted)
    small_model().save(tmp_path / "m.gdc")
    arguments = [str(tmp_path / "m.gdc"), "--no-compressors", "--output-dir", str(tmp_path)]
    assert report.main(arguments) == 130
    assert capsys.readouterr().err == "report.py: interrupted; what was already written is whole\n"


class TestOtherInputs:
    def test_everything_at_once(self, tmp_path, capsys):
        folder = tmp_path / "sweep"
        folder.mkdir()
        for kind in ("compression", "starts", "sensitivity"):
            (folder / f"{kind}.json").write_text(json.dumps(experiment(kind)))
        (tmp_path / "zoo_sizes.json").write_text(json.dumps(zoo_sizes()))
        run_folder = write_run(tmp_path / "run")
        code, text = run(capsys, run_folder, folder, tmp_path / "zoo_sizes.json", "--no-compressors", "--output-dir",
                         tmp_path / "out")
        assert code == 0
        for title in ("Every net beside Table 1", "Table 6 of the paper", "Table 7 of the paper", "Fig. 6:", "Fig. 7:",
                      "Fig. 8:", "Sizes from stage to stage"):
            assert title in text
        assert "ours, synthetic weights" in text and "Synthetic weights: sizes only, no accuracy." in text
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert {"compression.png", "starts.png", "sensitivity.png", "sizes.png", *PAGES} <= names
        kinds = [item["kind"] for item in json.loads((tmp_path / "out" / "report.json").read_text())]
        assert kinds == ["run", "experiment", "experiment", "experiment", "zoo"]

    def test_an_experiment_alone_needs_no_net(self, tmp_path, capsys):
        (tmp_path / "e.json").write_text(json.dumps(experiment("starts", points=[])))
        code, text = run(capsys, tmp_path / "e.json", "--output-dir", tmp_path / "out")
        assert code == 0 and "Fig. 8" in text and "Table 1" not in text
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == PAGES


class TestCompressors:
    def test_large_nets_are_left_out_and_the_report_says_so(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("gluon_dc.report.writing.MAX_COMPRESSOR_NBYTES", 1000)
        small_model().save(tmp_path / "m.gdc")
        _, text = run(capsys, tmp_path / "m.gdc", "--no-figures", "--output-dir", tmp_path / "out")
        remark = "General compressors are left out of m.gdc: they would read 0 MB, which takes minutes; --compressors"
        assert remark in text and "tar+xz" not in text
        assert remark in (tmp_path / "out" / "report.html").read_text()
        assert "tar+xz -9e" in run(capsys, tmp_path / "m.gdc", "--compressors")[1]
        assert "left out" not in run(capsys, tmp_path / "m.gdc", "--no-compressors")[1]

    def test_both_at_once_is_bad_usage(self, tmp_path, capsys):
        with pytest.raises(SystemExit) as exit_:
            report.main([str(tmp_path / "m.gdc"), "--compressors", "--no-compressors"])
        assert exit_.value.code == 2 and "not allowed with argument" in capsys.readouterr().err


class TestErrors:
    @pytest.mark.parametrize("name, content, message", [
        ("x.gdc", b"", "not a .gdc file"), ("x.json", b"{", "not JSON"), ("x.json", b"[]", "expected an object"),
        ("x.json", b'{"format": 1, "network": "n", "stages": {}}', "stages is {}, expected list"),
        ("x.json", b"\xff\xfe", "not JSON"),
        ("x.json", b'{"format": 1, "experiment": "starts", "network": "n"}', '"dense" is missing'),
        ("zoo_sizes.json", b'{"format": 1, "nets": [{"network": "n"}]}', 'nets[0]: "dense_nbytes" is missing'),
    ])
    def test_bad_files(self, tmp_path, capsys, name, content, message):
        (tmp_path / name).write_bytes(content)
        assert report.main([str(tmp_path / name)]) == 1
        error = one_error_line(capsys.readouterr().err, "report.py")
        assert name in error and message in error

    def test_a_damaged_checkpoint(self, tmp_path, capsys):
        folder = write_run(tmp_path / "run")
        (folder / "checkpoints" / "pruned.npz").write_bytes(b"PK\x05\x06" + bytes(18))
        (folder / "checkpoints" / "dense.npz").write_bytes(b"no")
        assert report.main([str(folder)]) == 1
        assert "dense.npz: expected a .npz" in one_error_line(capsys.readouterr().err, "report.py")

    def test_an_output_folder_that_is_a_file(self, tmp_path, capsys):
        CompressedModel({"b": np.ones(2, np.float32)}).save(tmp_path / "m.gdc")
        assert report.main([str(tmp_path / "m.gdc"), "--no-compressors", "--output-dir", str(tmp_path / "m.gdc")]) == 1
        assert "m.gdc" in one_error_line(capsys.readouterr().err, "report.py")


class TestCommand:
    def test_help_names_the_options(self, capsys):
        assert exit_code(report, "--help") == 0
        text = capsys.readouterr().out
        assert all(option in text for option in ("--output-dir", "--json", "--no-figures"))

    def test_usage(self):
        assert exit_code(report) == 2

    def test_exit_codes(self, tmp_path, capsys):
        small_model().save(tmp_path / "m.gdc")
        assert report.main([str(tmp_path / "m.gdc"), "--no-compressors"]) == 0
        printed = capsys.readouterr()
        assert printed.err == "" and "every byte counted" in printed.out
        result = run_tool("report", tmp_path / "none.gdc")
        assert result.returncode == 1 and "none.gdc" in one_error_line(result.stderr, "report.py")
