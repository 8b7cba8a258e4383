#!/usr/bin/env python3
"""k-means on as many weights as AlexNet's fc6 has, beside scikit-learn's KMeans in the same run.

    python benchmarks/kmeans.py --threads 2 --json kmeans.json

The weights are drawn: Student's t with 4 degrees of freedom, whose tails are heavier than Laplace's, not pruned.
Inertia is taken over all of the weights, in float64, for every method alike. scikit-learn runs Lloyd's algorithm from
one k-means++ start, its other settings left alone but for --scikit-iterations (its default is 300); times are of one
run each, ours after one on fewer weights that compiles its kernels.
"""
import argparse
import os
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("kmeans.py")

from setting import check_least, setting_of, write_json  # noqa: E402

DRAWN_AT_A_TIME = 2**22
WARM_UP = 2**20 + 1  # as many as it takes for the kernels of large arrays


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    options = parse_options(argv)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # before NumPy and scikit-learn are imported
    from gluon_dc.report.command import run_command
    return run_command("kmeans.py", run, options)


def run(options):
    """Print a table: seconds, centroids, and inertia relative to the least found; --json writes the same numbers."""
    from gluon_dc.report.outputs import check_outputs
    check_outputs([("--json", options.json)])
    values = drawn_weights(options.size, options.seed)
    print(f"{options.size:,} weights, {options.threads} thread(s)")
    print(f"{'':<32} {'k':>4} {'centroids':>9} {'iterations':>10} {'seconds':>9} {'inertia':>8}", flush=True)
    rows = []
    for k in options.centroids:
        found = rows_of(values, k, options)
        rows += found
        for row in found:
            print(f"{row['what']:<32} {row['k']:>4} {row['centroids']:>9} {row['iterations'] or '':>10} "
                  f"{row['seconds']:>9.2f} {row['inertia_ratio']:>8.4f}", flush=True)
    write_json(options.json, {"setting": setting_of(options), "rows": rows})


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--size", type=int, default=4096 * 9216, help="number of weights")
    parser.add_argument("--centroids", type=int, nargs="+", default=[32, 256], help="numbers of centroids, 1..256")
    parser.add_argument("--starts", nargs="+", default=["optimal", "linear", "kmeans++"], help="starts of ours")
    parser.add_argument("--scikit-size", type=int, default=None,
                        help="weights that scikit-learn is given, the first ones; all by default, 0 leaves it out")
    parser.add_argument("--scikit-iterations", type=int, default=300, help="its max_iter")
    parser.add_argument("--threads", type=int, default=2, help="threads of both (OMP_NUM_THREADS)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and starts")
    parser.add_argument("--json", help="write the rows there too")
    options = parser.parse_args(argv)
    check_least(parser, options, size=1, centroids=1, scikit_iterations=1, threads=1, seed=0)
    if max(options.centroids) > 256:
        parser.error(f"--centroids must be at most 256, got {options.centroids}")
    if options.scikit_size is not None:
        check_least(parser, options, scikit_size=0)
    return options


def drawn_weights(size, seed):
    """float32 (size,)."""
    import numpy as np
    rng = np.random.default_rng(seed)
    parts = [rng.standard_t(4, min(DRAWN_AT_A_TIME, size - begin)).astype(np.float32)
             for begin in range(0, size, DRAWN_AT_A_TIME)]
    return np.concatenate(parts)


def rows_of(values, k, options):
    """A row for each start of ours and one for scikit-learn, with inertia relative to the least of them."""
    from gluon_dc.coding import assign, cluster, inertia
    rows = []
    for start in options.starts:
        cluster(values[:WARM_UP], 2, start)
        seconds, centroids = timed(lambda: cluster(values, k, start, options.seed))
        rows.append({"what": f"cluster, {start}", "k": k, "size": values.size, "seconds": seconds, "iterations": None,
                     "centroids": int(centroids.size), "inertia": inertia(values, centroids)})
    seconds, _ = timed(lambda: assign(values, centroids))
    rows[-1]["assign_seconds"] = seconds
    rows += scikit_row(values, k, options)
    least = min(row["inertia"] for row in rows)
    return [{**row, "inertia_ratio": row["inertia"] / least if least else 1.0} for row in rows]


def scikit_row(values, k, options):
    """scikit-learn on its share of the weights, its inertia over all; [] where it is left out or not installed."""
    if options.scikit_size == 0:
        return []
    try:
        from sklearn.cluster import KMeans
    except ImportError:
        return []
    import numpy as np

    from gluon_dc.coding import inertia
    part = values[:options.scikit_size]
    model = KMeans(k, n_init=1, max_iter=options.scikit_iterations, random_state=options.seed)
    print(f"scikit-learn, {k} centroids: seconds to many minutes", file=sys.stderr, flush=True)
    seconds, fitted = timed(lambda: model.fit(part[:, None]))
    centroids = np.unique(fitted.cluster_centers_)
    name = "scikit-learn KMeans" + (f", first {part.size:,}" if part.size < values.size else "")
    return [{"what": name, "k": k, "size": int(part.size), "seconds": seconds, "iterations": int(fitted.n_iter_),
             "centroids": int(centroids.size), "inertia": inertia(values, centroids)}]


def timed(call):
    """Seconds and result."""
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


if __name__ == "__main__":
    sys.exit(main())
