#!/usr/bin/env python3
"""Time and memory of a net of full size on its way to a file and back, verb by verb.

    python benchmarks/full_size.py --model vgg16 alexnet --threads 2 --json full_size.json

Each net has a process of its own. Its weights are drawn (gluon_dc/models/synthetic.py: Laplace), its sparsities and
bits are those of its recipe, for alexnet and vgg16 the paper's Tables 4 and 5. Building the net and drawing its
weights is not part of any time.

Memory is the process's resident set: what it holds at its highest while a verb runs (VmHWM of Linux, set back before
each verb), less what it held once everything was imported and every kernel compiled. So the net itself counts, with
its weights and, unless --without-gradients, the gradients that MXNet keeps beside them. It is given as a multiple of
the weights in float32.
"""
import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("full_size.py")

from setting import check_least, setting_of, write_json  # noqa: E402

MEGABYTE = 1e6
TO_FILE, FROM_FILE = ("prune", "quantize", "compress", "save"), ("load", "restore")


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    from gluon_dc.report.command import run_command
    return run_command("full_size.py", run, parse_options(argv))


def run(options):
    """Print a table a net and its sums; --json writes the same numbers."""
    if options.measure:
        print(json.dumps(measure(options.model[0], options)))
        return
    from gluon_dc.report.outputs import check_outputs
    check_outputs([("--json", options.json)])
    results = [measured_apart(name, options) for name in options.model]
    for result in results:
        print_result(result)
    write_json(options.json, {"setting": setting_of(options), "results": results})


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["alexnet", "vgg16"], help="names of gluon_dc.models.build")
    parser.add_argument("--threads", type=int, default=2, help="threads to work on (OMP_NUM_THREADS)")
    parser.add_argument("--recipe", help="name or file; by default the one that fits the model")
    parser.add_argument("--start", help="start of k-means in place of the recipe's")
    parser.add_argument("--without-gradients", action="store_true", help="of a net that is not trained on")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn weights")
    parser.add_argument("--json", help="write the results there too")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    check_least(parser, options, threads=1, seed=0)
    return options


def measured_apart(name, options):
    """`measure` in a new process, whose memory nothing else has touched."""
    command = [sys.executable, __file__, "--measure", "--model", name, "--seed", str(options.seed),
               "--threads", str(options.threads)]
    command += ["--without-gradients"] if options.without_gradients else []
    for option in ("recipe", "start"):
        if getattr(options, option):
            command += [f"--{option}", getattr(options, option)]
    print(f"measuring {name}, {options.threads} thread(s)", file=sys.stderr, flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode if done.returncode in (1, 2, 130)  # it has told why
                         else f"full_size.py: error: measuring {name} ended with exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(name, options):
    """Rows of seconds and peak memory of every verb, and whether the restored weights are the same bits."""
    import numpy as np

    from gluon_dc.models import zoo
    from gluon_dc.models.synthetic import draw_weights
    from gluon_dc.recipes import load_recipe, recipe_for
    recipe = load_recipe(options.recipe) if options.recipe else recipe_for(name)
    start = options.start or recipe.share.start
    zoo.build(name)  # a name that is none shows now
    warm_up(start)
    meter = Meter()
    net = shaped(zoo, name)
    if options.without_gradients:
        zoo.without_gradients(net)
    nets = [draw_weights(net, options.seed), shaped(zoo, name)]
    del net
    meter.row("net")
    restored, expected, nbytes = round_trip(nets, recipe, start, meter)
    arrays = zoo.named_parameters(restored)
    same = all(digest_of(arrays[key].data().asnumpy()) == digest for key, digest in expected.items())
    weights = sum(int(np.prod(parameter.shape)) for parameter in arrays.values())
    return {"model": name, "weights": weights, "recipe": recipe.name, "start": start, "threads": options.threads,
            "with_gradients": not options.without_gradients, "file_nbytes": nbytes, "restored_bit_for_bit": same,
            "baseline_nbytes": meter.baseline, "rows": meter.rows}


def shaped(zoo, name):
    """The net, not initialised, all shapes known."""
    net = zoo.build(name)
    zoo.infer_shapes(net, zoo.input_shape(name))
    return net


def warm_up(start):
    """Compile what small and what only large arrays need."""
    from types import SimpleNamespace

    import numpy as np
    from mxnet import gluon

    from gluon_dc.coding import share
    values = np.random.default_rng(0).standard_normal(2**21).astype(np.float32)
    share(values, 2, start).decode()
    nets = [gluon.nn.Dense(2**10, in_units=2**10) for _ in range(2)]
    nets[0].initialize()
    recipe = SimpleNamespace(prune=SimpleNamespace(sparsity=0.5, quality=None, scope="layer"),
                             share=SimpleNamespace(bits=8), code=SimpleNamespace(rel_bits=4))
    round_trip(nets, recipe, start, Meter())


def round_trip(nets, recipe, start, meter):
    """The verbs one after the other, from the first of `nets` into the second; the list is emptied on the way.

    Returns the second net, digests of the weights that it should hold, and the file's size.
    """
    import gluon_dc as dc
    target, net = nets.pop(), nets.pop()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.gdc"
        meter.timed("prune", lambda: dc.prune(net, sparsity=recipe.prune.sparsity, quality=recipe.prune.quality,
                                              scope=recipe.prune.scope))
        meter.timed("quantize", lambda: dc.quantize(net, recipe.share.bits, start=start))
        model = meter.timed("compress", lambda: dc.compress(net, rel_bits=recipe.code.rel_bits))
        meter.timed("save", lambda: model.save(path))
        expected = {layer.name: digest_of(layer.array()) for layer in dc.nn.weighted_layers(net)}
        del net, model
        gc.collect()  # blocks refer to one another
        loaded = meter.timed("load", lambda: dc.load(path))
        meter.timed("restore", lambda: dc.restore(loaded, target))
        return target, expected, path.stat().st_size


def digest_of(array):
    """SHA-256 of an array's bits."""
    import hashlib
    return hashlib.sha256(array).hexdigest()


class Meter:
    """Rows of seconds, and of resident memory beyond that at the start, in bytes."""

    def __init__(self):
        self.baseline = resident("VmRSS")
        self.rows = []

    def timed(self, what, call):
        """Call and note a row."""
        forget_peak()
        begin = time.perf_counter()
        result = call()
        import mxnet
        mxnet.nd.waitall()
        self.row(what, time.perf_counter() - begin)
        return result

    def row(self, what, seconds=None):
        """Note what is held now and was held at the highest since the last row."""
        self.rows.append({"what": what, "seconds": seconds, "peak_nbytes": resident("VmHWM") - self.baseline,
                          "held_nbytes": resident("VmRSS") - self.baseline})


def resident(field):
    """Bytes of the process's resident set: VmRSS now, VmHWM at its highest (Linux)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith(field)).split()[1])


def forget_peak():
    """Set VmHWM back to what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


def print_result(result):
    """The table of one net."""
    dense = 4 * result["weights"]
    print(f"{result['model']}: {result['weights']:,} weights, {dense / MEGABYTE:,.0f} MB in float32, recipe "
          f"{result['recipe']}, start {result['start']}, {result['threads']} thread(s), "
          f"{'with' if result['with_gradients'] else 'without'} gradients")
    print(f"{'':<10} {'seconds':>8} {'peak MB':>9} {'x dense':>8}")
    rows = result["rows"]
    for what, own in (("net", ()), ("net->file", TO_FILE), ("file->net", FROM_FILE)):
        for row in rows:
            if row["what"] in (own or (what,)):
                print_row(row["what"], row["seconds"], row["peak_nbytes"], dense)
        if own:
            chosen = [row for row in rows if row["what"] in own]
            print_row(what, sum(row["seconds"] for row in chosen), max(row["peak_nbytes"] for row in chosen), dense)
    print(f"file {result['file_nbytes']:,} bytes, {dense / result['file_nbytes']:.1f}x smaller; restored weights bit "
          f"for bit the same: {'yes' if result['restored_bit_for_bit'] else 'NO'}\n")


def print_row(what, seconds, peak, dense):
    """One line."""
    print(f"{what:<10} {'' if seconds is None else f'{seconds:.2f}':>8} {peak / MEGABYTE:>9,.0f} {peak / dense:>8.2f}")


if __name__ == "__main__":
    sys.exit(main())
