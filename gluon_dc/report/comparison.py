"""Our numbers beside the paper's, as text: Tables 1, 2 and 3, the bytes of the real file, general compressors."""

from .accounting import TOTAL, layer_rows
from .paper import paper_layer, paper_network, paper_table
from .results import DATASET_TITLES, check_result, layer_names, on_paper_dataset, run_title, stages
from .sizes import size_report
from .streams import packed_tensors
from .tables import count, decimal, format_table, times

OURS, PAPER = "ours", "paper"
LAYER_HEADINGS = [
    "weights", "kept %", "weight bits\n(P+Q)", "weight bits\n(P+Q+H)", "index bits\n(P+Q)", "index bits\n(P+Q+H)",
    "rate %\n(P+Q)", "rate %\n(P+Q+H)",
]


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
        sections += [accounting_table(title, result, model), f"Real file of {title}\n{size_report(model)}"]
    if stages(result):
        sections.append(stages_table(title, result))
    if result is not None:
        sections.append(summary_table(title, result, model))
    return sections


def accounting_table(title, result, model) -> str:
    """Return Table 2 or 3 with our row and the paper's for each layer, in the paper's accounting."""
    rows = layer_rows(model, layer_names(result))
    network = result["network"] if result else None
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
    return "\n".join([
        format_table(["layer", "", *LAYER_HEADINGS], cells, beside + title, text_columns=2),
        *_accounting_notes(result, model, table),
    ])


def summary_table(title, result, model) -> str:
    """Return Table 1 with our row, by the bytes of the file and by the paper's accounting, and the paper's row."""
    errors = [_stage(result, "dense").get("test_error_percent"), _final(result).get("test_error_percent")]
    rows = [["ours, every byte of the file", *_errors(errors), *_sizes(*_file_sizes(result, model))]]
    if model is not None and packed_tensors(model):
        total = layer_rows(model)[-1]
        sizes = _sizes(4 * total.weights, -(-total.total_bits_huffman // 8))
        rows.append(["ours, paper accounting", *_errors(errors), *sizes])
    printed = paper_network(result["network"])
    if printed:
        paper_errors = _errors([printed.top1_error_percent_ref, printed.top1_error_percent])
        rows.append([f"paper, {printed.network}", *paper_errors, count(printed.nbytes_ref), count(printed.nbytes),
                     f"{printed.ratio}x"])
    headings = ["", "test error %\ndense", "test error %\ncompressed", "bytes\ndense", "bytes\ncompressed", "ratio"]
    return "\n".join([format_table(headings, rows, f"Table 1 of the paper beside {title}"), *_dataset_notes(result)])


def stages_table(title, result) -> str:
    """Return what each stage of the run left: weights, bits, bytes, errors, seconds."""
    rows = []
    for stage in stages(result):
        weights, kept = stage.get("weights"), stage.get("kept")
        bits = stage.get("bits")
        rows.append([
            stage.get("stage"), count(kept), decimal(100 * kept / weights, 1) if weights and kept is not None else None,
            None if bits is None else f"{bits:.3g}", count(stage.get("nbytes")),
            decimal(stage.get("validation_error_percent"), 2), decimal(stage.get("test_error_percent"), 2),
            decimal(stage.get("seconds"), 1),
        ])
    headings = ["stage", "kept", "kept %", "bits", "bytes", "validation\nerror %", "test\nerror %", "seconds"]
    return format_table(headings, rows, f"Stages of {title}")


def compressors_table(title, rows) -> str:
    """Return the table of `compressors.compressor_rows`: bytes, and how many times larger than our Huffman file."""
    ours = next((row.shared for row in rows if row.method == ".gdc, Huffman"), None)
    cells = [
        [row.method, count(row.dense), count(row.pruned), count(row.shared),
         f"{row.shared / ours:.2f}x" if ours and row.shared is not None else None]
        for row in rows
    ]
    headings = ["method", "dense\nbytes", "pruned\nbytes", "shared\nbytes", "shared, against\n.gdc, Huffman"]
    note = "Parameters as raw float32, biases included. Dense and pruned: the run's checkpoints, where there are any."
    return format_table(headings, cells, f"General compressors: {title}") + "\n" + note


def _layer_cells(row, weights):
    return [
        weights, decimal(row.kept_percent, 1), decimal(row.weight_bits, 1), decimal(row.weight_bits_huffman, 1),
        decimal(row.index_bits, 1), decimal(row.index_bits_huffman, 1), decimal(row.rate_percent, 2),
        decimal(row.rate_percent_huffman, 2),
    ]


def _accounting_notes(result, model, table):
    notes = ["Bits are means of an entry: a kept weight, or a filler of the relative index. P = pruned, Q = quantized,",
             "H = Huffman-coded. Codebooks are counted at full size; Huffman tables, header and checksums are not."]
    coded = {name for name, _ in packed_tensors(model)}
    sizes = [tensor.size for name, tensor in model.items() if name not in coded]
    if sizes:
        notes.append(f"Not counted: {len(sizes)} arrays of {sum(sizes):,} values that travel losslessly.")
    return notes + (_dataset_notes(result) if table else [])


def _dataset_notes(result):
    printed = paper_network(result["network"])
    if printed is None or on_paper_dataset(result):
        return []
    note = (result.get("dataset") or {}).get("note")
    warning = f"The paper's rows are for {DATASET_TITLES[printed.dataset]}: this is another data set, not comparable."
    return [warning] + ([note] if note else [])


def _stage(result, name):
    return next((stage for stage in stages(result) if stage.get("stage") == name), {})


def _final(result):
    return _stage(result, "coded") or (stages(result) or [{}])[-1]


def _file_sizes(result, model):
    if model is not None:
        report = size_report(model)
        return report.dense_nbytes, report.nbytes
    return _stage(result, "dense").get("nbytes"), (result.get("file") or {}).get("nbytes")


def _errors(errors):
    return [decimal(error, 2) for error in errors]


def _sizes(dense_nbytes, nbytes):
    ratio = dense_nbytes / nbytes if dense_nbytes and nbytes else None
    return [count(dense_nbytes), count(nbytes), times(ratio)]
