"""A sweep: many small experiments from one dense net, each finished one on disk at once."""
import platform
import time
from pathlib import Path

import mxnet as mx
import numpy as np
from tqdm import tqdm

from .. import __version__
from ..coding import weights_digest
from .checkpoints import load_plain, plain_arrays, read_json, write_arrays, write_json
from .folders import locked
from .mnist_task import MnistTask
from .sweep_bench import Bench
from .sweep_points import SPLIT, keys_of, label_of, measure_point
from .sweep_settings import DEFAULT_POINTS

FORMAT = 1
FILE = "experiment.json"


def run_sweep(settings, dataset, folder, points=None, dense=None, fresh=False):
    """Measure the points of an experiment; go on with a sweep that was interrupted.

    Parameters
    ----------
    settings : SweepSettings
    dataset : Dataset
    folder : path
        Gets experiment.json and nets/; made where it is missing.
    points : dict, optional
        ``{kind: values}`` as from `parse_points`, default the experiment's DEFAULT_POINTS. Points that are in the
        folder already stay there and are not measured again.
    dense : path, optional
        .npz (or MXNet .params) of the dense net's weights to start from, instead of training one.
    fresh : bool
        Delete what an earlier sweep left in `folder` instead of going on with it.

    Returns
    -------
    dict
        The content of experiment.json: format, experiment, network, dataset, seed, split (the images that every
        `error_percent` is measured on), dense (nbytes: of its float32 arrays), settings, versions, points.

    Raises
    ------
    ValueError
        The folder holds another sweep, or one that is going on; a checkpoint that does not fit.
    FloatingPointError
        The loss is not finite any more.
    """
    bench = Bench(MnistTask(settings, dataset), Path(folder))
    given = _read_given(bench, dense)
    bench.folder.mkdir(parents=True, exist_ok=True)
    with locked(bench.folder):
        result = _open_folder(bench, given, fresh)
        keys = keys_of(settings, points or DEFAULT_POINTS[settings.experiment])
        _measure_missing(bench, result, keys)
        return result


def _measure_missing(bench, result, keys):
    """Measure the points that are not in the result yet; after each one it is on disk."""
    places = {_place(point, keys) for point in result["points"]}
    is_known = [place in places for place in range(len(keys))]
    with tqdm(total=len(keys), initial=sum(is_known), desc=bench.settings.experiment, unit="point",
              dynamic_ncols=True) as bar:
        for key in (key for key, known in zip(keys, is_known) if not known):
            bar.set_postfix_str(label_of(key))
            started = time.perf_counter()
            measured = measure_point(bench, key)
            if "method" in key:
                measured["size_percent"] = 100 * measured["nbytes"] / result["dense"]["nbytes"]
            result["points"].append({**key, **measured, "seconds": time.perf_counter() - started})
            result["points"].sort(key=lambda point: _place(point, keys))
            write_json(bench.folder / FILE, result)
            bar.update()


def _place(point, keys):
    """Where a point stands among the keys, after all of them for one of an earlier list."""
    return next((place for place, key in enumerate(keys) if key.items() <= point.items()), len(keys))


def _read_given(bench, path):
    """The arrays of the dense net that was given, None for none."""
    if path is None:
        return None
    net = bench.task.new_net()
    load_plain(path, net, given=True)
    return plain_arrays(net)


def _open_folder(bench, given, fresh):
    """The result so far; a new one, with the dense net trained or taken over, where there is none."""
    path = bench.folder / FILE
    identity = _identity(bench, given)
    for leftover in [*bench.folder.glob(f"{FILE}.????????"), *bench.nets.glob("*.npz.????????")]:
        leftover.unlink()  # of a write that was killed
    if path.exists() and not fresh:
        result = {"points": [], **read_json(path)}
        _check_same(result, identity, path)
        return result
    path.unlink(missing_ok=True)
    bench.nets.mkdir(exist_ok=True)
    for net in bench.nets.glob("*.npz"):
        net.unlink()
    if given is None:
        bench.make_dense()
    else:
        write_arrays(bench.file("dense"), given)
    result = {**identity, "dense": _measure_dense(bench), "points": [],
              "versions": {"gluon_dc": __version__, "python": platform.python_version(), "mxnet": mx.__version__,
                           "numpy": np.__version__}}
    write_json(path, result)
    return result


def _identity(bench, given):
    """What must be the same for a sweep to go on."""
    settings, digest = bench.settings, bench.task.identity()["dataset"]
    return {"format": FORMAT, "experiment": settings.experiment, "network": settings.network,
            "dataset": {**bench.task.dataset_row(), "digest": digest}, "seed": settings.seed,
            "split": SPLIT[settings.experiment], "settings": settings.as_dict(),
            "given_dense": None if given is None else weights_digest(given)[:16]}


def _check_same(result, identity, path):
    known, asked = _settings_of(result, path), _settings_of(identity, path)
    differs = [f"{name} was {known.get(name)!r}, is {value!r}" for name, value in asked.items()
               if known.get(name) != value]
    if differs:
        raise ValueError(f"{path} holds another sweep ({'; '.join(differs)}): give another --output-dir, or --fresh "
                         "to start over")


def _settings_of(result, path):
    try:
        if not all(isinstance(point, dict) for point in result.get("points", [])):
            raise TypeError("points are objects")
        return {**result["settings"], "data": result["dataset"]["digest"], "--dense": result["given_dense"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a sweep of this program ({error!r}): give another --output-dir, or --fresh to "
                         "start over") from error


def _measure_dense(bench):
    net, split = bench.net_of("dense"), SPLIT[bench.settings.experiment]
    return {"nbytes": sum(array.nbytes for array in plain_arrays(net).values()),
            "error_percent": bench.error(net, split), "top5_error_percent": None,
            "validation_error_percent": bench.error(net, "validation")}
