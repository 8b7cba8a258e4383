"""Kernels check no bounds: their working buffers, asked for at the size the code states, must be large enough."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("plain", ["", "1"], ids=["avx512", "portable"])
@pytest.mark.parametrize("script", ["guard_pages.py", "int8_guards.py"])
def test_convolutions_stay_within_their_buffers(script, plain):
    environment = {**os.environ, "GLUON_DC_NO_AVX512": plain, "PYTHONPATH": str(TESTS.parent)}
    result = subprocess.run([sys.executable, str(TESTS / script)], capture_output=True, text=True, timeout=300,
                            env=environment)
    assert result.returncode == 0, f"{result.returncode}: {result.stderr[-2000:]}"
    assert result.stdout == "touched nothing\n"
