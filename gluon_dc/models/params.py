"""Weights of one's own from MXNet's .params files, with errors that say what does not fit."""

import numpy as np
from mxnet import nd
from mxnet.base import MXNetError

MAGIC = (0x112).to_bytes(8, "little")  # of a list of NDArrays, as nd.save writes it


def named_parameters(net):
    """Structural name -> Parameter, each Parameter once, under the first of its names."""
    named = {}
    for name, parameter in net._collect_params_with_prefix().items():
        named.setdefault(id(parameter), (name, parameter))
    return dict(named.values())


def load_params(path, net):
    """Put the weights of a .params file into a net of the same architecture, initialised or not; returns the net.

    Takes files of ``save_parameters`` (structural names), of ``export`` and of the older ``save_params``. float16 and
    float64 are converted to the parameter's dtype.

    Raises
    ------
    ValueError
        A file that is no .params file, or one of another network or class count: the first differences, and how many
        there are. The net is unchanged then.
    OSError
        The file cannot be read.
    """
    arrays = _by_structural_name(_read_params(path), net)
    parameters = named_parameters(net)
    aliases = net._collect_params_with_prefix()
    found = {}
    for name, array in arrays.items():
        if name in aliases:
            found[id(aliases[name])] = array
    missing = [name for name, parameter in parameters.items() if id(parameter) not in found]
    unknown = [name for name in arrays if name not in aliases]
    if missing or unknown:
        raise ValueError(f"{path} is of another network: it lacks {some(missing)}; the net lacks {some(unknown)} "
                         f"({len(missing)} and {len(unknown)} of {len(parameters)} parameters)")
    _check_shapes(path, parameters, found)
    for name, parameter in parameters.items():
        try:
            parameter._load_init(found[id(parameter)].astype(parameter.dtype, copy=False), None)
        except MXNetError as error:  # sizes beyond 32 bits pass every earlier check
            raise ValueError(f"{path}: {name} is damaged: {first_line(error)}") from None
    return net


def _read_params(path):
    with open(path, "rb") as file:
        begin = file.read(8)
    if begin != MAGIC:
        raise ValueError(f"{path} is no .params file: it begins with {begin!r}; expected one that "
                         "net.save_parameters or net.export has written")
    try:
        arrays = nd.load(str(path))
        for array in arrays.values() if isinstance(arrays, dict) else ():
            # Damaged arrays fail only when they are looked at.
            if array.stype != "default" or np.dtype(array.dtype).kind not in "fiu" or array.asnumpy().ndim == 0:
                raise ValueError(f"an array of {array.stype} {array.dtype}, expected a dense one of numbers")
    except (MXNetError, MemoryError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as a .params file: {first_line(error)}") from None
    if not isinstance(arrays, dict) or not arrays:
        raise ValueError(f"{path} holds no named arrays; expected those of net.save_parameters or net.export")
    return {name.split(":", 1)[1] if name.startswith(("arg:", "aux:")) else name: array
            for name, array in arrays.items()}


def _by_structural_name(arrays, net):
    """The arrays under the net's structural names, where the file uses full or prefix-less Parameter names.

    The numbers in full names ("dense3_weight") count the layers of a whole process; where they differ, the order
    decides, if every name ends as its Parameter's does. Shapes are for the caller to check.
    """
    structural = net._collect_params_with_prefix()
    if any(name in structural for name in arrays):
        return arrays
    by_full_name = {parameter.name: name for name, parameter in structural.items()}
    by_short_name = {full.removeprefix(net.prefix): name for full, name in by_full_name.items()}
    for names in (by_full_name, by_short_name):
        if all(key in names for key in arrays):
            return {names[key]: array for key, array in arrays.items()}
    in_order = list(net.collect_params())
    if [_ending(key) for key in arrays] == [_ending(full) for full in in_order]:
        return {by_full_name[full]: array for full, array in zip(in_order, arrays.values())}
    return arrays


def _ending(name):
    return "_".join(name.rsplit("_", 2)[-2:]) if "_running_" in name else name.rpartition("_")[2]


def _check_shapes(path, parameters, found):
    wrong = []
    for name, parameter in parameters.items():
        expected, array = parameter.shape, found[id(parameter)]
        if not np.issubdtype(np.dtype(array.dtype), np.floating) and np.dtype(array.dtype) != parameter.dtype:
            raise ValueError(f"{path}: {name} is {np.dtype(array.dtype)}, expected {np.dtype(parameter.dtype)}")
        if expected is not None and (len(expected) != array.ndim or any(
                size > 0 and size != got for size, got in zip(expected, array.shape))):
            wrong.append(f"{name} is {array.shape}, expected {_shape_text(expected)}")
    if wrong:
        hint = "; give the class count that the file was trained for (--classes)" if len(wrong) <= 2 else ""
        raise ValueError(f"{path} does not fit the net: {'; '.join(wrong[:3])} ({len(wrong)} of {len(parameters)} "
                         f"parameters){hint}")


def _shape_text(shape):
    # A size that the net has not settled yet is 0 in MXNet, which reads as if the net had no such weights.
    return str(tuple(shape)) if all(size > 0 for size in shape) else (
        f"({', '.join(str(size) if size > 0 else '?' for size in shape)})")


def some(names):
    """The first three of some names in words, "nothing" for none."""
    return f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" or "nothing"


def first_line(error):
    """The line of an error's message that says what is wrong: MXNet's come with a stack trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return next((line for line in lines if line.startswith("MXNetError: ")), lines[0])
