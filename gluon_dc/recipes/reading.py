"""Reading recipes from YAML: every error names the file, the line, the key, and the nearest key there is."""

import difflib
import re
from dataclasses import fields
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

import yaml

from .records import SECTIONS, Recipe, check_value

SUFFIXES = (".yaml", ".yml")
MAX_NBYTES = 2**18
DEFAULT = "default"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, sorted."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


def load_recipe(name_or_path) -> Recipe:
    """Return a shipped recipe by its name ("alexnet-paper") or by the name of a model, or read a .yaml file.

    Raises
    ------
    ValueError
        No such recipe; or a file that is no recipe, with its path, line and key.
    OSError
        The file cannot be read.
    """
    name = str(name_or_path)
    if name in recipe_names():
        return parse_recipe((_folder() / f"{name}.yaml").read_bytes(), f"recipe {name}", name)
    path = Path(name_or_path)
    if path.suffix in SUFFIXES:
        with open(path, "rb") as file:
            return parse_recipe(file.read(MAX_NBYTES + 1), str(path), path.stem)
    fitting = _recipe_name_for(name)
    if fitting is None:
        raise ValueError(f"no recipe is named {name!r}{_did_you_mean(name, recipe_names())}; there are "
                         f"{', '.join(recipe_names())}, and any file whose name ends in .yaml")
    return load_recipe(fitting)


def recipe_for(model_name) -> Recipe:
    """Return the shipped recipe made for a zoo model ("resnet50_v1"), else "default"."""
    return load_recipe(_recipe_name_for(model_name) or DEFAULT)


def _recipe_name_for(model_name):
    for name in recipe_names():
        pattern = load_recipe(name).model
        if pattern is not None and fnmatchcase(model_name, pattern):
            return name
    return None


def _folder():
    return resources.files(__package__)


def parse_recipe(data, where="recipe", name="") -> Recipe:
    """Return the Recipe in the bytes or text of a YAML file.

    where: begins every message. name: the recipe's, unless the file gives one. Raises ValueError, nothing else.
    """
    if len(data) > MAX_NBYTES:
        raise ValueError(f"{where}: over {MAX_NBYTES} bytes; a recipe is a short YAML file")
    entries = _entries(_root(data, where), where, "")
    known = {item.name: item for item in fields(Recipe)}
    values = {"name": name}
    for key, (node, line) in entries.items():
        if key in SECTIONS:
            values[key] = _section(SECTIONS[key], node, where, line, key)
        else:
            values[key] = _checked(known, key, node, where, line, "")
    return Recipe(**values)


def parse_record(record, data, where="recipe") -> dict:
    """Return {key: value} of a YAML file without sections whose keys are fields of the dataclass `record`.

    Each value is checked by its field's metadata, as that of a recipe. Raises ValueError, nothing else.
    """
    if len(data) > MAX_NBYTES:
        raise ValueError(f"{where}: over {MAX_NBYTES} bytes; a recipe is a short YAML file")
    known = {item.name: item for item in fields(record)}
    return {key: _checked(known, key, node, where, line, "")
            for key, (node, line) in _entries(_root(data, where, record), where, "").items()}


def _section(record, node, where, line, path):
    if _is_null(node):
        return record()
    entries = _entries(node, where, path)
    known = {item.name: item for item in fields(record)}
    values = {key: _checked(known, key, value, where, at, f"{path}.") for key, (value, at) in entries.items()}
    try:
        return record(**values)
    except ValueError as error:
        raise ValueError(f"{where}, line {line}: {path}.{error}") from None


def _checked(known, key, node, where, line, prefix):
    if key not in known:
        raise ValueError(f"{where}, line {line}: unknown key {prefix}{key}{_did_you_mean(key, known)}; "
                         f"the keys here are {', '.join(known)}")
    value = _plain(node, where, f"{prefix}{key}")
    try:
        return check_value(known[key], value)
    except ValueError as error:
        raise ValueError(f"{where}, line {line}: {prefix}{key}: {error}") from None


def _did_you_mean(key, known):
    near = difflib.get_close_matches(key, known, 1)
    return f", did you mean {near[0]}?" if near else ""


class _Loader(yaml.SafeLoader):
    """Nodes of a document, without aliases; 1e-3 is a number, as people expect and YAML 1.1 does not."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "recipes have no aliases", event.start_mark)
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {key: list(rules) for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(
    r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+0123456789."))


def _root(data, where, record=Recipe):
    try:
        loader = _Loader(data)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{where}{line}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    if node is None:
        raise ValueError(f"{where}: empty; a recipe has the keys {', '.join(item.name for item in fields(record))}")
    return node


def _entries(node, where, path):
    """Key -> (value's node, line) of a mapping's node. Keys are taken as they are written, never as numbers."""
    what = path or "a recipe"
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{where}, line {node.start_mark.line + 1}: {what} is a mapping of keys to values, "
                         f"got {_kind(node)}")
    found = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"{where}, line {line}: {what}: a key is one word, got {_kind(key)}")
        if key.value in found:
            raise ValueError(f"{where}, line {line}: {what}: {key.value!r} is given twice, first in line "
                             f"{found[key.value][1]}")
        found[key.value] = (value, line)
    return found


def _plain(node, where, path):
    """A scalar's value, or {key: value} of a mapping of scalars; ValueError for anything deeper."""
    if isinstance(node, yaml.MappingNode):
        return {key: _scalar(value, where, f"{path}: {key}")
                for key, (value, _) in _entries(node, where, path).items()}
    return _scalar(node, where, path)


def _scalar(node, where, path):
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError(f"{where}, line {node.start_mark.line + 1}: {path}: expected one value, got {_kind(node)}")
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError, KeyError):
        raise ValueError(f"{where}, line {node.start_mark.line + 1}: {path}: cannot be read as "
                         f"{node.tag.removeprefix('tag:yaml.org,2002:')}: {node.value[:60]!r}") from None


def _is_null(node):
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _kind(node):
    return {"MappingNode": "a mapping", "SequenceNode": "a list", "ScalarNode": f"the value {node.value!r:.60}"
            }[type(node).__name__]
