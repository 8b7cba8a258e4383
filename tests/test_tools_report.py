import json

import numpy as np
import pytest
from report_inputs import load_tool, odd_model, one_error_line, run_tool, small_model, write_run

from gluon_dc.coding import CompressedModel

report = load_tool("report")
FIGURES = ["compressors.png", "histograms.png", "rates.png", "storage.png", "training.png", "weights.png"]


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
            f"=== {folder} ===", f"=== {folder / 'model.gdc'} ==="
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
        assert sorted(path.name for path in out.iterdir()) == sorted(["report.json", "report.txt", *FIGURES])
        assert (out / "report.txt").read_text() == text
        assert json.loads((out / "report.json").read_text())[0]["sizes"]["nbytes"] == small_model().nbytes
        assert (out / "storage.png").read_bytes().startswith(b"\x89PNG")

    def test_several_are_numbered(self, tmp_path, capsys):
        small_model().save(tmp_path / "m.gdc")
        run(capsys, tmp_path / "m.gdc", tmp_path / "m.gdc", "--no-compressors", "--output-dir", tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
            f"{n}-{name}" for n in (1, 2) for name in ("histograms.png", "rates.png", "storage.png")
        ]

    def test_no_figures(self, tmp_path, capsys):
        small_model().save(tmp_path / "m.gdc")
        run(capsys, tmp_path / "m.gdc", "--no-compressors", "--no-figures", "--output-dir", tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.json", "report.txt"]


class TestErrors:
    @pytest.mark.parametrize("name, content, message", [
        ("x.gdc", b"", "not a .gdc file"), ("x.json", b"{", "not JSON"), ("x.json", b"[]", "expected an object"),
        ("x.json", b'{"format": 1, "network": "n", "stages": {}}', "stages is {}, expected list"),
        ("x.json", b"\xff\xfe", "not JSON"),
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
    def test_help_names_the_options(self):
        result = run_tool("report", "--help")
        assert result.returncode == 0
        assert all(option in result.stdout for option in ("--output-dir", "--json", "--no-figures"))

    def test_usage(self):
        assert run_tool("report").returncode == 2

    def test_exit_codes(self, tmp_path):
        small_model().save(tmp_path / "m.gdc")
        result = run_tool("report", tmp_path / "m.gdc", "--no-compressors")
        assert result.returncode == 0 and result.stderr == "" and "every byte counted" in result.stdout
        result = run_tool("report", tmp_path / "none.gdc")
        assert result.returncode == 1 and "none.gdc" in one_error_line(result.stderr, "report.py")
