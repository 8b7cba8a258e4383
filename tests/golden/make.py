"""Make the golden files that are not there yet, and note what they decode to in golden.json.

    python tests/golden/make.py [NAME ...]

A golden file is what a version of the format is held to: once it has been committed it is never made again. A change
that cannot read one is a new version, with golden files of its own.
"""

import hashlib
import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))

from gluon_dc.coding import CodedTensor, CompressedModel, loads, pack, pack_all, weights_digest  # noqa: E402

LENET_300_100 = {"0.weight": (300, 784), "0.bias": (300,), "1.weight": (100, 300), "1.bias": (100,),
                 "2.weight": (10, 100), "2.bias": (10,)}
LENET_5 = {"0.weight": (20, 1, 5, 5), "0.bias": (20,), "2.weight": (50, 20, 5, 5), "2.bias": (50,),
           "4.weight": (500, 800), "4.bias": (500,), "5.weight": (10, 500), "5.bias": (10,)}


def coded(rng, shape, density, k):
    """A coded tensor whose rows and columns are kept unequally often, as those of trained nets are."""
    shares = rng.random(shape[0])
    for extent in shape[1:]:
        shares = shares[..., None] * rng.random(extent)
    kept = rng.random(shape) < np.minimum(1, shares * density / shares.mean())
    codes = np.where(kept, np.minimum(rng.geometric(0.3, shape), k - 1), 0)
    return CodedTensor(np.append(0, np.sort(rng.normal(size=k - 1))).astype(np.float32), codes.astype(np.uint8))


def on_grid(rng, tensor, step):
    """The coded tensor with a codebook of whole multiples of a step."""
    numbers = np.sort(rng.choice(np.append(np.arange(-20, 0), np.arange(1, 21)), tensor.codebook.size - 1, False))
    return CodedTensor(np.append(0, np.float32(step) * numbers.astype(np.float32)).astype(np.float32), tensor.codes)


def arrays(rng):
    """Lossless arrays of every dtype and form."""
    sparse = np.where(rng.random((40, 30)) < 0.1, rng.normal(size=(40, 30)), 0)
    return {"f4": rng.normal(size=7).astype(np.float32), "halves": np.float32([0.5, -0.0, np.inf, np.nan, 3]),
            "grid": np.float32([0.3, 0, -0.6, 0.9] * 5), "zeros": np.zeros((3, 2), np.float32),
            "sparse": sparse.astype(np.float32), "f2": np.float16([1, -2, 0]), "f8": rng.normal(size=3),
            "i1": np.int8([-1, 0, 1]), "u1": np.uint8([255]), "i4": np.int32([-2**31, 7]), "i8": np.int64([2**62]),
            "scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 4), np.float32)}


def tiny(coder, effort=None):
    """One of everything."""
    rng = np.random.default_rng(1)
    weights = {"a.weight": coded(rng, (6, 5, 3, 3), 0.3, 6), "a.bias": coded(rng, (6,), 0.5, 3),
               "b.weight": coded(rng, (4, 54), 0.1, 17), "none.weight": coded(rng, (3, 4), 0, 2),
               "dense.weight": coded(rng, (9, 9), 3, 256), "one": CodedTensor(np.float32([0]), np.zeros(5, np.uint8))}
    weights["grid.weight"] = on_grid(rng, coded(rng, (12, 11), 0.4, 9), 0.03125)
    tensors = {**pack_all(weights, coder, effort=effort or "best"), **arrays(rng)}
    if coder != "context":
        tensors |= {f"w{width}": pack(coded(rng, (5, 40), 0.1, 4), coder, width) for width in (0, 1, 4, 8)}
    return CompressedModel(tensors, '{"nodes": []}', {"network": "tiny", "seed": 1}, effort)


def lenet(shapes, coder, density, effort=None):
    """A net of a LeNet's shapes, pruned and shared, its weights drawn."""
    rng = np.random.default_rng(2)
    weights = {name: coded(rng, shape, density if len(shape) > 1 else 0.3, 16) for name, shape in shapes.items()}
    if effort:
        weights = {name: on_grid(rng, weight, 0.01 * len(name)) for name, weight in weights.items()}
    return CompressedModel(pack_all(weights, coder, effort=effort or "best"), None, {}, effort)


def sectioned():
    """A file of all coders, with a checksum for each section, as only files of over 65,536 bytes have them."""
    rng = np.random.default_rng(3)
    made = {"fast.weight": coded(rng, (120, 200), 0.08, 32)}
    best = {"best.weight": coded(rng, (40, 50), 0.2, 8)}
    tensors = pack_all(made, "context", effort="fast") | pack_all(best, "context")
    tensors["huffman.weight"] = pack(coded(rng, (90, 100), 0.2, 8))
    tensors["b"] = np.where(rng.random(900) < 0.5, rng.normal(size=900), 0).astype(np.float32)
    model = CompressedModel(tensors, None, {"network": "sectioned"}, "fast")
    with mock.patch("gluon_dc.coding.version2_writer.MAX_COMPACT_NBYTES", 0):
        return model.dumps()


FILES = {
    "v1-tiny": lambda: tiny("huffman").dumps(),
    "v1-fixed": lambda: tiny("fixed").dumps(),
    "v1-lenet-300-100": lambda: lenet(LENET_300_100, "huffman", 0.012).dumps(),
    "v2-tiny-fast": lambda: tiny("context", "fast").dumps(),
    "v2-tiny-best": lambda: tiny("context", "best").dumps(),
    "v2-lenet-5-fast": lambda: lenet(LENET_5, "context", 0.004, "fast").dumps(),
    "v2-lenet-5-best": lambda: lenet(LENET_5, "context", 0.004, "best").dumps(),
    "v2-lenet-300-100-best": lambda: lenet(LENET_300_100, "context", 0.012, "best").dumps(),
    "v2-sectioned": sectioned,
}


def main(names=()):
    """Write what is missing, of all files or of those named."""
    index = FOLDER / "golden.json"
    known = json.loads(index.read_text()) if index.exists() else {}
    for name, make in FILES.items():
        path = FOLDER / f"{name}.gdc"
        if (path.exists() and name in known) or (names and name not in names):
            continue
        data = make()
        path.write_bytes(data)
        model = loads(data)
        known[name] = {"version": model.version, "nbytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
                       "weights": weights_digest(model.decode())}
        print(f"{path.name}: {path.stat().st_size:,} bytes")
    index.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
