"""Small models, results and run folders for the tests of reports and tools."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from gluon_dc.coding import CodedTensor, CompressedModel, pack, share

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {"0.weight": ("ip1", (30, 40), 0.1), "1.weight": ("ip2", (10, 30), 0.2), "2.weight": ("ip3", (4, 10), 0.5)}


def pruned_weights(seed=0):
    """Return {name: float32 array} of LAYERS with zeros, and biases."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, (_, shape, density) in LAYERS.items():
        weight = rng.laplace(0, 0.03, shape).astype(np.float32)
        weight[np.abs(weight) < np.quantile(np.abs(weight), 1 - density)] = 0
        arrays[name] = weight
        arrays[name.replace("weight", "bias")] = rng.normal(0, 0.01, shape[0]).astype(np.float32)
    return arrays


def small_model(seed=0, **fields):
    """Return a CompressedModel of three coded weights and three biases."""
    arrays = pruned_weights(seed)
    return CompressedModel({name: pack(share(a, 4)) if a.ndim == 2 else a for name, a in arrays.items()}, **fields)


def odd_model():
    """Return a CompressedModel of every odd case: dense mode, all zero, no elements, ranks 0, 1 and 4, hard names."""
    half = np.array([0, -0.5, -0.0, 0.5], np.float32)
    rng = np.random.default_rng(0)
    kernel = (rng.random((3, 2, 2, 2)) < 0.3) * rng.integers(1, 4, (3, 2, 2, 2))
    return CompressedModel({
        "kernel": pack(CodedTensor(half, kernel.astype(np.uint8)), rel_bits=2),
        "all kept": pack(CodedTensor(half, np.full((4, 5), 2, np.uint8)), rel_bits=0),
        "zeros": pack(CodedTensor(half[:1], np.zeros((3, 3), np.uint8)), rel_bits=3),
        "none": pack(CodedTensor(half, np.zeros((0, 4), np.uint8))),
        "scalar": pack(CodedTensor(half, np.array(3, np.uint8))),
        "../$vector$\n": pack(CodedTensor(half, np.array([0, 0, 1, 0], np.uint8))),
        "file": np.array([[1.5, -0.0], [np.nan, 0]], np.float32),
        "counts": np.arange(3, dtype=np.int64),
    })


def small_result(model, dataset="mnist"):
    """Return a result.json's dict for `small_model`, called LeNet-300-100."""
    layers = [{"name": name, "paper_name": layer, "weights": 1, "kept": 1, "bits": 4}
              for name, (layer, _, _) in LAYERS.items()]
    epochs = [{"epoch": n, "loss": 0.5 / n, "validation_error_percent": 4.0 / n, "sparsity": 0.4 * n} for n in (1, 2)]

    def stage(name, bits, nbytes, error, epochs):
        return {"stage": name, "weights": 1540, "kept": 200, "bits": bits, "nbytes": nbytes, "seconds": 1.5,
                "validation_error_percent": error + 0.5, "test_error_percent": error, "epochs": epochs,
                "layers": layers}

    return {
        "format": 1, "network": "lenet-300-100", "seed": 0, "threads": 1, "settings": {}, "seconds": 5.0,
        "versions": {}, "dataset": {"name": dataset, "source": "here", "note": f"This is {dataset}.", "train": 3,
                                    "validation": 2, "test": 2},
        "stages": [stage("dense", None, 6336, 1.25, epochs), stage("pruned", None, 2000, 1.5, epochs),
                   stage("shared", 3.96, 900, 1.75, epochs[:1]), stage("coded", 4, model.nbytes, 1.75, [])],
        "file": {"name": "model.gdc", "nbytes": model.nbytes, "ratio": 6336 / model.nbytes,
                 "sha256": hashlib.sha256(model.dumps()).hexdigest()},
    }


def write_run(folder, dataset="mnist"):
    """Write a whole run folder: model.gdc, result.json and checkpoints. Return the folder."""
    folder = Path(folder)
    (folder / "checkpoints").mkdir(parents=True)
    pruned, model = pruned_weights(), small_model()
    dense = {name: array + np.float32(0.01) for name, array in pruned.items()}
    np.savez(folder / "checkpoints" / "dense.npz", **dense)
    np.savez(folder / "checkpoints" / "pruned.npz", **pruned)
    model.save(folder / "checkpoints" / "clustered.gdc")
    model.save(folder / "model.gdc")
    (folder / "result.json").write_text(json.dumps(small_result(model, dataset)))
    return folder


def load_tool(name):
    """Return the module of tools/<name>.py."""
    spec = importlib.util.spec_from_file_location(f"tool_{name}", ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_tool(name, *arguments):
    """Run tools/<name>.py in a process of its own, away from the repository; return the CompletedProcess."""
    command = [sys.executable, str(ROOT / "tools" / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=os.path.abspath(os.sep), timeout=120)


def exit_code(tool, *arguments):
    """The exit code with which argparse ends a tool's main, --help and wrong usage both."""
    try:
        return tool.main(list(arguments))
    except SystemExit as stop:
        return stop.code


def one_error_line(text, program):
    """Assert that stderr is exactly one line "program: error: ..." and return what follows."""
    assert text.count("\n") == 1 and text.startswith(f"{program}: error: "), text
    return text.strip().removeprefix(f"{program}: error: ")


def experiment(kind="compression", **fields):
    """Return the JSON of a small experiment: compression (3 methods), starts (2 starts) or sensitivity (2 layers)."""
    points = {
        "compression": [
            {"method": method, "setting": {"sparsity": 0.9, "bits": bits}, "nbytes": nbytes,
             "size_percent": nbytes / 100, "error_percent": error}
            for method, bits, nbytes, error in [
                ("pruning", 32, 2000, 1.0), ("pruning", 32, 1000, 1.5), ("pruning", 32, 900, 9.0),
                ("pruning+sharing", 5, 400, 1.0), ("pruning+sharing", 4, 300, 1.25), ("pruning+sharing", 3, 350, 2.0),
                ("svd", None, 5000, 1.5),
            ]
        ],
        "starts": [
            {"start": start, "bits": bits, "retrained": retrained, "error_percent": error + 4 / bits, "nbytes": 500}
            for start, error in (("linear", 1.0), ("density", 2.0)) for bits in (2, 4, 8) for retrained in (False, True)
        ],
        "sensitivity": [
            {"layer": layer, "kind": step, "value": value, "error_percent": error, "top5_error_percent": error / 2}
            for layer, factor in (("features.0.weight", 3), ("output.weight", 1))
            for step, value, error in (("sparsity", 0.5, 2 * factor), ("sparsity", 0.9, 9.5 * factor),
                                       ("bits", 2, 20 * factor), ("bits", 8, 1.25 * factor))
        ],
    }
    return {"format": 1, "experiment": kind, "network": "lenet-5", "seed": 0, "split": "the test images",
            "dataset": {"name": "mnist", "note": "This is mnist."},
            "dense": {"nbytes": 10_000, "error_percent": 1.0, "top5_error_percent": None},
            "points": points[kind], **fields}


def zoo_sizes():
    """Return the JSON of a zoo_sizes.json with AlexNet and a net that the paper does not have."""
    synthetic = "synthetic weights: sizes only, no accuracy"
    return {"format": 1, "nets": [
        {"network": "alexnet", "weights": synthetic, "recipe": "alexnet-paper", "dense_nbytes": 240_000_000,
         "nbytes": 8_000_000, "ratio": 30.0, "kept_percent": 11.0, "bits": {"conv": 8, "fc": 5}, "part_nbytes": {},
         "seconds": 9.5,
         "stages": {"dense": 240_000_000, "pruned": 30_000_000, "shared": 10_000_000, "coded": 8_000_000}},
        {"network": "mobilenet1.0", "weights": synthetic, "dense_nbytes": 17_000_000, "nbytes": 3_400_000},
    ]}


def speed_rows(name="AlexNet fc6"):
    """Return the JSON of benchmarks/dense_layers.py: two layers, batch 1 and 64, one thread, three contenders."""
    rows = []
    for layer, cols in ((name, 100), ("mine", 50)):
        for batch in (1, 64):
            for contender, nbytes, ms in (("ours, window", 1000, 0.25), ("ours, dense", 40_000, 2.0),
                                          ("NumPy", 40_000, 2.0), ("torch", 40_000, 3.0), ("SciPy CSR", 6000, 1.0)):
                rows.append({"layer": layer, "rows": 100, "cols": cols, "density": 0.1, "batch": batch, "threads": 1,
                             "drawn": True, "contender": contender, "ours": contender.startswith("ours"),
                             "nbytes": nbytes, "hot_ms": ms / 2, "cold_ms": ms * batch})
    return {"setting": {"cores": 2, "machine": "x86_64", "not_installed": ["onnxruntime"]}, "rows": rows}


def conv_rows(name="conv2"):
    """Return the JSON of benchmarks/conv_layers.py: two layers of a net, one thread, two libraries."""
    rows = [{"net": "Net", "layer": layer, "shape": [8, 4, 3, 3], "size": 6, "stride": 1, "batch": 1, "density": 0.25,
             "asked_density": 0.3, "drawn": True, "threads": 1, "multiply_adds": 8_000_000, "direct_nbytes": 288,
             "ms": {"MXNet": 3.0, "onnxruntime": 2.0, "dense": 2.5, "direct": direct}}
            for layer, direct in ((name, 1.0), ("mine", 0.25))]
    return {"setting": {"cores": 2, "machine": "x86_64", "not_installed": ["torch"], "cpu_time": True}, "rows": rows}


def net_rows(name="net"):
    """Return the JSON of benchmarks/whole_nets.py: two nets, one of them at batch 8 and 2 threads too."""
    rows = []
    for net, weights, batch, threads in ((name, "trained", 1, 1), ("mine", "drawn", 1, 1), ("mine", "drawn", 8, 2)):
        for contender, ms, off in (("MXNet", 6.0, 0.0), ("ours, session", 2.0, 1e-7), ("onnxruntime", 3.0, 1e-7),
                                   ("MXNet int8", 1.0, 0.05)):
            rows.append({"net": net, "weights": weights, "batch": batch, "threads": threads, "contender": contender,
                         "ms": ms * batch, "off": off})
        rows.append({"net": net, "weights": weights, "batch": batch, "threads": threads, "contender": "torch",
                     "left_out": "torch not installed"})
    return {"setting": {"cores": 2, "machine": "x86_64", "processor": "model name Some CPU, cpu family 1, stepping 1",
                        "gdc": []}, "rows": rows}


def work_layer(name="fc", **fields):
    """Return the JSON of a runtime.work.LayerWork: 10 x 100 weights, a tenth of them kept, at fixed width."""
    return {"name": name, "op": "FullyConnected", "shape": [10, 100], "kept": 100, "inputs": 100, "outputs": 10,
            "file_nbytes": 80, "fixed_nbytes": 100, "form": "fixed width", "resident_nbytes": 100, **fields}


def energy(name="AlexNet fc6"):
    """Return the JSON of benchmarks/energy.py: two layers, one of them measured at batch 1."""
    measured = [{"layer": name, "batch": 1, "dense_mj": 3.0, "compressed_mj": 0.5, "dense_ms": 1, "compressed_ms": 0.1}]
    return {"format": 1, "energy": {"title": name, "note": "Drawn weights", "machine": "this one", "batches": [1, 64],
                                    "layers": [work_layer(name), work_layer("mine")], "measured": measured}}


def mobile(name="lenet-5"):
    """Return the JSON of tools/mobile.py: one net, 4,040 bytes dense and 140 compressed."""
    net = {"network": name, "weights": "", "file": "x.gdc", "input_shape": [1, 10, 10], "file_nbytes": 150,
           "parameter_nbytes": 40, "activation_nbytes": 1000, "other_numbers": 20, "layers": [work_layer()]}
    return {"format": 1, "mobile": {"nets": [net]}}
