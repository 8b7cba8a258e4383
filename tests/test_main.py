"""python -m gluon_dc, and the public names, where MXNet is not installed."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gluon_dc as dc
from gluon_dc.__main__ import main
from gluon_dc.coding import CompressedModel, pack, share, weights_digest
from gluon_dc.report.command import NEEDS_MXNET

WITHOUT_MXNET = "import sys; sys.modules['mxnet'] = sys.modules['gluoncv'] = None; "


@pytest.fixture
def path(tmp_path):
    weight = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    weight[np.abs(weight) < 1] = 0
    model = CompressedModel({"0.weight": pack(share(weight, 4)), "0.bias": np.ones(20, np.float32)})
    model.save(tmp_path / "net.gdc")
    return tmp_path / "net.gdc"


def run(code, *arguments):
    return subprocess.run([sys.executable, "-c", WITHOUT_MXNET + code, *map(str, arguments)],
                          capture_output=True, text=True)


def test_a_fresh_process_without_mxnet_decodes_to_the_same_weights(path):
    done = run("import gluon_dc as dc; from gluon_dc.coding import weights_digest; "
               "print(weights_digest(dc.load(sys.argv[1]).decode()))", path)
    assert done.stdout.strip() == weights_digest(dc.load(path).decode()), done.stderr


def test_digest_and_info(path, capsys):
    assert main(["digest", str(path)]) == 0
    assert capsys.readouterr().out.strip() == weights_digest(dc.load(path).decode())
    assert main(["info", str(path)]) == 0
    printed = capsys.readouterr().out
    assert f"{path.stat().st_size:,} bytes" in printed and "0.weight" in printed


def test_they_run_without_mxnet(path):
    done = run("import runpy; sys.argv[0] = 'gluon_dc'; runpy.run_module('gluon_dc', run_name='__main__')",
               "info", path)
    assert done.returncode == 0 and "0.bias" in done.stdout, done.stderr


def test_bad_files_are_one_line(path, tmp_path, capsys):
    (tmp_path / "cut.gdc").write_bytes(path.read_bytes()[:-1])
    for name, message in (("cut.gdc", "cut.gdc"), ("absent.gdc", "absent.gdc: expected a file, there is none of")):
        assert main(["digest", str(tmp_path / name)]) == 1
        error = capsys.readouterr().err.strip()
        assert message in error and "\n" not in error


def test_every_public_name_is_there_and_a_wrong_one_is_an_attribute_error():
    pytest.importorskip("mxnet")
    assert all(callable(getattr(dc, name)) for name in dc.__all__)
    assert set(dc.__all__) <= set(dir(dc))
    with pytest.raises(AttributeError, match="module 'gluon_dc' has no attribute 'wrap'"):
        dc.wrap


def test_a_verb_without_mxnet_says_what_is_missing():
    done = run("import gluon_dc as dc\ntry: dc.prune\nexcept ImportError as error: print(error)")
    assert done.stdout.strip() == f"gluon_dc.prune {NEEDS_MXNET}"
    done = run("import gluon_dc as dc\ndc.compress")
    assert done.stderr.count("Traceback") == 1 and done.stderr.strip().endswith(f"gluon_dc.compress {NEEDS_MXNET}")


def test_a_part_without_mxnet_says_what_is_missing():
    done = run("import gluon_dc as dc\ntry: dc.nn\nexcept ImportError as error: print(error)")
    assert done.stdout.strip() == f"gluon_dc.nn {NEEDS_MXNET}"


DATA = ["--data", ".", "--gdc", "x.gdc"]
SCRIPTS = {
    "tools/compress.py": ["--model", "lenet-5", "--random-weights", "-o", "x.gdc"],
    "tools/evaluate.py": DATA, "tools/sensitivity.py": [*DATA, "--json", "x.json"],
    "tools/import_net.py": ["x.net", "--model", "alexnet", "-o", "x.gdc"],
    "tools/add_graph.py": ["x.gdc", "-o", "y.gdc"],
    "tools/zoo_sizes.py": ["--output-dir", "sizes"],
    "train/mnist_lenet.py": [], "train/sweep.py": ["starts"],
    "train/imagenet.py": ["--model", "alexnet", "--random-weights", "--data", "."],
    "tools/shrink.py": ["--gdc", "x.gdc", "--data", ".", "--target-bytes", "1000", "-o", "y.gdc"],
    "train/smallest.py": [],
}


def run_scripts(tmp_path, missing):
    """What each of SCRIPTS ends with in a process where these modules are missing: {name: (status, last line)}."""
    root = Path(__file__).resolve().parents[1]
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code = f"""import sys, runpy, contextlib, io, json
sys.modules.update(dict.fromkeys({missing!r}))
for name, words in json.loads(sys.argv[1]).items():
    sys.argv = [name, *words]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            runpy.run_path({str(root)!r} + "/" + name, run_name="__main__")
        except SystemExit as stop:
            print(json.dumps([name, stop.code, said.getvalue()]))
"""
    done = subprocess.run([sys.executable, "-c", code, json.dumps(SCRIPTS)], cwd=tmp_path, capture_output=True,
                          text=True, env={**os.environ, "GLUON_DC_DATA": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    return {name: (status, said) for name, status, said in map(json.loads, done.stdout.splitlines())}


def test_every_script_without_mxnet_ends_in_one_line(tmp_path):
    found = run_scripts(tmp_path, ["mxnet", "gluoncv"])
    assert found.keys() == SCRIPTS.keys()
    for name, (status, said) in found.items():
        assert status == 1 and said.endswith(f"{NEEDS_MXNET}\n") and said.count("\n") == 1, (name, said)
        assert said.startswith(Path(name).name + ": ")


def test_every_script_where_there_is_only_numpy_and_numba_ends_in_one_line(tmp_path):
    missing = ["mxnet", "gluoncv", "yaml", "tqdm", "PIL", "sklearn", "scipy", "matplotlib", "cv2"]
    for name, (status, said) in run_scripts(tmp_path, missing).items():
        assert status == 1 and "pip install -r requirements.txt" in said and said.count("\n") == 1, (name, said)
