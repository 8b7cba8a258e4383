"""The paper's numbers on the real MNIST, by the default commands: python -m pytest -m slow (about 15 minutes)."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mxnet")
SCRIPT = Path(__file__).resolve().parents[1] / "train" / "mnist_lenet.py"


@pytest.mark.slow
@pytest.mark.parametrize("network, error_percent, nbytes", [
    ("lenet-300-100", 1.58, 27_000), ("lenet-5", 0.74, 44_000)])  # Table 1 of the paper
def test_errors_and_bytes_of_table_1(network, error_percent, nbytes, mnist_dir, tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), "--network", network, "--data-dir", str(mnist_dir),
                           "--output-dir", str(tmp_path)], env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    coded = json.loads((tmp_path / "result.json").read_text())["stages"][-1]
    assert coded["test_error_percent"] <= error_percent
    assert (tmp_path / "model.gdc").stat().st_size == coded["nbytes"] <= nbytes
