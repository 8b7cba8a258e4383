#!/usr/bin/env python3
"""Convolutions run from codes, beside dense libraries on the same layers in the same run, at batch 1 and more.

    python benchmarks/conv_layers.py --json conv_layers.json
    python benchmarks/conv_layers.py --gdc squeezenet.gdc --nets SqueezeNet-1.0
    python benchmarks/conv_layers.py --density 0.2 0.35 0.5 0.65 0.8

The layers are the convolutions of SqueezeNet 1.0, AlexNet and VGG-16 for images of 224 pixels, a shape that several
layers of a net have once; only kernels of 1x1 and 3x3 unless --kernel says otherwise. Their weights are drawn
(positions uniform, filters about equally full), or with --gdc those of a file of the one net that --nets names. All
contenders take turns, times are medians; every result is compared with the first one's. A process for each number of
threads. Weights and inputs are as warm as the turns leave them.

"dense" and "direct" are our forms; the speedup is of "direct" over the best library (its break-even point shows with
several --density), the last column that of "dense". Libraries that are not installed are left out, and the table says
which.
"""
import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# Net -> (name, filters, channels, kernel, input height and width, stride, pad), in the order of a .gdc file.
_FIRES = ((2, 96, 16, 64, 54), (3, 128, 16, 64, 54), (4, 128, 32, 128, 54), (5, 256, 32, 128, 27),
          (6, 256, 48, 192, 27), (7, 384, 48, 192, 27), (8, 384, 64, 256, 27), (9, 512, 64, 256, 13))
_VGG = ((1, 1, 64, 3, 224), (1, 2, 64, 64, 224), (2, 1, 128, 64, 112), (2, 2, 128, 128, 112), (3, 1, 256, 128, 56),
        (3, 2, 256, 256, 56), (3, 3, 256, 256, 56), (4, 1, 512, 256, 28), (4, 2, 512, 512, 28), (4, 3, 512, 512, 28),
        (5, 1, 512, 512, 14), (5, 2, 512, 512, 14), (5, 3, 512, 512, 14))
NETS = {
    "SqueezeNet-1.0": [("conv1", 96, 3, 7, 224, 2, 0), *(
        layer for fire, channels, squeeze, expand, size in _FIRES for layer in (
            (f"fire{fire}/squeeze1x1", squeeze, channels, 1, size, 1, 0),
            (f"fire{fire}/expand1x1", expand, squeeze, 1, size, 1, 0),
            (f"fire{fire}/expand3x3", expand, squeeze, 3, size, 1, 1))), ("conv10", 1000, 512, 1, 13, 1, 0)],
    "AlexNet": [("conv1", 64, 3, 11, 224, 4, 2), ("conv2", 192, 64, 5, 27, 1, 2), ("conv3", 384, 192, 3, 13, 1, 1),
                ("conv4", 256, 384, 3, 13, 1, 1), ("conv5", 256, 256, 3, 13, 1, 1)],
    "VGG-16": [(f"conv{stage}_{number}", filters, channels, 3, size, 1, 1)
               for stage, number, filters, channels, size in _VGG],
}
LIBRARIES = {"MXNet": "mxnet", "onnxruntime": "onnxruntime", "torch": "torch"}
OURS = ("dense", "direct")
TURN_SECONDS = 0.004  # of calls of each contender in a turn


def main(argv=None):
    """Print a table; --json writes the same numbers."""
    from gluon_dc.report.command import run_command
    return run_command("conv_layers.py", run, parse_options(argv))


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS), metavar="NET",
                        help=f"layers of these: {', '.join(NETS)}")
    parser.add_argument("--gdc", help="weights of this file in place of drawn ones; with one net")
    parser.add_argument("--layers", nargs="+", metavar="NAME", help="only layers whose names contain one")
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
    for name in ("rounds", "batch", "threads"):
        value = getattr(options, name)
        if min(value if isinstance(value, list) else [value]) < 1:
            parser.error(f"--{name} must be at least 1, got {value}")
    if not all(0 <= density <= 1 for density in options.density):
        parser.error(f"--density must be in 0..1, got {options.density}")
    if options.cpu_time and options.threads != [1]:
        parser.error(f"--cpu-time is for --threads 1, got {options.threads}")
    if options.gdc and (len(options.nets) != 1 or not Path(options.gdc).is_file()):
        parser.error(f"--gdc needs a file and one of --nets, got {options.gdc} and {', '.join(options.nets)}")
    check_json(parser, options.json, [options.gdc])
    return options


def run(options):
    """Measure in a process for each number of threads, print, write."""
    if options.child:
        Path(options.child).write_text(json.dumps(measured_rows(options)))
        return
    from gluon_dc.coding import write_atomically
    rows = [row for threads in options.threads for row in rows_of_child(options, threads)]
    setting = {**vars(options), "not_installed": missing_libraries(options.libraries), "cores": os.cpu_count(),
               "machine": platform.machine(), "python": platform.python_version()}
    print(table(rows, setting))
    if options.json:
        text = json.dumps({"setting": setting, "rows": rows}, indent=1)
        write_atomically(options.json, lambda file: file.write(text.encode()))


def rows_of_child(options, threads):
    """The rows measured in a new process, whose libraries all see this number of threads when they are imported."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        arguments = [str(value) for name, value in vars(options).items() if name not in ("json", "child", "threads")
                     and value not in (None, False) for value in (
                     f"--{name.replace('_', '-')}", *(value if isinstance(value, list) else [value]))
                     if value is not True]
        command = [sys.executable, __file__, *arguments, "--threads", str(threads), "--child", str(path)]
        result = subprocess.run(command, env={**os.environ, **dict.fromkeys(names, str(threads))})
        if result.returncode:
            raise ValueError(f"the measurement with {threads} thread(s) ended with exit code {result.returncode}")
        return json.loads(path.read_text())


def measured_rows(options):
    """A row for each layer and density, with the milliseconds of each contender."""
    from tqdm import tqdm
    layers = list(file_layers(options)) if options.gdc else list(drawn_layers(options))
    if not layers:
        raise ValueError("no layer has such a name and kernel")
    return [layer_row(*layer, options) for layer in tqdm(layers, unit="layer", disable=None)]


def chosen(options, name, kernel):
    """Whether a layer is asked for."""
    return kernel in options.kernel and (not options.layers or any(part in name for part in options.layers))


def drawn_layers(options):
    """(net, layer, CodedTensor, density): every shape of a net once."""
    for density in options.density:
        for net in options.nets:
            seen = set()
            for layer in NETS[net]:
                if chosen(options, layer[0], layer[3]) and layer[1:] not in seen:
                    seen.add(layer[1:])
                    yield net, layer, drawn(layer, density, options.seed), density


def drawn(layer, density, seed):
    """Laplace-distributed weights of 31 values, kept at random positions."""
    import numpy as np

    from gluon_dc.coding import CodedTensor
    rng = np.random.default_rng(seed)
    shape = (layer[1], layer[2], layer[3], layer[3])
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
    shapes = [(layer[1], layer[2], layer[3], layer[3]) for layer in NETS[net]]
    if [tuple(tensor.shape) for _, tensor in found] != shapes:
        raise ValueError(f"the convolutions of {options.gdc} have not the shapes of {net}'s")
    for layer, (name, tensor) in zip(NETS[net], found):
        if chosen(options, layer[0], layer[3]):
            yield net, layer, unpack(tensor, name), None


def layer_row(net, layer, coded, asked, options):
    """Milliseconds of all contenders for one layer."""
    import numpy as np

    from gluon_dc.runtime import CONV_FORMS, Geometry
    name, filters, channels, kernel, size, stride, pad = layer
    geometry, threads = Geometry((stride, stride), (pad, pad)), options.threads[0]
    rng = np.random.default_rng(options.seed + 1)
    x = rng.standard_normal((options.batch, channels, size, size)).astype(np.float32)
    bias = rng.standard_normal(filters).astype(np.float32)
    weight = coded.decode()
    makers = {"MXNet": mxnet_call, "onnxruntime": onnxruntime_call, "torch": torch_call}
    missing = missing_libraries(options.libraries)
    calls = {each: makers[each](x, weight, bias, stride, pad, threads) for each in options.libraries
             if each not in missing}
    for each in OURS:
        form = CONV_FORMS[each].build(coded, geometry)
        calls[each] = lambda form=form: form.apply(x, bias, threads=threads)
    check(name, calls)
    clock = time.process_time if options.cpu_time else time.perf_counter
    seconds = timed(list(calls.values()), options.rounds, clock)
    oh, ow = geometry.output_size((size, size), (kernel, kernel))
    return {"net": net, "layer": name, "shape": list(coded.shape), "size": size, "stride": stride,
            "batch": options.batch, "density": coded.density, "asked_density": asked, "drawn": asked is not None,
            "threads": threads,
            "multiply_adds": options.batch * coded.size * oh * ow,
            "direct_nbytes": CONV_FORMS["direct"].build(coded, geometry).nbytes,
            "ms": {each: 1e3 * value for each, value in zip(calls, seconds)}}


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
    """Median seconds of each call; they take turns, and each turn begins with a call that is not timed."""
    import numpy as np
    seconds, many = [[] for _ in calls], [1] * len(calls)
    for turn in range(rounds + 1):
        for i, call in enumerate(calls):
            call()
            for _ in range(many[i]):
                begin = clock()
                call()
                seconds[i].append(clock() - begin)
            if turn == 0:
                many[i] = max(1, min(50, int(TURN_SECONDS / seconds[i][-1])))
                seconds[i] = []
    return [float(np.median(each)) for each in seconds]


def missing_libraries(names):
    """Those that are not installed."""
    from importlib.util import find_spec
    return [name for name in names if find_spec(LIBRARIES[name]) is None
            or (name == "onnxruntime" and find_spec("onnx") is None)]


def mxnet_call(x, weight, bias, stride, pad, threads):
    """A hybridized Conv2D, its result waited for."""
    import mxnet as mx
    from mxnet import gluon
    layer = gluon.nn.Conv2D(weight.shape[0], weight.shape[2:], stride, pad, in_channels=weight.shape[1])
    layer.initialize()
    layer.weight.set_data(mx.nd.array(weight))
    layer.bias.set_data(mx.nd.array(bias))
    layer.hybridize(static_alloc=True, static_shape=True)
    data = mx.nd.array(x)

    def call():
        y = layer(data)
        y.wait_to_read()
        return MXNetResult(y)
    return call


class MXNetResult:
    """An NDArray that becomes a NumPy array only when it is compared."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None):
        return self._array.asnumpy()


def onnxruntime_call(x, weight, bias, stride, pad, threads):
    """A session of a graph of one Conv."""
    import onnxruntime
    from onnx import TensorProto, helper
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[stride] * 2, pads=[pad] * 4,
                            kernel_shape=list(weight.shape[2:]))
    graph = helper.make_graph(
        [node], "convolution", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True),
         helper.make_tensor("b", TensorProto.FLOAT, bias.shape, bias.tobytes(), raw=True)])
    text = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(text, settings, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


def torch_call(x, weight, bias, stride, pad, threads):
    """torch's convolution of a weight in its own layout."""
    import torch
    torch.set_num_threads(threads)
    layer = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], stride, pad)
    layer.weight.data, layer.bias.data = torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())
    data = torch.from_numpy(x)
    return torch.inference_mode()(lambda: layer(data))


def table(rows, setting):
    """The rows as lines of text, geometric means of the speedups, and the sweep of densities."""
    libraries = [name for name in LIBRARIES if name in rows[0]["ms"]]
    lines = [f"weights {'drawn' if rows[0]['drawn'] else 'of ' + setting['gdc']}, batch {rows[0]['batch']}; medians, "
             f"milliseconds{' of processor time' if setting['cpu_time'] else ''}; G/s: multiply-adds of kept weights"]
    lines += [f"not installed, left out: {', '.join(setting['not_installed'])}"] * bool(setting["not_installed"])
    for threads in dict.fromkeys(row["threads"] for row in rows):
        lines += ["", f"{threads} thread(s)", f"{'layer':<31} {'density':>7}" + "".join(
            f" {name:>11}" for name in (*libraries, *OURS)) + f" {'G/s':>6} {'speedup':>8} {'dense':>6}"]
        lines += [line_of(row, libraries) for row in rows if row["threads"] == threads]
        lines += means([row for row in rows if row["threads"] == threads])
    return "\n".join(lines)


def line_of(row, libraries):
    """One layer."""
    times = "".join(f" {row['ms'][name]:>11.4f}" for name in (*libraries, *OURS))
    rate = row["multiply_adds"] * row["density"] / row["ms"]["direct"] / 1e6
    return (f"{row['net'] + ' ' + row['layer']:<31} {row['density']:>7.3f}{times} {rate:>6.0f} {ratio(row, 'direct')} "
            f"{ratio(row, 'dense')[2:]}")


def ratio(row, form):
    """Speedup of one of our forms over the best library, as text of 8 characters."""
    value = speedup(row, form)
    return " " * 8 if value is None else f"{value:>8.2f}"


def speedup(row, form):
    """Speedup of one of our forms over the best library; None where there is none."""
    others = [row["ms"][name] for name in LIBRARIES if name in row["ms"]]
    return min(others) / row["ms"][form] if others else None


def means(rows):
    """Geometric means by net and kernel, for each density asked for (layers of a file: all together)."""
    if speedup(rows[0], "direct") is None:
        return ["no library to compare with"]
    lines = []
    for density in dict.fromkeys(row["asked_density"] for row in rows):
        mine = [row for row in rows if row["asked_density"] == density]
        groups = {"all": mine}
        for row in mine:
            groups.setdefault(row["net"], []).append(row)
            groups.setdefault(f"{row['shape'][2]}x{row['shape'][2]}", []).append(row)
        text = ", ".join(f"{name} {mean(group, 'direct'):.2f}" for name, group in groups.items())
        about = "" if density is None else f" at density {density}"
        lines.append(f"geometric mean of speedups{about}: {text}; our dense form {mean(mine, 'dense'):.2f}")
    return lines


def mean(rows, form):
    """Geometric mean of speedups."""
    return math.exp(sum(math.log(speedup(row, form)) for row in rows) / len(rows))


if __name__ == "__main__":
    sys.exit(main())
