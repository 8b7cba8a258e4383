"""The headline numbers of a report: a card for each net, several seeds of one run together."""

from dataclasses import dataclass

from .nets import Zoo, run_sizes
from .overview import run_labels, runs_of
from .paper import paper_network
from .results import final_stage, on_other_data, stage_named
from .tables import size_text


@dataclass(frozen=True)
class Card:
    """Headline numbers of a net: name, where (data or file), ratio, sizes, and (label, text) of each line; all text.

    tag: a warning to stand out, "" for none.
    """

    name: str
    where: str
    ratio: str
    sizes: str
    lines: tuple[tuple[str, str], ...]
    tag: str = ""


def cards(items) -> list[Card]:
    """Return a Card for each net: runs first, then the zoo's nets, those of the paper before others."""
    groups = {}
    for run in runs_of(items):
        groups.setdefault((run.title if run.result else str(run.path), _settings(run)), []).append(run)
    labels = run_labels(items)
    found = [card for group in groups.values() if (card := _run_card(group, labels[id(group[0])]))]
    known = {(net.network, net.nbytes) for run in runs_of(items) if (net := run_sizes(run))}
    zoo = [net for item in items if isinstance(item, Zoo) for net in item.nets
           if (net.network, net.nbytes) not in known]
    zoo.sort(key=lambda net: paper_network(net.network) is None)
    return found + [_net_card(net) for net in zoo if net.ratio]


def _settings(run):
    # Runs that differ in anything but the seed are no repetitions of each other.
    settings = run.result.get("settings") if run.result else None
    return repr({key: value for key, value in settings.items() if key != "seed"}) if isinstance(settings, dict) else ""


def _run_card(runs, label):
    known = [(run, net) for run in runs if (net := run_sizes(run)) and net.ratio]
    if not known:
        return None
    first = known[0][0]
    sizes = [net for _, net in known]
    dense = [stage_named(run.result, "dense").get("test_error_percent") for run, _ in known]
    final = [final_stage(run.result).get("test_error_percent") for run, _ in known]
    lines = []
    if None not in dense and None not in final:
        lines += [("error, dense", _spread(dense, _percent)), ("error, file", _spread(final, _percent))]
    if len(known) > 1:
        lines.append(("seeds", str(len(known))))
    elif sizes[0].kept_percent is not None:
        lines.append(("weights kept", _kept(sizes[0].kept_percent)))
    name, where = _names(first)
    if first.result and len(runs) == 1:
        where += label.removeprefix(first.label)  # what tells it from runs of the same title
    lines += _paper_lines(first.network, not on_other_data(first.result, first.model))
    return Card(name, where, _ratio_text([net.ratio for net in sizes]), _sizes_text(sizes), tuple(lines),
                _tag(first.weights or ""))


def _net_card(net):
    lines = []
    if net.kept_percent is not None:
        lines.append(("weights kept", _kept(net.kept_percent)))
    where = "" if _tag(net.weights) or not net.weights else f"weights: {net.weights}"
    lines += _paper_lines(net.network, True)
    return Card(net.label, where, _ratio_text([net.ratio]), _sizes_text([net]), tuple(lines), _tag(net.weights))


def _names(run):
    known = paper_network(run.network)
    name = known.network if known else run.network or run.path.name
    if run.result:
        return name, run.data.strip()
    data = f"{run.data.strip()}, " if run.data else ""
    return name, f"{data}{run.path.name}" if name != run.path.name else ""


def _paper_lines(network, comparable):
    printed = paper_network(network)
    return [("the paper's ratio" if comparable else "the paper's, other data", f"{printed.ratio}×")] if printed else []


def _tag(weights):
    return weights if weights.startswith("synthetic") else ""


def _ratio_text(ratios):
    # Three digits: the fourth is not worth the headline.
    low, high = (f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}" for ratio in (min(ratios), max(ratios)))
    return f"{low}×" if low == high else f"{low}–{high}×"


def _sizes_text(nets):
    dense, coded = ([getattr(net, name) for net in nets] for name in ("dense_nbytes", "nbytes"))
    return f"{_spread(dense, size_text)} → {_spread(coded, size_text)}"


def _spread(numbers, shown):
    low, high = shown(min(numbers)), shown(max(numbers))
    if low == high:
        return low
    # "4.89 – 4.99 KB": one unit serves both.
    return f"{low.removesuffix(low[low.rindex(' '):]) if low.split()[-1] == high.split()[-1] else low} – {high}"


def _percent(error):
    return f"{error:.2f} %"


def _kept(percent):
    return f"{percent:.1f} %"
