"""A net to the smallest file at a given divergence of its outputs, or to a file of given size, without retraining.

Nothing is chosen by labels: the images are only looked at. What takes long is kept beside the file that is made, and
the same command goes on from there.
"""
import itertools
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import mxnet as mx
import numpy as np

from ..coding import write_atomically
from ..coding.digest import weights_digest
from ..data.progress import progress_steps
from ..models import zoo
from ..nn import calibration, compress, curvatures, error_feedback, sequence, unwrap, weighted_layers
from ..nn.calibrated import loss_nats, on_grids, price_for, put
from ..nn.calibration import can_be_calibrated
from ..nn.error_feedback import MAX_WIDTH, Curvature
from ..nn.parameters import assign
from ..nn.sequence import share_in_sequence
from ..report.outputs import check_apart
from .sensitivity import divergence
from .shrink_work import images_digest, layer_arrays, layers_of, read_work, work_path, write_work

FORMAT = 2
BITS = 8
# Of a file's size: how near the search by the quick way comes, and by how much it stays below the target for what the
# thorough way changes.
NEAR, MARGIN = 0.002, 0.005
# A file that is smaller than the target by no more than this share is near enough.
CLOSE = 0.0015
TRIES, THOROUGH_TRIES = 8, 3
# Of thorough tries, if they are asked for: what each takes beside the output is a megabyte.
MAX_TRIES = 99
# File sizes fall by about this share of themselves for a price e times as high: where the search begins.
FIRST_PRICE, SLOPE = 1e-7, 0.12


@dataclass(frozen=True, eq=False)
class Bench:
    """A net and the images that it is shrunk by.

    batches: the net's inputs, NDArrays. scores: of the unchanged net, float32 (n, classes). original: {name: array} of
    all parameters.
    """

    net: object
    batches: list = field(repr=False)
    scores: np.ndarray = field(repr=False)
    original: dict = field(repr=False)
    metadata: dict = field(default_factory=dict)
    effort: str = "best"

    @property
    def names(self):
        """Weights that go to grids."""
        return [layer.name for layer in weighted_layers(self.net)
                if all(can_be_calibrated(block) for block in layer.blocks)]

    def model(self, shared):
        """CompressedModel of the net with these layers, and the divergence of its outputs in nats; the net stays."""
        with self._changed(shared):
            self.net.hybridize(static_alloc=True, static_shape=True)
            return self._compressed(), divergence(self.scores, run(self.net, self.batches))

    def nbytes(self, shared):
        """Bytes of the file with these layers."""
        with self._changed(shared):
            return len(self._compressed().dumps())

    def _compressed(self):
        return compress(self.net, coder="context", effort=self.effort, metadata=self.metadata)

    @contextmanager
    def _changed(self, shared):
        put(self.net, shared)
        try:
            yield
        finally:
            unwrap(self.net)
            for name, parameter in zoo.named_parameters(self.net).items():
                assign(parameter, self.original[name])


@dataclass(frozen=True, eq=False)
class Try:
    """A net shrunk at one price: {name: GridShared}, its CompressedModel, and what they come to."""

    price: float
    shared: dict = field(repr=False)
    model: object = field(repr=False)
    nbytes: int
    divergence_nats: float

    def record(self):
        """As plain JSON types."""
        return {"price_nats_per_bit": self.price, "nbytes": self.nbytes, "divergence_nats": self.divergence_nats,
                "predicted_nats": loss_nats(self.shared)}


def shrink(opened, sets, args):
    """Make args.output as the tool says, by the images of several ImageSets; returns a text. Raises ValueError for
    settings that cannot be, before the work."""
    check(args)
    bench = bench_of(opened, sets, args)
    identity = identity_of(opened, sets, args, bench)
    curvature_of = measured(bench, identity, work_path(args.output, "curvature"))
    bits = dict.fromkeys(bench.names, BITS)
    price, slope = first_price(bench, curvature_of, bits, args)
    tries = thorough(bench, curvature_of, bits, args, identity, price, slope)
    best = best_of(tries, args.target_bytes)
    best.model.save(args.output)
    _write_json(Path(args.output).with_suffix(".json"), {
        "format": FORMAT, "network": opened.name, "weights": opened.weights, "images": note_of(sets),
        "preprocessing": opened.preprocessing(args.preprocessing).describe(), "tried": [one.record() for one in tries],
        "chosen": tries.index(best), "layers": {name: layer_record(one) for name, one in best.shared.items()}})
    dense = sum(array.nbytes for array in bench.original.values())
    warning = "" if not args.target_bytes or best.nbytes <= args.target_bytes else (
        f"\nstill above the target of {args.target_bytes:,} bytes: ask for a little less")
    return (f"{layer_table(bench, best.shared)}\nwrote {args.output}: {best.nbytes:,} bytes, "
            f"{dense / best.nbytes:.1f}x; divergence of its outputs on {len(bench.scores)} calibration images "
            f"{best.divergence_nats:.4f} nats, at a price of {best.price:.3g} nats a bit{warning}")


def thorough(bench, curvature_of, bits, args, identity, price, slope):
    """The Tries, one layer after another, at prices that lead to the target in bytes; at args.price alone if given.

    slope: share of the bytes that a price e times as high saves. Every try is kept beside the output.
    """
    tries, target = [], args.target_bytes
    for number in range((args.tries or THOROUGH_TRIES) if target else 1):
        path = work_path(args.output, layer_files(number + 1)[number])
        shared = in_sequence(bench, curvature_of, price, bits, {**identity, "price": price, "width": args.width}, path,
                             args.width)
        model, found = bench.model(shared)
        tries.append(Try(price, shared, model, len(model.dumps()), found))
        if not target or target * (1 - CLOSE) <= tries[-1].nbytes <= target:
            if not args.tries:
                break
        else:
            slope = _slope({one.price: one.nbytes for one in tries}) or slope
        price *= float(np.exp(np.clip(np.log(tries[-1].nbytes / (target * (1 - CLOSE / 2))) / slope, -1, 1)))
    return tries


def layer_files(tries):
    """What the files are called that so many tries are kept in."""
    return ["layers", *(f"layers-{number}" for number in range(2, tries + 1))]


def best_of(tries, target):
    """Of the Tries that are not above the target in bytes that of the least divergence on the calibration images; the
    smallest where all are above."""
    fitting = [one for one in tries if not target or one.nbytes <= target]
    return min(fitting, key=lambda one: one.divergence_nats) if fitting else min(tries, key=lambda one: one.nbytes)


def check(args):
    """Raise ValueError for numbers out of range, files that are one and the same, or folders that are not there."""
    for what, value in (("--divergence", args.divergence), ("--price", args.price),
                        ("--target-bytes", args.target_bytes)):
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"{what} must be above 0, got {value:g}")
    for what, value, most in (("--batch-size", args.batch_size, np.inf), ("--width", args.width, MAX_WIDTH),
                              ("--tries", args.tries, MAX_TRIES)):
        if value is not None and not 1 <= value <= most:
            raise ValueError(f"{what} must be {'at least 1' if value < 1 else f'at most {most}'}, got {value}")
    if args.tries and not args.target_bytes:
        raise ValueError("--tries goes with --target-bytes: nothing else is tried more than once")
    outputs = [("-o", args.output), ("the record, beside -o,", Path(args.output).with_suffix(".json"))]
    kept = ["curvature", *layer_files(args.tries or THOROUGH_TRIES)]
    outputs += [(f"the {what}, beside -o,", work_path(args.output, what)) for what in kept]
    check_apart(outputs, [("--gdc", args.gdc), ("--params", args.params), ("--data", args.data),
                          ("--class-list", args.class_list)])


def bench_of(opened, sets, args):
    """The Bench of an OpenedNet and ImageSets; images are decoded."""
    preprocessing, batches = opened.preprocessing(args.preprocessing), []
    crops = ((images, i) for images in sets for i in range(len(images)))
    with progress_steps(sum(map(len, sets)), "decoding the calibration images", "image") as progress:
        while chosen := list(itertools.islice(crops, args.batch_size)):
            batch = np.stack([images.centre(i, preprocessing) for images, i in chosen])
            batches.append(mx.nd.array(preprocessing.to_input(batch)))
            progress(len(chosen))
    scores = run(opened.net, batches)
    original = {name: parameter.data().asnumpy() for name, parameter in zoo.named_parameters(opened.net).items()}
    metadata = {**opened.metadata, "network": opened.name, "preprocessing": preprocessing.name,
                "weights": f"{opened.weights}, shared on grids without retraining, by {note_of(sets)}"}
    return Bench(opened.net, batches, scores, original, metadata, args.effort)


def run(net, batches):
    """The net's outputs, float32 (n, classes)."""
    return np.concatenate([net(x).asnumpy() for x in batches])


def note_of(sets):
    """One line on the images."""
    return " and ".join(images.note for images in sets)


def identity_of(opened, sets, args, bench):
    """What kept work must say to be gone on with."""
    settings = [calibration.INPUT_DAMPING, calibration.OUTPUT_DAMPING, calibration.LAST_DAMPING,
                calibration.LAST_WEIGHT, calibration.EVEN_CLASSES, calibration.POSITIONS_PER_IMAGE,
                sequence.TARGET_DAMPING, sequence.POSITIONS_PER_IMAGE, error_feedback.STEP_RATIO,
                error_feedback.REACH, error_feedback.SWEEPS, error_feedback.MAX_WORK, error_feedback.PRIOR_COUNT,
                error_feedback.PRIOR_CODES, args.batch_size]
    return {"format": FORMAT, "settings": settings, "weights_digest": weights_digest(bench.original),
            "images": images_digest(sets), "seed": args.seed,
            "preprocessing": opened.preprocessing(args.preprocessing).describe()}


def measured(bench, identity, path):
    """{name: Curvature}, from the file at `path` where an earlier run has measured the same."""
    found = read_work(path, identity)
    if found is None:
        with progress_steps(len(bench.scores), "measuring what the layers are sensitive to", "image") as progress:
            result = curvatures(bench.net, bench.batches, bench.names, identity["seed"], progress)
        # Half as many bytes in float32; read back, so that a run that goes on gives the same file.
        arrays = {f"{name}|{part}": np.float32(getattr(one, part)) for name, one in result.items()
                  for part in ("inputs", "outputs", "damping")}
        write_work(path, identity, arrays)
        found = arrays
    return {name: Curvature(found[f"{name}|inputs"], found[f"{name}|outputs"], float(found[f"{name}|damping"]))
            for name in bench.names}


def first_price(bench, curvature_of, bits, args):
    """(price, share of the bytes that a price e times as high saves), by the quick way: every layer by itself."""
    if args.price is not None:
        return args.price, SLOPE
    if not args.target_bytes:
        return price_for(bench.net, curvature_of, args.divergence or 0.02, bits), SLOPE
    goal, points = args.target_bytes * (1 - MARGIN), {}
    price, slope = FIRST_PRICE, SLOPE
    with progress_steps(TRIES, "searching the price of a bit", "file") as progress:
        for _ in range(TRIES):
            points[price] = nbytes = bench.nbytes(on_grids(bench.net, curvature_of, price, bits))
            progress(1)
            if abs(nbytes / goal - 1) < NEAR:
                break
            slope = _slope(points) or slope
            price *= float(np.exp(np.clip(np.log(nbytes / goal) / slope, -4, 4)))
    return min(points, key=lambda one: abs(points[one] / goal - 1)), slope


def in_sequence(bench, curvature_of, price, bits, identity, path, width):
    """{name: GridShared}, layer after layer, each kept at `path` as soon as it is there."""
    arrays = read_work(path, identity) or {}
    done = layers_of(arrays, bits)
    with progress_steps(len(bits), "sharing one layer after another", "layer") as progress:
        progress(len(done))

        def keep(name, shared):
            arrays.update(layer_arrays(name, shared))
            write_work(path, identity, arrays)
            progress(1)
        return share_in_sequence(bench.net, bench.batches, curvature_of, price, bits, identity["seed"], done, keep,
                                 width)


def layer_record(shared):
    """A layer's numbers as plain JSON types."""
    return {"step": shared.step, "density": shared.coded.density, "values": shared.coded.codebook.size,
            "ideal_nbytes": shared.bits / 8, "predicted_nats": shared.loss_nats}


def layer_table(bench, shared):
    """Text: what each layer has become."""
    width = max(map(len, shared))
    lines = [f"{'layer':<{width}} {'weights':>10} {'kept':>8} {'values':>7} {'bits a weight':>14} "
             f"{'nats, predicted':>16}"]
    for name, one in shared.items():
        lines.append(f"{name:<{width}} {one.coded.size:>10,} {100 * one.coded.density:>6.1f} % "
                     f"{one.coded.codebook.size:>7} {one.bits / one.coded.size:>14.2f} {one.loss_nats:>16.5f}")
    return "\n".join(lines)


def _slope(points):
    # From the last two.
    (price, nbytes), (other, more) = list(points.items())[-1], (list(points.items()) * 2)[-2]
    if price == other or nbytes == more:
        return None
    return float(np.clip(-np.log(nbytes / more) / np.log(price / other), 0.02, 1.0))


def _write_json(path, record):
    write_atomically(path, lambda file: file.write(json.dumps(record, indent=1).encode()))
