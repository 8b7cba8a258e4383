"""Sizes of whole nets through the stages of the method, dense to coded, kept in one JSON file that grows net by net."""
import json
import re
from dataclasses import replace
from pathlib import Path

from ..coding import load
from ..coding.files import write_atomically
from ..models.pretrained import cached_file
from ..report.comparison import accounting_table
from ..report.nets import REFERENCES
from ..report.paper import paper_table
from ..report.sizes import size_report
from ..report.tables import Table, count, decimal, times
from . import one_shot

NETWORKS = ("alexnet", "vgg16", "googlenet", "squeezenet1.0", "squeezenet1.1", "resnet18_v1", "resnet50_v1",
            "mobilenet1.0", "mobilenetv2_1.0", "mobilenetv3_large")
FILE_NAME = "zoo_sizes.json"
FORMAT = 1


def weights_of(model, params_dir=None, root=None, seed=0):
    """`one_shot.Weights` of a model: a file of one's own, GluonCV's where it is on this machine, else drawn.

    params_dir: folder with MODEL.params, or MODEL-HASH.params as GluonCV names them.

    Raises
    ------
    ValueError
        There are several such files.
    OSError
        There is no such folder.
    """
    if params_dir is not None:
        folder = Path(params_dir)
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is no folder; expected one with MODEL.params files")
        found = [folder / f"{model}.params"] * (folder / f"{model}.params").is_file()
        found = found or sorted(folder.glob(f"{model}-*.params"))
        if len(found) > 1:
            raise ValueError(f"{folder} holds several files for {model}: {', '.join(path.name for path in found)}; "
                             f"name the one to use {model}.params")
        if found:
            return one_shot.Weights("params", str(found[0]))
    if cached_file(model, root):
        return one_shot.Weights("pretrained", root)
    return one_shot.Weights("random", seed=seed)


def identity(model, recipe, weights):
    """What an entry depends on, JSON-able: an entry made from the same is not made again."""
    path = weights.path if weights.kind == "params" else cached_file(model, weights.path) or None
    file = None
    if weights.kind != "random" and path:
        stat = Path(path).stat()
        file = [str(path), stat.st_size, stat.st_mtime_ns]
    return json.loads(json.dumps({"recipe": recipe.as_dict(), "weights": weights.kind, "file": file,
                                  "seed": weights.seed}))


def measure(model, recipe, weights, folder, progress=None, started=None):
    """Compress a net into FOLDER/MODEL.gdc and return its entry: bytes after every stage, by part, and seconds.

    progress: called with the number of weights handled; each is handled twice. started: called with the total of
    that, once the net is there. Dense bytes are those of all arrays as they are, the others those of whole .gdc
    files: pruned (kept float32 weights and a bitmap), shared (codes and gaps of fixed width), coded (by the recipe).
    """
    watch = one_shot.Stopwatch()
    with watch("weights"):
        net, settings, origin = one_shot.open_net(model, None, recipe, weights)
    if started:
        started(2 * one_shot.weight_count(net))
    report_layer = progress and (lambda name, handled: progress(handled))
    metadata = {"network": model, "weights": origin, "recipe": recipe.name, "retrained": False}
    with watch("prune"):
        one_shot.prune_net(net, settings, recipe, report_layer)
    nbytes = {"pruned": _file_nbytes(net, replace(settings, rel_bits={}), "huffman", metadata, watch)}
    with watch("share"):
        one_shot.share_net(net, settings, recipe, report_layer)
    nbytes["shared"] = _file_nbytes(net, settings, "fixed", metadata, watch)
    path = Path(folder) / _file_name(model)
    with watch("code"):
        coded = one_shot.code_net(net, settings, recipe.code.coder, metadata, recipe.code.effort)
    with watch("write and verify"):
        report = size_report(one_shot.write_verified(path, coded, net))
    return _entry(model, origin, recipe, settings, report, nbytes, watch.seconds)


def _file_name(model):
    return re.sub(r"[^\w.-]", "_", model) + ".gdc"  # a net of one's own is module:function


def _file_nbytes(net, settings, coder, metadata, watch):
    with watch("other files"):
        return len(one_shot.code_net(net, settings, coder, metadata).dumps())


def _entry(model, origin, recipe, settings, report, nbytes, seconds):
    coded = [row for row in report.rows if row.name]
    weights, kept = (sum(getattr(row, key) for row in coded) for key in ("weights", "kept"))
    stages = {"dense": report.dense_nbytes, **nbytes, "coded": report.nbytes}
    return {
        "network": model, "weights": origin, "recipe": recipe.name, "file": _file_name(model),
        "dense_nbytes": report.dense_nbytes, "nbytes": report.nbytes, "ratio": report.ratio,
        "kept_percent": 100 * kept / weights if weights else 100.0, "bits": settings.bits,
        "part_nbytes": dict(report.part_nbytes), "stages": stages,
        "seconds": {stage: round(spent, 2) for stage, spent in seconds.items()},
    }


def read_entries(folder):
    """Entries of FOLDER/zoo_sizes.json by network; {} where there is none. ValueError for a file of something else."""
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_bytes())
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']!r}, expected {FORMAT}")
        return {entry["network"]: entry for entry in record["nets"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not what zoo_sizes.py writes ({error}); give another --output-dir, or delete it"
                         ) from None


def write_entries(folder, entries):
    """Write FOLDER/zoo_sizes.json, whole or not at all."""
    text = json.dumps({"format": FORMAT, "nets": list(entries.values())}, indent=1)
    write_atomically(Path(folder) / FILE_NAME, lambda file: file.write(text.encode() + b"\n"))


def is_done(entry, made_from, folder):
    """Whether an entry is of the same recipe and weights and its file is there."""
    if not entry or entry.get("made_from") != made_from:
        return False
    path = Path(folder) / str(entry.get("file"))
    return path.is_file() and path.stat().st_size == entry.get("nbytes")


def paper_tables(folder, entries):
    """Tables 4 and 5 beside ours, for the nets among the entries that the paper has, in the paper's accounting."""
    tables = []
    for entry in entries:
        if paper_table(entry["network"]):
            model = load(Path(folder) / entry["file"])
            tables.append(accounting_table(f"{entry['network']}, {entry['weights']}", None, model))
    return tables


def against_table(entries):
    """Every net: dense bytes, bytes of the file, ratio, and how much smaller than the general AlexNet and VGG-16."""
    rows = [
        [entry["network"], entry["recipe"], entry["weights"].split(":")[0], count(entry["dense_nbytes"]),
         *(count(entry["stages"][stage]) for stage in ("pruned", "shared")), count(entry["nbytes"]),
         times(entry["ratio"]), decimal(entry["kept_percent"], 1),
         *(times(nbytes / entry["nbytes"]) for nbytes in REFERENCES.values())]
        for entry in entries
    ]
    headings = ["network", "recipe", "weights", "bytes\ndense", "bytes\npruned", "bytes\nshared", "bytes\nof the file",
                "ratio", "kept %", *(f"against {name}\n{nbytes // 10**6} MB" for name, nbytes in REFERENCES.items())]
    notes = (
        "Dense: all arrays as they are. Pruned: a .gdc of kept float32 weights and a bitmap. Shared: codes and gaps of",
        "fixed width. The file: everything in it. Against: bytes of the paper's dense net / bytes of the file.",
        "Nothing is retrained: sizes at the recipes' sparsity and bits, no accuracy.",
    )
    return Table("Nets of the model zoo, compressed", headings, rows, notes, text_columns=3)
