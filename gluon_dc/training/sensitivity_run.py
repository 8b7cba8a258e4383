"""What tools/sensitivity.py does: measure a net's layers one by one, then compress it further without retraining."""
from ..coding import weights_digest
from ..data import half
from ..data.progress import progress_steps
from ..models import zoo
from .evaluate import check_classes
from .sensitivity import PlainChange, check_settings, measure, probe
from .staged import StagedNet


def measure_layers(opened, images, args):
    """Run the experiment; returns its table as text, and its record."""
    check_settings(args.sparsities, args.bits)
    change = PlainChange()
    staged = StagedNet(opened.net, half(images, "first"), opened.preprocessing(args.preprocessing), args.batch_size)
    prober = probe(opened.net, staged, change)
    check_classes(staged.images, prober.base)
    record_identity = identity(opened, images, prober, change.name)
    total = len(prober.layers) * (len(args.sparsities) + len(args.bits))
    with progress_steps(total, "sensitivity", "point") as progress:
        record = measure(prober, args.json, record_identity, {"sparsity": args.sparsities, "bits": args.bits},
                         progress=progress)
    return table(record), record


def identity(opened, images, prober, method):
    """What the experiment's JSON says beside its points; a file that says otherwise is not gone on with."""
    weights = {name: parameter.data().asnumpy() for name, parameter in zoo.named_parameters(opened.net).items()}
    return {
        "network": opened.name, "weights": opened.weights, "weights_digest": weights_digest(weights), "method": method,
        "dataset": {"name": images.source.rstrip("/").rpartition("/")[2], "note": images.note, "images": len(images)},
        "preprocessing": prober.staged.preprocessing.describe(), "seed": 0,
        "split": f"the {len(prober.staged.images)} images at even positions (first half)",
        "dense": {"nbytes": sum(4 * array.size for array in weights.values()), **prober.errors(prober.base)},
    }


def table(record):
    """The top-1 errors as text: a row a layer, a column a setting."""
    points = {(point["layer"], point["kind"], point["value"]): point for point in record["points"]}
    columns = list(dict.fromkeys((point["kind"], point["value"]) for point in record["points"]))
    columns.sort(key=lambda column: (column[0] == "bits", column[1]))
    layers = list(dict.fromkeys(point["layer"] for point in record["points"]))
    width = max(map(len, layers))
    heads = [f"{value:g}" if kind == "sparsity" else f"{value}b" for kind, value in columns]
    untouched = f"untouched {record['dense']['error_percent']:.1f} %, on {record['split']}"
    lines = [f"top-1 error in %, each layer alone; {untouched}",
             " " * width + "".join(f"{head:>7}" for head in heads)]
    for layer in layers:
        found = [points.get((layer, *column)) for column in columns]
        lines.append(f"{layer:<{width}}" + "".join(f"{one['error_percent']:>7.1f}" if one else f"{'-':>7}"
                                                   for one in found))
    return "\n".join(lines)

