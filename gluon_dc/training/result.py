"""The record of a run, result.json: per stage and per layer what is kept, in how many bits and bytes."""
import hashlib
import platform

import mxnet as mx
import numpy as np

from .. import __version__, nn
from .checkpoints import plain_arrays

RESULT_FORMAT = 1


def stage_row(task, stage, net, errors, history, seconds):
    """What a stage left.

    Returns
    -------
    dict
        weights, kept: compressible weights in all and those not 0; bits: the mean of a kept
        weight's; nbytes: of a file of the net as it is now, biases included (fixed-width codes
        before the stage "coded"); errors in percent, the test error filled in at the end of the
        run; epochs: the history; layers: the same by layer, without what is not the layer's own.
    """
    nbytes = _tensor_nbytes(task, stage, net)
    rows = [_layer_row(task, layer, nbytes) for layer in nn.weighted_layers(net)]
    kept = sum(row["kept"] for row in rows)
    return {"stage": stage, "weights": sum(row["weights"] for row in rows), "kept": kept,
            "bits": sum(row["kept"] * row["bits"] for row in rows) / max(kept, 1),
            "nbytes": sum(nbytes.values()), **errors, "test_error_percent": None, "seconds": seconds,
            "epochs": history, "layers": rows}


def _layer_row(task, layer, nbytes):
    array = layer.array()
    bits = layer.coded_tensor().code_bits if layer.is_coded else 32
    return {"name": layer.name, "paper_name": task.layer_names.get(layer.name),
            "weights": array.size, "kept": int(np.count_nonzero(array)), "bits": bits,
            "nbytes": nbytes[layer.name]}


def _tensor_nbytes(task, stage, net):
    """Bytes by tensor of a file of the net; what belongs to none of them under ""."""
    if stage == "dense":
        return {name: array.nbytes for name, array in plain_arrays(net).items()}
    coding = task.coding() if stage == "coded" else {"coder": "fixed"}
    parts = nn.compress(net, **coding).part_nbytes()
    return {name: sum(tensor.values()) for name, tensor in parts.items()}


def result_of(task, stages, path, dense_nbytes):
    """The whole result: `stages` in order, `path` of the .gdc file, bytes of the dense net."""
    content, settings = path.read_bytes(), task.settings
    return {"format": RESULT_FORMAT, "network": task.network, "dataset": task.dataset_row(),
            "seed": settings.seed, "threads": settings.threads, "settings": settings.as_dict(),
            "seconds": sum(stage["seconds"] for stage in stages),
            "versions": {"gluon_dc": __version__, "python": platform.python_version(),
                         "mxnet": mx.__version__, "numpy": np.__version__},
            **task.notes(), "stages": stages,
            "file": {"name": path.name, "nbytes": len(content),
                     "ratio": dense_nbytes / len(content),
                     "sha256": hashlib.sha256(content).hexdigest()}}
