"""Decoded weights as files of other libraries, one tensor in memory at a time.

    .safetensors   8 bytes size of the header, the header (JSON), the data. github.com/huggingface/safetensors
    .npz           a zip archive of .npy files, as numpy.savez writes it
    .params        a list of MXNet NDArrays with names, as net.save_parameters writes it
"""

import json
import math
import os
import zipfile

import numpy as np

from ..coding import unpack, write_atomically
from ..coding.context_tensor import decode_groups
from .mxnet_params import write_params

_SAFE_DTYPES = {"float64": "F64", "int64": "I64", "float32": "F32", "int32": "I32", "float16": "F16", "int8": "I8",
                "uint8": "U8"}
_MAX_SAFE_HEADER_NBYTES = 100_000_000  # the limit of safetensors' own reader
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # equal models give equal bytes


def export_weights(model, path, progress=None) -> int:
    """Write all tensors of a CompressedModel, decoded, to a file whose ending says the format; return its bytes.

    Names, order (in .safetensors: by size of an element, the largest first), dtypes, shapes and every bit are those of
    `model.decode()`. The file appears whole or not at all. progress(nbytes), if given, is called after each tensor.
    Raises ValueError for another ending or a tensor or name that the format cannot hold, FormatError (a ValueError) for
    a stream that does not decode, OSError where the file cannot be written.
    """
    write = _WRITERS[format_of(path)]
    for name, tensor in model.items():
        if "\0" in name:
            raise ValueError(f"tensor {name!r}: a NUL in its name, which no other library reads")
    write_atomically(path, lambda file: write(file, model, progress or (lambda nbytes: None)))
    return os.stat(path).st_size


def format_of(path) -> str:
    """The ending of a path, one of FORMATS; ValueError for another."""
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in _WRITERS:
        raise ValueError(f"{os.fspath(path)}: a name must end in one of {', '.join(_WRITERS)}, got "
                         f"{ending or 'nothing'!r}")
    return ending


def decoded_nbytes(model) -> int:
    """Bytes of all decoded tensors."""
    return sum(_dtype(tensor).itemsize * math.prod(tensor.shape) for _, tensor in model.items())


def _dtype(tensor) -> np.dtype:
    # Coded tensors decode to float32.
    return getattr(tensor, "dtype", np.dtype(np.float32))


def _decoded(model, names, progress):
    # Tensors that share a stream are decoded together (to codes, a byte a weight), on several threads.
    decode_groups(model.tensors)
    for name in names:
        tensor = model[name]
        array = tensor if isinstance(tensor, np.ndarray) else unpack(tensor, name).decode()
        yield name, np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
        progress(array.nbytes)


def _bytes_of(array):
    # A view, not a copy; also of arrays without elements or dimensions.
    return array.reshape(-1).view(np.uint8).data


def _write_safetensors(file, model, progress):
    # Larger elements first, so that all data are aligned.
    names = sorted(model, key=lambda name: -_dtype(model[name]).itemsize)
    header, end = {}, 0
    notes = {key: value if isinstance(value, str) else json.dumps(value) for key, value in model.metadata.items()}
    if notes:
        header["__metadata__"] = notes
    for name in names:
        if name == "__metadata__":
            raise ValueError(f"tensor {name!r}: .safetensors keeps that name for itself: take .npz")
        dtype, shape = _dtype(model[name]), model[name].shape
        begin, end = end, end + dtype.itemsize * math.prod(shape)
        header[name] = {"dtype": _SAFE_DTYPES[dtype.name], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_SAFE_HEADER_NBYTES:
        raise ValueError(f"a header of {len(text):,} bytes, .safetensors holds at most {_MAX_SAFE_HEADER_NBYTES:,}")
    file.write(len(text).to_bytes(8, "little") + text)
    for _, array in _decoded(model, names, progress):
        file.write(_bytes_of(array))


def _write_npz(file, model, progress):
    for name in model:
        if name.endswith(".npy"):  # np.load would take it off
            raise ValueError(f"tensor {name!r}: .npz cannot hold a name that ends in .npy: take .safetensors")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in _decoded(model, list(model), progress):
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _ZIP_DATE), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _write_params(file, model, progress):
    write_params(file, [(name, _dtype(tensor), tensor.shape) for name, tensor in model.items()],
                 (_bytes_of(array) for _, array in _decoded(model, list(model), progress)))


_WRITERS = {".safetensors": _write_safetensors, ".npz": _write_npz, ".params": _write_params}
FORMATS = tuple(_WRITERS)
