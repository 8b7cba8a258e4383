#!/usr/bin/env python3
"""Convolutions run from codes, beside dense libraries on the same layers in the same run, at batch 1 and more.

    python benchmarks/conv_layers.py --json conv_layers.json
    python benchmarks/conv_layers.py --gdc squeezenet.gdc --nets SqueezeNet-1.0
    python benchmarks/conv_layers.py --density 0.2 0.35 0.5 0.65 0.8
    python benchmarks/conv_layers.py --nets MobileNet-1.0 MobileNetV2-1.0 --layers /dw

The layers are the convolutions of the nets for images of 224 pixels, a shape that several layers of a net have once;
only kernels of 1x1 and 3x3 unless --kernel says otherwise. Depthwise layers are not pruned and run dense. All others'
weights are drawn (positions uniform, filters about equally full), or with --gdc those of a file of the one net that
--nets names. All contenders take turns, times are medians; every result is compared with the first one's. A process for
each number of threads. Weights and inputs are as warm as the turns leave them.

"dense" and "direct" are our forms; the speedup is of "direct" over the best library (its break-even point shows with
several --density), the last column that of "dense". Libraries that are not installed are left out, and the table says
which.
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
    ctrl_c.end_at_once("conv_layers.py")

from conv_libraries import LIBRARIES, MAKERS, missing_libraries  # noqa: E402
from conv_nets import NETS  # noqa: E402
from conv_table import OURS, table  # noqa: E402
from setting import check_least, run_child, setting_of, settle, warm_up, write_json  # noqa: E402

DEFAULT_NETS = ("SqueezeNet-1.0", "AlexNet", "VGG-16")
TURN_SECONDS = 0.004  # of calls of each contender in a turn


def main(argv=None):
    """Print a table; --json writes the same numbers."""
    from gluon_dc.report.command import run_command
    return run_command("conv_layers.py", run, parse_options(argv))


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=list(DEFAULT_NETS), choices=list(NETS), metavar="NET",
                        help=f"layers of these: {', '.join(NETS)}")
    parser.add_argument("--gdc", help="weights of this file in place of drawn ones; with one net")
    parser.add_argument("--layers", nargs="+", metavar="NAME",
                        help="only layers whose names contain one of these, such as conv5 or /dw")
    parser.add_argument("--kernel", type=int, nargs="+", default=[1, 3], help="only kernels of these sizes")
    parser.add_argument("--density", type=float, nargs="+", default=[0.35], help="kept share of drawn weights")
    parser.add_argument("--batch", type=int, default=1, help="images at a time")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads of everybody")
    parser.add_argument("--libraries", nargs="*", default=list(LIBRARIES), choices=list(LIBRARIES), metavar="LIBRARY",
                        help="libraries to measure beside")
    parser.add_argument("--cpu-time", action="store_true",
                        help="the process's processor time in place of wall time: on a busy machine, for one thread")
    parser.add_argument("--rounds", type=int, default=15, help="turns of all contenders")
    parser.add_argument("--seed", type=int, default=0, help="seed of drawn weights and inputs")
    parser.add_argument("--json", help="write the rows there too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    from gluon_dc.report.command import check_json  # brings NumPy: not before main has set the threads
    check_least(parser, options, rounds=1, batch=1, threads=1, seed=0)
    if not all(0 <= density <= 1 for density in options.density):
        parser.error(f"--density must be in 0..1, got {options.density}")
    if options.cpu_time and options.threads != [1]:
        parser.error(f"--cpu-time is for --threads 1, got {options.threads}")
    if options.gdc and (len(options.nets) != 1 or not Path(options.gdc).is_file()):
        parser.error(f"--gdc needs a file and one of --nets, got {options.gdc} and {', '.join(options.nets)}")
    if nothing_chosen(options):
        parser.error(nothing_chosen(options))
    check_json(parser, options.json, [options.gdc])
    return options


def run(options):
    """Measure in a process for each number of threads, print, write."""
    if options.child:
        Path(options.child).write_text(json.dumps(measured_rows(options)))
        return
    rows = [row for threads in options.threads for row in rows_of_child(options, threads)]
    setting = setting_of(options, not_installed=missing_libraries(options.libraries))
    print(table(rows, setting))
    write_json(options.json, {"setting": setting, "rows": rows})


def rows_of_child(options, threads):
    """The rows measured in a new process, whose libraries all see this number of threads when they are imported."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        arguments = [str(value) for name, value in vars(options).items() if name not in ("json", "child", "threads")
                     and value not in (None, False) for value in (
                     f"--{name.replace('_', '-')}", *(value if isinstance(value, list) else [value]))
                     if value is not True]
        command = [sys.executable, __file__, *arguments, "--threads", str(threads), "--child", str(path)]
        run_child(command, threads)
        return json.loads(path.read_text())


def measured_rows(options):
    """A row for each layer and density, with the milliseconds of each contender."""
    from tqdm import tqdm
    layers = list(file_layers(options)) if options.gdc else list(drawn_layers(options))
    return [layer_row(*layer, options) for layer in tqdm(layers, unit="layer", disable=None)]


def chosen(options, layer):
    """Whether a layer is asked for."""
    return layer.kernel in options.kernel and (not options.layers or any(part in layer.name for part in options.layers))


def nothing_chosen(options):
    """What is wrong where the options leave no layer; None where they leave some."""
    if any(chosen(options, layer) for net in options.nets for layer in NETS[net]):
        return None
    here = [layer for net in options.nets for layer in NETS[net]]
    named = [layer for layer in here if not options.layers or any(part in layer.name for part in options.layers)]
    if not named:
        return (f"--layers {' '.join(options.layers)}: no layer of {', '.join(options.nets)} has such a name; there "
                f"are {', '.join(dict.fromkeys(layer.name for layer in here))}")
    sizes = sorted({layer.kernel for layer in named})
    return (f"--kernel {' '.join(map(str, options.kernel))}: the layers that --layers and --nets leave have kernels of "
            f"{', '.join(f'{size}x{size}' for size in sizes)}; pass --kernel {' '.join(map(str, sizes))}")


def drawn_layers(options):
    """(net, layer, CodedTensor, density): every shape of a net once."""
    for density in options.density:
        for net in options.nets:
            seen = set()
            for layer in NETS[net]:
                if chosen(options, layer) and layer[1:] not in seen:
                    seen.add(layer[1:])
                    # Nobody prunes depthwise layers: they hold a hundredth of a net's weights.
                    yield net, layer, drawn(layer, 1 if layer.is_depthwise else density, options.seed), density


def drawn(layer, density, seed):
    """Laplace-distributed weights of 31 values, kept at random positions."""
    import numpy as np

    from gluon_dc.coding import CodedTensor
    rng = np.random.default_rng(seed)
    shape = layer.shape
    codebook = np.concatenate([np.zeros(1), np.sort(rng.laplace(size=31))]).astype(np.float32)
    codes = rng.integers(1, 32, shape, dtype=np.uint8)
    codes[rng.random(shape) >= density] = 0
    return CodedTensor(codebook, codes)


def file_layers(options):
    """(net, layer, CodedTensor, None) of a .gdc file whose convolutions are those of the net, in its order."""
    from gluon_dc.coding import load, unpack
    net = options.nets[0]
    found = [(name, tensor) for name, tensor in load(options.gdc).items()
             if hasattr(tensor, "codebook") and len(tensor.shape) == 4]
    shapes = [layer.shape for layer in NETS[net]]
    if [tuple(tensor.shape) for _, tensor in found] != shapes:
        raise ValueError(f"the convolutions of {options.gdc} have not the shapes of {net}'s")
    for layer, (name, tensor) in zip(NETS[net], found):
        if chosen(options, layer):
            yield net, layer, unpack(tensor, name), None


def layer_row(net, layer, coded, asked, options):
    """Milliseconds of all contenders for one layer."""
    import numpy as np

    from gluon_dc.runtime import CONV_FORMS, Geometry
    name, filters, channels, kernel, size, stride, pad, groups = layer
    geometry, threads = Geometry((stride, stride), (pad, pad), groups=groups), options.threads[0]
    rng = np.random.default_rng(options.seed + 1)
    x = rng.standard_normal((options.batch, channels * groups, size, size)).astype(np.float32)
    bias = rng.standard_normal(filters).astype(np.float32)
    weight = coded.decode()
    missing = missing_libraries(options.libraries)
    calls = {each: MAKERS[each](x, weight, bias, stride, pad, groups, threads) for each in options.libraries
             if each not in missing}
    for each in ours(layer):
        calls[each] = our_call(CONV_FORMS[each].build(coded, geometry), x, bias, threads)
    check(name, calls)
    clock = time.process_time if options.cpu_time else time.perf_counter
    seconds = timed(list(calls.values()), options.rounds, clock)
    oh, ow = geometry.output_size((size, size), (kernel, kernel))
    return {"net": net, "layer": name, "depthwise": layer.is_depthwise, "shape": list(coded.shape),
            "size": size, "stride": stride, "batch": options.batch, "density": coded.density, "asked_density": asked,
            "drawn": asked is not None, "threads": threads,
            "multiply_adds": options.batch * coded.size * oh * ow,
            "direct_nbytes": CONV_FORMS["direct"].build(coded, geometry).nbytes,
            "ms": {each: 1e3 * value for each, value in zip(calls, seconds)}}


def ours(layer):
    """Those of our forms that are measured: depthwise layers run dense."""
    return ("dense",) if layer.is_depthwise else OURS


def our_call(form, x, bias, threads):
    """A form's call as a session makes it, prepared for its arrays: so are those of the libraries."""
    from gluon_dc.runtime.scratch import Scratch
    from gluon_dc.runtime.tasks import Program
    out = form.apply(x, bias, threads=threads)
    program = Program(form.stages(x, bias, False, out, threads, Scratch()))

    def call():
        program()
        return out
    return call


def check(name, calls):
    """ArithmeticError where results differ from the first one's."""
    import numpy as np
    results = {each: np.asarray(call()) for each, call in calls.items()}
    first = next(iter(results.values()))
    for each, result in results.items():
        error = np.abs(result - first).max() / max(1e-30, np.abs(first).max())
        if not error < 1e-4:
            raise ArithmeticError(f"{name}, {each}: differs from {next(iter(results))} by {error:.1e} of its largest")


def timed(calls, rounds, clock):
    """Median seconds of each call; they take turns."""
    import numpy as np
    seconds, many = [[] for _ in calls], [1] * len(calls)
    for turn in range(rounds + 1):
        for i, call in enumerate(calls):
            settle()
            warm_up(call)
            for _ in range(many[i]):
                begin = clock()
                call()
                seconds[i].append(clock() - begin)
            if turn == 0:
                many[i] = max(1, min(50, int(TURN_SECONDS / seconds[i][-1])))
                seconds[i] = []
    return [float(np.median(each)) for each in seconds]


if __name__ == "__main__":
    sys.exit(main())
