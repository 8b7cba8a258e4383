#!/usr/bin/env python3
"""Whole nets run from codes, beside dense libraries on the same weights in the same run.

    python benchmarks/whole_nets.py --json whole_nets.json
    python benchmarks/whole_nets.py --gdc squeezenet.gdc lenet-5.gdc --batch 1 8 --threads 1 --layers
    python benchmarks/whole_nets.py --nets alexnet --contenders "ours, session" onnxruntime

--nets are drawn (Laplace-distributed weights, pruned and shared by the net's recipe: the paper's densities for AlexNet
and VGG-16), --gdc are files whose metadata name the network. Contenders take turns, times are medians of all their
calls; results are compared with MXNet's (or our dense form's) first, and one that is off by more than 1e-3 of the
largest ends the run, but for int8, which says how far it is off. Libraries that are not installed, or that cannot run a
net, are left out, and the table says which. A process for each number of threads.
"""
import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("whole_nets.py")

from setting import check_least, run_child, setting_of, settle, warm_up, write_json  # noqa: E402
from whole_net_libraries import MAKERS, gluon_net, missing_packages, without_torch  # noqa: E402

OURS, INEXACT = "ours, session", ("ours, int8", "MXNet int8")
NETS = ("alexnet", "vgg16", "squeezenet1.0", "lenet-5")
TOLERANCE = 1e-3
LEAST_SECONDS = 0.02  # of calls of each contender in a turn


def main(argv=None):
    """Print a table; --json writes the same numbers."""
    from gluon_dc.report.command import run_command
    return run_command("whole_nets.py", run, parse_options(argv))


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--nets", nargs="*", default=None, metavar="NET",
                        help=f"nets to draw (default: {' '.join(NETS)}; with --gdc none)")
    parser.add_argument("--gdc", nargs="+", default=[], metavar="FILE", help="files to run")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="inputs of a call")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads of everybody")
    parser.add_argument("--contenders", nargs="+", default=list(MAKERS), choices=list(MAKERS), metavar="NAME",
                        help="who runs")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender")
    parser.add_argument("--layers", action="store_true", help="print the forms and times of our layers too")
    parser.add_argument("--cpu-time", action="store_true", help="the processor's time, not the clock's: for a machine "
                        "that has other work too; one thread only")
    parser.add_argument("--seed", type=int, default=0, help="seed of drawn weights and inputs")
    parser.add_argument("--json", help="write the rows there too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    from gluon_dc.report.command import check_json  # brings NumPy: not before main has set the threads
    check_least(parser, options, rounds=1, batch=1, threads=1, seed=0)
    if options.cpu_time and options.threads != [1]:
        parser.error(f"--cpu-time is for --threads 1, got {options.threads}")
    check_json(parser, options.json, options.gdc)
    if options.nets is None:
        options.nets = [] if options.gdc else list(NETS)
    return options


def run(options):
    """Make the files, measure in a process for each number of threads, print, write."""
    if options.child:
        Path(options.child).write_text(json.dumps(measured_rows(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        names = [drawn(name, folder, options.seed) for name in options.nets]
        names += [with_graph(path, Path(folder) / f"given-{i}.gdc") for i, path in enumerate(options.gdc)]
        rows = [row for threads in options.threads for row in rows_of_child(options, names, threads, folder)]
    setting = setting_of(options)
    print(table(rows))
    write_json(options.json, {"setting": setting, "rows": rows})


def drawn(name, folder, seed):
    """Path of a new file of a net with drawn weights, pruned and shared by its recipe."""
    with without_torch():
        from gluon_dc.recipes import load_recipe, recipe_for, recipe_names
        from gluon_dc.training import one_shot
        recipe = load_recipe(f"{name}-paper") if f"{name}-paper" in recipe_names() else recipe_for(name)
        print(f"drawing {name}, recipe {recipe.name}", file=sys.stderr, flush=True)
        net, settings, origin = one_shot.open_net(name, None, recipe, one_shot.Weights("random", seed=seed))
        graph = one_shot.graph_of(net, name)
        one_shot.shrink_net(net, settings, recipe)
        model = one_shot.code_net(net, settings, "huffman", {"network": name, "weights": origin, "recipe": recipe.name})
    return saved(model, graph, Path(folder) / f"{name}.gdc")


def with_graph(path, target):
    """Path of a file with a graph: the given one, or a copy that has one. Streams are Huffman's: read in a moment."""
    from gluon_dc.coding import load
    model = load(path)
    if "network" not in model.metadata:
        raise ValueError(f"{path} does not name its network: tools/add_graph.py {path} --model NAME -o OUT.gdc")
    if model.graph is not None:
        return str(path)
    with without_torch():
        from gluon_dc.training import one_shot
    net, _ = gluon_net(path)
    import gluon_dc as dc
    dc.restore(model, net)
    return saved(model, one_shot.graph_of(net, model.metadata["network"]), target)


def saved(model, graph, path):
    """Write a model with a graph; its path as text."""
    from dataclasses import replace
    replace(model, graph=graph).save(path)
    return str(path)


def rows_of_child(options, paths, threads, folder):
    """The rows measured in a new process, whose libraries all see this number of threads when they are imported."""
    result = Path(folder) / "rows.json"
    command = [sys.executable, __file__, "--child", str(result), "--threads", str(threads), "--gdc", *paths, "--batch",
               *map(str, options.batch), "--contenders", *options.contenders, "--rounds", str(options.rounds), "--seed",
               str(options.seed), *["--layers"] * options.layers,
               *["--cpu-time"] * options.cpu_time]
    run_child(command, threads)
    return json.loads(result.read_text())


def measured_rows(options):
    """A row for each net, batch and contender."""
    from tqdm import tqdm
    work = [(path, batch) for path in options.gdc for batch in options.batch]
    return [row for path, batch in tqdm(work, unit="net", disable=None) for row in net_rows(path, batch, options)]


def net_rows(path, batch, options):
    """The rows of all contenders for one net and batch."""
    import numpy as np

    from gluon_dc.coding import load
    model, threads = load(path), options.threads[0]
    x = np.random.default_rng(options.seed).standard_normal((batch, *input_shape(model)), dtype=np.float32)
    calls, left_out = {}, {}
    for name in options.contenders:
        missing = missing_packages(name)
        try:
            if missing:
                raise ImportError(f"{', '.join(missing)} not installed")
            calls[name] = MAKERS[name](path, x, threads)
            calls[name]()
        except Exception as error:  # whatever another library raises where it cannot run a net
            if name.startswith("ours"):
                raise
            calls.pop(name, None)
            left_out[name] = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
    if not calls:
        raise ValueError(f"nobody can run {path}: {left_out}")
    off = differences(path, calls, x)
    seconds = timed(calls, options.rounds, time.process_time if options.cpu_time else time.perf_counter)
    if options.layers:
        print_layers(calls)
    weights = "drawn" if "synthetic" in str(model.metadata.get("weights")) else "trained"
    row = {"net": model.metadata["network"], "weights": weights, "batch": batch, "threads": threads}
    return [{**row, "contender": name, "ms": 1e3 * seconds[name], "off": off[name]} for name in calls] + [
        {**row, "contender": name, "left_out": reason} for name, reason in left_out.items()]


def input_shape(model):
    """Shape of one input, that the graph notes or the zoo knows."""
    from gluon_dc.runtime.attributes import integers
    from gluon_dc.runtime.graph import read_graph
    graph = read_graph(model.graph, model.tensors)
    noted = integers(graph.nodes[graph.data[0]], "__shape__", None)
    if noted:
        return tuple(noted[1:])
    with without_torch():
        from gluon_dc.models import zoo
    return zoo.input_shape(model.metadata["network"])


def differences(path, calls, x):
    """{contender: largest difference from the first dense one, as a share of the largest output}."""
    import numpy as np
    dense = next((call for name, call in calls.items() if name in ("MXNet", "onnxruntime", "torch")), None)
    if dense is None:
        import gluon_dc as dc
        dense = lambda: dc.session(path, force="dense", input_shape=x.shape[1:], batch=len(x)).run(x)  # noqa: E731
    expected = np.asarray(dense())
    off = {}
    for name, call in calls.items():
        off[name] = float(np.abs(np.asarray(call()) - expected).max() / max(1e-30, np.abs(expected).max()))
        if name not in INEXACT and not off[name] < TOLERANCE:
            raise ArithmeticError(f"{path}, {name}: differs from the dense net by {off[name]:.1e} of its "
                                  "largest output")
    return off


def timed(calls, rounds, clock=time.perf_counter):
    """Median seconds of each contender by `clock`; they take turns."""
    import numpy as np
    seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            settle()
            warm_up(call)
            begun = clock()
            while True:
                begin = clock()
                call()
                end = clock()
                seconds[name].append(end - begin)
                if end - begun > LEAST_SECONDS:
                    break
    return {name: float(np.median(found)) for name, found in seconds.items()}


def print_layers(calls):
    """The forms of our layers, and where the session's time goes."""
    for name, call in calls.items():
        if getattr(call, "table", None):
            print(f"{name}\n{call.table()}")
        if getattr(call, "profile", None):
            print("\n".join(f"{step:40} {1e6 * seconds:10,.0f} us" for step, seconds in call.profile()))


def table(rows):
    """Text: milliseconds of each contender, and how many times the session's."""
    keys = list(dict.fromkeys((row["net"], row["weights"], row["batch"], row["threads"]) for row in rows))
    names = list(dict.fromkeys(row["contender"] for row in rows))
    found = {(row["net"], row["weights"], row["batch"], row["threads"], row["contender"]): row for row in rows}
    lines = [["net", "weights", "batch", "threads", *names]]
    for key in keys:
        ours = found.get((*key, OURS), {}).get("ms")
        lines.append([*map(str, key), *(cell(found.get((*key, name), {}), ours) for name in names)])
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = ["  ".join(text.rjust(width) for text, width in zip(line, widths)) for line in lines]
    text.insert(1, "-" * len(text[0]))
    text.append("median ms of a call, and times the session's. Weights that are drawn are pruned evenly; trained ones "
                "are not.")
    off = [f"{row['net']}: {row['contender']} is off by {row['off']:.1e} of the largest output" for row in rows
           if row["contender"] in INEXACT and "off" in row]
    left_out = [f"{row['net']}: {row['contender']} left out: {row['left_out']}" for row in rows if "left_out" in row]
    return "\n".join(text + list(dict.fromkeys(off + left_out)))


def cell(row, ours):
    """One number of the table."""
    if "ms" not in row:
        return "-"
    return f"{row['ms']:.3g}" + (f" ({row['ms'] / ours:.2f}x)" if ours and row["contender"] != OURS else "")


if __name__ == "__main__":
    sys.exit(main())
