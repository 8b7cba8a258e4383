"""Other processors and systems, as far as one machine shows them; docs/portability.md tells what was run elsewhere."""

import ast
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs import graph_text
from llvmlite import binding

from gluon_dc.coding import CodedTensor, CompressedModel, pack, weights_digest
from gluon_dc.data.stores import FileStore

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "gluon_dc"
# numba's own settings: code for a processor with AVX2 and FMA, and for any x86-64, which has neither.
HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+64bit,+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+sse3,+ssse3,"
           "+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe"}
ANY_X86 = {"NUMBA_CPU_NAME": "generic"}

KERNEL = """
import re
import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from gluon_dc.runtime import simd
from gluon_dc.runtime.tile_code import multiply_add, read, splat, write
from gluon_dc.runtime.tile_kernel import address

@intrinsic
def axpy(typing_context, a, x, y):  # y += a * x, a register of 16 floats
    def generate(context, builder, signature, arguments):
        a, x, y = arguments
        product = multiply_add(builder, splat(builder, a), read(builder, x, simd.VECTOR), read(builder, y, simd.VECTOR))
        write(builder, product, y)
        return context.get_dummy_value()
    return types.void(types.float32, types.int64, types.int64), generate

@njit
def run(a, x, y):
    axpy(np.float32(a), address(x), address(y))

x, y = np.arange(16, dtype=np.float32), np.ones(16, np.float32)
run(np.float32(3), x, y)
assert (y == 3 * x + 1).all() and not simd.HAS_AVX512
code = "".join(run.inspect_asm().values())
found = [name for name in ("zmm", "ymm", "vfmadd", "fmaf") if re.search(name, code)]
print(*found)
"""


def host_has(*features):
    return platform.machine().lower() in ("x86_64", "amd64") and all(
        dict(binding.get_host_cpu_features()).get(name, False) for name in features)


def output_of(code, **environment):
    """What Python code prints in a new process."""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment},
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.skipif(not host_has("avx2", "fma"), reason="needs AVX2 and FMA")
def test_code_for_avx2_has_its_registers_and_no_wider_ones():
    assert output_of(KERNEL, **HASWELL) == ["ymm", "vfmadd"]


@pytest.mark.skipif(not host_has(), reason="needs x86-64")
def test_code_for_any_x86_64_calls_no_library_to_multiply_and_add():
    assert output_of(KERNEL, **ANY_X86) == []


# What Windows lacks (os: of Python's documentation, "Availability: Unix"); macOS lacks some of it.
POSIX_MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
POSIX_CALLS = ("chown", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getuid",
               "initgroups", "killpg", "lchown", "lockf", "mkfifo", "mknod", "nice", "posix_fadvise", "posix_fallocate",
               "pread", "pwrite", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "sendfile", "setgid",
               "setpgid", "setsid", "setuid", "sync", "sysconf", "uname", "wait3", "wait4", "waitid")

WITHOUT_POSIX = f"""
import os, shutil, sys, tempfile
from pathlib import Path
import numba, numpy  # they may use what they like
for name in {POSIX_MODULES}:
    sys.modules[name] = None
for name in {POSIX_CALLS}:
    if hasattr(os, name):
        delattr(os, name)
"""
RUN = """
import gluon_dc as dc
from gluon_dc import data, export, report, runtime
import gluon_dc.runtime.choice_cache
from gluon_dc.__main__ import main
folder = Path(sys.argv[1])
dc.load(folder / "net.gdc").save(folder / "again.gdc")
dc.load(folder / "net.gdc").save(folder / "again.gdc")  # over the earlier one
numpy.save(folder / "y.npy", dc.session(folder / "again.gdc", measure=False).run(numpy.load(folder / "x.npy")))
cache = runtime.choice_cache.ChoiceCache(folder / "choices")
cache.put("key", "dense", {"dense": 1.0})
assert runtime.choice_cache.ChoiceCache(folder / "choices").get("key")["form"] == "dense"
assert main(["info", str(folder / "again.gdc")]) == main(["digest", str(folder / "again.gdc")]) == 0
"""


def test_files_are_read_written_and_run_without_anything_of_posix(tmp_path):
    rng = np.random.default_rng(0)
    codebook = np.concatenate([[0], rng.standard_normal(15)]).astype(np.float32)
    weight = CodedTensor(codebook, (rng.integers(0, 16, (20, 30)) * (rng.random((20, 30)) < 0.3)).astype(np.uint8))
    text = graph_text(("null", "data", {"__shape__": "(0, 30)"}, []), ("null", "w", {}, []),
                      ("FullyConnected", "fc", {"num_hidden": "20", "no_bias": "True"}, [0, 1]))
    CompressedModel({"w": pack(weight)}, text).save(tmp_path / "net.gdc")
    x = rng.standard_normal((3, 30)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    result = subprocess.run([sys.executable, "-c", WITHOUT_POSIX + RUN, str(tmp_path)], cwd=ROOT, capture_output=True,
                            text=True, env={**os.environ, "GLUON_DC_CACHE": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-1] == weights_digest({"w": weight.decode()})
    assert np.allclose(np.load(tmp_path / "y.npy"), x @ weight.decode().T, rtol=1e-5, atol=1e-5)


def posix_names(source):
    """Sorted (line, name) of POSIX-only modules that a source imports and POSIX-only functions of os that it calls."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names if alias.name in POSIX_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module in POSIX_MODULES:
            found.append((node.lineno, node.module))
        elif (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
              and node.attr in POSIX_CALLS):
            found.append((node.lineno, f"os.{node.attr}"))
    return sorted(found)


def test_posix_names():
    assert posix_names("import fcntl, os\nfrom pwd import a\nos.pread(1)\nos.replace(a, b)") == [
        (1, "fcntl"), (2, "pwd"), (3, "os.pread")]


def test_where_posix_is_needed():
    """Training alone, which needs MXNet, and thread_count, which asks first whether the call is there."""
    found = {(path.relative_to(PACKAGE).as_posix(), name) for path in PACKAGE.rglob("*.py")
             for _, name in posix_names(path.read_text(encoding="utf-8"))}
    assert found == {("training/folders.py", "fcntl"), ("training/small/cache.py", "fcntl"),
                     ("coding/threads.py", "os.sched_getaffinity")}


def test_ctypes_is_for_mxnet_and_for_one_function_that_may_be_missing():
    """A C library's name and types differ from system to system; array.ctypes.data is NumPy's own. `atomics` looks for
    the system's function to yield, and does without."""
    found = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")
             if any(isinstance(node, ast.Import) and any(alias.name == "ctypes" for alias in node.names)
                    or isinstance(node, ast.ImportFrom) and node.module == "ctypes"
                    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))}
    assert found == {"nn/parameters.py", "runtime/atomics.py"}


@pytest.mark.parametrize("size, ends, expected", [(10, None, 10), (10, 5, 10), (11, 5, 10), (0, 3, 0)])
def test_both_ends_of_a_file_without_pread(tmp_path, monkeypatch, size, ends, expected):
    monkeypatch.delattr(os, "pread", raising=False)
    data = bytes(range(size))
    (tmp_path / "file").write_bytes(data)
    found = FileStore((str(tmp_path / "file"),)).content(0, ends)
    assert found == (data if expected == size else data[:ends] + data[-ends:])
