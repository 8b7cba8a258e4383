"""The points of each experiment: what makes each of them what it is (its key), and how it is measured.

Hyper-parameters are the same for all points of a method and were fixed beforehand; nothing is chosen by the errors
measured here. All nets of an experiment start from the same dense net.
"""
from .. import nn
from ..coding import loads
from ..models import LAYER_NAMES
from ..nn.svd import truncate
from .settings import settings_for

# The images that "error_percent" is measured on: a sensitivity serves to choose sparsity and bits.
SPLIT = {"compression": "test", "starts": "test", "sensitivity": "validation"}
# Layers with less than this share of a net's weights are not factored by SVD.
SMALL_SHARE = 0.02


def keys_of(settings, points):
    """The points to measure, each as the part of its record that is known beforehand.

    points: ``{kind: values}`` as from `parse_points`. Returns a list of dicts, in the order of measuring.
    """
    make = {"compression": _compression_keys, "starts": _start_keys, "sensitivity": _sensitivity_keys}
    return [key for kind, values in points.items() for value in values
            for key in make[settings.experiment](settings, kind, value)]


def _compression_keys(settings, kind, value):
    names = {"pruning": ("sparsity",), "sharing": ("bits",), "pruning+sharing": ("sparsity", "bits"),
             "svd": ("rank_share",)}[kind]
    numbers = value if isinstance(value, tuple) else (value,)
    return [{"method": kind, "setting": dict(zip(names, numbers))}]


def _start_keys(settings, kind, value):
    return [{"start": kind, "bits": value, "retrained": retrained} for retrained in (False, True)]


def _sensitivity_keys(settings, kind, value):
    return [{"layer": layer, "kind": kind, "value": value} for layer in LAYER_NAMES[settings.network]]


def label_of(key):
    """A key in a few words."""
    if "method" in key:
        return f"{key['method']} {', '.join(f'{name} {value:g}' for name, value in key['setting'].items())}"
    if "start" in key:
        return f"{key['start']} start, {key['bits']} bits, {'trained' if key['retrained'] else 'as clustered'}"
    return f"{key['layer']} alone, {key['kind']} {key['value']:g}"


def measure_point(bench, key):
    """The rest of a point's record: sizes in bytes, errors in percent."""
    if "method" in key:
        return METHODS[key["method"]](bench, **key["setting"])
    return _measure_start(bench, **key) if "start" in key else _measure_sensitivity(bench, **key)


def _pruning(bench, sparsity):
    """A relative index, and the kept weights as float32 values."""
    net = bench.net_of("dense")
    bench.prune(net, _all_epochs(bench), sparsity)
    return bench.measure(net, bench.task.new_net())


def _sharing(bench, bits):
    """A code for every weight and no index."""
    net = bench.net_of("dense")
    nn.quantize(net, bits, start=bench.settings.start, seed=bench.settings.seed)
    bench.train_centroids(net, _all_epochs(bench))
    return bench.measure(net, bench.task.new_net())


def _both(bench, sparsity, bits):
    net = bench.pruned_net(f"pruned-{sparsity}", sparsity, "global", "saliency")
    nn.quantize(net, bits, start=bench.settings.start, seed=bench.settings.seed)
    bench.train_centroids(net, bench.settings.share_epochs)
    return bench.measure(net, bench.task.new_net())


def _svd(bench, rank_share):
    """The two factors of the large layers, as float32, and the small ones as they are."""
    net, blank = bench.net_of("dense"), bench.task.new_net()
    ranks = truncate(net, rank_share=_large_layers(net, rank_share))
    truncate(blank, ranks=ranks)
    net.hybridize(static_alloc=True, static_shape=True)
    bench.train("pruned", f"rank share {rank_share:g}", net, _all_epochs(bench), bench.settings.svd_rate)
    return {**bench.measure(net, blank), "ranks": ranks}


def _large_layers(net, number):
    """A per-layer setting that leaves layers with few of the net's weights alone.

    Rank 1 of the last layer's 10 classes would ruin a net to save nothing.
    """
    sizes = {layer.name: layer.array().size for layer in nn.weighted_layers(net)}
    return {name: number if size >= SMALL_SHARE * sum(sizes.values()) else None for name, size in sizes.items()}


METHODS = {"pruning": _pruning, "sharing": _sharing, "pruning+sharing": _both, "svd": _svd}


def _all_epochs(bench):
    """The epochs that one method alone gets: as many as pruning and sharing together."""
    return bench.settings.prune_epochs + bench.settings.share_epochs


def _measure_start(bench, start, bits, retrained):
    """From the net at the sparsity of the paper's Tables 2 and 3, by magnitude and layer by layer as there."""
    sparsity = settings_for(bench.settings.network, "paper").sparsity
    net = bench.pruned_net("pruned-paper", sparsity, "layer", "magnitude")
    nn.quantize(net, bits, start=start, seed=bench.settings.seed)
    if retrained:
        bench.train_centroids(net, bench.settings.share_epochs)
    return bench.measure(net, bench.task.new_net())


def _measure_sensitivity(bench, layer, kind, value):
    """The dense net with this layer alone pruned by magnitude, or shared, and nothing trained."""
    net = bench.net_of("dense")
    if kind == "sparsity":
        nn.prune(net, sparsity={layer: value})
    else:
        nn.quantize(net, {layer: value}, start=bench.settings.start, seed=bench.settings.seed)
    decoded = nn.restore(loads(nn.compress(net).dumps()), bench.task.new_net())
    return {"error_percent": bench.error(decoded, SPLIT["sensitivity"]), "top5_error_percent": None}
