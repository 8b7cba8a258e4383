import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit, types
from numba.extending import intrinsic

from gluon_dc.runtime import simd

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 3), (0, 4), (1000, 16)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.uint8])
def test_aligned(shape, dtype):
    array = simd.aligned(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
    assert not array.size or array.ctypes.data % 64 == 0


def found_by(**environment):
    """HAS_AVX512 in a new process."""
    command = [sys.executable, "-c", "from gluon_dc.runtime import simd; print(simd.HAS_AVX512)"]
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip() == "True"


def test_the_variable_turns_avx512_off():
    assert not found_by(GLUON_DC_NO_AVX512="1")


def test_a_variable_of_nought_or_nothing_does_not(monkeypatch):
    monkeypatch.delenv("GLUON_DC_NO_AVX512", raising=False)
    here = simd._find_avx512()
    for value in ("", "0"):
        monkeypatch.setenv("GLUON_DC_NO_AVX512", value)
        assert simd._find_avx512() == here


@pytest.mark.parametrize("name, value", [("CPU_NAME", "generic"), ("CPU_FEATURES", "+avx2,+fma,-avx512f")])
def test_code_for_another_processor_has_none(name, value, monkeypatch):
    monkeypatch.setattr(simd.config, name, value)
    assert not simd._find_avx512()


def test_features_named_by_hand(monkeypatch):
    monkeypatch.delenv("GLUON_DC_NO_AVX512", raising=False)
    monkeypatch.setattr(simd.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(simd.config, "CPU_NAME", None)
    monkeypatch.setattr(simd.config, "CPU_FEATURES", "+avx512f,+avx512bw,+avx512dq,+avx512vl")
    assert simd._find_avx512()


def test_arm_has_none(monkeypatch):
    monkeypatch.setattr(simd.platform, "machine", lambda: "aarch64")
    assert not simd._find_avx512()


def _three(emit):
    # Intrinsic: emit(builder, a, b, c) of vectors of 16 floats, or of integers where the array holds such.
    @intrinsic
    def run(typing_context, a, b, c, out):
        def generate(context, builder, signature, arguments):
            pointers = [simd.data_pointer(context, builder, kind, value)
                        for kind, value in zip(signature.args, arguments)]
            kinds = [simd.WORDS if kind.dtype == types.int32 else simd.VECTOR for kind in signature.args]
            zero = simd.ir.Constant(simd.I64, 0)
            values = [simd.load(builder, pointer, zero, kind, 4) for pointer, kind in zip(pointers[:3], kinds)]
            simd.store(builder, emit(builder, pointers, *values), pointers[3], zero, 4)
        return types.void(a, b, c, out), generate
    return run


_fma = _three(lambda builder, pointers, a, b, c: simd.fma(builder, a, b, c))
_permute = _three(lambda builder, pointers, a, b, c: simd.permute(builder, a, b, c))
_gather = _three(lambda builder, pointers, a, b, c: simd.gather(builder, pointers[0], c))


@njit
def run_fma(a, b, c, out):
    _fma(a, b, c, out)


@njit
def run_permute(a, b, c, out):
    _permute(a, b, c, out)


@njit
def run_gather(a, b, c, out):
    _gather(a, b, c, out)


def vectors(*kinds):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(16).astype(np.float32) if kind == "f" else rng.integers(0, 16, 16).astype(np.int32)
            for kind in kinds]


def test_fma():
    a, b, c, out = vectors("f", "f", "f", "f")
    run_fma(a, b, c, out)
    exact = a.astype(np.float64) * b + c
    assert np.array_equal(out, exact.astype(np.float32))


@pytest.mark.skipif(not simd.HAS_AVX512, reason="needs AVX-512")
def test_permute_looks_at_the_lowest_five_bits():
    a, b, out = vectors("f", "f", "f")
    indices = np.arange(0, 32, 2, dtype=np.int32) | 0x7FE0
    run_permute(a, b, indices, out)
    assert np.array_equal(out, np.concatenate([a, b])[::2])


@pytest.mark.skipif(not simd.HAS_AVX512, reason="needs AVX-512")
def test_gather():
    a, b, indices, out = vectors("f", "f", "i", "f")
    run_gather(a, b, indices, out)
    assert np.array_equal(out, a[indices])
