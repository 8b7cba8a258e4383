"""The graph of a file under test, as text of few bytes; and the remembered choices of forms.

An input of the target `graph` is a JSON list: the shape of the net's input, then for each node the shape of a parameter
or [operator, [numbers of nodes], {attribute: text}], and at the end {"heads": [numbers]} where not the last node is
the output. Node 0 is the input. Anything else is taken for a symbol JSON itself, with the parameters RAW_SHAPES.
"""

import json
import math
import tempfile
import warnings
import zlib
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from unittest.mock import patch

import numpy as np

import gluon_dc as dc
from gluon_dc.coding import CodedTensor, CompressedModel, FormatError, pack
from gluon_dc.runtime import batch_plan, choice, operators, slices, tile_plan
from gluon_dc.runtime.choice_cache import ChoiceCache
from gluon_dc.runtime.forms import MATRIX_FORMS
from gluon_dc.runtime.graph import infer_shapes, read_graph
from gluon_dc.runtime.lowering import lower
from gluon_dc.runtime.operations import check_operations

from .faults import expect
from .graph_reference import evaluated

DATA = "data"
RAW_INPUT = (1, 2, 6, 6)
RAW_SHAPES = {"w": (4, 2, 3, 3), "b": (4,), "d": (3, 64)}
MAX_PARAMETERS = 2**14  # numbers in all of them
MAX_ACTIVATION_NBYTES = 2**24
MAX_OPERATIONS = 2**22  # for the reference in Python to be done soon


def check_graph(data: bytes) -> None:
    """A session of the graph: what it takes runs, twice to the same bits, and gives what its nodes alone give."""
    text, shapes, input_shape = expanded(data)
    graph = read_graph(text, shapes)
    names = [graph.nodes[i].name for i in graph.data]
    found = infer_shapes(graph, shapes, dict.fromkeys(names, input_shape))
    expect(len(found) == len(graph.nodes), "a shape for each node")
    model = CompressedModel({name: parameter(shape) for name, shape in shapes.items()}, text)
    arrays = model.decode()
    steps = lower(graph, arrays.__getitem__)
    expect({*graph.outputs} <= {*graph.data, *(step.output for step in steps), *_parameters(graph)}, "outputs are made")
    check_operations(graph, found, 1, MAX_OPERATIONS)
    if sum(map(math.prod, found)) > MAX_OPERATIONS:
        raise FormatError("too much to be tried here")
    x = np.random.default_rng(1).normal(size=input_shape).astype(np.float32)
    way = zlib.crc32(data)
    with _settings(image_by_image=way & 2, meeting=way & 4):
        results = _run_twice(model, x, "dense" if way & 1 and _has_codes(graph, shapes) else None, 2 if way & 4 else 1)
    expect([result.shape for result in results] == [found[i] for i in graph.outputs], "outputs of other shapes")
    _expect_close(results, evaluated(graph, found, arrays, x), evaluated(graph, found, arrays, x, 1e-6))


def check_choices(data: bytes) -> None:
    """The file of remembered choices: whatever is in it, a layer gets a form that there is, and new ones are kept."""
    coded = CodedTensor(np.float32([0, 1, -1]), np.arange(64, dtype=np.uint8).reshape(4, 16) % 3)
    with tempfile.TemporaryDirectory() as folder, patch.object(choice, "_measured", _dense):
        path = ChoiceCache(folder).path
        path.write_bytes(data)
        chosen, _ = choice.Chooser(cache=ChoiceCache(folder)).matrix("w", coded, 1)
        expect(chosen.form in MATRIX_FORMS and isinstance(chosen.times(), str), "no such form")
        ChoiceCache(folder).put("key", "dense", {"dense": 1.0})
        expect(ChoiceCache(folder).get("key") == {"form": "dense", "microseconds": {"dense": 1.0}}, "does not keep")
        kept = json.loads(path.read_bytes())["entries"]
    if len(kept) == 1 + (chosen.source == "measured"):
        raise FormatError("nothing in it was of use")


def expanded(data: bytes) -> tuple[str, dict, tuple]:
    """(symbol JSON, {parameter: shape}, shape of the input) of an input. FormatError for one that is no text, or whose
    parameters are too many numbers."""
    try:
        text = bytes(data).decode()
    except ValueError as error:
        raise FormatError(f"no text: {error}") from None
    entries = parsed(data)
    if entries is None:
        return text, RAW_SHAPES, RAW_INPUT
    *entries, last = entries
    entries, heads = (entries, last["heads"]) if isinstance(last, dict) else ([*entries, last], None)
    shapes = {f"p{i}": tuple(entry) for i, entry in enumerate(entries) if i and _is_shape(entry)}
    if sum(map(math.prod, shapes.values())) > MAX_PARAMETERS:
        raise FormatError("too many parameters")
    nodes = [_node(i, entry) for i, entry in enumerate(entries)]
    heads = [len(nodes) - 1] if heads is None else heads
    return json.dumps({"nodes": nodes, "heads": [[i, 0, 0] for i in heads]}), shapes, tuple(entries[0])


def parsed(data: bytes):
    """The entries of an input in the form of this module; None for one that is in another."""
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entries, list) or not entries or not _is_shape(entries[0]) or not entries[0]:
        return None
    body = entries[1:-1] if isinstance(entries[-1], dict) else entries[1:]
    is_known = all(_is_shape(entry) or _is_operator(entry) for entry in body)
    return entries if is_known and (not isinstance(entries[-1], dict) or _is_heads(entries[-1])) else None


@lru_cache(maxsize=512)
def parameter(shape):
    """A parameter of a shape, always the same: codes of a matrix or a kernel, positive numbers of any other."""
    rng = np.random.default_rng(len(shape))
    if len(shape) < 2 or 0 in shape:
        return rng.uniform(0.25, 1.75, shape).astype(np.float32)
    codebook = np.concatenate([[0], rng.normal(size=11)]).astype(np.float32)
    codes = rng.integers(1, 12, shape) * (rng.random(shape) < 0.35)
    return pack(CodedTensor(codebook, codes.astype(np.uint8)), "fixed")


@contextmanager
def _settings(image_by_image, meeting):
    # As for nets that are too large for the cache; and for layers that are enough for several threads.
    with ExitStack() as stack:
        if image_by_image:
            stack.enter_context(patch.object(batch_plan, "TOGETHER_NBYTES", 1))
        if meeting:
            for module, name in ((batch_plan, "_WORTH_THREADS"), (tile_plan, "ALONE_CYCLES"), (operators, "ALONE"),
                                 (slices, "_LEAST_NS")):
                stack.enter_context(patch.object(module, name, 0))
        yield


def _run_twice(model, x, force, threads):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = dc.session(model, threads, force, measure=False, batch=len(x), input_shape=x.shape[1:],
                         max_nbytes=MAX_ACTIVATION_NBYTES, max_operations=MAX_OPERATIONS)
        first, _, again = net.run(x), net.run(x[::-1] + 1), net.run(x)
        expect(isinstance(net.table(), str) and isinstance(repr(net), str), "no text about it")
    first, again = ([*one] if isinstance(one, tuple) else [one] for one in (first, again))
    same = all(np.array_equal(a.view(np.int32), b.view(np.int32)) for a, b in zip(first, again, strict=True))
    expect(same, "a second run gives something else")
    return first


def _expect_close(results, expected, shaken):
    for i, (result, right, other) in enumerate(zip(results, expected, shaken, strict=True)):
        # How much rounding matters is seen where a little noise is added after each node.
        with np.errstate(all="ignore"):
            least = 1e-4 * np.abs(right).max(initial=0) + 300 * np.abs(other - right).max(initial=0)
            off = np.abs(result - right).max(initial=0)
        if np.isfinite(right).all() and np.isfinite(least) and np.abs(right).max(initial=0) < 1e30:
            expect(off <= least, f"output {i} is off by {off:.3g}, expected at most {least:.3g}")


def _parameters(graph):
    return (i for i, node in enumerate(graph.nodes) if node.op == "null" and i not in graph.data)


def _has_codes(graph, shapes):
    return any(node.op == "null" and len(shapes.get(node.name, ())) > 1 for node in graph.nodes)


def _dense(*arguments):
    # In place of a measurement.
    return choice.Choice("dense", "measured", {"dense": 1.0}), None


def _node(i, entry):
    if i == 0 or _is_shape(entry):
        return {"op": "null", "name": f"p{i}" if i else DATA, "inputs": []}
    return {"op": entry[0], "name": f"n{i}", "attrs": entry[2], "inputs": [[j, 0, 0] for j in entry[1]]}


def _is_shape(entry):
    return isinstance(entry, list) and all(type(size) is int and 0 <= size <= 2**20 for size in entry)


def _is_operator(entry):
    return (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str) and isinstance(entry[2], dict)
            and isinstance(entry[1], list) and all(type(i) is int for i in entry[1]))


def _is_heads(entry):
    return entry.keys() == {"heads"} and isinstance(entry["heads"], list)
