#!/usr/bin/env python3
"""Energy of layers, dense against compressed (the paper's Fig. 10): measured where the processor's counters can be
read, and always estimated from counts of operations and memory accesses with published energies (docs/energy.md).

    python benchmarks/energy.py --json energy.json
    sudo python benchmarks/energy.py                 # most systems let only root read the counters
    python benchmarks/energy.py --gdc net.gdc        # layers of a net with its graph; estimates alone

Without --gdc the layers are AlexNet's and VGG-16's fully connected ones at the paper's densities, their weights drawn.
Measured is what Linux's powercap counts (processor and memory, idle power included) while a layer is called for
--seconds, from --cold-mb of copies so that weights come from memory: dense in this package's dense form, compressed in
the form that it chooses by rule. tools/report.py draws the JSON.
"""
import argparse
import math
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("energy.py")

from setting import check_least, processor, write_json  # noqa: E402

from gluon_dc.report.command import check_json, run_command  # noqa: E402

# name, rows, columns, density (Han et al. 2016, tables 4 and 5)
PAPER = (("AlexNet fc6", 4096, 9216, 0.09), ("AlexNet fc7", 4096, 4096, 0.09), ("AlexNet fc8", 1000, 4096, 0.25),
         ("VGG-16 fc6", 4096, 25088, 0.04), ("VGG-16 fc7", 4096, 4096, 0.04), ("VGG-16 fc8", 1000, 4096, 0.23))
CENTROIDS = 31


def main(argv=None):
    """Print tables; --json writes the counts, estimates and what was measured."""
    return run_command("energy.py", run, parse_options(argv))


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=" ".join(__doc__.split("\n\n")[0].split()),
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--gdc", help="the layers of this file, which has a graph, in place of drawn ones")
    parser.add_argument("--scale", type=int, default=1, help="divide rows and columns of drawn layers by this")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64],
                        help="inputs that share a pass over the weights")
    parser.add_argument("--seconds", type=float, default=1.0, help="of measurement for each layer, form and batch")
    parser.add_argument("--cold-mb", type=int, default=128, help="MB of copies that calls go round")
    parser.add_argument("--powercap", default="/sys/class/powercap", help="where the counters are")
    parser.add_argument("--seed", type=int, default=0, help="seed of drawn weights and inputs")
    parser.add_argument("--json", help="write the numbers there too")
    options = parser.parse_args(argv)
    check_least(parser, options, scale=1, cold_mb=1, seconds=0.01, batch=1, seed=0)
    check_json(parser, options.json, [options.gdc])
    return options


def run(options):
    """Count, measure where possible, print, write."""
    from gluon_dc.report.energy_report import check_energy, energy_tables
    from gluon_dc.runtime.energy_counters import find_zones
    zones, refused = find_zones(options.powercap)
    if options.gdc:
        title, note, layers = file_layers(options.gdc)
        measured, refused = [], "layers of a file are only estimated"
    else:
        title, note, layers, measured = paper_layers(options, zones)
    machine = f"{processor()}, {os.cpu_count()} cores"
    found = {"title": title, "note": note, "machine": machine, "batches": options.batch, "layers": layers,
             "measured": measured, "not_measured": "" if measured else refused}
    report = check_energy({"format": 1, "energy": found}, "energy.py")
    write_json(options.json, {"format": 1, "energy": report.to_dict()})
    print("\n\n".join(map(str, energy_tables(report))))


def file_layers(path):
    """(title, note, layers) of a file."""
    from gluon_dc.coding import load
    from gluon_dc.coding.errors import located
    from gluon_dc.runtime.work import net_work
    model = load(path)
    with located(path):
        work = net_work(model)
    name = model.metadata.get("network")
    return (name if isinstance(name, str) else Path(path).name, f"Weights of {path}, codes and gaps of fixed width",
            [layer.to_dict() for layer in work.layers])


def paper_layers(options, zones):
    """(title, note, layers, measured) of the paper's six layers, with drawn weights."""
    from tqdm import tqdm
    layers, measured = [], []
    for name, *sizes in tqdm(PAPER, unit="layer", disable=None):
        coded = drawn(*sizes, options)
        layers.append(layer_record(name, coded))
        for batch in options.batch if zones else []:
            measured.append({"layer": name, "batch": batch, **measured_layer(coded, batch, zones, options)})
    scaled = f", sizes divided by {options.scale}" if options.scale > 1 else ""
    return ("AlexNet's and VGG-16's fully connected layers",
            f"Drawn weights at the paper's densities, {CENTROIDS} shared values, codes and gaps of fixed width{scaled}",
            layers, measured)


def drawn(rows, cols, density, options):
    """CodedTensor of weights kept at random positions."""
    import numpy as np

    from gluon_dc.coding import CodedTensor
    rng = np.random.default_rng(options.seed)
    rows, cols = max(1, rows // options.scale), max(1, cols // options.scale)
    codes = np.zeros((rows, cols), np.uint8)
    for row in range(rows):
        kept = rng.random(cols, dtype=np.float32) < density
        codes[row, kept] = rng.integers(1, CENTROIDS + 1, np.count_nonzero(kept))
    values = np.sort(rng.laplace(0, 0.02, CENTROIDS)).astype(np.float32)
    return CodedTensor(np.concatenate([np.zeros(1, np.float32), values]), codes)


def layer_record(name, coded):
    """A layer's counts, as `LayerWork` has them."""
    from gluon_dc.coding import pack
    from gluon_dc.runtime.work import FIXED, LayerWork, fixed_nbytes
    packed = pack(coded)
    fixed = fixed_nbytes(packed)
    return LayerWork(name, "FullyConnected", coded.shape, coded.nnz, coded.shape[1], coded.shape[0], packed.nbytes,
                     fixed, FIXED, fixed).to_dict()


def measured_layer(coded, batch, zones, options):
    """Millijoules and milliseconds for one input, dense and compressed, of the measured zones."""
    import numpy as np

    from gluon_dc.runtime import MATRIX_FORMS
    from gluon_dc.runtime.choice import choose_matrix
    from gluon_dc.runtime.energy_counters import measure
    x = np.random.default_rng(options.seed + 1).standard_normal((batch, coded.shape[1])).astype(np.float32)
    found = {}
    for key, name in (("dense", "dense"), ("compressed", choose_matrix(coded, batch))):
        form = MATRIX_FORMS[name].build(coded)
        copies = [form] + [MATRIX_FORMS[name].build(coded)
                           for _ in range(min(64, math.ceil(options.cold_mb * 1e6 / max(1, form.nbytes)) - 1))]
        turns = iter(range(2**62))

        def call(copies=copies, turns=turns):
            copies[next(turns) % len(copies)].apply(x)

        call()
        taken = measure(call, zones, options.seconds)
        found[f"{key}_mj"] = 1e3 * taken.joules / taken.calls / batch
        found[f"{key}_ms"] = 1e3 * taken.seconds / taken.calls / batch
    return found


if __name__ == "__main__":
    sys.exit(main())
