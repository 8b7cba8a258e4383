"""A net to the smallest file at a given divergence of its outputs, or to a file of given size, without retraining.

Nothing is chosen by labels: the images are only looked at. What takes long is kept beside the file that is made, and
the same command goes on from there.
"""
import hashlib
import itertools
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import mxnet as mx
import numpy as np

from ..coding import CodedTensor, write_atomically
from ..coding.digest import weights_digest
from ..data.progress import progress_steps
from ..models import zoo
from ..nn import calibration, compress, curvatures, error_feedback, sequence, unwrap, weighted_layers
from ..nn.calibrated import loss_nats, on_grids, price_for, put
from ..nn.calibration import can_be_calibrated
from ..nn.error_feedback import Curvature, GridShared
from ..nn.parameters import assign
from ..nn.sequence import share_in_sequence
from .folders import check_apart
from .sensitivity import divergence

FORMAT = 1
BITS = 8
# Of a file's size: how near the search by the quick way comes, and by how much it stays below the target for what the
# thorough way changes.
NEAR, MARGIN = 0.002, 0.005
TRIES, THOROUGH_TRIES = 8, 3
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


def shrink(opened, sets, args):
    """Make args.output as the tool says, by the images of several ImageSets; returns a text. Raises ValueError for
    settings that cannot be, before the work."""
    check(args)
    bench = bench_of(opened, sets, args)
    identity = identity_of(opened, sets, args, bench)
    curvature_of = measured(bench, identity, work_path(args.output, "curvature"))
    bits = dict.fromkeys(bench.names, BITS)
    price, slope = first_price(bench, curvature_of, bits, args)
    tried = []
    for _ in range(THOROUGH_TRIES):
        shared = in_sequence(bench, curvature_of, price, bits, {**identity, "price": price},
                             work_path(args.output, "layers"))
        model, found = bench.model(shared)
        nbytes = len(model.dumps())
        tried.append({"price_nats_per_bit": price, "nbytes": nbytes, "divergence_nats": found,
                      "predicted_nats": loss_nats(shared)})
        if not args.target_bytes or nbytes <= args.target_bytes:
            break
        price *= np.exp(((nbytes - args.target_bytes) / nbytes + NEAR) / slope)
    model.save(args.output)
    _write_json(Path(args.output).with_suffix(".json"), {
        "format": FORMAT, "network": opened.name, "weights": opened.weights, "images": note_of(sets),
        "preprocessing": opened.preprocessing(args.preprocessing).describe(), "tried": tried,
        "layers": {name: layer_record(one) for name, one in shared.items()}})
    dense = sum(array.nbytes for array in bench.original.values())
    warning = "" if not args.target_bytes or nbytes <= args.target_bytes else (
        f"\nstill above the target of {args.target_bytes:,} bytes: ask for a little less")
    return (f"{layer_table(bench, shared)}\nwrote {args.output}: {nbytes:,} bytes, {dense / nbytes:.1f}x; divergence "
            f"of its outputs on {len(bench.scores)} calibration images {found:.4f} nats, at a price of {price:.3g} "
            f"nats a bit{warning}")


def check(args):
    """Raise ValueError for numbers out of range, files that are one and the same, or folders that are not there."""
    for what, value in (("--divergence", args.divergence), ("--price", args.price),
                        ("--target-bytes", args.target_bytes)):
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"{what} must be above 0, got {value:g}")
    if args.batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, got {args.batch_size}")
    if not Path(args.output).absolute().parent.is_dir():
        raise FileNotFoundError(f"{args.output}: there is no folder {Path(args.output).absolute().parent}: make it "
                                "first")
    outputs = [("-o", args.output), ("the record, beside -o,", Path(args.output).with_suffix(".json"))]
    outputs += [(f"the {what}, beside -o,", work_path(args.output, what)) for what in ("curvature", "layers")]
    check_apart(outputs, [("--gdc", args.gdc), ("--params", args.params), ("--data", args.data),
                          ("--class-list", args.class_list)])


def work_path(output, what):
    """OUT.curvature.npz and OUT.layers.npz: what the same command goes on from."""
    return Path(output).with_suffix(f".{what}.npz")


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
    keys = hashlib.sha256("\n".join(key for images in sets for key in images.keys()).encode()).hexdigest()
    settings = [calibration.INPUT_DAMPING, calibration.OUTPUT_DAMPING, calibration.LAST_DAMPING,
                calibration.LAST_WEIGHT, calibration.EVEN_CLASSES, calibration.POSITIONS_PER_IMAGE,
                sequence.TARGET_DAMPING, sequence.POSITIONS_PER_IMAGE, error_feedback.STEP_RATIO,
                error_feedback.PASSES, error_feedback.PRIOR_COUNT, error_feedback.PRIOR_CODES, args.batch_size]
    return {"format": FORMAT, "settings": settings, "weights_digest": weights_digest(bench.original), "images": keys,
            "seed": args.seed, "preprocessing": opened.preprocessing(args.preprocessing).describe()}


def measured(bench, identity, path):
    """{name: Curvature}, from the file at `path` where an earlier run has measured the same."""
    found = _read(path, identity)
    if found is None:
        with progress_steps(len(bench.scores), "measuring what the layers are sensitive to", "image") as progress:
            result = curvatures(bench.net, bench.batches, bench.names, identity["seed"], progress)
        # Half as many bytes in float32; read back, so that a run that goes on gives the same file.
        arrays = {f"{name}|{part}": np.float32(getattr(one, part)) for name, one in result.items()
                  for part in ("inputs", "outputs", "damping")}
        _write(path, identity, arrays)
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


def in_sequence(bench, curvature_of, price, bits, identity, path):
    """{name: GridShared}, layer after layer, each kept at `path` as soon as it is there."""
    arrays = _read(path, identity) or {}
    done = {name: _restored(arrays, name) for name in bits if f"{name}|codes" in arrays}
    with progress_steps(len(bits), "sharing one layer after another", "layer") as progress:
        progress(len(done))

        def keep(name, shared):
            arrays.update(_kept(name, shared))
            _write(path, identity, arrays)
            progress(1)
        return share_in_sequence(bench.net, bench.batches, curvature_of, price, bits, identity["seed"], done, keep)


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


def _kept(name, shared):
    numbers = np.array([shared.step, shared.loss_nats, shared.bits])
    bias = {} if shared.bias is None else {f"{name}|bias": shared.bias}
    return {f"{name}|codes": shared.coded.codes, f"{name}|codebook": shared.coded.codebook, f"{name}|numbers": numbers,
            **bias}


def _restored(arrays, name):
    step, loss, bits = map(float, arrays[f"{name}|numbers"])
    coded = CodedTensor(arrays[f"{name}|codebook"], arrays[f"{name}|codes"])
    return GridShared(coded, arrays.get(f"{name}|bias"), step, loss, bits)


def _read(path, identity):
    # The arrays that an earlier run has kept, None where there are none of this one.
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        said = json.loads(str(arrays.pop("identity")))
    except (ValueError, OSError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: is no work of an earlier run ({error}): remove it") from None
    return arrays if said == identity else None


def _write(path, identity, arrays):
    write_atomically(path, lambda file: np.savez(file, identity=json.dumps(identity), **arrays))


def _write_json(path, record):
    write_atomically(path, lambda file: file.write(json.dumps(record, indent=1).encode()))
