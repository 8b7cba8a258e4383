"""python -m gluon_dc, and the public names, where MXNet is not installed."""
import subprocess
import sys

import numpy as np
import pytest

import gluon_dc as dc
from gluon_dc.__main__ import main
from gluon_dc.coding import CompressedModel, pack, share, weights_digest

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
    for name, message in (("cut.gdc", "cut.gdc"), ("absent.gdc", "No such file")):
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
    assert done.stdout.strip() == "gluon_dc.prune needs MXNet: pip install 'gluon-dc[gluon]'"
