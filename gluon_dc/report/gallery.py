"""All figures that the items of a report have the data for."""

from .charts import compressor_figure, rate_figure, training_figure
from .experiment_charts import experiment_figure, sizes_figure
from .experiments import Experiment
from .figures import histogram_figure, storage_figure, weight_figure
from .hardware import KINDS as HARDWARE
from .overview import nets_of
from .results import Run, checkpoint_arrays, stages, start_codebooks
from .speed_charts import hardware_figure
from .streams import paper_form


def figures(items, compressors):
    """Yield (key, name, Figure) of every figure, one at a time: they take memory.

    items: of `inputs.read_inputs`; compressors: for each item its rows of `compressors.compressor_rows` or None.
    key: as in `page.page`. name: of a file, without its ending; it begins with the item's number where there are
    several runs or several experiments of a kind.
    """
    several = sum(isinstance(item, Run) for item in items) > 1
    kinds = [item.kind for item in items if isinstance(item, (Experiment, *HARDWARE))]
    nets = nets_of(items)
    if nets:
        yield "sizes", "sizes", sizes_figure(nets)
    for number, (item, rows) in enumerate(zip(items, compressors), start=1):
        if isinstance(item, Run):
            for name, figure in run_figures(item, rows).items():
                yield f"{number}-{name}", f"{number}-{name}" if several else name, figure
        elif isinstance(item, Experiment) and item.points:
            name = f"{number}-{item.kind}" if kinds.count(item.kind) > 1 else item.kind
            yield str(number), name, experiment_figure(item)
        elif isinstance(item, HARDWARE):
            name = f"{number}-{item.kind}" if kinds.count(item.kind) > 1 else item.kind
            yield str(number), name, hardware_figure(item)


def run_figures(run, compressors=None) -> dict:
    """Return {name: matplotlib Figure} for a results.Run; what lacks its data is left out.

    compressors: rows of `compressors.compressor_rows`, if they were made. Names: storage, histograms, rates, weights,
    compressors, training.
    """
    made = {}
    coded = dict(paper_form(run.model)) if run.model is not None else {}
    labels = {name: f"{layer} ({name})" for name, layer in run.layer_names.items()}
    if run.model is not None:
        made["storage"] = storage_figure(run.model, run.title, labels)
    if any(packed.entries for packed in coded.values()):
        made["histograms"] = histogram_figure(run.model, run.title, labels)
    if coded:
        made["rates"] = rate_figure(run.result, run.model, run.title)
    pruned = checkpoint_arrays(run, "pruned") or {}
    after = {name: packed.codebook[1:] for name, packed in coded.items()}
    if any(pruned[name].any() for name in set(after) & set(pruned)):
        made["weights"] = weight_figure(pruned, start_codebooks(run), after, run.title, labels)
    if compressors:
        made["compressors"] = compressor_figure(compressors, run.title)
    if any(stage.get("epochs") for stage in stages(run.result)):
        made["training"] = training_figure(run.result, run.title)
    return made
