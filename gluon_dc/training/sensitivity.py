"""How much each layer alone can bear: error against sparsity and against bits (the paper's Fig. 7)."""
import json
import os
from dataclasses import dataclass, field

import mxnet as mx
import numpy as np

from ..coding import share, write_atomically
from ..nn import weighted_layers
from .evaluate import accuracy, count_hits

FORMAT = 1


class PlainChange:
    """One layer pruned by magnitude, or shared by k-means from the optimal start, with nothing to make up for it."""

    name = "pruning by magnitude, k-means; no retraining"

    def __call__(self, layer, kind, value):
        """The changed weight, float32, and None: the bias stays."""
        weight = layer.array()
        if kind == "sparsity":
            return pruned(weight, value), None
        return share(weight, value, start="optimal").decode(), None


@dataclass(frozen=True)
class Probe:
    """Measures changes of one layer at a time.

    staged: the net over the calibration images. change: callable(layer, kind, value) -> (weight, bias or None).
    base: scores of the unchanged net.
    """

    staged: object
    layers: dict
    change: object
    base: np.ndarray = field(repr=False)

    def point(self, name, kind, value):
        """Change the layer, run the net, change it back: one point of the experiment's JSON."""
        layer = self.layers[name]
        weight, bias = self.change(layer, kind, value)
        scores = self.base
        if bias is not None or not np.array_equal(weight, layer.array()):
            with changed(layer, weight, bias):
                scores = self.staged.scores(self.staged.stage_of(name))
        return {"layer": name, "kind": kind, "value": value, **self.errors(scores)}

    def errors(self, scores):
        """Top-1 and top-5 error in percent, and the divergence from the unchanged net."""
        images = self.staged.images
        found = accuracy(count_hits(scores, images.labels), len(images), len(images.classes))
        return {"error_percent": found.top1_error_percent, "top5_error_percent": found.top5_error_percent,
                "divergence_nats": divergence(self.base, scores)}


def probe(net, staged, change=None):
    """A Probe of all layers of a net whose weight can be compressed."""
    layers = {layer.name: layer for layer in weighted_layers(net)}
    return Probe(staged, layers, change or PlainChange(), staged.scores())


def measure(prober, path, identity, settings, names=None, progress=None):
    """Measure every layer at every setting; the file at `path` is whole after each point and is gone on with.

    Parameters
    ----------
    prober : Probe
    path : str or Path
        The experiment's JSON.
    identity : dict
        What else the file says and must say to be gone on with: network, dataset, seed, split, dense.
    settings : dict
        {kind: values}, as the change takes them; those that do not change a layer are not run, their errors are the
        net's own.
    names : list of str, optional
        Of the layers; default: all.
    progress : callable, optional
        Called with 1 after each point.

    Returns
    -------
    dict
        The content of the file.
    """
    record = read_record(path, identity)
    done = {(point["layer"], point["kind"], point["value"]) for point in record["points"]}
    for name in names or prober.layers:
        for kind, values in settings.items():
            for value in values:
                if (name, kind, value) not in done:
                    record["points"].append(prober.point(name, kind, value))
                    write_record(path, record)
                if progress:
                    progress(1)
    return record


def check_settings(sparsities, bits):
    """Raise ValueError for a sparsity outside [0, 1), bits that are not whole in 1..8, or a setting given twice."""
    bad = [f"sparsity {value}" for value in sparsities if not 0 <= value < 1]
    bad += [f"{value} bits" for value in bits if value not in range(1, 9)]
    if bad:
        raise ValueError(f"{bad[0]}: sparsities are in [0, 1), bits whole numbers in 1..8")
    if len(set(sparsities)) < len(sparsities) or len(set(bits)) < len(bits):
        raise ValueError(f"give each setting once, got {list(sparsities)} and {list(bits)}")


def read_record(path, identity):
    """The experiment in the file, or a new one; ValueError where the file is of another experiment."""
    record = {"format": FORMAT, "experiment": "sensitivity", **identity, "points": []}
    if not os.path.exists(path):
        return record
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except ValueError as error:
        raise ValueError(f"{path}: no JSON ({error}): remove it, or name another file") from None
    for key in ("format", "experiment", *identity):
        if not isinstance(found, dict) or found.get(key) != record[key]:
            there = found.get(key) if isinstance(found, dict) else found
            raise ValueError(f"{path}: is of another run: its {key} is {_short(there)}, this run's "
                             f"{_short(record[key])}: remove it, or name another file")
    record["points"] = _checked_points(path, found.get("points"))
    return record


def _checked_points(path, points):
    wrong = "are no list" if not isinstance(points, list) else next(
        (f"have no layer, kind or measured numbers at point {i}" for i, point in enumerate(points)
         if not _is_point(point)), None)
    if wrong:
        raise ValueError(f"{path}: is damaged: its points {wrong}: remove it, or name another file")
    return points


def _is_point(point):
    return (isinstance(point, dict) and all(isinstance(point.get(key), str) for key in ("layer", "kind")) and
            all(type(point.get(key)) in (int, float) for key in ("value", "error_percent", "divergence_nats")))


def write_record(path, record):
    """Write the experiment's JSON, whole or not at all."""
    text = json.dumps(record, indent=1)
    write_atomically(path, lambda file: file.write(text.encode()))


class changed:
    """Context in which a layer has another weight (and bias); afterwards it has its own again, bit for bit."""

    def __init__(self, layer, weight, bias=None):
        self.parameters = [layer.blocks[0].weight] + ([layer.blocks[0].bias] if bias is not None else [])
        self.values = [weight] + ([bias] if bias is not None else [])

    def __enter__(self):
        self.before = [parameter.data().asnumpy() for parameter in self.parameters]
        _write(self.parameters, self.values)

    def __exit__(self, *_):
        _write(self.parameters, self.before)


def pruned(weight, sparsity, scores=None):
    """The weight with its round(sparsity * size) lowest scores set to 0.0, ties by position; scores: its magnitude."""
    flat = weight.reshape(-1).copy()
    order = np.argsort(np.abs(flat) if scores is None else scores.reshape(-1), kind="stable")
    flat[order[:round(sparsity * flat.size)]] = 0
    return flat.reshape(weight.shape)


def divergence(base, scores):
    """Mean Kullback-Leibler divergence in nats of softmax(scores) from softmax(base), both (n, classes).

    Smoother than an error over a few hundred images, and it needs no labels.
    """
    before, after = _log_softmax(base), _log_softmax(scores)
    return float((np.exp(before) * (before - after)).sum(axis=1).mean())


def _log_softmax(scores):
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _write(parameters, values):
    for parameter, value in zip(parameters, values):
        for data in parameter.list_data():
            data[:] = mx.nd.array(value, ctx=data.context)


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
