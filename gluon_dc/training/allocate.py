"""Compress a net further without retraining: to each layer the sparsity and bits that cost least for the bytes saved.

What a setting costs is measured, each layer alone, as the divergence of the net's outputs; the costs of layers, and of
pruning and sharing in one layer, are taken to add up. For a price of a byte each layer then takes what is cheapest for
it. Whole nets at rising prices are measured, and the smallest is taken whose error is within the budget.
"""
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..coding import CodedTensor, pack, share
from ..data import half
from ..data.progress import progress_bar, progress_steps
from ..nn import compress
from ..report.outputs import check_apart
from .evaluate import accuracy, count_hits
from .reconstruct import ReconstructedChange, input_moments
from .sensitivity import changed, measure, probe, pruned, write_record
from .sensitivity_run import identity
from .staged import StagedNet

KEPT = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
BITS = (2, 3, 4, 5, 6, 7)
COSTS_NATS = tuple(0.005 * 1.4**i for i in range(20))  # predicted costs of the nets that are measured: to 3 nats
FAR_POINTS = 5.0


@dataclass(frozen=True)
class Option:
    """A setting of one layer: the share of its non-zeros to keep and bits, None for the codes it has now; what it costs
    in nats of divergence, and the bytes of the layer in a file."""

    kept: float
    bits: int | None
    cost_nats: float
    nbytes: int


@dataclass(frozen=True, eq=False)
class Candidate:
    """A whole net: an Option a layer, its tensors, and its error in percent on the first half."""

    options: dict = field(repr=False)
    model: object
    error_percent: float

    def summary(self) -> dict:
        """Its bytes, the cost predicted for it and the error measured, as plain JSON types."""
        return {"nbytes": self.model.nbytes, "predicted_nats": sum(one.cost_nats for one in self.options.values()),
                "error_percent": self.error_percent}


def check_files(args):
    """Raise ValueError where a file that the tool writes is another one of them, or one that it reads."""
    outputs = [("--json", args.json)]
    if args.output:
        outputs += [("the points with reconstruction, beside --json,", reconstructed_path(args.json)),
                    ("-o", args.output), ("the comparison, beside -o,", beside_path(args.output))]
    check_apart(outputs, [("--gdc", args.gdc), ("--params", args.params), ("--data", args.data),
                          ("--class-list", args.class_list)])


def reconstructed_path(json_path):
    """Where the points with reconstruction are kept: beside the plain experiment's file."""
    return Path(json_path).with_name(Path(json_path).stem + "-reconstructed.json")


def beside_path(output):
    """Where the comparison goes: beside the .gdc file."""
    return Path(output).with_suffix(".json")


def compress_further(opened, images, record, args):
    """Choose on the first half within args.budget points of top-1 error, write args.output, compare on both halves.

    Returns the comparison as text; as JSON it goes beside args.output. record: of the plain experiment, whose `dense`
    is the unchanged net. Raises ValueError as `check_files`, before the work.
    """
    check_files(args)
    staged = StagedNet(opened.net, half(images, "first"), opened.preprocessing(args.preprocessing), args.batch_size)
    start = opened.model or compress(opened.net)
    moments = input_moments(opened.net, staged)
    prober = probe(opened.net, staged, ReconstructedChange(moments))
    curves = _curves(opened, images, prober, list(moments), args)
    options = {name: _options(prober.layers[name], curves, start[name])
               for name in progress_bar(moments, len(moments), "coding each layer at each setting", "layer")}
    best, tried = _search(prober, options, start, record["dense"]["error_percent"] + args.budget)
    model = replace(best.model, metadata=_metadata(opened, start, record, args))
    model.save(args.output)
    rows = compare(opened, images, prober, best, start, model, args)
    beside = beside_path(args.output)
    write_record(beside, {"format": 1, "network": opened.name, "weights": opened.weights, "split": record["split"],
                          "budget_points": args.budget, "dense_nbytes": record["dense"]["nbytes"], "rows": rows,
                          "layers": {name: vars(option) for name, option in best.options.items()},
                          "tried": [one.summary() for one in tried]})
    return "\n".join([layer_table(best.options, start, model), "",
                      comparison_text(rows, record["dense"]["nbytes"]), f"wrote {args.output} and {beside}"])


def choose(options, nats_per_byte):
    """{name: the Option with the least cost_nats + nats_per_byte * nbytes}, ties to the fewer bytes."""
    return {name: min(found, key=lambda one: (one.cost_nats + nats_per_byte * one.nbytes, one.nbytes))
            for name, found in options.items()}


def layer_table(options, start, model):
    """Text: what was chosen for each layer."""
    width = max(map(len, options))
    lines = [f"{'layer':<{width}} {'weights kept':>13} {'bits':>5} {'bytes before':>13} {'after':>9}"]
    for name, option in options.items():
        array = model[name] if isinstance(model[name], np.ndarray) else model[name].decode()
        bits = "as is" if option.bits is None else str(option.bits)
        lines.append(f"{name:<{width}} {100 * np.count_nonzero(array) / array.size:>11.1f} % {bits:>5} "
                     f"{_nbytes(start[name]):>13,} {_nbytes(model[name]):>9,}")
    return "\n".join(lines)


def compare(opened, images, prober, best, start, model, args):
    """Bytes and accuracy on both halves: before, after, and with the same settings but nothing made up for.

    Returns a list of dicts, as they go to JSON; no bytes for the last, which is not written.
    """
    second = StagedNet(opened.net, half(images, "second"), opened.preprocessing(args.preprocessing), args.batch_size)
    cases = [("before", start.nbytes, _arrays(start, best.options)),
             ("after", model.nbytes, _arrays(model, best.options)),
             ("same sparsity and bits, magnitude and k-means", None, _plain(prober, best.options, model))]
    rows = []
    for what, nbytes, arrays in cases:
        with _all_changed(prober, arrays):
            first_half, second_half = (vars(_accuracy(staged)) for staged in (prober.staged, second))
        rows.append({"net": what, "nbytes": nbytes, "first_half": first_half, "second_half": second_half})
    return rows


def comparison_text(rows, dense_nbytes):
    """The rows of `compare` as a table of accuracies."""
    lines = [f"{'':<46} {'bytes':>9} {'ratio':>7}   {'first half (chosen on)':>22}   {'second half':>16}"]
    for row in rows:
        size = f"{row['nbytes']:>9,} {dense_nbytes / row['nbytes']:>6.1f}x" if row["nbytes"] else f"{'-':>9} {'-':>7}"
        first, second = (_accuracy_text(row[which]) for which in ("first_half", "second_half"))
        lines.append(f"{row['net']:<46} {size}   {first:>22}   {second:>16}")
    n = [rows[0][which]["n"] for which in ("first_half", "second_half")]
    return "\n".join([*lines, f"top-1 / top-5 accuracy on {n[0]} and {n[1]} images"])


def _metadata(opened, start, record, args):
    weights = (f"{opened.weights}, compressed further without retraining (budget {args.budget:g} points of top-1 error "
               f"on {record['split']})")
    return {**start.metadata, "network": opened.name, "weights": weights,
            "preprocessing": opened.preprocessing(args.preprocessing).name}


def _curves(opened, images, prober, names, args):
    # {(layer, kind, value): divergence in nats}, measured with reconstruction, beside the plain experiment's file.
    said = identity(opened, images, prober, prober.change.name)
    with progress_steps(len(names) * (len(KEPT) + len(BITS)), "what settings cost", "point") as progress:
        record = measure(prober, reconstructed_path(args.json), said, {"kept": KEPT, "bits": BITS}, names, progress)
    return {(point["layer"], point["kind"], point["value"]): point["divergence_nats"] for point in record["points"]}


def _options(layer, curves, now):
    # All settings of a layer, the one it has included; costs of pruning and of sharing added up.
    name = layer.name
    found = [Option(1.0, None, 0.0, _nbytes(now))]
    for bits in BITS:
        for kept in (1.0, *KEPT):
            cost = curves[name, "bits", bits] + (curves[name, "kept", kept] if kept < 1 else 0.0)
            found.append(Option(kept, bits, cost, _plain_nbytes(layer, kept, bits)))
    return found


def _plain_nbytes(layer, kept, bits):
    # By magnitude and k-means, which is quick: the streams of the reconstructed layer are nearly as long.
    weight = layer.array()
    return pack(share(pruned(weight, 1 - kept * np.count_nonzero(weight) / weight.size), bits, "optimal")).nbytes


def _search(prober, options, start, limit):
    # Nets of growing predicted cost, until one is far over the limit; then the last whose error, smoothed, is within.
    found = [_candidate(prober, choose(options, 0.0), start)]
    with progress_steps(len(COSTS_NATS), "searching the price of a byte", "net") as progress:
        for nats in COSTS_NATS:
            chosen = choose(options, price_of(options, nats))
            if chosen != found[-1].options:
                found.append(_candidate(prober, chosen, start))
            progress(1)
            if found[-1].error_percent > limit + FAR_POINTS:
                break
    # One image more or less is 0.4 points of 250: a net may be over or under the limit by luck, its neighbours say.
    smooth = rising([one.error_percent for one in found])
    return found[max([0] + [i for i, error in enumerate(smooth) if error <= limit])], found


def price_of(options, nats):
    """The highest price of a byte, in nats, at which the chosen options cost at most `nats` together."""
    low, high = np.log(1e-15), np.log(1.0)
    for _ in range(50):
        middle = (low + high) / 2
        cost = sum(one.cost_nats for one in choose(options, np.exp(middle)).values())
        low, high = (middle, high) if cost <= nats else (low, middle)
    return float(np.exp(low))


def rising(values):
    """The non-decreasing sequence nearest to the values in the mean square (pool adjacent violators)."""
    blocks = []
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last, n = blocks.pop()
            mean, m = blocks[-1]
            blocks[-1] = [(mean * m + last * n) / (m + n), m + n]
    return [mean for mean, n in blocks for _ in range(n)]


def _candidate(prober, options, start):
    tensors, arrays = dict(start.tensors), {}
    for name, option in options.items():
        if option.bits is None:
            continue
        coded, bias = prober.change.coded(prober.layers[name], option.kept, option.bits)
        tensors[name], tensors[name.removesuffix("weight") + "bias"] = pack(coded), bias
        arrays[name] = coded.decode(), bias
    with _all_changed(prober, arrays):
        error = prober.errors(prober.staged.scores())["error_percent"]
    return Candidate(options, replace(start, tensors=tensors), error)


def _all_changed(prober, arrays):
    stack = ExitStack()
    for name, (weight, bias) in arrays.items():
        stack.enter_context(changed(prober.layers[name], weight, bias))
    return stack


def _arrays(model, names):
    decoded = model.decode()
    return {name: (decoded[name], decoded[name.removesuffix("weight") + "bias"]) for name in names}


def _plain(prober, options, model):
    decoded, arrays = model.decode(), {}
    for name, option in options.items():
        weight = prober.layers[name].array()
        if option.bits is not None:
            sparsity = 1 - np.count_nonzero(decoded[name]) / weight.size
            weight = share(pruned(weight, sparsity), option.bits, "optimal").decode()
        arrays[name] = weight, None
    return arrays


def _accuracy(staged):
    images = staged.images
    return accuracy(count_hits(staged.scores(), images.labels), len(images), len(images.classes))


def _nbytes(tensor):
    return pack(tensor).nbytes if isinstance(tensor, CodedTensor) else tensor.nbytes


def _accuracy_text(errors):
    top1, top5 = errors["top1_error_percent"], errors["top5_error_percent"]
    return f"{100 - top1:.1f} % / " + ("-" if top5 is None else f"{100 - top5:.1f} %")
