"""One HTML page of everything that a report is about; it needs no network and no other file.

Scripts run only where their SHA-256 stands in the page's policy, so that a name from a file could not become one even
if it were not escaped.
"""

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

from .cards import cards
from .comparison import accounting_table, compressors_table, stages_table
from .experiment_tables import experiment_tables
from .experiments import TITLES, Experiment
from .hardware import CAPTIONS as HARDWARE_CAPTIONS
from .hardware import KINDS as HARDWARE
from .hardware import FOLDED, hardware_tables
from .markup import details, figure, identifier, notes, section, table, text
from .overview import bits_table, methods_table, nets_of, overview_table, run_labels, runs_of, seed_of, sizes_table
from .paper import SOURCE
from .results import Run, stages
from .sizes import parts_table, size_report, tensors_table
from .streams import paper_form

MAX_CARDS = 8
OPEN_RUNS = 3  # runs whose sections are not folded when there are more
# Key of a run's figure -> its caption.
CAPTIONS = {
    "rates": "Storage of each layer in percent of float32, before Huffman coding (P+Q) and after it (P+Q+H).",
    "storage": "Where the bytes of the file go (the paper's Fig. 11): weights, indices, codebooks, all else.",
    "compressors": "The same shared weights in general compressors, each at its strongest setting.",
    "training": "Error, loss and sparsity over the epochs of all stages.",
    "weights": "Kept weights of each layer and their centroids before and after training (the paper's Fig. 4).",
    "histograms": "How often each code and each gap occurs (the paper's Fig. 5): what Huffman coding lives on.",
}
_SIZES_CAPTION = "Bytes of each net from stage to stage, on a log axis. Dotted: the paper's dense AlexNet and VGG-16."
_EXPERIMENT_CAPTIONS = {
    "compression": "Change of accuracy against file size (the paper's Fig. 6). Lines join the best files of a method, "
                   "by validation error where known; losses beyond 5 points are cut off and stand in the table.",
    "starts": "Error against bits of a weight for each start of the centroids (the paper's Fig. 8).",
    "sensitivity": "Error with one layer alone pruned or shared, all others untouched (after the paper's Fig. 7).",
}


def page(items, compressors, drawn, remarks=()) -> str:
    """Return the page as text.

    items: of `inputs.read_inputs`. compressors: for each item its rows of `compressors.compressor_rows` or None.
    drawn: {key: <svg> text}, keys "sizes", "ITEM" for an experiment or one of hardware.KINDS, "ITEM-NAME" for
    a run's figure, ITEM counting items from 1; what is not there is left out. remarks: lines on what was left out.
    """
    sections = _overview(items, drawn) + _experiments(items, drawn) + _hardware(items, drawn) + _published(items)
    runs = [(number, item) for number, item in enumerate(items, 1) if isinstance(item, Run)]
    folded = len(runs) > OPEN_RUNS
    labels = run_labels(items)
    run_sections = [_run(number, run, labels[id(run)], compressors[number - 1], drawn, folded) for number, run in runs]
    body = "".join(content for _, _, content in sections + run_sections)
    heading = _heading(items)
    style, script = _asset("page.css"), _asset("page.js")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="gluon_dc tools/report.py">
<title>{text(heading)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<div class="layout">
<header><h1>{text(heading)}</h1>
<button type="button" class="theme" hidden>Theme</button>
<p class="lead">Deep Compression: weights pruned, shared through codebooks, Huffman-coded. Every size is that of a file
on disk with everything in it, unless a table says paper accounting.</p></header>
<nav aria-label="Contents"><ul>{_links(sections)}</ul><ul class="runs">{_links(run_sections)}</ul></nav>
<main>
{body}
</main>
<footer>{notes(remarks)}<p>The paper: {text(SOURCE)}. Errors are in percent; AlexNet's and VGG-16's bytes
are the paper's rounded ones.</p></footer>
</div>
<script>{script}</script>
</body>
</html>
"""


def _overview(items, drawn):
    made = cards(items)
    parts = ['<div class="cards">', *map(_card, made[:MAX_CARDS]), "</div>"]
    if len(made) > MAX_CARDS:
        parts.append(notes([f"Cards of the first {MAX_CARDS} of {len(made)}; the table has them all."]))
    runs, nets = runs_of(items), nets_of(items)
    if not (runs or nets):
        return []
    found = [("overview", "Overview", section("overview", "Overview", [*parts, table(overview_table(items))]))]
    if nets:
        content = [_figure(drawn, "sizes", _SIZES_CAPTION), table(sizes_table(nets), titled=False)]
        found.append(("sizes", "Sizes", section("sizes", "Sizes from stage to stage", content)))
    return found


def _published(items):
    runs, nets = runs_of(items), nets_of(items)
    if not nets:
        return []
    content = [table(bits_table(runs))] * any(run.model is not None for run in runs)
    content.append(table(methods_table(nets, runs)))
    return [("published", "Published results", section("published", "Beside published results", content))]


def _named(items, kinds, heading_of):
    """(number from 1, item, heading) of the items of some kinds; where headings are equal, with the file's name, or its
    path where these are equal too."""
    found = [(number, item, heading_of(item)) for number, item in enumerate(items, 1) if isinstance(item, kinds)]
    for name_of in (lambda item: f"{heading_of(item)} ({item.path.name})",
                    lambda item: f"{heading_of(item)} ({item.path})"):
        shown = [heading for _, _, heading in found]
        found = [(number, item, name_of(item) if shown.count(heading) > 1 else heading)
                 for number, item, heading in found]
    return found


def _experiments(items, drawn):
    found = []
    for number, item, heading in _named(items, Experiment, lambda item: f"{TITLES[item.kind]}: {item.title}"):
        key = identifier(f"{number}-{item.kind}")
        first, *others = [table(one) for one in experiment_tables(item)] or [""]
        parts = [_figure(drawn, str(number), _EXPERIMENT_CAPTIONS[item.kind]), first]
        if others:
            parts += [details("All points", others)] if item.kind == "compression" else others
        found.append((list(TITLES).index(item.kind), (key, heading, section(key, heading, parts))))
    # In the order of the paper's figures, whatever the order of the files.
    return [made for _, made in sorted(found, key=lambda pair: pair[0])]


def _hardware(items, drawn):
    found = []

    def heading_of(item):
        return f"Energy: {item.title}" if item.kind == "energy" else item.title

    for number, item, heading in _named(items, HARDWARE, heading_of):
        key = identifier(f"{number}-{item.kind}")
        content = [_figure(drawn, str(number), HARDWARE_CAPTIONS[item.kind]), *_folding(hardware_tables(item))]
        found.append((HARDWARE.index(type(item)), (key, heading, section(key, heading, content))))
    return [made for _, made in sorted(found, key=lambda pair: pair[0])]


def _folding(tables):
    long = [line for one in tables for line in one.notes if line.startswith(FOLDED)]
    for one in tables:
        yield table(replace(one, notes=tuple(line for line in one.notes if line not in long)))
    if long:
        yield details("Formulas and sources", [notes([line]) for line in long])


def _run(number, run, heading, rows, drawn, folded):
    key = identifier(f"run-{number}")
    seed = seed_of(run)
    known = [str(run.path), run.weights, None if seed is None else f"seed {seed}"]
    parts = [f'<p class="path">{text(", ".join(part for part in known if part))}</p>']
    if stages(run.result):
        parts.append(table(stages_table(run.title, run.result)))
    if run.model is not None:
        parts += _model_parts(number, run, drawn)
    if rows:
        parts += [table(compressors_table(run.title, rows)), _run_figure(drawn, number, "compressors")]
    for name, summary in (("training", "Training"), ("weights", "Weights and centroids"),
                          ("histograms", "Histograms of codes and gaps")):
        shown = _run_figure(drawn, number, name)
        if shown:
            parts.append(details(summary, [shown], is_open=name == "training"))
    if not folded:
        return key, heading, section(key, heading, parts)
    is_open = " open" if number == 1 else ""
    content = f"<details class=run{is_open}><summary><h2>{text(heading)}</h2></summary>{''.join(parts)}</details>"
    return key, heading, f'<section id="{key}">{content}</section>'


def _model_parts(number, run, drawn):
    report = size_report(run.model)
    parts = []
    if paper_form(run.model):
        parts += [table(accounting_table(run.title, run.result, run.model)), _run_figure(drawn, number, "rates")]
    return parts + [
        table(parts_table(report)), _run_figure(drawn, number, "storage"),
        details("Bytes of each tensor", [table(tensors_table(report), titled=False)]),
    ]


def _card(card):
    lines = "".join(f"<dt>{text(label)}</dt><dd>{text(value)}</dd>" for label, value in card.lines)
    tag = f'<p class="tag">{text(card.tag)}</p>' if card.tag else ""
    where = f'<p class="on">{text(card.where)}</p>' if card.where else ""
    return (f'<article class="card"><h2>{text(card.name)}</h2>{where}<p class="ratio">{text(card.ratio)}'
            f'</p><p class="sizes">{text(card.sizes)}</p><dl>{lines}</dl>{tag}</article>')


def _heading(items):
    titles = list(dict.fromkeys(item.title for item in items))
    return f"{titles[0]}, compressed" if len(titles) == 1 else "Compressed networks"


def _figure(drawn, key, caption):
    return figure(drawn[key], caption) if key in drawn else ""


def _run_figure(drawn, number, name):
    return _figure(drawn, f"{number}-{name}", CAPTIONS[name])


def _links(sections):
    return "".join(f'<li><a href="#{key}">{text(label)}</a></li>' for key, label, _ in sections)


def _asset(name):
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _policy(script):
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
            "base-uri 'none'; form-action 'none'")
