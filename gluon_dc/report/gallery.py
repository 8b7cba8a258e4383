"""All figures that a run has the data for."""

from .charts import compressor_figure, rate_figure, training_figure
from .figures import histogram_figure, storage_figure, weight_figure
from .results import checkpoint_arrays, layer_names, stages, start_codebooks
from .streams import packed_tensors


def run_figures(run, compressors=None) -> dict:
    """Return {name: matplotlib Figure} for a results.Run; what lacks its data is left out.

    compressors: rows of `compressors.compressor_rows`, if they were made. Names: storage, histograms, rates, weights,
    compressors, training.
    """
    figures = {}
    coded = dict(packed_tensors(run.model)) if run.model is not None else {}
    labels = {name: f"{layer} ({name})" for name, layer in layer_names(run.result).items()}
    if run.model is not None:
        figures["storage"] = storage_figure(run.model, run.title, labels)
    if any(packed.entries for packed in coded.values()):
        figures["histograms"] = histogram_figure(run.model, run.title, labels)
    if coded:
        figures["rates"] = rate_figure(run.result, run.model, run.title)
    pruned = checkpoint_arrays(run, "pruned") or {}
    after = {name: packed.codebook[1:] for name, packed in coded.items()}
    if any(pruned[name].any() for name in set(after) & set(pruned)):
        figures["weights"] = weight_figure(pruned, start_codebooks(run), after, run.title, labels)
    if compressors:
        figures["compressors"] = compressor_figure(compressors, run.title)
    if any(stage.get("epochs") for stage in stages(run.result)):
        figures["training"] = training_figure(run.result, run.title)
    return figures
