"""Who may import whom: read from the sources, so that a forbidden import fails here before it hurts anywhere else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "gluon_dc"

# Part -> the other parts of the package that it may import.
FLOORS = {
    "coding": set(),
    "nn": {"coding", "runtime"},
    "report": {"coding"},
    "runtime": {"coding"},
    "export": {"coding", "runtime"},
    "data": set(),
    "models": {"coding"},
    "recipes": set(),
    "training": {"nn", "coding", "data", "models", "recipes", "report", "runtime"},
}
# What every part may import.
OF_NO_PART = (f"{PACKAGE}.__version__", f"{PACKAGE}.ctrl_c")
MXNET_PARTS = {"nn", "models", "data", "training", "runtime"}
MXNET = {"mxnet", "gluoncv"}
CODING_MAY_IMPORT = {"numpy", "numba", "llvmlite"}  # llvmlite is what numba itself is made of
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SCRIPT_FOLDERS = ("train", "tools")

# What must work where MXNet is not installed.
WITHOUT_MXNET = ("coding", "report", "data", "recipes", "runtime", "export")


def imports_of(source, module, is_package=False):
    """Return the absolute dotted names that a module's source imports, in order, wherever in it they stand.

    `from a import b` counts as a.b, since b may be a module. module: the source's own dotted name.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: -(node.level - is_package) or None]
                base = ".".join(parents + [base] * bool(base))
            found += [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and _called_name(node) in ("import_module", "__import__") and node.args:
            if isinstance(node.args[0], ast.Constant):
                found.append(node.args[0].value)
    return found


def _called_name(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)


def floor_errors(module, imports):
    """Return what is wrong with the imports of a module of the package, one line each."""
    part = part_of(module)
    errors = []
    for name in imports:
        top = name.split(".")[0]
        if top == PACKAGE and part is not None and not name.startswith(OF_NO_PART):
            other = part_of(name)
            if other != part and other not in FLOORS[part]:
                errors.append(f"{module} imports {name}: {part} may import only {sorted(FLOORS[part]) or 'itself'}")
        if top in MXNET and part not in MXNET_PARTS:
            errors.append(f"{module} imports {name}: only {sorted(MXNET_PARTS)} may")
        if part == "coding" and top != PACKAGE and top not in CODING_MAY_IMPORT | sys.stdlib_module_names:
            errors.append(f"{module} imports {name}: coding may import only {sorted(CODING_MAY_IMPORT)} and stdlib")
        if top in PICKLES:
            errors.append(f"{module} imports {name}: nothing is pickled here")
    return errors


def script_errors(script, imports, all_scripts):
    """Return what is wrong with the imports of a script, one line each. Scripts are named "tools.report"."""
    errors = []
    stems = {name.split(".")[1] for name in all_scripts}
    for name in imports:
        top = name.split(".")[0]
        if top in SCRIPT_FOLDERS or top in stems:
            errors.append(f"{script} imports {name}: scripts import the library, never each other")
        if top in MXNET:
            errors.append(f"{script} imports {name}: scripts leave MXNet to the library")
        if top in PICKLES:
            errors.append(f"{script} imports {name}: nothing is pickled here")
    return errors


def part_of(module):
    """Return "coding" for gluon_dc.coding.huffman, None for gluon_dc itself and names in it that are no part."""
    names = module.split(".")
    return names[1] if len(names) > 1 and names[1] in FLOORS else None


def module_name(path):
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


MODULES = {module_name(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
SCRIPTS = {module_name(path): path for folder in SCRIPT_FOLDERS for path in sorted((ROOT / folder).glob("*.py"))}


def imports_in(name, path):
    return imports_of(path.read_text(encoding="utf-8"), name, is_package=path.name == "__init__.py")


class TestTheReader:
    @pytest.mark.parametrize(
        "source, expected",
        [
            ("import a.b, c as d", ["a.b", "c"]),
            ("from a import b, c", ["a.b", "a.c"]),
            ("from . import x", ["gluon_dc.nn.x"]),
            ("from .x import y", ["gluon_dc.nn.x.y"]),
            ("from .. import coding", ["gluon_dc.coding"]),
            ("from ..coding.huffman import encode", ["gluon_dc.coding.huffman.encode"]),
            ("def f():\n    if g:\n        import mxnet as mx", ["mxnet"]),
            ("import importlib\nimportlib.import_module('mxnet.gluon')", ["importlib", "mxnet.gluon"]),
            ("__import__('mxnet')", ["mxnet"]),
            ("'import mxnet'\nx = 1", []),
        ],
    )
    def test_imports_by_hand(self, source, expected):
        assert imports_of(source, "gluon_dc.nn.layers") == expected

    def test_relative_imports_of_a_package(self):
        assert imports_of("from .x import y", "gluon_dc.nn", is_package=True) == ["gluon_dc.nn.x.y"]
        assert imports_of("from ..coding import y", "gluon_dc.nn", is_package=True) == ["gluon_dc.coding.y"]

    @pytest.mark.parametrize(
        "module, name, message",
        [
            ("gluon_dc.coding.tensor", "gluon_dc.nn.layers", "coding may import only itself"),
            ("gluon_dc.coding", "gluon_dc", "coding may import only itself"),
            ("gluon_dc.coding.tensor", "scipy.sparse", "coding may import only ['llvmlite', 'numba', 'numpy'] and stdlib"),
            ("gluon_dc.coding.tensor", "mxnet", "only ['data', 'models', 'nn', 'runtime', 'training'] may"),
            ("gluon_dc.report.sizes", "gluon_dc.nn.convert", "report may import only ['coding']"),
            ("gluon_dc.report.sizes", "gluoncv.model_zoo", "may"),
            ("gluon_dc.nn.convert", "gluon_dc.size_report", "nn may import only ['coding', 'runtime']"),
            ("gluon_dc.data.mnist", "gluon_dc.coding.FormatError", "data may import only itself"),
            ("gluon_dc", "mxnet", "may"),
            ("gluon_dc.nn.trainer", "pickle.dumps", "nothing is pickled here"),
        ],
    )
    def test_a_forbidden_import_is_found(self, module, name, message):
        assert any(f"{module} imports {name}: " in error and message in error for error in floor_errors(module, [name]))

    @pytest.mark.parametrize(
        "module, name",
        [
            ("gluon_dc.coding.tensor", "gluon_dc.coding.huffman.encode"),
            ("gluon_dc.coding.tensor", "zlib"),
            ("gluon_dc.nn.layers", "gluon_dc.coding"),
            ("gluon_dc.nn.layers", "mxnet.gluon"),
            ("gluon_dc.training.loop", "gluon_dc.data.load_mnist"),
            ("gluon_dc", "gluon_dc.nn"),
        ],
    )
    def test_an_allowed_import_is_let_through(self, module, name):
        assert floor_errors(module, [name]) == []

    def test_scripts(self):
        scripts = ["train.mnist_lenet", "tools.compress"]
        for name in ("train.mnist_lenet", "mnist_lenet.main", "compress", "mxnet", "pickle"):
            assert len(script_errors("tools.compress", [name], scripts)) == 1
        assert script_errors("tools.compress", ["gluon_dc.coding.load", "argparse", "numpy"], scripts) == []


def test_every_part_has_a_floor():
    folders = {path.parent.name for path in (ROOT / PACKAGE).glob("*/*.py")}
    assert folders <= set(FLOORS), "give the new part its floor in FLOORS"
    assert {"data", "models"} <= folders


@pytest.mark.parametrize("name", MODULES)
def test_floors_hold(name):
    assert floor_errors(name, imports_in(name, MODULES[name])) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_import_only_the_library(name):
    assert script_errors(name, imports_in(name, SCRIPTS[name]), SCRIPTS) == []


def run_without(blocked, statements):
    """Run statements in a new interpreter where importing any of `blocked` raises ImportError."""
    block = f"import sys; sys.modules.update(dict.fromkeys({sorted(blocked)!r})); "
    return subprocess.run([sys.executable, "-c", block + statements], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("part", ["", *(part for part in WITHOUT_MXNET if f"{PACKAGE}.{part}" in MODULES)])
def test_every_module_of_a_part_imports_without_mxnet(part):
    package = f"{PACKAGE}.{part}" if part else PACKAGE
    names = [name for name in MODULES if name == package or (part and name.startswith(package + "."))]
    result = run_without(MXNET, "; ".join(f"import {name}" for name in names))
    assert result.returncode == 0, result.stderr


def test_blocking_works():
    result = run_without(MXNET, "import gluon_dc.models")
    assert result.returncode == 1 and "ModuleNotFoundError: No module named 'mxnet.gluon'" in result.stderr


def test_data_imports_nothing_heavy():
    result = run_without(MXNET | {"sklearn", "scipy", "matplotlib"}, "import gluon_dc.data")
    assert result.returncode == 0, result.stderr
