"""Files of a run in progress: the epoch reached, as one .npz; a stage's outcome, as .npz and .json."""
import io
import json
from pathlib import Path

import mxnet as mx
import numpy as np

from ..coding import write_atomically
from ..coding.container import MAGIC
from ..nn.parameters import value
from ..nn.states import set_state_arrays, state_arrays


def write_json(path, content):
    """Write JSON, atomically."""
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json(path):
    """Read a JSON object.

    Raises
    ------
    ValueError
        It is none, or damaged.
    """
    try:
        content = json.loads(Path(path).read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it to have its stage run again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: damaged (expected an object, found {type(content).__name__}); delete "
                         "it to have its stage run again")
    return content


def write_arrays(path, arrays):
    """Write {name: array} as .npz, atomically."""
    content = io.BytesIO()  # on a full disk, savez leaves an open archive behind that complains later
    np.savez(content, **arrays)
    write_atomically(path, lambda file: file.write(content.getbuffer()))


def read_arrays(path, given=False):
    """Read {name: array} from .npz; `given`: it is a file that the user named, and no stage's own outcome.

    Raises
    ------
    ValueError
        The file is not an .npz, or is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy each raise their own
        if given:
            raise ValueError(f"{path}: {_what_it_is(path, error)}; give the .npz of a stage from the checkpoints/ of "
                             "an earlier run, or a .params file") from error
        raise ValueError(f"{path}: damaged ({error}); delete it to have its stage run again") from error


def _what_it_is(path, error):
    with open(path, "rb") as file:
        begin = file.read(8)
    if begin.startswith(MAGIC):
        return "is a compressed model (.gdc), no checkpoint"
    return f"is damaged ({error})" if begin.startswith(b"PK") else f"is no .npz file: it begins with {begin!r}"


def save_progress(path, net, trainer, history):
    """Everything that an epoch's end leaves: parameters, optimizer states, history; one file."""
    arrays = {f"parameter.{name}": value(parameter)
              for name, parameter in net._collect_params_with_prefix().items()}
    arrays.update({f"trainer.{key}": array for key, array in state_arrays(trainer).items()})
    write_arrays(path, {**arrays, "history": np.array(json.dumps(history))})


def load_progress(path, net, trainer):
    """Put a file of `save_progress` into a net and trainer of the same stage; returns the history."""
    arrays = read_arrays(path)
    parameters = net._collect_params_with_prefix()
    missing = [name for name in parameters if f"parameter.{name}" not in arrays]
    if missing or "history" not in arrays:
        raise ValueError(f"{path}: lacks {', '.join(missing) or 'its history'}; delete it to begin its "
                         "stage again")
    for name, parameter in parameters.items():
        array = arrays[f"parameter.{name}"]
        parameter.set_data(mx.nd.array(array, dtype=array.dtype))
    set_state_arrays(trainer, {key.removeprefix("trainer."): array for key, array in arrays.items()
                               if key.startswith("trainer.")})
    return json.loads(str(arrays["history"]))


def plain_arrays(net):
    """{structural name: array} of a plain net."""
    return {name: value(parameter)
            for name, parameter in net._collect_params_with_prefix().items()}


def load_plain(path, net, given=False):
    """Put the arrays of a stage's .npz, or an MXNet .params file, into a plain net; `given`: as for `read_arrays`.

    Raises
    ------
    ValueError
        Names or shapes differ: which, and what was expected.
    """
    if Path(path).suffix == ".params":
        _load_params(path, net)
        return
    arrays = read_arrays(path, given)
    parameters = net._collect_params_with_prefix()
    for name, parameter in parameters.items():
        found = arrays[name].shape if name in arrays else "nothing"
        if found != tuple(parameter.shape):
            raise ValueError(f"{path}: {name}: expected shape {tuple(parameter.shape)}, found "
                             f"{found}; give a checkpoint of the same network")
        parameter.set_data(mx.nd.array(arrays[name]))


def _load_params(path, net):
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        net.load_parameters(str(path))
    except (AssertionError, ValueError, mx.MXNetError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{path}: not the parameters of this network ({reason})") from error
