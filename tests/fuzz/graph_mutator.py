"""Mutations of the target `graph`'s inputs that stay JSON: other attributes, operators, wires, nodes, shapes."""

import json
import re
from functools import lru_cache

from gluon_dc.runtime.graph import infer_shapes, read_graph

from .graph_targets import DATA, expanded, parsed
from .mutator import MAX_EDITS, MAX_NBYTES, mutate

_NUMBERS = ("0", "1", "2", "3", "-1", "-2", "-3", "-4", "4", "5", "7", "8", "64", "4096", "999999999", "1e-5", "0.5",
            "-0.0", "1e30", "1e-40", "inf", "nan", "None")
_TEXTS = ("", "()", "(,)", "None", "True", "False", "(0, 0)", "(1, 1)", "(2, 2)", "(3, 3)", "(1, 3)", "(-1,)", "[1]",
          "(None, 2)", "(2, 1, 0)", "(0, -1)", "(0, 0, 0, 0, 1, 2, 0, 1)", "max", "avg", "valid", "full", "NCHW", "x",
          "\u00e9", "(" * 99)
_FITTED = 6  # shapes of parameters to put right
_EXPECTED = re.compile(r"graph: \w+ 'n(\d+)': (expected a weight of shape \((?P<weight>[\d, ]+)\)|"
                       r"expected a bias of shape \((?P<bias>[\d, ]+)\)|"
                       r"statistics of shape \(.*\) for (?P<channels>\d+) channels)")


def mutate_graph(rng, data: bytes, others) -> bytes:
    """An input of the target `graph` after some edits; shapes of weights mostly put right after them."""
    entries = parsed(data)
    if entries is None:
        return mutate_json(rng, data, others)
    if rng.random() < 0.05:
        return mutate(rng, data, others)
    pool = _pool(tuple(others))
    for _ in range(rng.randint(1, MAX_EDITS)):
        rng.choice(_EDITS)(rng, entries, pool)
    text = _written(_fitted(entries) if rng.random() < 0.9 else entries)
    return text if len(text) <= MAX_NBYTES else data


def mutate_json(rng, data: bytes, others) -> bytes:
    """A JSON text with one value exchanged, removed or doubled; now and then any edit of its bytes."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, (dict, list)) or rng.random() < 0.3:
        return mutate(rng, data, others)
    inside = list(_containers(found))
    one = rng.choice([container for container in inside if container] or [found])
    keys = list(one) if isinstance(one, dict) else list(range(len(one)))
    if keys:
        key, other = rng.choice(keys), rng.choice(inside)
        values = (None, True, -1, 0, 1.5, 10**30, "", "window", [], {}, json.loads(json.dumps(other)))
        if rng.random() < 0.2:
            del one[key]
        else:
            one[key] = rng.choice(values)
    text = _written(found)
    return text if len(text) <= MAX_NBYTES else data


def _containers(found):
    yield found
    for value in found.values() if isinstance(found, dict) else found:
        if isinstance(value, (dict, list)):
            yield from _containers(value)


@lru_cache(maxsize=4)
def _pool(others):
    # Operators of all inputs: (name, number of inputs, attributes).
    nets = [parsed(data) or [] for data in others]
    return [(entry[0], len(entry[1]), entry[2]) for net in nets for entry in net[1:] if _is_operator(entry)]


def _fitted(entries):
    for _ in range(_FITTED):
        try:
            text, shapes, input_shape = expanded(_written(entries))
            infer_shapes(read_graph(text, shapes), shapes, {DATA: input_shape})
            return entries
        except Exception as error:  # whatever it is, a check of the mutant tells
            if not _put_right(entries, _EXPECTED.match(str(error))):
                return entries
    return entries


def _put_right(entries, found):
    if found is None:
        return False
    inputs = entries[int(found[1])][1]
    wanted = found["weight"] or found["bias"] or found["channels"]
    places = inputs[1:5] if found["channels"] else inputs[2:3] if found["bias"] else inputs[1:2]
    shape = [int(size) for size in wanted.split(",") if size.strip()]
    for i in places:
        if i == 0 or _is_operator(entries[i]) or max(shape) > 2**14:
            return False
        entries[i] = list(shape)
    return True


def _written(entries):
    return json.dumps(entries, separators=(",", ":")).encode()


def _is_operator(entry):
    return isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str)


def _operators(entries):
    return [i for i, entry in enumerate(entries) if _is_operator(entry)]


def _some(rng, entries):
    places = _operators(entries)
    return rng.choice(places) if places else None


def _count(entries):
    return len(entries) - isinstance(entries[-1], dict)


def _change_attribute(rng, entries, pool):
    i = _some(rng, entries)
    if i is None:
        return
    attrs = entries[i][2]
    known = [more for op, _, more in pool if op == entries[i][0]] or [attrs]
    names = sorted({name for more in (*known, attrs) for name in more})
    if not names:
        return
    name = rng.choice(names)
    kind = rng.random()
    if kind < 0.3:
        attrs[name] = str(rng.choice([more.get(name, "1") for more in known]))
    elif kind < 0.65 and name in attrs:
        attrs[name] = _other_number(rng, str(attrs[name]))
    elif kind < 0.8:
        attrs[name] = rng.choice(_TEXTS + _NUMBERS)
    else:
        attrs.pop(name, None)


def _other_number(rng, text):
    parts = re.split(r"(-?\d+(?:\.\d+)?)", text)
    places = range(1, len(parts), 2)
    if not places:
        return rng.choice(_TEXTS)
    at = rng.choice(places)
    is_edge = rng.random() < 0.6 or "." in parts[at]
    parts[at] = rng.choice(_NUMBERS) if is_edge else str(int(parts[at]) + rng.randint(-2, 2))
    return "".join(parts)


def _change_operator(rng, entries, pool):
    i = _some(rng, entries)
    if i is None or not pool:
        return
    same = [one for one in pool if one[1] == len(entries[i][1])] or pool
    op, _, attrs = rng.choice(same if rng.random() < 0.8 else pool)
    entries[i][0], entries[i][2] = op, {**attrs}


def _rewire(rng, entries, pool):
    i = _some(rng, entries)
    if i is None:
        return
    inputs, kind = entries[i][1], rng.random()
    if kind < 0.15 and inputs:
        del inputs[rng.randrange(len(inputs))]
    elif kind < 0.3:
        inputs.insert(rng.randint(0, len(inputs)), rng.randrange(i))
    elif inputs:
        # Mostly the value of another operator: parameters seldom go where a value did.
        values = [0, *(j for j in _operators(entries) if j < i)]
        inputs[rng.randrange(len(inputs)) if rng.random() < 0.4 else 0] = (
            rng.choice(values) if rng.random() < 0.8 else rng.randint(-1, i))


def _insert(rng, entries, pool):
    # A node after another one, in the wire of one of those that read it, or of all.
    op, count, attrs = rng.choice(pool) if pool else ("_copy", 1, {})
    before = rng.choice([0, *_operators(entries)])
    shapes = [[rng.choice((1, 2, 3, 4, 6))] for _ in range(count - 1)]
    values = [0, *(j for j in _operators(entries) if j <= before)]
    _make_room(entries, before + 1, len(shapes) + 1)
    node = before + 1 + len(shapes)
    others = list(range(before + 1, node)) if rng.random() < 0.6 else [rng.choice(values) for _ in shapes]
    for entry in entries[node + 1:_count(entries)]:
        if _is_operator(entry) and before in entry[1] and rng.random() < 0.7:
            entry[1][entry[1].index(before)] = node
    entries[before + 1:node + 1] = [*shapes, [op, [before, *others], {**attrs}]]
    if rng.random() < 0.3:
        _change_heads(rng, entries, pool)


def _make_room(entries, at, count):
    for entry in entries:
        if _is_operator(entry):
            entry[1] = [j + count * (j >= at) for j in entry[1]]
        elif isinstance(entry, dict):
            entry["heads"] = [j + count * (j >= at) if type(j) is int else j for j in entry["heads"]]
    entries[at:at] = [[1] for _ in range(count)]


def _remove(rng, entries, pool):
    i = _some(rng, entries)
    if i is None or _count(entries) < 3:
        return
    # Who reads it reads its own input.
    instead = entries[i][1][0] if entries[i][1] else 0
    del entries[i]
    for entry in entries:
        if _is_operator(entry):
            entry[1] = [instead if j == i else j - (j > i) for j in entry[1]]
        elif isinstance(entry, dict):
            entry["heads"] = [(instead if j == i else j - (j > i)) if type(j) is int else j for j in entry["heads"]]


def _change_shape(rng, entries, pool):
    places = [i for i, entry in enumerate(entries) if isinstance(entry, list) and not _is_operator(entry)]
    shape = entries[rng.choice(places) if rng.random() < 0.5 else 0]
    kind = rng.random()
    if kind < 0.7 and shape:
        shape[rng.randrange(len(shape))] = rng.choice((0, 1, 1, 2, 3, 4, 5, 6, 8, 16, 17, 33, 65, 1000))
    elif kind < 0.85:
        shape.append(rng.choice((1, 2, 3)))
    elif len(shape) > 1:
        shape.pop()


def _change_heads(rng, entries, pool):
    values = [0, *_operators(entries)]
    if not isinstance(entries[-1], dict):
        entries.append({"heads": [len(entries) - 1]})
    heads = entries[-1]["heads"]
    heads.append(rng.choice(values)) if rng.random() < 0.7 or len(heads) < 2 else heads.pop()


_EDITS = (_change_attribute, _change_attribute, _change_attribute, _change_operator, _rewire, _rewire, _insert, _insert,
          _remove, _change_shape, _change_shape, _change_heads)
