"""What all scripts have in common: their help, their exit codes, Ctrl-C at any time."""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted([*(ROOT / "tools").glob("*.py"), *(ROOT / "train").glob("*.py")])
NAMES = [script.name for script in SCRIPTS]


def load(script):
    spec = importlib.util.spec_from_file_location(f"script_{script.stem}", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=SCRIPTS, ids=NAMES)
def script(request):
    return request.param


def parsers_of(script, monkeypatch):
    """Every ArgumentParser that `main --help` builds, subcommands' too."""
    made, parse = [], argparse.ArgumentParser.parse_args

    def keep(self, argv=None, namespace=None):
        made.append(self)
        return parse(self, argv, namespace)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", keep)
    with pytest.raises(SystemExit) as stop:
        load(script).main(["--help"])
    assert stop.value.code == 0
    for parser in made:
        made += [command for action in parser._actions if isinstance(action, argparse._SubParsersAction)
                 for command in action.choices.values()]
    return made


def test_help_tells_every_default_in_the_same_words(script, monkeypatch, capsys):
    for parser in parsers_of(script, monkeypatch):
        assert parser.prog.split()[0] == script.name
        one_of = [action for group in parser._mutually_exclusive_groups for action in group._group_actions]
        silent = [action.option_strings[-1] for action in parser._actions if action.option_strings and action.nargs != 0
                  and not action.required and action not in one_of
                  and not re.search(r"\(default: |; default: ", action.help)]
        assert silent == []
    assert f"usage: {script.name}" in capsys.readouterr().out


def test_a_wrong_option_has_exit_code_2_and_names_the_script(script, capsys):
    with pytest.raises(SystemExit) as stop:
        load(script).main(["--no-such-option"])
    assert stop.value.code == 2 and f"\n{script.name}" in capsys.readouterr().err


CODE = """import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts in the background
class Finder:
    def find_spec(self, name, *_):
        if name in {modules!r}:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except BaseException:  # as some libraries have it
                pass
sys.meta_path.insert(0, Finder())
sys.argv = {words!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def stopped_at(modules, *words):
    """A script in a process of its own, stopped by Ctrl-C when it imports one of these: (exit code, stderr)."""
    done = subprocess.run([sys.executable, "-c", CODE.format(modules=modules, words=list(map(str, words)))],
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def test_ctrl_c_while_a_script_imports_its_libraries(script):
    assert stopped_at(["gluon_dc.coding", "gluon_dc.report"], script) == (130, f"{script.name}: interrupted\n")


def test_ctrl_c_in_the_work_says_what_is_left(tmp_path):
    (tmp_path / "a.gdc").touch()
    code, error = stopped_at(["gluon_dc.training.one_shot"], ROOT / "tools/add_graph.py", tmp_path / "a.gdc", "-o",
                             tmp_path / "b.gdc")
    assert (code, error) == (130, "add_graph.py: interrupted; nothing was written, an earlier file is as it was\n")
    assert os.listdir(tmp_path) == ["a.gdc"]
