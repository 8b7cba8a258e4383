"""Speeds and sizes of gluon_dc.coding beside general compressors, all in one run, every one on a single thread.

    python benchmarks/coding.py --json coding.json

The weights are drawn: Laplace-distributed, a given share of them kept, at random positions. Real layers cluster a
little more, so their sizes are a little smaller. Each time is the best of --repeats, after one call to warm up.
"""

import argparse
import bz2
import json
import lzma
import os
import platform
import sys
import time
import zlib

import numpy as np

from gluon_dc.coding import (STARTS, CodedTensor, cluster, decode_gaps, encode_gaps, inertia, pack, share_as,
                             unpack)
from gluon_dc.coding import huffman

COMPRESSORS = {
    "zlib -6": (lambda data: zlib.compress(data, 6), zlib.decompress),
    "bz2 -9": (lambda data: bz2.compress(data, 9), bz2.decompress),
    "lzma -6": (lambda data: lzma.compress(data, preset=6), lzma.decompress),
}


def main(argv=None) -> None:
    options = parse_options(argv)
    rng = np.random.default_rng(options.seed)
    rows = [row for size in options.sizes for row in cluster_rows(rng, size, options)]
    rows += scikit_rows(rng, options)
    rows += tensor_rows(rng, options)
    setting = {
        "threads": 1, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"), "cores": os.cpu_count(),
        "python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine(),
        **vars(options),
    }
    print("one thread each; " + ", ".join(f"{key} {value}" for key, value in setting.items() if key != "threads"))
    print_table(rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"setting": setting, "rows": rows}, file, indent=1)


def parse_options(argv) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 4_000_000],
                        help="numbers of weights to cluster")
    parser.add_argument("--centroids", type=int, default=31, help="centroids of the clustering, 1..255")
    parser.add_argument("--weights", type=int, default=8_000_000, help="weights of the tensor that is coded")
    parser.add_argument("--density", type=float, default=0.09, help="share of them that is kept")
    parser.add_argument("--scikit-size", type=int, default=100_000,
                        help="weights for scikit-learn's KMeans, if it is installed; 0 leaves it out")
    parser.add_argument("--repeats", type=int, default=3, help="timings of which the best counts")
    parser.add_argument("--seed", type=int, default=0, help="seed of the drawn weights")
    parser.add_argument("--json", help="file to write the rows to")
    return parser.parse_args(argv)


def best_seconds(call, repeats: int):
    """Least time of the repeats, and the result."""
    result = call()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return min(seconds), result


def cluster_rows(rng, size: int, options) -> list[dict]:
    values = rng.laplace(size=size).astype(np.float32)
    rows = []
    for start in STARTS:
        seconds, centroids = best_seconds(lambda: cluster(values, options.centroids, start), options.repeats)
        rows.append({"what": f"cluster, {start}", "n": size, "seconds": seconds,
                     "M items/s": size / seconds / 1e6, "inertia": inertia(values, centroids)})
    return rows


def scikit_rows(rng, options) -> list[dict]:
    try:
        from sklearn.cluster import KMeans
    except ImportError:
        return []
    if options.scikit_size == 0:
        return []
    values = rng.laplace(size=options.scikit_size).astype(np.float32)
    rows = []
    for start, init in (("linear", np.linspace(values.min(), values.max(), options.centroids)[:, None]),
                        ("kmeans++", "k-means++")):
        model = KMeans(options.centroids, init=init, n_init=1, random_state=options.seed)
        seconds, fitted = best_seconds(lambda: model.fit(values[:, None]), 1)
        rows.append({"what": f"scikit-learn KMeans, {start}", "n": values.size, "seconds": seconds,
                     "M items/s": values.size / seconds / 1e6, "inertia": float(fitted.inertia_)})
        seconds, centroids = best_seconds(lambda: cluster(values, options.centroids, start), options.repeats)
        rows.append({"what": f"cluster, {start}, same values", "n": values.size, "seconds": seconds,
                     "M items/s": values.size / seconds / 1e6, "inertia": inertia(values, centroids)})
    return rows


def drawn_tensor(rng, options) -> CodedTensor:
    weight = rng.laplace(size=options.weights).astype(np.float32)
    weight[rng.random(options.weights) >= options.density] = 0
    return share_as(weight, cluster(weight[weight != 0], options.centroids))


def tensor_rows(rng, options) -> list[dict]:
    coded = drawn_tensor(rng, options)
    seconds, packed = best_seconds(lambda: pack(coded), options.repeats)
    rows = [timed_row("pack", coded.size, seconds, packed.nbytes)]
    seconds, _ = best_seconds(lambda: unpack(packed), options.repeats)
    rows.append(timed_row("unpack", coded.size, seconds))
    rel_bits = max(1, packed.rel_bits)
    seconds, (codes, gaps) = best_seconds(lambda: encode_gaps(coded.codes, rel_bits), options.repeats)
    rows.append(timed_row(f"encode gaps, {rel_bits} bits", coded.size, seconds))
    seconds, _ = best_seconds(lambda: decode_gaps(codes, gaps, coded.size), options.repeats)
    rows.append(timed_row("decode gaps", coded.size, seconds))
    for what, symbols in (("codes", codes), ("gaps", gaps)):
        rows += stream_rows(what, symbols, options)
    return rows


def stream_rows(what: str, symbols: np.ndarray, options) -> list[dict]:
    """Huffman and the general compressors on the same bytes, one symbol a byte."""
    counts = np.bincount(symbols, minlength=256)
    lengths = huffman.code_lengths(counts)
    rows = [{"what": f"{what}: zero-order entropy", "n": symbols.size,
             "nbytes": round(huffman.entropy_bits(counts) / 8)}]
    data = symbols.tobytes()
    coders = {"huffman": (lambda _: huffman.encode(symbols, lengths),
                          lambda stream: huffman.decode(stream, lengths, symbols.size).tobytes()), **COMPRESSORS}
    for name, (encode, decode) in coders.items():
        seconds, stream = best_seconds(lambda: encode(data), options.repeats)
        rows.append(timed_row(f"{what}: {name}, encode", symbols.size, seconds, len(stream)))
        seconds, again = best_seconds(lambda: decode(stream), options.repeats)
        if again != data:
            raise AssertionError(f"{name} did not give back the {what}")
        rows.append(timed_row(f"{what}: {name}, decode", symbols.size, seconds))
    return rows


def timed_row(what: str, n: int, seconds: float, nbytes: int | None = None) -> dict:
    row = {"what": what, "n": n, "seconds": seconds, "M items/s": n / seconds / 1e6}
    return row if nbytes is None else {**row, "nbytes": nbytes}


def print_table(rows: list[dict]) -> None:
    """One item is a weight (cluster, pack, gaps) or a symbol, which is one byte uncoded: M items/s = MB/s."""
    columns = {"what": "<36", "n": ">9", "seconds": ">9.4f", "M items/s": ">10.1f", "nbytes": ">10",
               "inertia": ">12.1f"}
    widths = {column: int(spec[1:].split(".")[0]) for column, spec in columns.items()}
    print(" ".join(f"{column:{spec[0]}{widths[column]}}" for column, spec in columns.items()))
    for row in rows:
        print(" ".join(f"{row[column]:{spec}}" if column in row else " " * widths[column]
                       for column, spec in columns.items()).rstrip())


if __name__ == "__main__":
    sys.exit(main())
