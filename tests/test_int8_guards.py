"""int8 kernels check no bounds: their buffers, asked for at the size the code states, must be large enough."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "int8_guards.py"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("plain", ["", "1"], ids=["vnni", "portable"])
def test_convolutions_stay_within_their_buffers(plain):
    environment = {**os.environ, "GLUON_DC_NO_AVX512": plain, "PYTHONPATH": str(SCRIPT.parent.parent)}
    result = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=300,
                            env=environment)
    assert result.returncode == 0, f"{result.returncode}: {result.stderr[-2000:]}"
    assert result.stdout == "touched nothing\n"
