#!/usr/bin/env python3
"""Sizes and speeds of our coders beside other people's, all on the same data in one run, each on a single thread.

    python benchmarks/coding.py --json coding.json
    python benchmarks/coding.py --gdc net.gdc --json net.json

The data are a drawn layer as large as AlexNet's fc6 (Laplace-distributed, a given share of the weights kept, at random
positions: a real layer has more order, and context coders find it), or all coded tensors of a .gdc file. Codebooks are
left out of all sizes. An item is a symbol of the Huffman coder's streams (entries, gaps) or a weight, which is one byte
uncoded: millions of items a second are MB/s. Each time is the least of --repeats calls; a call of over 2 seconds is
made once, and slow coders are given only the first --slow-items (their column "items" tells).

Others: zlib, bzip2 and xz are Python's own; zstd, brotli, constriction and NNCodec are in requirements-benchmarks.txt
and are left out where they are not installed. `benchmarks/kmeans.py` measures the clustering.
"""
import argparse
import os
import sys
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"  # before NumPy and numba are imported
sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("coding.py")

from setting import check_least, setting_of, write_json  # noqa: E402

from gluon_dc.report.command import check_json, run_command  # noqa: E402


def main(argv=None):
    """Print a table; --json writes the same numbers."""
    return run_command("coding.py", run, parse_options(argv))


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--gdc", help="code the tensors of this file in place of a drawn layer")
    parser.add_argument("--size", type=int, default=4096 * 9216, help="weights of the drawn layer")
    parser.add_argument("--density", type=float, default=0.09, help="share of them that is kept")
    parser.add_argument("--centroids", type=int, default=31, help="values that the kept weights share, 1..255")
    parser.add_argument("--slow-items", type=int, default=2_000_000, help="weights that slow coders are given")
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the fastest counts")
    parser.add_argument("--seed", type=int, default=0, help="seed of the drawn layer")
    parser.add_argument("--json", help="write the rows there too")
    options = parser.parse_args(argv)
    check_least(parser, options, size=1, slow_items=1, repeats=1, centroids=1, seed=0)
    if options.centroids > 255:
        parser.error(f"--centroids must be at most 255, got {options.centroids}")
    if not 0 < options.density <= 1:
        parser.error(f"--density must be above 0 and at most 1, got {options.density}")
    check_json(parser, options.json, [options.gdc])
    return options


def run(options):
    """Measure, print, write."""
    import numpy as np
    from tqdm import tqdm

    from gluon_dc.report.coder_bench import KINDS, coder_rows, data_coders, drawn_layer
    tensors = tensors_of(options.gdc) if options.gdc else drawn_layer(
        options.size, options.density, options.centroids, options.seed)
    tiny = drawn_layer(2000, 0.5, 3, 0)
    with tqdm(total=2 * sum(len(data_coders(kind, tiny).coders) for kind in KINDS), unit="coder", disable=None) as bar:
        coder_rows(tiny, 2000, 1, bar.update)  # what is compiled or imported on the way is not timed
        rows = coder_rows(tensors, options.slow_items, options.repeats, bar.update)
    setting = setting_of(options, tensors=len(tensors), weights=sum(tensor.size for tensor in tensors),
                         kept=sum(tensor.nnz for tensor in tensors), threads=1, numpy=np.__version__)
    print(table(setting, rows))
    write_json(options.json, {"setting": setting, "rows": rows})


def tensors_of(path):
    """All coded tensors of a .gdc file, in its order."""
    from gluon_dc.coding import load, unpack
    found = [unpack(tensor, name) for name, tensor in load(path).items() if hasattr(tensor, "codebook")]
    if not found:
        raise ValueError(f"{path} holds no coded tensor to measure coders on")
    return found


def table(setting, rows):
    """The rows as lines of text."""
    lines = [f"{setting['tensors']} tensor(s), {setting['weights']:,} weights, {setting['kept']:,} kept; one thread",
             f"{'data':<8} {'coder':<27} {'items':>11} {'bytes':>11} {'bits/item':>9} {'in M/s':>8} {'out M/s':>8}"]
    for row in rows:
        line = f"{row['data']:<8} {row['coder']:<27} "
        if "not_installed" in row:
            line += f"not installed (pip install {row['not_installed']})"
        else:
            line += f"{row['items']:>11,} {row['nbytes']:>11,} {row['bits_per_item']:>9.4f}"
            for speed in ("encode_m_items_s", "decode_m_items_s"):
                line += f" {row[speed]:>8.1f}" if speed in row else " " * 9
        lines.append(line.rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
