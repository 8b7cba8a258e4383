"""Our numbers beside the paper's, as text: Tables 1 to 5, the bytes of the real file, general compressors."""

from dataclasses import dataclass

from .accounting import TOTAL, layer_rows
from .compressors import HUFFMAN
from .paper import VARIANTS, paper_layer, paper_network, paper_table
from .results import (
    DATASET_TITLES, check_result, final_stage, names_of, network_of, on_other_data, run_title, stage_named, stages,
)
from .sizes import size_report
from .streams import paper_form
from .tables import Table, count, decimal, times

OURS, PAPER = "ours", "paper"
LAYER_HEADINGS = [
    "weights", "kept %", "weight bits\n(P+Q)", "weight bits\n(P+Q+H)", "index bits\n(P+Q)", "index bits\n(P+Q+H)",
    "rate %\n(P+Q)", "rate %\n(P+Q+H)",
]

COMPRESSOR_HEADINGS = ["method", "dense\nbytes", "pruned\nbytes", "shared\nbytes", "shared, against\n.gdc, Huffman"]
COMPRESSOR_NOTE = (
    "Parameters as raw float32, biases included. Dense and pruned: the run's checkpoints, where there are any."
)


@dataclass(frozen=True)
class SummaryRow:
    """A row of Table 1: errors in percent as (dense, compressed), None where not known; ratio as it is shown."""

    whose: str
    errors: tuple[float | None, float | None]
    top5_errors: tuple[float | None, float | None]
    dense_nbytes: int | None
    nbytes: int | None
    ratio: str | None


def result_tables(result, model) -> str:
    """Return the paper's tables beside a run's numbers: per layer, bytes of the file, stages, and Table 1.

    result: a dict as in result.json; model: the CompressedModel of the run, or None (then only what the result says
    is shown). A data set other than MNIST is named in every title. Raises ValueError for a malformed result,
    FormatError for streams that do not decode.
    """
    check_result(result)
    return "\n\n".join(report_sections(run_title(result), result, model))


def report_sections(title, result, model) -> list[str]:
    """Return the sections of `result_tables`, each a table with its notes; result and model may each be None."""
    sections = []
    if model is not None:
        sections += [str(accounting_table(title, result, model)), f"Real file of {title}\n{size_report(model)}"]
    if stages(result):
        sections.append(str(stages_table(title, result)))
    if result is not None or paper_network(network_of(result, model)):
        sections.append(str(summary_table(title, result, model)))
    return sections


def accounting_table(title, result, model) -> Table:
    """Return one of Tables 2 to 5 with our row and the paper's for each layer, in the paper's accounting."""
    rows = layer_rows(model, names_of(result, model))
    network = network_of(result, model)
    table = paper_table(network)
    cells = []
    for row in rows:
        if row.layer == TOTAL and not row.name:
            cells.append(None)
        cells.append([row.layer, OURS, *_layer_cells(row, count(row.weights))])
        printed = paper_layer(network, row.layer)
        if printed:
            cells.append(["", PAPER, *_layer_cells(printed, printed.weights)])
    beside = f"Table {table.number} of the paper beside " if table else "Paper accounting of "
    notes = _accounting_notes(result, model)
    return Table(beside + title, ["layer", "", *LAYER_HEADINGS], cells, notes, text_columns=2)


def summary_table(title, result, model) -> Table:
    """Return Table 1 with our row, by the bytes of the file and by the paper's accounting, and the paper's row.

    Top-5 errors have their columns where either side has one.
    """
    rows = summary_rows(result, model)
    with_top5 = any(row.top5_errors != (None, None) for row in rows)
    cells = [
        [row.whose, *_errors(row.errors), *(_errors(row.top5_errors) if with_top5 else []), count(row.dense_nbytes),
         count(row.nbytes), row.ratio]
        for row in rows
    ]
    errors = ["test error %\ndense", "test error %\ncompressed"]
    top5 = ["top-5 error %\ndense", "top-5 error %\ncompressed"] if with_top5 else []
    headings = ["", *errors, *top5, "bytes\ndense", "bytes\ncompressed", "ratio"]
    return Table(f"Table 1 of the paper beside {title}", headings, cells, tuple(summary_notes(result, model)))


def summary_rows(result, model) -> list[SummaryRow]:
    """Return the rows of `summary_table`: ours, in the paper's accounting too where there is a model, the paper's."""
    errors = _both(result, "test_error_percent")
    top5_errors = _both(result, "test_top5_error_percent")
    dense_nbytes, nbytes = _file_sizes(result, model)
    rows = [SummaryRow("ours, every byte of the file", errors, top5_errors, dense_nbytes, nbytes,
                       ratio_text(dense_nbytes, nbytes))]
    if model is not None and paper_form(model):
        total = layer_rows(model)[-1]
        dense_nbytes, nbytes = 4 * total.weights, -(-total.total_bits_huffman // 8)
        rows.append(SummaryRow("ours, paper accounting", errors, top5_errors, dense_nbytes, nbytes,
                               ratio_text(dense_nbytes, nbytes)))
    printed = paper_network(network_of(result, model))
    if printed:
        rows.append(SummaryRow(
            f"paper, {printed.network}", (printed.top1_error_percent_ref, printed.top1_error_percent),
            (printed.top5_error_percent_ref, printed.top5_error_percent), printed.nbytes_ref, printed.nbytes,
            f"{printed.ratio}x",
        ))
    return rows


def summary_notes(result, model) -> list[str]:
    """Return what must be known to compare our row with the paper's, a line each."""
    variant = VARIANTS.get(network_of(result, model))
    return _dataset_notes(result, model) + ([variant] if variant else [])


def stages_table(title, result) -> Table:
    """Return what each stage of the run left: weights, bits, bytes, errors (top-5 where known), seconds."""
    top5 = any(stage.get("test_top5_error_percent") is not None for stage in stages(result))
    rows = []
    for stage in stages(result):
        weights, kept, bits = stage.get("weights"), stage.get("kept"), stage.get("bits")
        rows.append([
            stage.get("stage"), count(kept), decimal(100 * kept / weights, 1) if weights and kept is not None else None,
            None if bits is None else f"{bits:.3g}", count(stage.get("nbytes")),
            decimal(stage.get("validation_error_percent"), 2), decimal(stage.get("test_error_percent"), 2),
            *([decimal(stage.get("test_top5_error_percent"), 2)] if top5 else []), decimal(stage.get("seconds"), 1),
        ])
    headings = ["stage", "kept", "kept %", "bits", "bytes", "validation\nerror %", "test\nerror %",
                *(["test top-5\nerror %"] if top5 else []), "seconds"]
    return Table(f"Stages of {title}", headings, rows)


def compressors_table(title, rows) -> Table:
    """Return the table of `compressors.compressor_rows`: bytes, and how many times larger than our Huffman file."""
    ours = next((row.shared for row in rows if row.method == HUFFMAN), None)
    cells = [
        [row.method, count(row.dense), count(row.pruned), count(row.shared),
         f"{row.shared / ours:.2f}x" if ours and row.shared is not None else None]
        for row in rows
    ]
    return Table(f"General compressors: {title}", COMPRESSOR_HEADINGS, cells, (COMPRESSOR_NOTE,))


def _layer_cells(row, weights):
    return [
        weights, decimal(row.kept_percent, 1), decimal(row.weight_bits, 1), decimal(row.weight_bits_huffman, 1),
        decimal(row.index_bits, 1), decimal(row.index_bits_huffman, 1), decimal(row.rate_percent, 2),
        decimal(row.rate_percent_huffman, 2),
    ]


def _accounting_notes(result, model):
    notes = ["Bits are means of an entry: a kept weight, or a filler of the relative index. P = pruned, Q = quantized,",
             "H = Huffman-coded. Codebooks are counted at full size; Huffman tables, header and checksums are not."]
    coded = {name for name, _ in paper_form(model)}
    sizes = [tensor.size for name, tensor in model.items() if name not in coded]
    if sizes:
        notes.append(f"Not counted: {len(sizes)} arrays of {sum(sizes):,} values that travel losslessly.")
    return (*notes, *(summary_notes(result, model) if paper_table(network_of(result, model)) else []))


def _dataset_notes(result, model):
    if not on_other_data(result, model):
        return []
    printed = paper_network(network_of(result, model))
    note = ((result or {}).get("dataset") or {}).get("note")
    warning = f"The paper's rows are for {DATASET_TITLES[printed.dataset]}: this is another data set, not comparable."
    return [warning] + ([note] if note else [])


def _both(result, key):
    return stage_named(result, "dense").get(key), final_stage(result).get(key)


def _file_sizes(result, model):
    if model is not None:
        report = size_report(model)
        return report.dense_nbytes, report.nbytes
    return stage_named(result, "dense").get("nbytes"), (result.get("file") or {}).get("nbytes")


def _errors(errors):
    return [decimal(error, 2) for error in errors]


def ratio_text(dense_nbytes, nbytes) -> str | None:
    """Return a compression ratio such as "40.1x"; None where either size is unknown."""
    return times(dense_nbytes / nbytes) if dense_nbytes and nbytes else None
