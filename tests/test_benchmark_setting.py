"""benchmarks/setting.py: every benchmark says on what processor it ran."""

import argparse
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_dc.runtime import choice_cache
from test_command_lines import CODE

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
BENCHMARKS = [path for path in sorted(FOLDER.glob("*.py")) if "--json" in path.read_text()]
NAMES = runpy.run_path(str(FOLDER / "setting.py"))


def test_what_is_said(monkeypatch):
    monkeypatch.setattr(choice_cache, "machine", lambda: {"cpu": "model name Some CPU, cpu family 26, model 2"})
    found = NAMES["setting_of"](argparse.Namespace(batch=[1], json=None), not_installed=["torch"])
    assert found["processor"] == "Some CPU" and found["batch"] == [1] and found["not_installed"] == ["torch"]
    assert found["cores"] >= 1 and {"machine", "python"} <= found.keys()


def test_a_processor_without_a_name(monkeypatch):
    monkeypatch.setattr(choice_cache, "machine", lambda: {"cpu": "CPU implementer 0x41, CPU part 0xd4f"})
    assert NAMES["processor"]() == "CPU implementer 0x41, CPU part 0xd4f"


def test_write_json(tmp_path):
    NAMES["write_json"](None, {})
    NAMES["write_json"](tmp_path / "x.json", {"rows": [1]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"rows": [1]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_check_least(capsys):
    parser = argparse.ArgumentParser(prog="x.py")
    options = argparse.Namespace(batch=[1, 2], cold_mb=0.5, seconds=float("nan"))
    NAMES["check_least"](parser, options, batch=1, cold_mb=0.5)
    for least, message in (({"batch": 2}, "--batch must be at least 2, got [1, 2]"),
                           ({"cold_mb": 1}, "--cold-mb must be at least 1, got 0.5"),
                           ({"seconds": 0}, "--seconds must be at least 0, got nan")):
        with pytest.raises(SystemExit, match="^2$"):
            NAMES["check_least"](parser, options, **least)
        assert f"x.py: error: {message}\n" in capsys.readouterr().err


def child(code):
    return [sys.executable, "-c", code]


def test_a_process_with_so_many_threads(capfd):
    NAMES["run_child"](child("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['NUMBA_NUM_THREADS'])"), 3)
    assert capfd.readouterr().out == "3 3\n"


def test_a_process_that_fails():
    with pytest.raises(SystemExit, match="^2$"):  # it has said why
        NAMES["run_child"](child("raise SystemExit(2)"), 1)
    with pytest.raises(ValueError, match=r"^the measurement with 1 thread\(s\) ended with exit code -9$"):
        NAMES["run_child"](child("import os; os.kill(os.getpid(), 9)"), 1)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_every_benchmark_writes_so(path):
    source = path.read_text()
    assert re.search(r"^    write_json\(options\.json, ", source, re.MULTILINE)
    assert "setting_of(options" in source or "processor()" in source


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_ctrl_c_while_a_benchmark_imports_its_libraries(path):
    code = CODE.format(modules=["setting"], words=[str(path)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, f"{path.name}: interrupted\n")


def test_a_turn_begins_when_no_thread_works(monkeypatch):
    clock = iter([0, 0.01, 0.01, 0.015, 0.015, 0.0151])  # processor time before and after each wait
    waits = []
    monkeypatch.setattr(NAMES["time"], "process_time", lambda: next(clock))
    monkeypatch.setattr(NAMES["time"], "sleep", waits.append)
    NAMES["settle"]()
    assert waits == [0.01] * 3
    monkeypatch.setattr(NAMES["time"], "process_time", lambda: len(waits))
    NAMES["settle"]()
    assert len(waits) == 3 + 100
