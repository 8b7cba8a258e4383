"""Tables over all inputs of a report: Table 1 with every net, sizes beside AlexNet and VGG-16, Tables 6 and 7."""

from dataclasses import replace

from .comparison import OURS, PAPER, ratio_text, summary_notes, summary_rows
from .nets import REFERENCES, STAGES, Zoo, run_sizes
from .paper import TABLE1, TABLE6, TABLE7, VARIANTS, paper_network
from .results import Run, final_stage, on_paper_dataset, stage_named
from .streams import coded_tensors
from .tables import Table, count, decimal, times

ALEXNET = "alexnet"  # GluonCV's
FILE = "every byte"
_METHODS = {"pruned": "Pruning", "shared": "Pruning + quantization", "coded": "Pruning + quantization + Huffman"}


def runs_of(items) -> list[Run]:
    """Return the runs and files among the items of `inputs.read_inputs`."""
    return [item for item in items if isinstance(item, Run)]


def nets_of(items) -> list:
    """Return the nets.NetSizes of all items; a .gdc that a zoo_sizes.json already tells more about is left out."""
    zoo = [net for item in items if isinstance(item, Zoo) for net in item.nets]
    known = {(net.network, net.nbytes) for net in zoo}
    labels = run_labels(items)
    runs = [replace(net, label=labels[id(run)]) for run in runs_of(items) if (net := run_sizes(run))]
    return [net for net in runs if (net.network, net.nbytes) not in known] + zoo


def run_labels(items) -> dict[int, str]:
    """Return {id of a results.Run: its label}; where several are equal they get their seed, folder or path too."""
    runs = runs_of(items)
    labels = {id(run): run.label for run in runs}
    more = [lambda run: f", seed {seed_of(run)}", lambda run: f" ({_folder_name(run)})", lambda run: f" ({run.path})"]
    for distinguish in more:
        shown = list(labels.values())
        labels = {id(run): run.label + distinguish(run) if shown.count(labels[id(run)]) > 1 else labels[id(run)]
                  for run in runs}
    return labels


def seed_of(run) -> int | None:
    """Return the seed of a results.Run where its result tells it."""
    return run.result.get("seed") if run.result else None


def overview_table(items) -> Table:
    """Return Table 1 with a row for every run and every net of a zoo, and the paper's row below those that it has."""
    runs = runs_of(items)
    labels = run_labels(items)
    groups = [(run.network, _run_rows(run, labels[id(run)])) for run in runs]
    from_runs = {(net.network, net.nbytes) for net in map(run_sizes, runs) if net}
    groups += [(net.network, _net_rows(net)) for net in nets_of(items) if (net.network, net.nbytes) not in from_runs]
    rows = []
    for (network, of_net), following in zip(groups, [*(network for network, _ in groups[1:]), None]):
        rows += of_net
        if network != following and paper_network(network):
            rows.append(_paper_row(paper_network(network)))
    headings = ["network", "", "top-1 error\ndense %", "top-1 error\nfile %", "top-5 error\ndense %",
                "top-5 error\nfile %", "bytes\ndense", "bytes\nfile", "ratio"]
    # Nets of MNIST alone have no top-5 errors at all.
    unused = [column for column in (4, 5) if all(row[column] is None for row in rows)]
    kept = [column for column in range(len(headings)) if column not in unused]
    notes = dict.fromkeys(note for run in runs for note in summary_notes(run.result, run.model))
    notes |= dict.fromkeys(_weights_notes(nets_of(items)))
    return Table("Every net beside Table 1 of the paper", [headings[column] for column in kept],
                 [[row[column] for column in kept] for row in rows], tuple(notes), text_columns=2)


def sizes_table(nets) -> Table:
    """Return bytes of each net.NetSizes by stage, its ratio, and the dense AlexNet and VGG-16 of the paper."""
    rows = [
        [net.label, net.weights_kind or None, *(count(net.stage_nbytes.get(stage)) for stage in STAGES),
         decimal(net.kept_percent, 1), net.bits, times(net.ratio)]
        for net in nets
    ]
    rows += [None, *([f"general {name}, the paper's", None, count(nbytes), *[None] * 6]
                     for name, nbytes in REFERENCES.items())]
    headings = ["network", "weights", *(f"bytes\n{stage}" for stage in STAGES), "kept %", "bits", "ratio"]
    notes = ("Pruned: kept weights as float32 and a bitmap. Shared: codes of fixed width. Coded: the file.",
             *_weights_notes(nets))
    return Table("Sizes from stage to stage", headings, rows, notes, text_columns=2)


def bits_table(runs) -> Table:
    """Return Table 6 (bits of a weight against error) with a row for each results.Run that has a model."""
    labels = run_labels(runs)
    reference = TABLE6[0]
    rows = [
        [f"AlexNet, {row.conv_bits} / {row.fc_bits} bits", PAPER, str(row.conv_bits), str(row.fc_bits),
         decimal(row.top1_error_percent, 2), decimal(row.top5_error_percent, 2),
         _change(row.top1_error_percent, reference.top1_error_percent),
         _change(row.top5_error_percent, reference.top5_error_percent)]
        for row in TABLE6
    ]
    rows += [_bits_row(run, labels[id(run)]) for run in runs if run.model is not None]
    headings = ["network", "", "bits\nconv", "bits\nfc", "top-1\nerror %", "top-5\nerror %", "top-1\nchange",
                "top-5\nchange"]
    notes = ("Change: points of error against the dense net; below 0 the compressed net errs less.",)
    return Table("Table 6 of the paper: bits of a weight against error", headings, rows, notes, text_columns=2)


def methods_table(nets, runs=()) -> Table:
    """Return Table 7 (published methods on AlexNet) with ours where AlexNet is among the nets.

    runs: results.Run, for the errors of an AlexNet that was evaluated on ImageNet. One on other data is left out.
    """
    alexnets = [net for net in nets if paper_network(net.network) is TABLE1[ALEXNET]]
    shown = [net for net in alexnets if not net.other_data]
    errors = {(net.network, net.nbytes): run for run in runs if run.result and (net := run_sizes(run))}
    rows = [
        [row.method, PAPER, decimal(row.top1_error_percent, 2), decimal(row.top5_error_percent, 2), count(row.nbytes),
         f"{row.ratio:g}x"]
        for row in TABLE7
    ]
    for net in shown:
        rows += _method_rows(net, errors.get((net.network, net.nbytes)))
    headings = ["method", "", "top-1\nerror %", "top-5\nerror %", "bytes", "ratio"]
    notes = [*_weights_notes(shown), *dict.fromkeys(VARIANTS[net.network] for net in shown if net.network in VARIANTS)]
    notes += [f"Left out, as it is of other data than ImageNet: {net.label}." for net in alexnets if net.other_data]
    if not alexnets:
        notes.append("No AlexNet is among the inputs: nothing of ours stands beside these.")
    title = "Table 7 of the paper: other published methods on AlexNet"
    return Table(title, headings, rows, tuple(notes), text_columns=2)


def _folder_name(run):
    return run.path.parent.name if run.path.suffix == ".json" else run.path.name


def _run_rows(run, label):
    rows, net = [], run_sizes(run)
    for row in summary_rows(run.result, run.model):
        if not row.whose.startswith(PAPER):
            whose = row.whose.removeprefix(f"{OURS}, ").replace(f"{FILE} of the file", FILE)
            if not rows and net and ":" in net.weights:
                whose = f"{whose}, {net.weights_kind}"
            errors = (decimal(error, 2) for error in (*row.errors, *row.top5_errors))
            rows.append(["" if rows else label, whose, *errors, count(row.dense_nbytes), count(row.nbytes), row.ratio])
    return rows


def _net_rows(net):
    return [[net.label, net.weights_kind or FILE, *[None] * 4, count(net.dense_nbytes),
             count(net.nbytes), times(net.ratio)]]


def _paper_row(printed):
    errors = (printed.top1_error_percent_ref, printed.top1_error_percent, printed.top5_error_percent_ref,
              printed.top5_error_percent)
    return ["", PAPER, *(decimal(error, 2) for error in errors), count(printed.nbytes_ref), count(printed.nbytes),
            f"{printed.ratio}x"]


def _bits_row(run, label):
    dense, final = stage_named(run.result, "dense"), final_stage(run.result)
    errors = [final.get(key) for key in ("test_error_percent", "test_top5_error_percent")]
    before = [dense.get(key) for key in ("test_error_percent", "test_top5_error_percent")]
    changes = [_change(*pair) for pair in zip(errors, before)]
    net = run_sizes(run)
    whose = f"{OURS}, {net.weights_kind}" if net and ":" in net.weights else OURS
    return [label, whose, _widths(run.model, lambda rank: rank > 2), _widths(run.model, lambda rank: rank == 2),
            *(decimal(error, 2) for error in errors), *changes]


def _widths(model, is_wanted):
    widths = sorted({packed.code_bits for _, packed in coded_tensors(model) if is_wanted(len(packed.shape))})
    return None if not widths else str(widths[0]) if len(widths) == 1 else f"{widths[0]}..{widths[-1]}"


def _method_rows(net, run):
    on_imagenet = run is not None and on_paper_dataset(run.result)
    rows = []
    for stage, method in _METHODS.items():
        if net.stage_nbytes.get(stage):
            found = stage_named(run.result, stage) if on_imagenet else {}
            errors = [decimal(found.get(key), 2) for key in ("test_error_percent", "test_top5_error_percent")]
            whose = f"{OURS}, {net.weights_kind}" if net.weights else OURS
            rows.append([method, whose, *errors, count(net.stage_nbytes[stage]),
                         ratio_text(net.dense_nbytes, net.stage_nbytes[stage])])
    return rows


def _change(error, reference):
    return None if error is None or reference is None else f"{error - reference:+.2f}"


def _weights_notes(nets):
    # Labels that many nets share are told once.
    shared = dict.fromkeys(net.weights for net in nets if ":" in net.weights)
    own = [f"{net.label}: {net.weights}." for net in nets if net.weights and ":" not in net.weights]
    return (*(f"{label[0].upper()}{label[1:]}." for label in shared), *own)
