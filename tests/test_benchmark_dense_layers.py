import importlib
import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from gluon_dc.coding import CodedTensor, CompressedModel, pack, save

SCRIPT = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "dense_layers.py"))
main = SCRIPT["main"]
dense_libraries = importlib.import_module("dense_libraries")  # beside the script, which has set the path
TINY = ["--scale", "128", "--rounds", "1", "--cold-mb", "0.01", "--threads", "1"]


@pytest.fixture
def one_thread(monkeypatch):
    """The environment of a process that measures by itself."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")


def test_a_tiny_run_measures_forms_and_libraries(one_thread, tmp_path, capfd):
    path = tmp_path / "rows.json"
    assert main([*TINY, "--libraries", "NumPy", "SciPy CSR", "--layers", "fc6", "fc8", "--forms", "window", "sliced",
                 "--batch", "1", "3", "--json", str(path)]) == 0
    result = json.loads(path.read_text())
    rows = result["rows"]
    layers = ["AlexNet fc6", "AlexNet fc8", "VGG-16 fc6", "VGG-16 fc8"]
    libraries = ["NumPy"] + ["SciPy CSR"] * dense_libraries.is_installed("SciPy CSR")
    assert [(row["layer"], row["batch"], row["contender"]) for row in rows] == [
        (layer, batch, name) for layer in layers for batch in (1, 3) for name in ["ours, window", "ours, sliced",
                                                                               *libraries]]
    assert all(row["hot_ms"] > 0 and row["cold_ms"] > 0 and row["threads"] == 1 and row["drawn"] for row in rows)
    assert [row["nbytes"] for row in rows if row["contender"] == "NumPy"] == [
        4 * row["rows"] * row["cols"] for row in rows if row["contender"] == "NumPy"]
    printed = capfd.readouterr().out
    assert "batch 3, 1 thread(s)" in printed and printed.count("speedup over best dense") == 4


def test_the_layers_of_a_file_in_a_process_of_their_own(monkeypatch, tmp_path, capfd):
    coded = CodedTensor(np.array([0, 1, -2], np.float32), np.tile(np.array([[0, 1, 2, 0]], np.uint8), (30, 5)))
    save(CompressedModel({"a.weight": pack(coded), "a.bias": np.zeros(30, np.float32)}), tmp_path / "net.gdc")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    options = [*TINY, "--libraries", "NumPy", "--forms", "sliced", "--gdc"]
    assert main([*options, str(tmp_path / "net.gdc")]) == 0
    printed = capfd.readouterr().out
    assert "a.weight" in printed and f"weights of {tmp_path / 'net.gdc'}" in printed
    save(CompressedModel({"a.bias": np.zeros(30, np.float32)}), tmp_path / "none.gdc")
    with pytest.raises(SystemExit, match="^1$"):
        main([*options, str(tmp_path / "none.gdc")])
    assert capfd.readouterr().err == (
        f"dense_layers.py: error: {tmp_path / 'none.gdc'} holds no coded matrix to measure\n")


def test_drawn_layers_are_as_dense_as_asked_for():
    coded = SCRIPT["drawn"](300, 1000, 0.09, 0)
    assert coded.shape == (300, 1000) and abs(coded.density - 0.09) < 0.003 and coded.codebook.size == 32


@pytest.mark.parametrize("argv, message", [
    (["--batch", "0"], "--batch must be at least 1, got [0]"),
    (["--cold-mb", "0"], "--cold-mb must be above 0, got 0.0"),
    (["--libraries", "numpy"], "invalid choice: 'numpy'"),
    (["--json", "/not/there/x.json"], "its folder does not exist"),
])
def test_wrong_options(argv, message, capsys):
    with pytest.raises(SystemExit):
        main(argv)
    assert message in capsys.readouterr().err


def test_geometric_means_by_hand():
    rows = [{"layer": layer, "contender": name, "ours": name.startswith("ours"), "hot_ms": hot, "cold_ms": 2.0}
            for layer, name, hot in (("a", "ours, window", 1.0), ("a", "ours, sliced", 5.0), ("a", "NumPy", 4.0),
                                     ("b", "ours, window", 1.0), ("b", "NumPy", 9.0), ("b", "SciPy CSR", 1.0))]
    lines = SCRIPT["speedup_lines"](rows)
    assert lines[0] == "speedup over best dense, hot :    6.0   (4.0, 9.0)"
    assert lines[2] == "speedup over best other, hot :    2.0   (4.0, 1.0)"


@pytest.mark.parametrize("name", dense_libraries.LAYERS)
@pytest.mark.parametrize("batch", [1, 3])
def test_libraries_give_the_product(name, batch):
    if not dense_libraries.is_installed(name) or name == "MXNet Dense":  # MXNet: the import alone takes seconds
        pytest.skip("not installed")
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((5, 7)).astype(np.float32) * (rng.random((5, 7)) < 0.5)
    x = rng.standard_normal((batch, 7)).astype(np.float32)
    nbytes, copy = dense_libraries.LAYERS[name](weight, x, 1)
    np.testing.assert_allclose(np.asarray(copy()()), x @ weight.T, rtol=1e-5, atol=1e-6)
    assert nbytes > 0
